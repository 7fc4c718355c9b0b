"""Each rule as a transaction: which rows to load, how heads become states, how a decision becomes rows.

Floor 3, pure. A function here returns a query and a store's rule for it. What follows from the states alone is
derived in one place, `_written`: the account's events, the run's unique key, the entry of the embedded queue, the
final answer of a start in its receipts, and when recovery looks next.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from attrs import evolve as changed

from research_fsm import account as accounts
from research_fsm import codec, decide
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
    RequestKey,
    RevokeCredits,
    StartRun,
    TakeEntry,
)
from research_fsm.decide import AnswerRecorded, Decision, Send
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.events import AccountEvent, Meta, PersonErased, PersonEvent, PersonKind
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import (
    AddAnswer,
    AlreadyAdded,
    AlreadyRunning,
    CallbackAnswer,
    ClaimAnswer,
    CreateAnswer,
    Created,
    EntrySkipped,
    EraseAnswer,
    GrantAnswer,
    InsufficientCredits,
    KeyReused,
    MarkStaleAnswer,
    PersonNotFound,
    Queued,
    QueueEmpty,
    Recovered,
    Refusal,
    Renewed,
    RevokeAnswer,
    RolledBack,
    RunNotFound,
    StaleRun,
    StartAnswer,
    SubmitAnswer,
    Submitted,
    TakeAnswer,
    Unresolved,
)
from research_fsm.person import Person
from research_fsm.policy import Policy, micros
from research_fsm.storage import NewEvent, Query, QueueEntry, Receipt, Rule, StreamWrite, UniqueKey, View, Write

__all__ = [
    "PROFILE",
    "SALT",
    "account_in",
    "account_stream",
    "add",
    "arm",
    "claim",
    "complete",
    "create",
    "created",
    "erase",
    "fail",
    "grant",
    "grant_key",
    "mark_stale",
    "person_id_of",
    "person_in",
    "person_stream",
    "record_answer",
    "recover",
    "renew",
    "revoke",
    "run_key",
    "start",
    "submit",
    "submitted",
    "take",
    "waits",
]

A = TypeVar("A")
Transaction = tuple[Query, Rule[A]]

PROFILE = "profile"
SALT = "salt"


def person_stream(person_id: str) -> str:
    """Return the name of a person's stream."""
    return f"person:{person_id}"


def account_stream(owner: str) -> str:
    """Return the name of an account's stream."""
    return f"account:{owner}"


def run_key(run_id: str) -> str:
    """Return the unique key, and the receipt, of a run."""
    return f"run:{run_id}"


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


def person_id_of(stream: str) -> str:
    """Return whose stream it is."""
    return stream.removeprefix("person:")


# --- people ------------------------------------------------------------------------------------------------------


def add(command: AddPerson, policy: Policy) -> Transaction[AddAnswer]:
    """Add a person; a partner has each LinkedIn URL once."""

    def rule(view: View, now: int) -> Write[AddAnswer]:
        existing = view.keys.get(url) if url is not None else None
        if existing is not None:
            return Write(answer=AlreadyAdded(person_id_of(existing.stream)))
        _check_new(view, command.person_id)
        decision = decide.add(command)
        person = people.nobody(command.person_id)
        return _written(view, person, decision, now, policy, command.actor, keys=_url_keys(command))

    url = _url_key(command)
    query = Query(streams=(person_stream(command.person_id),), keys=() if url is None else (url,))
    return query, rule


def create(adding: AddPerson, starting: StartRun, policy: Policy) -> Transaction[CreateAnswer | Send]:
    """Add a person and start them at once; if the credits do not suffice, no person is added."""

    def rule(view: View, now: int) -> Write[CreateAnswer | Send]:
        replayed = _replayed(view, starting.key, codec.decode_create_answer)
        if replayed is not None:
            return Write(answer=created(replayed))
        existing = view.keys.get(url) if url is not None else None
        if existing is not None:
            there = AlreadyAdded(person_id_of(existing.stream))
            return Write(answer=there, receipts=_receipt(starting.key, existing.stream, codec.encode_answer(there)))
        _check_new(view, adding.person_id)
        added = decide.add(adding)
        nobody = people.nobody(adding.person_id)
        person = people.fold(nobody, ((event, now) for event in added.events))
        started = decide.start(starting, person, account_in(view, adding.owner), now, policy)
        receipts = _receipts(starting, started.answer)
        answer = started.answer if isinstance(started.answer, Send) else created(started.answer)
        if isinstance(answer, Refusal):
            return Write(answer=answer, receipts=receipts)
        decision = Decision[CreateAnswer | Send](
            answer=answer, events=(*added.events, *started.events), documents=added.documents
        )
        keys = _url_keys(adding)
        return _written(view, nobody, decision, now, policy, adding.actor, keys=keys, receipts=receipts)

    url = _url_key(adding)
    query = Query(
        streams=(person_stream(adding.person_id), account_stream(adding.owner)),
        keys=() if url is None else (url,),
        receipts=() if starting.key is None else (starting.key.digest,),
    )
    return query, rule


