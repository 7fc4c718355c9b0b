"""Each law that no log can be asked about is broken once, and is said to be; the watch and the readers likewise."""

from collections.abc import Iterator

import pytest
from attrs import evolve

from research_fsm import Profile, Runs
from research_fsm.commands import AddPerson, ClaimRun, CompleteRun, RequestKey, TakeEntry
from research_fsm.events import (
    FailReason,
    HoldEnd,
    PersonEvent,
    PersonKind,
    RollBackReason,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
)
from research_fsm.outcomes import (
    Added,
    AlreadyAdded,
    Claimed,
    KeyReused,
    PersonNotFound,
    Queued,
    RolledBack,
    Unresolved,
)
from research_fsm.person import Person, Run
from research_fsm.requests import DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock
from research_fsm.testing.engine_words import Status
from research_fsm.testing.recount import CountedRun, Life, Recount
from research_fsm.testing.simulate.network import Network
from research_fsm.testing.simulate.readers import shown
from research_fsm.testing.simulate.watch import Happened, Watch
from research_fsm.testing.simulate.witness import Witness
from research_fsm.testing.simulate.words import Fate

ADA, RUN = "ada", "run 1"
REQUEST = DispatchRequest(ADA, RUN, 1, PersonKind.USER, "k" * 64)
KEY = RequestKey("k", "digest", "print")


@pytest.fixture
def witness() -> Witness:
    """Return one who has seen a run of Ada's that is open, and that the engine has."""
    recount = Recount()
    recount.people[ADA] = Life("acme", {1: CountedRun(RUN, 1, credits=["CreditsHeld"])})
    witness = Witness(Network(ManualClock()), recount)
    witness.network.send("c1", REQUEST, Fate.DONE)
    witness.network.answered(RUN)
    return witness


def laws(words: Iterator[str]) -> list[str]:
    """Return which laws are said to be broken."""
    return [one.partition(":")[0] for one in words]


def claimed(external_id: str) -> Claimed:
    """Return what whoever has the run is told."""
    return Claimed(ADA, "acme", PersonKind.USER, RUN, 1, external_id, 0, {})


def test_an_answer_has_to_be_what_the_log_says(witness: Witness) -> None:
    """Of a run that is there, charged if it is queued, released if it is rolled back."""
    assert laws(witness.told(Unresolved(ADA, RUN, 1), None)) == []
    assert laws(witness.told(Unresolved(ADA, "another", 1), None)) == ["one_open_run"]
    assert laws(witness.told(Unresolved(ADA, RUN, 2), None)) == ["one_open_run"]
    assert laws(witness.told(Queued(ADA, RUN, 1), None)) == ["charged_if_executed"]
    assert laws(witness.told(RolledBack(ADA, RUN, 1, "refused"), None)) == ["charged_if_executed"]


def test_a_key_has_one_answer(witness: Witness) -> None:
    """Once it is settled; the same run always; and it was another request's only if there was another request."""
    witness.recount.people[ADA].runs[2] = CountedRun("run 2", 1, credits=["CreditsHeld", "CreditsCharged"])
    witness.is_asked(KEY)
    assert laws(witness.told(KeyReused("k"), KEY)) == ["repeated_is_the_same"]
    assert laws(witness.told(Unresolved(ADA, RUN, 1), KEY)) == []
    assert laws(witness.told(Queued(ADA, "run 2", 2), KEY)) == ["repeated_is_the_same"]
    assert laws(witness.told(Queued(ADA, "run 2", 2), KEY)) == ["repeated_is_the_same"]
    witness.promised.clear()
    assert laws(witness.told(Unresolved(ADA, RUN, 1), KEY)) == ["repeated_is_the_same"]
    assert laws(witness.told(PersonNotFound(ADA), KEY)) == []
    witness.is_asked(evolve(KEY, fingerprint="another"))
    assert laws(witness.told(KeyReused("k"), KEY)) == []


def test_a_run_is_executed_by_one(witness: Witness) -> None:
    """Of an outside engine; deliveries of the embedded queue follow one another. Whoever was told so is paid for."""
    first, second = (ClaimRun(run_id=RUN_ID, run_no=1, external_id=name) for name in ("run_1", "run_2"))
    assert laws(witness.told_callback(claimed("run_1"), first)) == []
    assert laws(witness.told_callback(claimed("run_1"), first)) == []
    assert laws(witness.told_callback(claimed("run_2"), second)) == ["one_at_work"]
    assert laws(witness.told_callback(claimed(f"{RUN}:1"), TakeEntry())) == []
    assert laws(witness.at_rest()) == ["charged_if_executed"]
    witness.recount.people[ADA].runs[1].credits.append("CreditsCharged")
    assert laws(witness.at_rest()) == []


RUN_ID = "00000000-0000-4000-8000-000000000001"


