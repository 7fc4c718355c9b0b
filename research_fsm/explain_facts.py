"""What an explanation says: facts as fields, and each as a sentence.

Floor 7. Pure, decides nothing: every fact was decided by the rules themselves, in `explain`. Times are integer
microseconds UTC in the fields and RFC 3339 in the sentences. Words never name a person by anything but their id.
"""

from attrs import frozen

from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import Action, AlreadyRunning, InsufficientCredits, PersonNotFound, Queued, how_many_credits
from research_fsm.rfc3339 import shown_time
from research_fsm.visible import visible

__all__ = ["Cause", "Explanation", "Holder", "Look", "Recovery", "StartAnswered", "time_in_words"]


def time_in_words(micros: int) -> str:
    """Return a time as a sentence has it, to the millisecond."""
    return shown_time(micros, digits=3)


@frozen
class Cause:
    """The event that made something so.

    Args:
        type: The event's name.
        version: Its place in the person's stream.
        position: Its place in the log.
        at: When it was recorded.
        actor: Who asked for it; None if nobody was named, as for what recovery or an engine's answer brings about.
        words: What happened.
    """

    type: str
    version: int
    position: int
    at: int
    actor: str | None
    words: str

    def __str__(self) -> str:
        by = "no actor is recorded" if self.actor is None else f"by {self.actor}"
        return f"{self.words} ({self.type}, version {self.version}, position {self.position}; {by})"


@frozen
class Holder:
    """The open run that has the person.

    Args:
        run_id: The run.
        run_no: Its number: what its callbacks must carry.
        phase: ``dispatching``, ``queued`` or ``executing``.
        started_at: When it started.
        claimed_by: The engine run, or the delivery, that works on it.
        open_attempts: Attempts that may have reached the engine and that nobody has answered.
        deadline: When the phase is given up; None for what waits in the embedded queue.
        hold: What has become of its credits.
        cost: How many those are.
    """

    run_id: str
    run_no: int
    phase: Phase
    started_at: int
    claimed_by: str | None
    open_attempts: tuple[int, ...]
    deadline: int | None
    hold: str
    cost: int

    def __str__(self) -> str:
        parts = [f"run {self.run_no} ({self.run_id}) has the person since {time_in_words(self.started_at)}"]
        parts.append(f"it is {self.phase}" if self.claimed_by is None else f"{self.claimed_by} is working on it")
        if self.phase is Phase.DISPATCHING and self.open_attempts:
            parts.append(f"nobody knows whether attempt {_listed(self.open_attempts)} has reached the engine")
        deadline = "it has no deadline" if self.deadline is None else f"its deadline is {time_in_words(self.deadline)}"
        parts.append(deadline)
        parts.append(f"its {how_many_credits(self.cost)} {'is' if self.cost == 1 else 'are'} {_HOLDS[self.hold]}")
        return "; ".join(parts)


_HOLDS = {"open": "held", "charged": "charged", "released": "released", "refunded": "refunded"}


@frozen
class StartAnswered:
    """What a start is answered at the point that is explained, by the rule that answers real ones.

    Args:
        answer: The answer: `Queued` for a start that is accepted, whichever dispatcher would take it.
        past: Whether it would have been.
        balance: Credits that the owner has available.
        required: Credits that a run costs.
        holder: The run that is in the way, if one is.
    """

    answer: Queued | AlreadyRunning | InsufficientCredits | PersonNotFound
    past: bool
    balance: int
    required: int
    holder: Holder | None

    def __str__(self) -> str:
        would = "A start would have been" if self.past else "A start would be"
        match self.answer:
            case Queued(run_no=run_no):
                are = "is" if self.balance == 1 else "are"
                of = f"{how_many_credits(self.balance)} {are} available, {self.required} required"
                return f"{would} accepted as run {run_no}: {of}."
            case AlreadyRunning(status=Status.RUNNING) if self.holder is not None:
                return f"{would} refused as already running: {self.holder}."
            case AlreadyRunning(status=status, since=since):
                of = f"the person is {status} since {time_in_words(since)}, until the report is marked stale"
                return f"{would} refused as already {status}: {of}."
            case InsufficientCredits():
                return f"{would} refused for want of credits: {self.answer}."
            case PersonNotFound():  # The last case.
                return f"{would} answered that there is no such person."


@frozen
class Look:
    """One look of recovery: when, what it does, and what that means.

    Args:
        at: When it comes, at the earliest.
        action: What it does, unless the engine has news.
        words: What is then recorded; None for a look that records nothing.
    """

    at: int
    action: Action
    words: str | None

    def __str__(self) -> str:
        if self.action is Action.RESENT:
            return "the dispatch request is sent again"
        return "it waits" if self.words is None else self.words


@frozen
class Recovery:
    """What recovery does about the person when nothing else happens.

    Args:
        next: The next look; None if recovery has nothing to do here.
        finally_: What the last look comes to, if the next one settles nothing.
        overdue: Whether the next look's time has come.
        asks_engine: Whether the engine is asked first, which may have news.
        instead: What there is to wait for, where recovery has nothing to do.
        past: Whether it is about the past.
    """

    next: Look | None
    finally_: Look | None
    overdue: bool
    asks_engine: bool
    instead: str
    past: bool

    def __str__(self) -> str:
        if self.next is None:
            return f"Recovery {'had' if self.past else 'has'} nothing to do here: {self.instead}."
        if self.overdue:
            when = "was due to look" if self.past else "is due to look now"
        else:
            when = f"{'was to look' if self.past else 'looks'} next at {time_in_words(self.next.at)}"
        first = "it asks the engine, and without news " if self.asks_engine else ""
        sentence = f"Recovery {when}: {first}{self.next}."
        if self.finally_ is None:
            return sentence
        return f"{sentence} If nothing else happens, at {time_in_words(self.finally_.at)}: {self.finally_}."


@frozen
class Explanation:
    """Why a person is as they are, or were.

    Args:
        person_id: Who it is about.
        owner: Whose person it is.
        as_of: The time it is about.
        past: Whether that is the past.
        status: The public status.
        phase: The same, with the phases of a running person told apart.
        since: When the status began.
        because: The event that began it.
        latest: The last event; the same, if nothing came after it.
        start: What a start is answered, and why.
        recovery: What recovery does next, and when.
        failures_in_a_row: Failed runs since the last report.
        reports: The highest report version.
    """

    person_id: str
    owner: str
    as_of: int
    past: bool
    status: Status
    phase: Phase
    since: int
    because: Cause
    latest: Cause
    start: StartAnswered
    recovery: Recovery
    failures_in_a_row: int
    reports: int

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything, a sentence or two at a time, in the order in which somebody asks."""
        verb = "was" if self.past else "is"
        phase = f" ({self.phase})" if self.status is Status.RUNNING else ""
        who = f"person {self.person_id} of {self.owner}"
        said = [
            f"At {time_in_words(self.as_of)}, {who} {verb} {self.status}{phase}, since {time_in_words(self.since)}.",
            f"Because: {self.because}.",
        ]
        if self.latest != self.because:
            said.append(f"Since then, last at {time_in_words(self.latest.at)}: {self.latest}.")
        if self.failures_in_a_row > 1:
            said.append(f"The last {self.failures_in_a_row} runs failed: this is for a human.")
        return (*said, str(self.start), str(self.recovery))

    def __str__(self) -> str:
        return "\n".join(map(visible, self.sentences))


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