def submit(adding: AddPerson, starting: StartRun, policy: Policy) -> Transaction[CreateAnswer | StartAnswer | Send]:
    """Start the partner's person who has this address, or add one and start them; decided at once, so there is one."""
    query, create_rule = create(adding, starting, policy)
    url = _url_key(adding)

    def rule(view: View, now: int) -> Write[CreateAnswer | StartAnswer | Send]:
        existing = view.keys.get(url) if url is not None else None
        if existing is None:
            return create_rule(view, now)
        replayed = _replayed(view, starting.key, codec.decode_create_answer)
        if replayed is not None:
            return Write(answer=replayed)
        person = person_in(view, person_id_of(existing.stream))
        command = changed(starting, person_id=person.person_id)
        decision = decide.start(command, person, account_in(view, adding.owner), now, policy)
        receipts = _receipts(command, decision.answer)
        return _written(view, person, decision, now, policy, command.actor, receipts=receipts)

    return query, rule


def submitted(answer: CreateAnswer | StartAnswer) -> SubmitAnswer:
    """Return what a submission is answered, from what its start came to."""
    match answer:
        case Created(person_id, start):
            return Submitted(person_id, start)
        case Queued() | Unresolved() | RolledBack():
            return Submitted(answer.person_id, answer)
        case AlreadyAdded(person_id):  # The answer to another request under this key, which a create was.
            return PersonNotFound(person_id)
        case AlreadyRunning() | InsufficientCredits() | PersonNotFound() | KeyReused():  # The last case.
            return answer


def _check_new(view: View, person_id: str) -> None:
    """Refuse an id that a person has already: whoever makes ids must not make one twice."""
    if person_stream(person_id) in view.heads:
        raise InvalidInput("person_id", f"{person_id} is somebody's already; make a fresh one for each person")


def created(answer: StartAnswer | AlreadyAdded) -> CreateAnswer:
    """Return what a create is answered, from what its start came to."""
    match answer:
        case Queued() | Unresolved() | RolledBack():
            return Created(answer.person_id, answer)
        case AlreadyAdded() | AlreadyRunning() | InsufficientCredits():
            return answer
        case PersonNotFound() | KeyReused():  # The last case.
            return answer


def mark_stale(command: MarkStale, policy: Policy) -> Transaction[MarkStaleAnswer]:
    """Make a complete person idle again."""
    return _of_person(
        command.person_id, command.actor, policy, lambda person, now: decide.mark_stale(command, person, now, policy)
    )


def erase(command: ErasePerson, policy: Policy) -> Transaction[EraseAnswer]:
    """Delete a person's documents and close their run."""
    return _of_person(command.person_id, command.actor, policy, lambda person, _: decide.erase(command, person))


# --- a start and its dispatch ------------------------------------------------------------------------------------


def start(command: StartRun, policy: Policy) -> Transaction[StartAnswer | Send]:
    """Start a run; the first answer to a request key is kept with it."""

    def rule(view: View, now: int) -> Write[StartAnswer | Send]:
        replayed = _replayed(view, command.key, codec.decode_answer)
        if replayed is not None:
            return Write(answer=replayed)
        person = person_in(view, command.person_id)
        decision = decide.start(command, person, account_in(view, person.owner), now, policy)
        receipts = _receipts(command, decision.answer)
        return _written(view, person, decision, now, policy, command.actor, receipts=receipts)

    query = Query(
        streams=(person_stream(command.person_id),),
        receipts=() if command.key is None else (command.key.digest,),
    )
    return query, rule


def arm(command: ArmAttempt, policy: Policy) -> Transaction[Send | StartAnswer | RunNotFound]:
    """Arm one attempt, to be sent once this is committed."""
    name = run_key(command.run_id)

    def rule(view: View, now: int) -> Write[Send | StartAnswer | RunNotFound]:
        key = view.keys.get(name)
        if key is None:
            return Write(answer=RunNotFound(command.run_id))
        person = person_in(view, person_id_of(key.stream))
        decision = decide.arm(command, person, codec.parse(key.value), now, policy, _final(view, command.run_id))
        return _written(view, person, decision, now, policy, command.actor)

    return Query(keys=(name,), receipts=(name,)), rule


def record_answer(command: RecordAnswer, policy: Policy) -> Transaction[AnswerRecorded]:
    """Record what an attempt came to, and confirm the run or roll it back."""

    def rule(view: View, now: int) -> Write[AnswerRecorded]:
        person = person_in(view, command.person_id)
        decision = decide.record_answer(command, person, now, policy, _final(view, command.run_id))
        return _written(view, person, decision, now, policy, None)

    return Query(streams=(person_stream(command.person_id),), receipts=(run_key(command.run_id),)), rule


