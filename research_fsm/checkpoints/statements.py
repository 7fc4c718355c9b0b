"""What a checkpoint states, how it is signed and read, and whether a log is still the one that it is about.

Floor 6. Imports the tree and, to sign and to check a signature, cryptography. It never writes to a log.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from research_fsm import merkle, rfc3339
from research_fsm.columns import checked
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.storage import Reader, RecordedEvent

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["Checkpoint", "differences", "hash_of", "make", "parse", "sign", "signed_by"]

_FORMAT = "research_fsm checkpoint 1"
_SIGNATURE = "signature "
_HASH_BYTES = 32
_NOT_ONE = f"is no {_FORMAT}: take the file as `checkpoint make` has printed it"


@frozen
class Checkpoint:
    """How far a log reached.

    Args:
        events: How many events it had.
        root: The root of the Merkle tree over their hashes.
        at: When it was asked, in microseconds UTC by the store's clock.
    """

    events: int
    root: bytes
    at: int

    @property
    def statement(self) -> bytes:
        """The text that is signed."""
        lines = (_FORMAT, f"events {self.events}", f"root {self.root.hex()}", f"at {rfc3339.format_time(self.at)}")
        return "".join(f"{line}\n" for line in lines).encode()


# --- making and reading ------------------------------------------------------------------------------------------


def make(reader: Reader, *, until: int | None = None) -> Checkpoint:
    """Return the checkpoint of a log as it is now.

    Args:
        reader: A store, or a snapshot of one; whole, as far as `audit.verify` finds.
        until: The last position to state anything about: what `feed.settled` says, where others are writing on
            PostgreSQL and may still add events between those that are there. None for the end.

    Raises:
        LogUnreadable: A row is no event.
    """
    with reader.snapshot() as log:
        at, tree = log.now(), merkle.Tree()
        for recorded in log.events():
            if until is not None and recorded.position > until:
                break
            tree.append(hash_of(recorded))
    return Checkpoint(tree.size, tree.root(), at)


def hash_of(recorded: RecordedEvent) -> bytes:
    """Return the hash of an event.

    Raises:
        LogUnreadable: The row is no event, or has no hash of 32 bytes; it names the row.
    """
    found = checked(recorded).hash
    if len(found) != _HASH_BYTES:
        words = f"hash has {len(found)} bytes and not {_HASH_BYTES}; `verify` lists what is wrong"
        raise LogUnreadable(f"the row {recorded.position}", words)
    return found


def sign(checkpoint: Checkpoint, key: "Ed25519PrivateKey") -> str:
    """Return a checkpoint's text, signed."""
    statement = checkpoint.statement
    return f"{statement.decode()}{_SIGNATURE}{key.sign(statement).hex()}\n"


def parse(text: str) -> Checkpoint:
    """Return what a checkpoint's text states; whether it is signed is another question, see `signed_by`.

    Raises:
        InvalidInput: It is no checkpoint, or is not written exactly as `sign` writes one.
    """
    lines = text.split("\n")
    try:
        form, events, root, at, signature, end = lines
        found = Checkpoint(
            int(_after("events ", events)),
            bytes.fromhex(_after("root ", root)),
            rfc3339.parse_time(_after("at ", at)),
        )
        exact = found.statement.decode() + _SIGNATURE + bytes.fromhex(_after(_SIGNATURE, signature)).hex() + "\n"
    except ValueError:
        raise InvalidInput("checkpoint", _NOT_ONE) from None
    if form != _FORMAT or end or exact != text or found.events < 0:
        raise InvalidInput("checkpoint", _NOT_ONE)
    return found


def signed_by(text: str, key: "Ed25519PublicKey") -> bool:
    """Tell whether a checkpoint's text carries the signature of this key's owner."""
    from cryptography.exceptions import InvalidSignature

    statement, _, signature = text.rpartition(_SIGNATURE)
    try:
        key.verify(bytes.fromhex(signature.removesuffix("\n")), statement.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _after(word: str, line: str) -> str:
    if not line.startswith(word):
        raise ValueError(f"a line should begin with {word.strip()!r}")
    return line.removeprefix(word)


# --- holding a log against a checkpoint --------------------------------------------------------------------------


def differences(reader: Reader, checkpoint: Checkpoint) -> Iterator[str]:
    """Yield in words why a log is not the one that a checkpoint stated, continued; nothing if it is.

    A row that is no event is named, and stands for one that was rewritten.
    """
    with reader.snapshot() as log:
        tree = merkle.Tree()
        for recorded in log.events():
            if tree.size == checkpoint.events:
                break
            try:
                tree.append(hash_of(recorded))
            except LogUnreadable as error:
                yield str(error)
                tree.append(b"")
    if tree.size < checkpoint.events:
        yield f"the log has {tree.size} events, the checkpoint had {checkpoint.events}: some were cut off"
    elif tree.root() != checkpoint.root:
        yield f"the log's first {checkpoint.events} events are not those of the checkpoint: some were rewritten"
