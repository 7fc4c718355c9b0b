"""Hypothesis strategies for every public type: values, commands, and logs and states that are legal by construction.

Floor 6. Needs Hypothesis, from the extra ``research-fsm[testing]``. Nothing is registered by importing this: call
`register` once, in a ``conftest.py``, and ``st.from_type(Policy)`` finds what is here.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import count
from types import MappingProxyType
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from research_fsm import codec, transactions
from research_fsm import commands as c
from research_fsm.account import Account
from research_fsm.events import AttemptResult, FailReason, PersonKind, StaleReason
from research_fsm.person import Outcome, Person, Run
from research_fsm.policy import Policy
from research_fsm.profile import Profile
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.storage import Query, RecordedEvent
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.steps import Command, transaction_of
from research_fsm.testing.strategies_texts import documents, json_values, names, profiles, uuids
from research_fsm.testing.strategies_values import VALUES, moments, value

__all__ = [
    "accounts",
    "attempt_outcomes",
    "by_type",
    "commands",
    "documents",
    "histories",
    "json_values",
    "moments",
    "names",
    "people",
    "policies",
    "profiles",
    "register",
    "request_keys",
    "sightings",
    "uuids",
    "value",
]

_LARGEST = 2**53
_HIGHEST_RUN_NO = 2**31
_OWNERS = ("a", "a:b")


# --- settings and commands ---------------------------------------------------------------------------------------


def policies() -> st.SearchStrategy[Policy]:
    """Settings, of every combination that a `Policy` accepts, and of the sizes that matter in tests."""
    durations = st.timedeltas(timedelta(microseconds=1), timedelta(days=1))
    leases = st.tuples(durations, durations).map(sorted).filter(lambda pair: pair[0] < pair[1])

    def build(lease: Sequence[timedelta], **settings: Any) -> Policy:  # noqa: ANN401  # By setting.
        return Policy(renew_every=lease[0], worker_lease=lease[1], **settings)

    timed = ("dispatch_deadline", "queue_deadline", "run_deadline", "attempt_lease", "resend_window", "poll_interval")
    return st.builds(
        build,
        leases,
        **dict.fromkeys(timed, durations),
        cost=st.integers(0, 1_000),
        max_attempts=st.integers(1, 5),
        max_deliveries=st.integers(1, 5),
        stale_after=st.none() | durations,
        recovery_batch=st.integers(1, 100),
    )


def request_keys() -> st.SearchStrategy[c.RequestKey]:
    """A caller's keys."""
    return st.builds(c.RequestKey.of, st.none() | names(), names(), names())


def sightings() -> st.SearchStrategy[c.Sighting]:
    """What an engine says of one of its runs."""
    return st.builds(
        c.Sighting, external_id=names(), state=st.sampled_from(c.SightingState), report=st.none() | documents()
    )


def attempt_outcomes() -> st.SearchStrategy[AttemptOutcome]:
    """What an attempt may have come to."""

    def build(result: AttemptResult, external_id: str, **rest: Any) -> AttemptOutcome:  # noqa: ANN401  # By field.
        accepted = external_id if result is AttemptResult.ACCEPTED else None
        return AttemptOutcome(result=result, external_id=accepted, **rest)

    reasons = st.sampled_from(("", "http_422", "timeout"))
    return st.builds(build, st.sampled_from(AttemptResult), names(), reason=reasons, retry_at=st.none() | moments())


def _named_run() -> dict[str, st.SearchStrategy[Any]]:
    return {"run_id": uuids(), "run_no": st.integers(1, _HIGHEST_RUN_NO), "external_id": names()}


def _record_answers() -> st.SearchStrategy[c.RecordAnswer]:
    def build(result: AttemptResult, external_id: str, **rest: Any) -> c.RecordAnswer:  # noqa: ANN401  # By field.
        accepted = external_id if result is AttemptResult.ACCEPTED else None
        return c.RecordAnswer(result=result, external_id=accepted, **rest)

    return st.builds(
        build,
        st.sampled_from(AttemptResult),
        names(),
        person_id=uuids(),
        run_id=uuids(),
        run_no=st.integers(1, _HIGHEST_RUN_NO),
        attempt=st.integers(1, 9),
        reason=st.sampled_from(("", "http_422", "timeout")),
        retry_at=st.none() | st.integers(0, _LARGEST),
    )


