"""Receipts, held against the log: a request that is repeated under its key is answered about the run that it started.

Floor 6, a part of `audit`, above `streams`. Pure. The receipts it is given may hold anything. What the receipts of a
run say, its events say too, but for when the engine takes requests again. A refused request left no event, so that of
its receipt nothing can be asked but that it may be one: who it is about is, or is not, in the log.
"""

from collections.abc import Iterable, Iterator

from attrs import evolve as changed

from research_fsm import codec, transactions
from research_fsm.columns import mistyped, printable, well_typed
from research_fsm.errors import LogUnreadable
from research_fsm.events import PersonErased, PersonEvent, RunRolledBack, RunStarted
from research_fsm.laws import Finding
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import (
    AlreadyAdded,
    AlreadyRunning,
    InsufficientCredits,
    PersonNotFound,
    Queued,
    RolledBack,
    StartAnswer,
    Unresolved,
)
from research_fsm.person import Person
from research_fsm.storage import Receipt

__all__ = ["receipts_after", "receipts_differ"]

_OF_RUNS = transactions.run_key("")


def receipts_after(before: Person, event: PersonEvent, after: Person) -> Iterator[tuple[str, bytes]]:
    """Yield what the receipts of a run say from this event on, by key: most events change none."""
    run = after.run
    if run is None or (run.inside and run.request_digest is None):
        return  # As nobody asks under a key, and nobody is answered later.
    answer = _answer_after(before, event, after)
    if answer is None:
        return
    said = codec.encode_answer(answer)
    if not run.inside:
        yield transactions.run_key(run.run_id), said
    if run.request_digest is not None:
        yield run.request_digest, said


def _answer_after(before: Person, event: PersonEvent, after: Person) -> StartAnswer | None:
    """Return what a start is answered once it began, and again once it is known whether the engine has the run."""
    run = after.run
    if run is None:
        return None
    if isinstance(event, RunStarted):
        answer = Queued if event.inside else Unresolved
        return answer(after.person_id, run.run_id, run.run_no)
    if run.inside or before.phase is not Phase.DISPATCHING or after.phase is Phase.DISPATCHING:
        return None
    match event:
        case RunRolledBack(reason=reason):
            return RolledBack(after.person_id, run.run_id, run.run_no, str(reason))
        case PersonErased():
            return PersonNotFound(after.person_id)
        case _:
            return Queued(after.person_id, run.run_id, run.run_no)


def receipts_differ(
    person: Person | None, called_for: Iterable[tuple[str, int, bytes]], kept: Iterable[Receipt], stream: str
) -> Iterator[Finding]:
    """Hold the receipts of one stream against its events.

    Args:
        person: What the events fold to, if they are a person's.
        called_for: What receipts say, and from which version of the stream on, by key; the last word counts.
        kept: The receipts.
        stream: Its name.
    """
    missing = {key: (version, answer) for key, version, answer in called_for}
    for receipt in kept:
        if not well_typed(receipt):
            words = ", ".join(words for _, words in mistyped(receipt))
            yield Finding("keys_are_kept", printable(receipt.stream), None, f"the receipt {receipt.key!r}: {words}")
            continue
        version, answer = missing.pop(receipt.key, (None, None))
        for wrong in _receipt_differs(receipt, person, answer):
            yield Finding("keys_are_kept", stream, version, f"the receipt {receipt.key} {wrong}")
    for key, (version, _) in missing.items():
        yield Finding("keys_are_kept", stream, version, f"the receipt {key} is missing")


def _receipt_differs(receipt: Receipt, person: Person | None, called_for: bytes | None) -> Iterator[str]:
    answer = None
    if receipt.answer != called_for:
        try:
            answer = codec.decode_create_answer(receipt.answer)
        except LogUnreadable as error:
            yield f"cannot be read: {error}"
        else:
            yield from _answer_differs(receipt, answer, person, called_for)
    erased = person is not None and person.phase is Phase.ERASED
    # Whoever asks for somebody erased is told that there is nobody; that request's fingerprint tells of nobody either.
    if erased and receipt.fingerprint and (called_for is not None or not isinstance(answer, PersonNotFound)):
        yield "has a fingerprint, and the person was erased"


def _answer_differs(
    receipt: Receipt, answer: StartAnswer | AlreadyAdded, person: Person | None, called_for: bytes | None
) -> Iterator[str]:
    said = receipt.answer.decode()
    if called_for is None and not _is_of_a_refusal(receipt, answer, person):
        yield f"says {said}, of which no event speaks"
    elif called_for is not None and _settled(answer) != codec.decode_answer(called_for):
        yield f"says {said}, the log {called_for.decode()}"


def _settled(answer: StartAnswer | AlreadyAdded) -> StartAnswer | AlreadyAdded:
    """Return an answer without what no event says."""
    return changed(answer, retry_at=None) if isinstance(answer, RolledBack) else answer


def _is_of_a_refusal(receipt: Receipt, answer: StartAnswer | AlreadyAdded, person: Person | None) -> bool:
    """Tell whether a request may have been answered so without an event."""
    if receipt.key.startswith(_OF_RUNS):
        return False
    match answer:
        case PersonNotFound(person_id=person_id):
            fits = True
        case AlreadyAdded(person_id=person_id):
            fits = person is not None
        case AlreadyRunning(person_id=person_id, run_no=run_no):
            fits = person is not None and 1 <= run_no <= person.run_no
        case InsufficientCredits(owner=owner):  # Of a new person, who was not added then.
            return person is None or person.owner == owner
        case _:
            return False
    return fits and receipt.stream == transactions.person_stream(person_id)
