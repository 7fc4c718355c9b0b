"""A rule-based machine that drives a store through everything the lifecycle allows, and much that it does not.

Floor 6. Needs Hypothesis, from the extra ``research-fsm[testing]``. Every command goes to the store under test and, in
lock step, to the reference store, with the same ids and the same clock: each answer, each event with its hash, each
head, key, receipt and document has to be the same. Beside that the `oracle` is asked about every step, and the
invariants are counted again from the bare events.

A test file::

    def test_my_store_agrees_with_the_reference() -> None:
        run_state_machine_as_test(store_machine(lambda clock: MyStore(clock=clock)))
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from research_fsm import codec, transactions
from research_fsm import commands as c
from research_fsm import outcomes as o
from research_fsm.decide import Send
from research_fsm.events import AttemptResult, PersonKind, StaleReason
from research_fsm.policy import Policy
from research_fsm.requests import DispatchRequest
from research_fsm.storage import Store
from research_fsm.testing.lockstep import Lockstep

__all__ = ["store_machine"]

_OWNERS = ("a", "a:b")
_KEYS = ("k1", "k2")
_ENGINE_RUNS = ("x", "y")
_SALT = "salt"
_WHO = ("x", "1", "y", "2")
_RARELY = st.sampled_from((False, False, False, True))
_CREDITS = (
    ("add", "", 0),
    ("grant", "g", 1),
    ("grant", "b:g", 2),
    ("grant", "g", 2),
    ("revoke", "g", 0),
    ("revoke", "b:g", 0),
)
_URLS = ("https://www.linkedin.com/in/ada", "https://www.linkedin.com/in/grace")
_POLICY = Policy(
    dispatch_deadline=timedelta(seconds=40),
    queue_deadline=timedelta(seconds=20),
    run_deadline=timedelta(seconds=30),
    attempt_lease=timedelta(seconds=10),
    resend_window=timedelta(seconds=25),
    poll_interval=timedelta(seconds=5),
    max_attempts=3,
    max_deliveries=2,
    stale_after=timedelta(seconds=40),
)


@frozen
class _Run:
    run_id: str
    run_no: int
    person_id: str


def store_machine(
    make_store: Callable[[Callable[[], int]], Store], *, policy: Policy = _POLICY
) -> type[RuleBasedStateMachine]:
    """Return a machine that drives a store beside the reference store.

    Args:
        make_store: Makes an empty store that tells the time by a clock, in microseconds UTC.
        policy: The settings.
    """

    class StoreMachine(_Machine):
        def __init__(self) -> None:
            super().__init__(make_store, policy)

    return StoreMachine


class _Machine(RuleBasedStateMachine):
    people = Bundle[str]("people")
    runs = Bundle[_Run]("runs")

    def __init__(self, make_store: Callable[[Callable[[], int]], Store], policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        self.stores = Lockstep(make_store, policy, _SALT.encode())
        self.ids = count(1)

    def teardown(self) -> None:
        """Ask the audit about the whole log."""
        self.stores.close()

    @initialize(target=people)
    def begin(self) -> Any:  # noqa: ANN401  # What a bundle takes.
        """Begin with a little money and somebody of each owner, so that most races are about something."""
        for owner in _OWNERS:
            self.stores.ask(c.GrantCredits(owner=owner, grant_id=self.new_id(), amount=4))
        added = [self.adding(owner, _URLS[0], PersonKind.USER) for owner in _OWNERS]
        return multiple(*(self.stores.ask(command).person_id for command in added))

    # --- people and credits ---

    @rule(
        target=runs,
        owner=st.sampled_from(_OWNERS),
        url=st.sampled_from(_URLS),
        kind=st.sampled_from(PersonKind),
        inside=st.booleans(),
        key=st.sampled_from((None, *_KEYS)),
    )
    def create(self, owner: str, url: str, kind: PersonKind, *, inside: bool, key: str | None) -> Any:  # noqa: ANN401
        """Add somebody and start them at once; a partner's address only once."""
        adding = self.adding(owner, url, kind)
        starting = c.StartRun(
            person_id=adding.person_id,
            run_id=self.new_id(),
            owner=owner,
            inside=inside,
            key=self.key_of(owner, key, "create", url),
        )
        answer = self.stores.both(*transactions.create(adding, starting, self.policy))
        return self.begun(answer.start if isinstance(answer, o.Created) else answer)

    @rule(
        target=people, owner=st.sampled_from(_OWNERS), kind=st.sampled_from(PersonKind), what=st.sampled_from(_CREDITS)
    )
    def add_or_grant(self, owner: str, kind: PersonKind, what: tuple[str, str, int]) -> Any:  # noqa: ANN401
        """Add a person; grant credits, again, or with another amount; or take a grant back, whatever became of it."""
        verb, grant_id, amount = what
        if verb == "grant":
            self.stores.ask(c.GrantCredits(owner=owner, grant_id=grant_id, amount=amount))
        elif verb == "revoke":
            self.stores.ask(c.RevokeCredits(owner=owner, grant_id=grant_id))
        else:
            answer = self.stores.ask(self.adding(owner, _URLS[0], kind))
            return answer.person_id if isinstance(answer, o.Added) else multiple()
        return multiple()

    @rule(person_id=people, owner=st.sampled_from((None, "other")), reason=st.sampled_from(StaleReason))
    def mark_stale(self, person_id: str, owner: str | None, reason: StaleReason) -> None:
        """Mark a report stale, in whatever status, and whosever it is."""
        self.stores.ask(c.MarkStale(person_id=person_id, owner=owner, reason=reason))

    @rule(person_id=people, owner=st.sampled_from(("other", None)), really=st.sampled_from((False, False, True)))
    def erase(self, person_id: str, owner: str | None, *, really: bool) -> None:
        """Erase a person now and then, and try to erase another owner's."""
        if owner is not None or really:
            self.stores.ask(c.ErasePerson(person_id=person_id, owner=owner))

    # --- runs ---

    @rule(
        target=runs,
        person_id=people,
        inside=st.booleans(),
        joined=st.booleans(),
        key=st.sampled_from((None, None, *_KEYS)),
    )
    def start(self, person_id: str, *, inside: bool, joined: bool, key: str | None) -> Any:  # noqa: ANN401
        """Start a person, running or not, with a fresh request key, a known one, or none."""
        command = c.StartRun(
            person_id=person_id,
            run_id=self.new_id(),
            inside=inside,
            joined=joined and not inside,
            key=self.key_of(None, key, "start", person_id),
        )
        return self.begun(self.stores.ask(command))

    @rule(
        run=runs,
        attempt=st.integers(1, 3),
        result=st.sampled_from(AttemptResult),
        external_id=st.sampled_from(_ENGINE_RUNS),
    )
    def record_answer(self, run: _Run, attempt: int, result: AttemptResult, external_id: str) -> None:
        """Record what an attempt came to, of this run or of one long over."""
        accepted = external_id if result is AttemptResult.ACCEPTED else None
        command = c.RecordAnswer(
            person_id=run.person_id,
            run_id=run.run_id,
            run_no=run.run_no,
            attempt=attempt,
            result=result,
            external_id=accepted,
            reason="",
        )
        self.stores.ask(command)

    @rule(run=runs, who=st.sampled_from(_WHO), content=st.sampled_from((None, b"1", b"2")), wrong=_RARELY)
    def call_back(self, run: _Run, who: str, content: bytes | None, *, wrong: bool) -> None:
        """Claim, or report, in time or late, as whoever one is, also with another run's number."""
        named = self.named(run, who, wrong=wrong)
        self.stores.ask(c.ClaimRun(**named) if content is None else c.CompleteRun(**named, report=content))

    @rule(run=runs, who=st.sampled_from(_WHO), detail=st.sampled_from((None, b'"why"')), wrong=_RARELY)
    def fail(self, run: _Run, who: str, detail: bytes | None, *, wrong: bool) -> None:
        """Report a failure, in time or late, as whoever one is."""
        self.stores.ask(c.FailRun(**self.named(run, who, wrong=wrong), detail=detail))

    @rule(run=runs, what=st.sampled_from(("take", "take its own", "renew", "arm")), who=st.sampled_from(_WHO))
    def work(self, run: _Run, what: str, who: str) -> None:
        """Take an entry of the embedded queue, the next or a run's own, renew a lease, or allow an attempt."""
        match what:
            case "take":
                self.stores.ask(c.TakeEntry())
            case "take its own":
                self.stores.ask(c.TakeEntry(run_id=run.run_id))
            case "renew":
                self.stores.ask(c.RenewLease(**self.named(run, who)))
            case _:
                self.stores.ask(c.ArmAttempt(run_id=run.run_id))

    @rule(
        run=runs,
        seen=st.lists(
            st.tuples(st.sampled_from(_ENGINE_RUNS), st.sampled_from(c.SightingState), st.booleans()), max_size=2
        ),
        sends=st.booleans(),
    )
    def recover(self, run: _Run, seen: Sequence[tuple[str, c.SightingState, bool]], *, sends: bool) -> None:
        """Look at a run, with whatever the engine says."""
        sightings = tuple(
            c.Sighting(external_id=external_id, state=state, report=b"{}" if output else None)
            for external_id, state, output in seen
        )
        command = c.RecoverRun(
            person_id=run.person_id, run_id=run.run_id, run_no=run.run_no, sightings=sightings, sends=sends
        )
        self.stores.ask(command)

    @rule(seconds=st.sampled_from((1, 5, 10, 30)))
    def time_passes(self, seconds: int) -> None:
        """Move the clock."""
        self.stores.clock.advance(timedelta(seconds=seconds))

    # --- how ---

    def new_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self.ids):012}"

    def adding(self, owner: str, url: str, kind: PersonKind) -> c.AddPerson:
        profile = codec.encode({"linkedin_url": url})
        return c.AddPerson(
            person_id=self.new_id(), owner=owner, kind=kind, profile=profile, linkedin_url=url, salt=_SALT
        )

    def key_of(self, caller: str | None, key: str | None, *request: str) -> c.RequestKey | None:
        return None if key is None else c.RequestKey.of(caller, key, *request)

    def named(self, run: _Run, who: str, *, wrong: bool = False) -> dict[str, Any]:
        external_id = who if who in _ENGINE_RUNS else f"{run.run_id}:{who}"
        return {"run_id": run.run_id, "run_no": run.run_no + int(wrong), "external_id": external_id}

    def begun(self, answer: object) -> Any:  # noqa: ANN401  # What a bundle takes.
        """Remember a run that was started just now."""
        begun = answer.request if isinstance(answer, Send) else answer
        if not isinstance(begun, DispatchRequest | o.Queued | o.Unresolved):
            return multiple()
        new = self.stores.started(begun.run_id, begun.person_id)
        return _Run(begun.run_id, begun.run_no, begun.person_id) if new else multiple()
