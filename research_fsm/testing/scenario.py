"""Given, when, then: the rules of one person and one account, read aloud.

Floor 6. Imports the pure core alone, and no test framework. Nothing is stored and no clock is read: the time stands
still at `NOW` until a scenario lets some pass.

Example:
    >>> from research_fsm.commands import MarkStale
    >>> from research_fsm.events import PersonAdded, PersonKind
    >>> from research_fsm.outcomes import NotComplete
    >>> ada = "00000000-0000-4000-8000-0000000000ad"
    >>> added = PersonAdded("acme", PersonKind.USER, "digest")
    >>> after = given(added, person_id=ada).when(MarkStale(person_id=ada)).then(answer=NotComplete(ada, "idle"))
    >>> str(after.person.status)
    'idle'
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from attrs import evolve as changed
from attrs import frozen

from research_fsm import account as accounts
from research_fsm import decide
from research_fsm import person as people
from research_fsm.account import Account, credits_for
from research_fsm.commands import (
    AddPerson,
    ArmAttempt,
    ClaimRun,
    CompleteRun,
    ErasePerson,
    FailRun,
    GrantCredits,
    MarkStale,
    RecordAnswer,
    RecoverRun,
    RenewLease,
    RevokeCredits,
    StartRun,
    TakeEntry,
)
from research_fsm.decide import Decision
from research_fsm.events import CreditsGranted, CreditsRevoked, Event, PersonEvent
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import Json, StartAnswer
from research_fsm.person import Person
from research_fsm.policy import Policy, micros

__all__ = ["NOW", "PERSON_ID", "SALT", "Command", "Decided", "Scenario", "given"]

NOW = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z: when everything that is given was recorded."""

PERSON_ID = "00000000-0000-4000-8000-000000000001"
"""Whose scenario it is, unless `given` is told otherwise."""

SALT = b"salt"
"""What the digests of the person's documents are salted with."""

Command = (
    AddPerson
    | MarkStale
    | ErasePerson
    | StartRun
    | ArmAttempt
    | RecordAnswer
    | ClaimRun
    | CompleteRun
    | FailRun
    | TakeEntry
    | RenewLease
    | RecoverRun
    | GrantCredits
    | RevokeCredits
)


@frozen(kw_only=True)
class Scenario:
    """One person, their owner's account, a moment in time, and the rows that the rules are shown beside them.

    Args:
        person: The person's folded state.
        account: The account's folded state.
        now: Microseconds UTC.
        policy: The settings.
        lease_until: The lease of the run's entry in the embedded queue, in microseconds UTC.
        receipt: What the receipt of the latest run says.
        profile: What a claim is answered with.
        granted: Amounts by grant_id.
        revoked: The grant_ids that were taken back.
    """

    person: Person
    account: Account = accounts.EMPTY
    now: int = NOW
    policy: Policy = Policy()
    lease_until: int | None = None
    receipt: StartAnswer | None = None
    profile: Mapping[str, Json]
    granted: Mapping[str, int]
    revoked: frozenset[str] = frozenset()

    def after(self, **duration: float) -> "Scenario":
        """Let time pass, in the words of `datetime.timedelta`: ``after(minutes=10, microseconds=-1)``."""
        return changed(self, now=self.now + micros(timedelta(**duration)))

    def knowing(self, *, receipt: StartAnswer | None = None, lease_until: int | None = None) -> "Scenario":
        """Set what the store has beside the heads: the run's receipt, or the lease of its queue entry."""
        return changed(self, receipt=receipt, lease_until=lease_until)

    def having(self, *events: Event) -> "Scenario":
        """Return the scenario in which this happened as well, now; what it means for the account follows."""
        scenario = self
        for event in events:
            scenario = scenario._with(event)
        return scenario

    def when(self, command: Command) -> "Decided":
        """Ask for something. What the rule decides is shown by `Decided.then`."""
        return Decided(self, command, self._decision(command))

    def _with(self, event: Event) -> "Scenario":
        if isinstance(event, PersonEvent):
            person = people.evolve(self.person, event, self.now)
            derived = credits_for(person.person_id, self.person.run, person.run)
            return changed(self, person=person, account=accounts.fold(self.account, derived))
        account = accounts.evolve(self.account, event)
        match event:
            case CreditsGranted(grant_id, amount):
                return changed(self, account=account, granted={**self.granted, grant_id: amount})
            case CreditsRevoked(grant_id=grant_id):
                return changed(self, account=account, revoked=self.revoked | {grant_id})
            case _:
                raise ValueError(f"{event} follows from what happens to the person: leave it out")

    def _decision(self, command: Command) -> Decision[Any]:  # noqa: PLR0912  # One case per command.
        person, now, policy = self.person, self.now, self.policy
        match command:
            case AddPerson():
                return decide.add(command)
            case MarkStale():
                return decide.mark_stale(command, person, now, policy)
            case ErasePerson():
                return decide.erase(command, person)
            case StartRun():
                return decide.start(command, person, self.account, now, policy)
            case ArmAttempt():
                return decide.arm(command, person, person.run_no, now, policy, self.receipt)
            case RecordAnswer():
                return decide.record_answer(command, person, now, policy, self.receipt)
            case ClaimRun():
                return decide.claim(command, person, now, policy, self.profile)
            case CompleteRun():
                return decide.complete(command, person, SALT)
            case FailRun():
                return decide.fail(command, person, SALT)
            case TakeEntry():
                return decide.take(person, now, policy, self.profile)
            case RenewLease():
                return decide.renew(command, person, self.lease_until, now, policy)
            case RecoverRun():
                return decide.recover(command, person, self.lease_until, now, policy, SALT)
            case GrantCredits(grant_id=grant_id):
                return decide.grant(command, self.granted.get(grant_id))
            case RevokeCredits(grant_id=grant_id):
                already = grant_id in self.revoked
                return decide.revoke(command, self.account, self.granted.get(grant_id), already=already)


