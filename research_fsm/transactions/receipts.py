"""Receipts: the first answer to each request key, and the last to each run whose start was left open.

Floor 3, pure. Read when a request is repeated, written when it is first answered.
"""

from collections.abc import Callable
from typing import TypeVar

from research_fsm import codec
from research_fsm.commands import RequestKey, StartRun
from research_fsm.decide import Send
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import KeyReused, PersonNotFound, StartAnswer, Unresolved
from research_fsm.rows import person_id_of, person_in, person_stream, run_key
from research_fsm.storage import Receipt, View

__all__ = ["final_answer", "key_receipt", "replayed_answer", "start_receipts"]

A = TypeVar("A")


def replayed_answer(
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


def final_answer(view: View, run_id: str) -> StartAnswer | None:
    """Return what the receipt of a run says."""
    receipt = view.receipts.get(run_key(run_id))
    return None if receipt is None else codec.decode_answer(receipt.answer)


def start_receipts(command: StartRun, answer: StartAnswer | Send) -> tuple[Receipt, ...]:
    """Return the receipts of a start: one under its request key, and one under its run while that is unresolved."""
    stream = person_stream(command.person_id)
    match answer:
        case Send(request=request):
            first: StartAnswer = Unresolved(request.person_id, request.run_id, request.run_no)
        case _:
            first = answer
    encoded = codec.encode_answer(first)
    of_run = (Receipt(run_key(command.run_id), stream, "", encoded),) if isinstance(first, Unresolved) else ()
    return of_run + key_receipt(command.key, stream, encoded)


def key_receipt(key: RequestKey | None, stream: str, answer: bytes) -> tuple[Receipt, ...]:
    """Return the receipt under a request key, if there is one."""
    return () if key is None else (Receipt(key.digest, stream, key.fingerprint, answer),)
