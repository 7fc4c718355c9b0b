"""What a store keeps for the rules: names of streams and keys, heads as states, a decision as rows.

Floor 3, pure. What follows from the states alone is derived in one place, `written`: the account's events, the run's
unique key, the entry of the embedded queue, the final answer of a start in its receipts, and when recovery looks next.
Nothing is decided here.
"""

from collections.abc import Mapping
from typing import TypeVar

from research_fsm import account as accounts
from research_fsm import codec, decide
from research_fsm import person as people
from research_fsm.account import Account, credits_for
from research_fsm.decide import Decision
from research_fsm.events import AccountEvent, Meta, PersonErased, PersonEvent
from research_fsm.lifecycle import Phase
from research_fsm.person import Person
from research_fsm.policy import Policy
from research_fsm.storage import NewEvent, Query, QueueEntry, Receipt, Rule, StreamWrite, UniqueKey, View, Write

__all__ = [
    "ACCOUNT",
    "PROFILE",
    "SALT",
    "account_in",
    "account_stream",
    "document_in",
    "grant_key",
    "granted_writes",
    "person_id_of",
    "person_in",
    "person_stream",
    "run_key",
    "url_key",
    "waits",
    "written",
]

A = TypeVar("A")

Transaction = tuple[Query, Rule[A]]

PROFILE = "profile"
SALT = "salt"
ACCOUNT = "account"
"""What the head of an account is tagged with."""


# --- names -------------------------------------------------------------------------------------------------------


def person_stream(person_id: str) -> str:
    """Return the name of a person's stream."""
    return f"person:{person_id}"


def person_id_of(stream: str) -> str:
    """Return whose stream it is."""
    return stream.removeprefix("person:")


def account_stream(owner: str) -> str:
    """Return the name of an account's stream."""
    return f"account:{owner}"


def run_key(run_id: str) -> str:
    """Return the unique key, and the receipt, of a run."""
    return f"run:{run_id}"


def grant_key(kind: str, owner: str, grant_id: str) -> str:
    """Return a unique key of a grant; as JSON, because either name may contain whatever would stand between them."""
    return f"{kind}:{codec.encode([owner, grant_id]).decode()}"


def url_key(owner: str, linkedin_url: str) -> str:
    """Return the unique key of the person whom a partner has under an address."""
    return f"url:{owner}:{linkedin_url}"


# --- states ------------------------------------------------------------------------------------------------------


def person_in(view: View, person_id: str) -> Person:
    """Return a person as the view has them; a head that another fold made is rebuilt from the log."""
    head = view.heads.get(person_stream(person_id))
    if head is None:
        return people.nobody(person_id)
    if head.fold == codec.FOLD:
        return codec.decode_person(head)
    return codec.fold_person(person_id, view.history(head.stream))


def account_in(view: View, owner: str) -> Account:
    """Return an account as the view has it; a head that another fold made is rebuilt from the log."""
    head = view.heads.get(account_stream(owner))
    if head is None:
        return accounts.EMPTY
    if head.fold == codec.FOLD:
        return codec.decode_account(head)
    return codec.fold_account(view.history(head.stream))


def document_in(view: View, stream: str, name: str) -> bytes:
    """Return a document as the view has it; one that is gone is empty."""
    return view.documents.get((stream, name), b"")


# --- from a decision to rows -------------------------------------------------------------------------------------


def written(
    view: View,
    before: Person,
    decision: Decision[A],
    now: int,
    policy: Policy,
    actor: str | None,
    *,
    keys: tuple[UniqueKey, ...] = (),
    receipts: tuple[Receipt, ...] = (),
) -> Write[A]:
    """Return everything that a decision about a person means for the store."""
    stream = person_stream(before.person_id)
    head = view.heads.get(stream)
    version = 0 if head is None else head.version
    after, own, derived = _happened(before, decision, version, now, actor)
    streams: tuple[StreamWrite, ...] = ()
    if own or decision.look_again:
        lease_until = decision.lease_until or (None if view.entry is None else view.entry.lease_until)
        # What changes nothing, such as a stale callback, does not move recovery's next look either.
        moved = decision.look_again or (before.phase, before.run) != (after.phase, after.run)
        due = None if head is None else head.due
        if head is None or moved:
            due = decide.next_look(after, now, policy, lease_until, waited=decision.look_again)
        link = account_stream(after.owner)
        state, tag = codec.encode(after), str(after.phase)
        streams = (
            StreamWrite(
                stream=stream,
                expected=version,
                events=own,
                state=state,
                fold=codec.FOLD,
                link=link,
                tag=tag,
                due=due,
            ),
            *_account_writes(view, after.owner, derived),
        )
    enqueued, dequeued = _queue_changes(stream, before, after, decision.lease_until)
    return Write(
        answer=decision.answer,
        streams=streams,
        keys=(*keys, *_run_keys(stream, before, after)),
        receipts=receipts,
        settled=_settled(before, after, decision),
        documents={(stream, name): body for name, body in decision.documents.items()},
        enqueued=enqueued,
        dequeued=dequeued,
        forgotten=(stream,) if decision.forget else (),
    )