def _by_type() -> Mapping[type[Any], Callable[[], st.SearchStrategy[Any]]]:
    """Return how each command is made, with ids that nobody has seen."""
    actor = st.none() | names()
    owner = st.none() | names()
    return {
        c.AddPerson: lambda: st.builds(
            c.AddPerson,
            person_id=uuids(),
            owner=names(),
            kind=st.sampled_from(PersonKind),
            profile=profiles().map(lambda profile: codec.encode(profile.known())),
            linkedin_url=profiles().map(lambda profile: profile.linkedin_url),
            salt=st.text("0123456789abcdef", min_size=32, max_size=32),
            actor=actor,
        ),
        c.ArmAttempt: lambda: st.builds(c.ArmAttempt, run_id=uuids(), actor=actor),
        c.ClaimRun: lambda: st.builds(c.ClaimRun, **_named_run(), actor=actor),
        c.CompleteRun: lambda: st.builds(c.CompleteRun, **_named_run(), report=documents(), actor=actor),
        c.ErasePerson: lambda: st.builds(c.ErasePerson, person_id=uuids(), owner=owner, actor=actor),
        c.FailRun: lambda: st.builds(
            c.FailRun,
            **_named_run(),
            reason=st.sampled_from(FailReason),
            detail=st.none() | documents(),
            actor=actor,
        ),
        c.GrantCredits: lambda: st.builds(
            c.GrantCredits, owner=names(), grant_id=names(), amount=st.integers(1, 10**12), actor=actor
        ),
        c.MarkStale: lambda: st.builds(
            c.MarkStale, person_id=uuids(), owner=owner, reason=st.sampled_from(StaleReason), actor=actor
        ),
        c.RecordAnswer: _record_answers,
        c.RecoverRun: lambda: st.builds(
            c.RecoverRun,
            person_id=uuids(),
            run_id=uuids(),
            run_no=st.integers(1, _HIGHEST_RUN_NO),
            sightings=st.lists(sightings(), max_size=3).map(tuple),
            sends=st.booleans(),
        ),
        c.RenewLease: lambda: st.builds(c.RenewLease, **_named_run()),
        c.RevokeCredits: lambda: st.builds(c.RevokeCredits, owner=names(), grant_id=names(), actor=actor),
        c.StartRun: lambda: st.builds(
            c.StartRun,
            person_id=uuids(),
            run_id=uuids(),
            owner=owner,
            key=st.none() | request_keys(),
            inside=st.booleans(),
            joined=st.booleans(),
            actor=actor,
        ),
        c.TakeEntry: lambda: st.builds(c.TakeEntry, run_id=st.none() | uuids(), actor=actor),
    }


_COMMANDS = MappingProxyType(_by_type())


def commands() -> st.SearchStrategy[Command]:
    """Every command, about people and runs that hardly ever exist; `histories` has commands that meet."""
    return st.one_of([make() for make in _COMMANDS.values()])


def by_type() -> dict[type[Any], st.SearchStrategy[Any]]:
    """Return a strategy for each public type."""
    return {
        **{plain: value(plain) for plain in VALUES},
        **{command: make() for command, make in _COMMANDS.items()},
        c.RequestKey: request_keys(),
        c.Sighting: sightings(),
        Policy: policies(),
        Profile: profiles(),
        AttemptOutcome: attempt_outcomes(),
        DispatchRequest: value(DispatchRequest),
        Person: people(),
        Run: people().map(lambda person: person.run).filter(lambda run: run is not None),
        Outcome: people().map(lambda person: person.outcome).filter(lambda outcome: outcome is not None),
        Account: accounts(),
    }


def register() -> None:
    """Tell Hypothesis which strategy stands for each public type."""
    for public, strategy in by_type().items():
        st.register_type_strategy(public, strategy)


# --- histories ---------------------------------------------------------------------------------------------------


@frozen
class _Known:
    """A run that a history has already."""

    person_id: str
    run_id: str
    run_no: int