# --- callbacks ---------------------------------------------------------------------------------------------------


def claim(command: ClaimRun, policy: Policy) -> Transaction[ClaimAnswer]:
    """Take a run for an engine run; the answer carries the profile."""
    return _of_run(
        command,
        PROFILE,
        policy,
        lambda person, profile, now: decide.claim(command, person, now, policy, codec.parse(profile or b"{}")),
    )


def complete(command: CompleteRun, policy: Policy) -> Transaction[CallbackAnswer]:
    """End a run with its report."""
    return _of_run(command, SALT, policy, lambda person, salt, _: decide.complete(command, person, salt))


def fail(command: FailRun, policy: Policy) -> Transaction[CallbackAnswer]:
    """End a run without a report."""
    return _of_run(command, SALT, policy, lambda person, salt, _: decide.fail(command, person, salt))


# --- the embedded queue ------------------------------------------------------------------------------------------


def take(command: TakeEntry, policy: Policy) -> Transaction[TakeAnswer]:
    """Take the first free entry, or the one that is named if it is free, and claim its run, in one transaction."""

    def rule(view: View, now: int) -> Write[TakeAnswer]:
        if view.entry is None or (view.entry.lease_until or 0) > now:
            return Write(answer=QueueEmpty())
        try:
            person = person_in(view, person_id_of(view.entry.stream))
            profile = codec.parse(_document(view, view.entry.stream, PROFILE) or b"{}")
        except LogUnreadable as error:
            # Set aside under a lease that nobody has: one damaged person must not keep the others waiting.
            aside = changed(view.entry, lease_until=now + micros(policy.worker_lease))
            return Write(answer=EntrySkipped(person_id_of(view.entry.stream), str(error)), enqueued=(aside,))
        decision = decide.take(person, now, policy, profile)
        if isinstance(decision.answer, QueueEmpty):
            # The entry is of a run that waits for no worker: without it the next one is first.
            return Write(answer=decision.answer, dequeued=(view.entry.run_id,))
        return _written(view, person, decision, now, policy, command.actor)

    return Query(entry=command.run_id, next_entry=command.run_id is None, documents=(PROFILE,)), rule


def renew(command: RenewLease, policy: Policy) -> Transaction[Renewed | StaleRun]:
    """Keep an entry a little longer: a row changes, no event is written."""

    def rule(view: View, now: int) -> Write[Renewed | StaleRun]:
        if view.entry is None:
            return Write(answer=StaleRun(command.run_id, command.run_no, command.external_id))
        person = person_in(view, person_id_of(view.entry.stream))
        decision = decide.renew(command, person, view.entry.lease_until, now, policy)
        return _written(view, person, decision, now, policy, None)

    return Query(entry=command.run_id), rule


# --- recovery ----------------------------------------------------------------------------------------------------


def recover(command: RecoverRun, policy: Policy) -> Transaction[Recovered | Send]:
    """Do the one thing that is due for a person."""

    def rule(view: View, now: int) -> Write[Recovered | Send]:
        stream = person_stream(command.person_id)
        person = person_in(view, command.person_id)
        lease_until = None if view.entry is None else view.entry.lease_until
        decision = decide.recover(command, person, lease_until, now, policy, _document(view, stream, SALT))
        return _written(view, person, decision, now, policy, None)

    query = Query(streams=(person_stream(command.person_id),), documents=(SALT,), entry=command.run_id)
    return query, rule


# --- credits -----------------------------------------------------------------------------------------------------


def grant(command: GrantCredits) -> Transaction[GrantAnswer]:
    """Add credits, once per grant_id."""
    key = grant_key("grant", command.owner, command.grant_id)

    def rule(view: View, _: int) -> Write[GrantAnswer]:
        decision = decide.grant(command, _amount(view, key))
        keys = () if not decision.credits else (UniqueKey(key, stream, codec.encode(command.amount)),)
        return Write(answer=decision.answer, streams=_granted(view, command.owner, decision, command.actor), keys=keys)

    stream = account_stream(command.owner)
    return Query(streams=(stream,), keys=(key,)), rule


def revoke(command: RevokeCredits) -> Transaction[RevokeAnswer]:
    """Take a grant back, whole and once."""
    granted, revoked = (grant_key(kind, command.owner, command.grant_id) for kind in ("grant", "revoked"))

    def rule(view: View, _: int) -> Write[RevokeAnswer]:
        account = account_in(view, command.owner)
        decision = decide.revoke(command, account, _amount(view, granted), already=revoked in view.keys)
        keys = () if not decision.credits else (UniqueKey(revoked, stream),)
        return Write(answer=decision.answer, streams=_granted(view, command.owner, decision, command.actor), keys=keys)

    stream = account_stream(command.owner)
    return Query(streams=(stream,), keys=(granted, revoked)), rule