def granted_writes(view: View, owner: str, decision: Decision[object], actor: str | None) -> tuple[StreamWrite, ...]:
    """Return what a decision about grants alone means for the store."""
    return _account_writes(view, owner, tuple((event, Meta(actor=actor)) for event in decision.credits))


def waits(person: Person) -> bool:
    """Tell whether a person's run has an entry in the embedded queue: it waits there, or a delivery of it is out."""
    run = person.current(person.run_no)
    return run is not None and run.inside and (person.phase is Phase.QUEUED or run.delivery > 0)


def _happened(
    before: Person, decision: Decision[object], version: int, now: int, actor: str | None
) -> tuple[Person, tuple[NewEvent, ...], tuple[tuple[AccountEvent, Meta], ...]]:
    """Return the person after a decision, the events as they are stored, and what they mean for the account."""
    after, own, derived = before, list[NewEvent](), list[tuple[AccountEvent, Meta]]()
    for event in decision.events:
        previous, after = after, people.evolve(after, event, now)
        correlation_id = _run_id(after, event)
        own.append(codec.encode_event(event, Meta(actor, correlation_id, None)))
        causation_id = f"{person_stream(before.person_id)}@{version + len(own)}"
        for credit in credits_for(before.person_id, previous.run, after.run):
            derived.append((credit, Meta(actor, correlation_id, causation_id)))
    return after, tuple(own), tuple(derived)


def _account_writes(view: View, owner: str, happened: tuple[tuple[AccountEvent, Meta], ...]) -> tuple[StreamWrite, ...]:
    """Return the account's new end, if anything happened to it."""
    if not happened:
        return ()
    stream = account_stream(owner)
    head = view.heads.get(stream)
    after = accounts.fold(account_in(view, owner), (event for event, _ in happened))
    return (
        StreamWrite(
            stream=stream,
            expected=0 if head is None else head.version,
            events=tuple(codec.encode_event(event, meta) for event, meta in happened),
            state=codec.encode(after),
            fold=codec.FOLD,
            link=None,
            tag=ACCOUNT,
            due=None,
        ),
    )


def _run_id(after: Person, event: PersonEvent) -> str | None:
    """Return the latest run if the event belongs to it; an erasure belongs to the run that it closes."""
    run = after.run
    closes = isinstance(event, PersonErased) and event.hold is not None
    if run is not None and (closes or getattr(event, "run_no", None) == run.run_no):
        return run.run_id
    return None


def _run_keys(stream: str, before: Person, after: Person) -> tuple[UniqueKey, ...]:
    """Return the unique key by which a new run's callbacks find it."""
    if after.run is None or before.run_no == after.run_no:
        return ()
    return (UniqueKey(run_key(after.run.run_id), stream, codec.encode(after.run.run_no)),)


def _queue_changes(
    stream: str, before: Person, after: Person, lease_until: int | None
) -> tuple[tuple[QueueEntry, ...], tuple[str, ...]]:
    """Return the entries to put and the run_ids of those to remove."""
    if after.run is not None and waits(after):
        changes = lease_until is not None or not waits(before)
        return ((QueueEntry(after.run.run_id, stream, lease_until),) if changes else ()), ()
    return (), ((before.run.run_id,) if before.run is not None and waits(before) else ())


def _settled(before: Person, after: Person, decision: Decision[object]) -> Mapping[str, bytes]:
    """Return what the receipts of a start say from now on, if this transaction settled it."""
    final = decide.settlement(before, after, decision)
    if final is None or before.run is None:
        return {}
    answer = codec.encode_answer(final)
    receipts = {run_key(before.run.run_id): answer}
    return receipts if before.run.request_digest is None else {**receipts, before.run.request_digest: answer}