@st.composite
def histories(draw: st.DrawFn, *, policy: Policy | None = None, most: int = 40) -> tuple[RecordedEvent, ...]:
    """A whole log, legal because the real rules wrote it: of two people of two owners, with time that passes.

    Args:
        draw: Hypothesis gives it.
        policy: The settings; None for the usual ones.
        most: Commands at most; many of them are refused.
    """
    settings, clock = policy or Policy(), ManualClock()
    store, ids = MemoryStore(clock), (f"00000000-0000-4000-8000-{number:012}" for number in count(1))
    people = [next(ids) for _ in _OWNERS]
    for person_id, owner in zip(people, _OWNERS, strict=True):
        adding = c.AddPerson(person_id=person_id, owner=owner, kind=PersonKind.USER, profile=b"{}", salt="s")
        store.transact(*transaction_of(adding, settings))
        store.transact(*transaction_of(c.GrantCredits(owner=owner, grant_id="g", amount=10), settings))
    for _ in range(draw(st.integers(0, most))):
        clock.advance(timedelta(seconds=draw(st.sampled_from((0, 1, 15, 300)))))
        command = _drawn(draw, draw(st.sampled_from(people)), _runs_in(store, people), next(ids))
        store.transact(*transaction_of(command, settings))
    return tuple(store.events())


def people(*, policy: Policy | None = None, most: int = 40) -> st.SearchStrategy[Person]:
    """People in every state that a history leads to; see `histories`."""

    def folded(history: tuple[RecordedEvent, ...]) -> Person:
        stream = history[0].stream
        person_id = transactions.person_id_of(stream)
        return codec.fold_person(person_id, (event for event in history if event.stream == stream))

    return histories(policy=policy, most=most).map(folded)


def accounts(*, policy: Policy | None = None, most: int = 40) -> st.SearchStrategy[Account]:
    """Accounts in every state that a history leads to; see `histories`."""

    def folded(history: tuple[RecordedEvent, ...]) -> Account:
        stream = next(event.stream for event in history if event.stream.startswith("account:"))
        return codec.fold_account(event for event in history if event.stream == stream)

    return histories(policy=policy, most=most).map(folded)


def _runs_in(store: MemoryStore, people: Sequence[str]) -> list[_Known]:
    """Return the latest run of each person who has one."""
    view = store.read(Query(streams=tuple(transactions.person_stream(person_id) for person_id in people)))
    found = ((person_id, transactions.person_in(view, person_id).run) for person_id in people)
    return [_Known(person_id, run.run_id, run.run_no) for person_id, run in found if run is not None]


_WORDS = st.sampled_from(("start", "take", "claim", "complete", "fail", "answer", "recover", "renew", "age"))
_WHO = st.sampled_from(("x", "y", "1", "2"))
_BODIES = st.sampled_from((b"{}", b"[1]"))
_RESULTS = st.sampled_from(AttemptResult)
_SEEN = st.none() | st.builds(
    c.Sighting, external_id=st.sampled_from(("x", "y")), state=st.sampled_from(c.SightingState)
)


def _drawn(draw: st.DrawFn, person_id: str, runs: Sequence[_Known], run_id: str) -> Command:
    """Draw a command about people and runs that are there: most are right, some late or somebody else's."""
    word = draw(_WORDS)
    if word == "start" or not runs:
        return c.StartRun(person_id=person_id, run_id=run_id, inside=draw(st.booleans()))
    if word == "take":
        return c.TakeEntry()
    if word == "age":
        return c.MarkStale(person_id=person_id)
    run = draw(st.sampled_from(runs))
    which: dict[str, Any] = {"run_id": run.run_id, "run_no": run.run_no}
    if word == "recover":
        seen = draw(_SEEN)
        return c.RecoverRun(person_id=run.person_id, **which, sightings=() if seen is None else (seen,))
    who = draw(_WHO)
    if word == "answer":
        result, attempt = draw(_RESULTS), draw(st.integers(1, 3))
        external_id = who if result is AttemptResult.ACCEPTED else None
        return c.RecordAnswer(
            person_id=run.person_id, **which, attempt=attempt, result=result, external_id=external_id, reason=""
        )
    which["external_id"] = f"{run.run_id}:{who}" if who.isdigit() else who
    return _reported(draw, word, which)


def _reported(draw: st.DrawFn, word: str, named: dict[str, Any]) -> Command:
    match word:
        case "claim":
            return c.ClaimRun(**named)
        case "complete":
            return c.CompleteRun(**named, report=draw(_BODIES))
        case "fail":
            return c.FailRun(**named, detail=draw(st.none() | _BODIES))
        case _:
            return c.RenewLease(**named)