@frozen
class Decided:
    """What a rule decided in a scenario.

    Args:
        before: The scenario in which it was asked.
        command: What was asked for.
        decision: The decision, as the rule returned it.
    """

    before: Scenario
    command: Command
    decision: Decision[Any]

    @property
    def appended(self) -> tuple[Event, ...]:
        """Everything that is appended, each event of the person followed by what it means for the account."""
        events: list[Event] = []
        person = self.before.person
        for event in self.decision.events:
            previous, person = person, people.evolve(person, event, self.before.now)
            events += [event, *credits_for(person.person_id, previous.run, person.run)]
        return (*events, *self.decision.credits)

    def then(self, *events: Event, answer: object) -> Scenario:
        """Check all that is appended and what is answered; go on from there.

        Args:
            events: Everything, in order; none for a request that changes nothing.
            answer: What the caller is told.

        Raises:
            AssertionError: Something else was decided; the message shows both.
        """
        _check("appended", self.appended, events)
        _check("answered", (self.decision.answer,), (answer,))
        return self.afterwards

    @property
    def afterwards(self) -> Scenario:
        """The scenario once the decision is committed."""
        before, decision = self.before, self.decision
        after = before.having(*decision.events, *decision.credits)
        settled = decide.settlement(before.person, after.person, decision)
        lease_until = decision.lease_until or before.lease_until
        if after.person.phase not in (Phase.QUEUED, Phase.EXECUTING):
            lease_until = None
        return changed(after, receipt=settled or before.receipt, lease_until=lease_until)


def given(*events: Event, person_id: str = PERSON_ID, policy: Policy | None = None) -> Scenario:
    """Say what has happened so far, all of it at `NOW`.

    Args:
        events: Of the person, and grants and revocations of the account; what a run means for the account follows.
        person_id: Who it is.
        policy: The settings, if they are not the usual ones.
    """
    person = people.nobody(person_id)
    profile = {"linkedin_url": "https://www.linkedin.com/in/ada"}
    return Scenario(person=person, policy=policy or Policy(), profile=profile, granted={}).having(*events)


def _check(what: str, found: tuple[object, ...], expected: tuple[object, ...]) -> None:
    if found != expected:
        raise AssertionError(f"{what}:\n{_lines(found)}\nexpected:\n{_lines(expected)}")


def _lines(values: tuple[object, ...]) -> str:
    return "\n".join(f"  {value!r}" for value in values) or "  (nothing)"
