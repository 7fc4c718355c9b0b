"""What a decision means for the store: heads, links, tags, due times, keys, receipts, queue entries, documents."""

import json

import pytest
from attrs import evolve

from research_fsm import PersonKind, Profile, codec, transactions
from research_fsm.commands import ClaimRun
from research_fsm.events import RunClaimed
from research_fsm.outcomes import AlreadyRunning, Claimed, PersonNotFound, QueueEmpty, Recovered
from research_fsm.policy import Policy
from research_fsm.storage import Head, Query, QueueEntry, Write
from research_fsm.testing.scenario import NOW
from tests.core.doors import ACCEPTED, ADA, AMBIGUOUS, House, inside, outside
from tests.core.examples import OWNER, X


def head(house: House, stream: str) -> Head:
    """Return a stream's head."""
    return house.store.read(Query(streams=(stream,))).heads[stream]


def started(house: House) -> tuple[str, str]:
    """Start somebody; return their id and the run's."""
    house.granted(1)
    person_id = house.added()
    return person_id, house.runs.start(person_id).accepted().run_id


# --- heads -------------------------------------------------------------------------------------------------------


def test_a_persons_head_has_link_tag_and_due() -> None:
    """The account comes along by itself; recovery and workers find the person by phase and time."""
    house = outside(AMBIGUOUS)
    person_id, _ = started(house)
    found = head(house, f"person:{person_id}")
    assert (found.link, found.tag, found.due) == (f"account:{OWNER}", "dispatching", NOW + 30_000_000)
    account = head(house, f"account:{OWNER}")
    assert (account.link, account.tag, account.due) == (None, "account", None)


def test_heads_of_another_fold_are_rebuilt_from_the_log() -> None:
    """They are not trusted: neither the person's nor the account's."""
    house = inside()
    person_id, run_id = started(house)
    house.granted(4)
    tables = house.store._tables
    for stream, found in list(tables.heads.items()):
        tables.heads[stream] = evolve(found, fold=codec.FOLD - 1, state=b'"of another fold"')
    assert house.runs.balance(OWNER).available == 4
    assert house.runs.start(person_id) == AlreadyRunning(person_id, "running", 1, NOW)
    assert isinstance(house.runs.claim(run_id, 1, X), Claimed)
    assert head(house, f"person:{person_id}").fold == codec.FOLD


def test_a_stale_callback_does_not_move_the_next_look() -> None:
    """Not even one of the last delivery, whose lease it does not load: recovery still ends the run."""
    house = inside()
    person_id, run_id = started(house)
    for _ in range(5):
        house.clock.pass_(seconds=10)
        taken = house.runs.take()
    assert isinstance(taken, Claimed)
    due = head(house, f"person:{person_id}").due
    assert due == taken.lease_until
    house.runs.complete(run_id, 1, f"{run_id}:4", {})
    house.runs.fail(run_id, 7, X)
    assert head(house, f"person:{person_id}").due == due
    house.clock.pass_(seconds=10)
    (recovered,) = house.runs.recover().recovered
    assert recovered == Recovered(person_id, 1, recovered.action)
    assert str(recovered.action) == "failed"


def test_a_renewed_last_delivery_is_looked_at_when_its_lease_is_over() -> None:
    """A renewal writes no head: recovery comes too early once, and moves its next look to the lease's end."""
    house = inside(Policy(max_deliveries=1))
    person_id, _ = started(house)
    taken = house.runs.take()
    assert isinstance(taken, Claimed)
    house.clock.pass_(seconds=5)
    house.runs.renew(taken.run_id, 1, taken.external_id)
    house.clock.pass_(seconds=5)
    (waited,) = house.runs.recover().recovered
    assert str(waited.action) == "waited"
    assert head(house, f"person:{person_id}").due == NOW + 15_000_000


# --- events ------------------------------------------------------------------------------------------------------


def test_meta_says_who_and_why() -> None:
    """The actor, the run, and for a credit the event that it follows from."""
    house = inside()
    house.runs.grant(OWNER, 1, actor="boss")
    person_id = house.runs.add(OWNER, ADA, actor="clerk").accepted().person_id
    run_id = house.runs.start(person_id, actor="clerk").accepted().run_id
    metas = {event.type: json.loads(event.meta) for event in house.store.events()}
    assert metas["CreditsGranted"] == {"actor": "boss", "correlation_id": None, "causation_id": None}
    assert metas["PersonAdded"] == {"actor": "clerk", "correlation_id": None, "causation_id": None}
    assert metas["RunStarted"] == {"actor": "clerk", "correlation_id": run_id, "causation_id": None}
    stream = f"person:{person_id}"
    assert metas["CreditsHeld"] == {"actor": "clerk", "correlation_id": run_id, "causation_id": f"{stream}@2"}
    assert metas["CreditsCharged"] == {"actor": "clerk", "correlation_id": run_id, "causation_id": f"{stream}@3"}