def test_an_address_is_had_once(witness: Witness) -> None:
    """Until whoever has it is erased."""
    adding = AddPerson(
        person_id=RUN_ID, owner="acme", kind=PersonKind.PARTNER, profile=b"{}", linkedin_url="in/ada", salt="s"
    )
    assert laws(witness.told_address(adding, AlreadyAdded(ADA))) == ["one_open_run"]
    assert laws(witness.told_address(adding, Added(ADA))) == []
    assert laws(witness.told_address(adding, AlreadyAdded(ADA))) == []
    assert laws(witness.told_address(adding, AlreadyAdded("bob"))) == ["one_open_run"]
    assert laws(witness.told_address(adding, Added("bob"))) == ["one_open_run"]
    assert laws(witness.told_address(evolve(adding, linkedin_url=None), Added("bob"))) == []
    witness.addresses.clear()
    assert laws(witness.told_address(adding, Added(ADA))) == []
    witness.recount.people[ADA].erased = True
    assert laws(witness.told_address(adding, AlreadyAdded(ADA))) == ["one_open_run"]
    assert laws(witness.told_address(adding, Added("eve"))) == []


def test_an_event_is_held_against_the_engine(witness: Witness) -> None:
    """A refusal, a confirmation, a report and an end are believed only if the engine really has it so."""
    run = Run(RUN, 1, 1, False, None, 0)  # noqa: FBT003  # An example.
    person = Person(ADA, run=run)

    def saw(event: PersonEvent, dispatched_as: str | None = None) -> list[str]:
        return laws(witness.saw(Happened(evolve(person, run=evolve(run, dispatched_as=dispatched_as)), event)))

    assert saw(RunRolledBack(1, RollBackReason.REFUSED)) == ["refusal_is_proof"]
    assert saw(RunRolledBack(1, RollBackReason.DISPATCH_DEADLINE)) == []
    assert saw(RunDispatched(1, "run_c1_1", 0)) == []
    assert saw(RunDispatched(2, "run_c1_1", 0)) == ["confirmed_by_its_own"]
    assert saw(RunDispatched(1, "run_nobody", 0)) == ["confirmed_by_its_own"]
    assert saw(RunCompleted(1, "run_c1_1", 1, "digest")) == ["complete_needs_work"]
    witness.worked.add((RUN, "run_c1_1"))
    assert saw(RunCompleted(1, "run_c1_1", 1, "digest")) == []
    failed = RunFailed(1, "run_c1_1", FailReason.ENGINE_REPORTED, None, HoldEnd.REFUNDED)
    assert saw(failed) == ["orphans_end_nothing"]
    witness.network.engine.end("run_c1_1", Status.CRASHED)
    assert saw(failed) == []
    assert saw(failed, dispatched_as="run_c1_2") == ["orphans_end_nothing"]
    assert saw(evolve(failed, external_id=None)) == []


def test_whoever_reports_has_done_the_work(witness: Witness) -> None:
    """What else they say proves nothing."""
    witness.is_reported(ClaimRun(run_id=RUN_ID, run_no=1, external_id="x"))
    assert witness.worked == set()
    witness.is_reported(CompleteRun(run_id=RUN_ID, run_no=1, external_id="x", report=b"{}"))
    assert witness.worked == {(RUN_ID, "x")}


def lived() -> tuple[MemoryStore, Watch]:
    """Return a store with somebody whose run is complete, and who watches it."""
    store = MemoryStore(ManualClock())
    runs, watch = Runs(store), Watch(store)
    runs.grant("acme", 2)
    for name in ("ada", "bob", "eve"):
        person = runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted()
    runs.start(person.person_id)
    taken = runs.take()
    assert isinstance(taken, Claimed)
    runs.complete(taken.run_id, taken.run_no, taken.external_id, "found")
    assert watch.follow() == []
    return store, watch


def test_what_is_shown_is_held_against_the_log() -> None:
    """People, reports, histories, lists and balances; one that differs is named."""
    store, watch = lived()
    assert list(shown(store, watch)) == []
    first, *_, last = list(watch.people)
    watch.people = {last: watch.people[last], first: watch.people[first]}
    assert len(list(shown(store, watch))) == 1
    watch.people[last] = evolve(watch.people[last], reports=7)
    watch.accounts["acme"] = evolve(watch.accounts["acme"], held=1)
    assert len(list(shown(store, watch))) == 4


def test_a_head_that_is_not_there_is_noticed() -> None:
    """Events without one; and one that has another state, or another tag."""
    store, watch = lived()
    again = Watch(store)
    stream = f"person:{next(iter(watch.people))}"
    store._tables.heads[stream] = evolve(store._tables.heads[stream], tag="queued", state=b"{}")
    del store._tables.heads["account:acme"]
    assert [words.partition(" (")[0][:40] for words in again.follow()] == [
        "heads_are_folds: there are events and no",
        "heads_are_folds: the head says {}, the e",
        "heads_are_folds: the head is tagged queu",
    ]
