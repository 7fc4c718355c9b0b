"""The transactions of a start and its dispatch: create, submit, start, arm, record an answer.

Floor 3, pure. See `research_fsm.transactions` for what a transaction is.
"""

from attrs import evolve as changed

from research_fsm import codec, decide
from research_fsm import person as people
from research_fsm.commands import AddPerson, ArmAttempt, RecordAnswer, StartRun
from research_fsm.decide import AnswerRecorded, Decision, Send
from research_fsm.outcomes import (
    AlreadyAdded,
    AlreadyRunning,
    CreateAnswer,
    Created,
    InsufficientCredits,
    KeyReused,
    PersonNotFound,
    Queued,
    Refusal,
    RolledBack,
    RunNotFound,
    StartAnswer,
    SubmitAnswer,
    Submitted,
    Unresolved,
)
from research_fsm.policy import Policy
from research_fsm.rows import (
    Transaction,
    account_in,
    account_stream,
    person_id_of,
    person_in,
    person_stream,
    run_key,
    written,
)
from research_fsm.storage import Query, View, Write
from research_fsm.transactions.people import check_new, key_of_url, url_keys
from research_fsm.transactions.receipts import final_answer, key_receipt, replayed_answer, start_receipts

__all__ = ["arm", "create", "created", "record_answer", "start", "submit", "submitted"]


def create(adding: AddPerson, starting: StartRun, policy: Policy) -> Transaction[CreateAnswer | Send]:
    """Add a person and start them at once; if the credits do not suffice, no person is added."""

    def rule(view: View, now: int) -> Write[CreateAnswer | Send]:
        replayed = replayed_answer(view, starting.key, codec.decode_create_answer)
        if replayed is not None:
            return Write(answer=created(replayed))
        existing = view.keys.get(url) if url is not None else None
        if existing is not None:
            there = AlreadyAdded(person_id_of(existing.stream))
            return Write(answer=there, receipts=key_receipt(starting.key, existing.stream, codec.encode_answer(there)))
        check_new(view, adding.person_id)
        added = decide.add(adding)
        nobody = people.nobody(adding.person_id)
        person = people.fold(nobody, ((event, now) for event in added.events))
        started = decide.start(starting, person, account_in(view, adding.owner), now, policy)
        receipts = start_receipts(starting, started.answer)
        answer = started.answer if isinstance(started.answer, Send) else created(started.answer)
        if isinstance(answer, Refusal):
            return Write(answer=answer, receipts=receipts)
        decision = Decision[CreateAnswer | Send](
            answer=answer, events=(*added.events, *started.events), documents=added.documents
        )
        keys = url_keys(adding)
        return written(view, nobody, decision, now, policy, adding.actor, keys=keys, receipts=receipts)

    url = key_of_url(adding)
    query = Query(
        streams=(person_stream(adding.person_id), account_stream(adding.owner)),
        keys=() if url is None else (url,),
        receipts=() if starting.key is None else (starting.key.digest,),
    )
    return query, rule


def created(answer: StartAnswer | AlreadyAdded) -> CreateAnswer:
    """Return what a create is answered, from what its start came to."""
    match answer:
        case Queued() | Unresolved() | RolledBack():
            return Created(answer.person_id, answer)
        case AlreadyAdded() | AlreadyRunning() | InsufficientCredits():
            return answer
        case PersonNotFound() | KeyReused():  # The last case.
            return answer


def submit(adding: AddPerson, starting: StartRun, policy: Policy) -> Transaction[CreateAnswer | StartAnswer | Send]:
    """Start the partner's person who has this address, or add one and start them; decided at once, so there is one."""
    query, create_rule = create(adding, starting, policy)
    url = key_of_url(adding)

    def rule(view: View, now: int) -> Write[CreateAnswer | StartAnswer | Send]:
        existing = view.keys.get(url) if url is not None else None
        if existing is None:
            return create_rule(view, now)
        replayed = replayed_answer(view, starting.key, codec.decode_create_answer)
        if replayed is not None:
            return Write(answer=replayed)
        person = person_in(view, person_id_of(existing.stream))
        command = changed(starting, person_id=person.person_id)
        decision = decide.start(command, person, account_in(view, adding.owner), now, policy)
        receipts = start_receipts(command, decision.answer)
        return written(view, person, decision, now, policy, command.actor, receipts=receipts)

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


def start(command: StartRun, policy: Policy) -> Transaction[StartAnswer | Send]:
    """Start a run; the first answer to a request key is kept with it."""

    def rule(view: View, now: int) -> Write[StartAnswer | Send]:
        replayed = replayed_answer(view, command.key, codec.decode_answer)
        if replayed is not None:
            return Write(answer=replayed)
        person = person_in(view, command.person_id)
        decision = decide.start(command, person, account_in(view, person.owner), now, policy)
        receipts = start_receipts(command, decision.answer)
        return written(view, person, decision, now, policy, command.actor, receipts=receipts)

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
        decision = decide.arm(command, person, codec.parse(key.value), now, policy, final_answer(view, command.run_id))
        return written(view, person, decision, now, policy, command.actor)

    return Query(keys=(name,), receipts=(name,)), rule


def record_answer(command: RecordAnswer, policy: Policy) -> Transaction[AnswerRecorded]:
    """Record what an attempt came to, and confirm the run or roll it back."""

    def rule(view: View, now: int) -> Write[AnswerRecorded]:
        person = person_in(view, command.person_id)
        decision = decide.record_answer(command, person, now, policy, final_answer(view, command.run_id))
        return written(view, person, decision, now, policy, None)

    return Query(streams=(person_stream(command.person_id),), receipts=(run_key(command.run_id),)), rule