def test_the_log_holds_no_personal_data() -> None:
    """Profile, report and free text are documents; an erasure deletes them, and the URL's key with them."""
    house = inside()
    house.granted(1)
    profile = Profile(linkedin_url="linkedin.com/in/lovelace")
    person_id = house.runs.create(OWNER, profile, kind=PersonKind.PARTNER, key="k").accepted().person_id
    taken = house.runs.take()
    assert isinstance(taken, Claimed)
    house.runs.fail(taken.run_id, 1, taken.external_id, "lovelace was not found")
    assert not [event for event in house.store.events() if b"lovelace" in event.data + event.meta]
    tables = house.store._tables
    assert {name for _, name in tables.documents} == {"profile", "salt", "failure:1"}
    assert "lovelace" in str(tables)
    house.runs.erase(person_id)
    assert "lovelace" not in str(tables)
    assert [receipt.fingerprint for receipt in tables.receipts.values()] == [""]


# --- the queue ---------------------------------------------------------------------------------------------------


def test_an_entry_lives_as_long_as_its_run_waits_or_is_delivered() -> None:
    """Put by the start, leased by the take, gone with the outcome."""
    house = inside()
    person_id, run_id = started(house)
    stream = f"person:{person_id}"
    assert list(house.store.entries()) == [QueueEntry(run_id, stream, None)]
    taken = house.runs.take()
    assert isinstance(taken, Claimed)
    assert list(house.store.entries()) == [QueueEntry(run_id, stream, taken.lease_until)]
    house.runs.fail(run_id, 7, X)
    assert list(house.store.entries()) == [QueueEntry(run_id, stream, taken.lease_until)]
    house.runs.complete(run_id, 1, taken.external_id, {})
    assert list(house.store.entries()) == []


@pytest.mark.parametrize("end", ["erase", "claim", "fail"])
def test_an_entry_goes_with_whatever_ends_its_waiting(end: str) -> None:
    """An erasure, a claim from outside, a failure that nobody claimed."""
    house = inside()
    person_id, run_id = started(house)
    match end:
        case "erase":
            house.runs.erase(person_id)
        case "claim":
            house.runs.claim(run_id, 1, X)
        case _:
            house.runs.fail(run_id, 1, X)
    assert list(house.store.entries()) == []
    assert isinstance(house.runs.take(), QueueEmpty)


def test_an_entry_of_no_run_that_waits_does_not_block_the_others() -> None:
    """However it came there: the first worker that meets it takes it away."""
    house = inside()
    person_id, run_id = started(house)
    house.runs.claim(run_id, 1, X)
    stray = QueueEntry(run_id, f"person:{person_id}", None)
    house.store.transact(Query(), lambda _view, _now: Write(answer=None, enqueued=(stray,)))
    other_id, _ = started(house)
    assert isinstance(house.runs.take(), QueueEmpty)
    taken = house.runs.take()
    assert isinstance(taken, Claimed)
    assert taken.person_id == other_id


def test_a_claim_whose_profile_is_missing_still_is_one() -> None:
    """The run is current: what is not known is left out."""
    house = inside()
    _, run_id = started(house)
    house.store._tables.documents.clear()
    claimed = house.runs.claim(run_id, 1, X)
    assert isinstance(claimed, Claimed)
    assert claimed.profile == {}


# --- receipts ----------------------------------------------------------------------------------------------------


def test_an_outside_start_has_a_receipt_under_its_run() -> None:
    """First unresolved, then final: written by whichever transaction leaves dispatching."""
    house = outside(AMBIGUOUS)
    _, run_id = started(house)
    name = transactions.run_key(run_id)

    def kept() -> str:
        receipt = house.store.read(Query(receipts=(name,))).receipts[name]
        return type(codec.decode_answer(receipt.answer)).__name__

    assert kept() == "Unresolved"
    house.runs.claim(run_id, 1, X)
    assert kept() == "Queued"


def test_an_inside_start_needs_no_receipt_but_its_keys() -> None:
    """It is final at once."""
    house = inside()
    started(house)
    assert house.store._tables.receipts == {}


def test_a_refused_start_leaves_a_receipt_under_its_key_alone() -> None:
    """No event, no head, no queue entry."""
    house = inside()
    person_id = house.added()
    before = house.positions()
    house.runs.start(person_id, key="k")
    assert (house.positions(), len(house.store._tables.receipts), list(house.store.entries())) == (before, 1, [])


# --- rules may be called again -----------------------------------------------------------------------------------


def test_a_rule_is_pure() -> None:
    """A store may call it again with the same view: the same is decided, and nothing has changed in between."""
    house = outside(ACCEPTED)
    _, run_id = started(house)
    query, rule = transactions.claim(ClaimRun(run_id=run_id, run_no=1, external_id=X), Policy())
    view = house.store.read(query)
    first, second = rule(view, NOW), rule(view, NOW)
    assert first == second
    assert first != rule(view, NOW + 1)
    (person, *_) = first.streams
    assert [event.type for event in person.events] == [RunClaimed.__name__]


def test_a_run_of_a_person_that_is_gone_is_stale_without_documents() -> None:
    """After an erasure the salt is gone, too: whatever is reported has no outcome to equal."""
    house = inside()
    person_id, run_id = started(house)
    house.runs.complete(run_id, 1, X, {})
    house.runs.erase(person_id)
    assert str(house.runs.complete(run_id, 1, X, {})).endswith("stop")
    assert house.runs.start(person_id) == PersonNotFound(person_id)