def grant_key(kind: str, owner: str, grant_id: str) -> str:
    """Return a unique key of a grant; as JSON, because either name may contain whatever would stand between them."""
    return f"{kind}:{codec.encode([owner, grant_id]).decode()}"


# --- loading -----------------------------------------------------------------------------------------------------


def _of_person(
    person_id: str, actor: str | None, policy: Policy, decided: Callable[[Person, int], Decision[A]]
) -> Transaction[A]:
    """Decide about one person."""

    def rule(view: View, now: int) -> Write[A]:
        person = person_in(view, person_id)
        return _written(view, person, decided(person, now), now, policy, actor)

    return Query(streams=(person_stream(person_id),)), rule


def _of_run(
    command: ClaimRun | CompleteRun | FailRun,
    document: str,
    policy: Policy,
    decided: Callable[[Person, bytes, int], Decision[A]],
) -> Transaction[A | RunNotFound]:
    """Decide about the person whose run it is, with one of their documents, which is empty once they are erased."""
    key = run_key(command.run_id)

    def rule(view: View, now: int) -> Write[A | RunNotFound]:
        if key not in view.keys:
            return Write(answer=RunNotFound(command.run_id))
        stream = view.keys[key].stream
        person = person_in(view, person_id_of(stream))
        decision = decided(person, _document(view, stream, document), now)
        return _written(view, person, decision, now, policy, command.actor)

    return Query(keys=(key,), documents=(document,)), rule


def _document(view: View, stream: str, name: str) -> bytes:
    return view.documents.get((stream, name), b"")


def _amount(view: View, key: str) -> int | None:
    found = view.keys.get(key)
    return None if found is None else codec.parse(found.value)


def _final(view: View, run_id: str) -> StartAnswer | None:
    """Return what the receipt of a run says."""
    receipt = view.receipts.get(run_key(run_id))
    return None if receipt is None else codec.decode_answer(receipt.answer)


def _replayed(
    view: View, key: RequestKey | None, decode: Callable[[bytes], A]
) -> A | PersonNotFound | KeyReused | None:
    """Return the answer that was given to this request key before; after an erasure it is "not found"."""
    receipt = None if key is None else view.receipts.get(key.digest)
    if key is None or receipt is None:
        return None
    person = person_in(view, person_id_of(receipt.stream))
    if person.phase is Phase.ERASED:
        return PersonNotFound(person.person_id)
    return decode(receipt.answer) if receipt.fingerprint == key.fingerprint else KeyReused(key.key)


# --- from a decision to rows -------------------------------------------------------------------------------------


def _written(
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
            tag="account",
            due=None,
        ),
    )


def _granted(view: View, owner: str, decision: Decision[object], actor: str | None) -> tuple[StreamWrite, ...]:
    return _account_writes(view, owner, tuple((event, Meta(actor=actor)) for event in decision.credits))


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


def waits(person: Person) -> bool:
    """Tell whether a person's run has an entry in the embedded queue: it waits there, or a delivery of it is out."""
    run = person.current(person.run_no)
    return run is not None and run.inside and (person.phase is Phase.QUEUED or run.delivery > 0)


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


def _receipts(command: StartRun, answer: StartAnswer | Send) -> tuple[Receipt, ...]:
    """Return the receipts of a start: one under its request key, and one under its run while that is unresolved."""
    stream = person_stream(command.person_id)
    match answer:
        case Send(request=request):
            first: StartAnswer = Unresolved(request.person_id, request.run_id, request.run_no)
        case _:
            first = answer
    encoded = codec.encode_answer(first)
    of_run = (Receipt(run_key(command.run_id), stream, "", encoded),) if isinstance(first, Unresolved) else ()
    return of_run + _receipt(command.key, stream, encoded)


def _receipt(key: RequestKey | None, stream: str, answer: bytes) -> tuple[Receipt, ...]:
    """Return the receipt under a request key, if there is one."""
    return () if key is None else (Receipt(key.digest, stream, key.fingerprint, answer),)


def _url_key(command: AddPerson) -> str | None:
    """Return the unique key of a partner's LinkedIn URL; a user may have the same person twice."""
    if command.kind is not PersonKind.PARTNER or command.linkedin_url is None:
        return None
    return f"url:{command.owner}:{command.linkedin_url}"


def _url_keys(command: AddPerson) -> tuple[UniqueKey, ...]:
    key = _url_key(command)
    return () if key is None else (UniqueKey(key, person_stream(command.person_id), personal=True),)
