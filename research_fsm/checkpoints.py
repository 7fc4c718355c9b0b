"""Checkpoints: a signed statement of how far a log reached, to be kept where who writes the log cannot.

Floor 6, beside `audit`; the only user of cryptography. `audit` asks whether a log agrees with itself, which one that
was cut off or rewritten from the beginning does. A checkpoint asks whether it is still the log that it was. It states
the root of a Merkle tree over the hashes of all events in the order of their positions, so that one event, or that one
log continues another, is proved without the rest of the log. Nothing here writes to a log.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import asdict, fields, frozen

from research_fsm import merkle, rfc3339
from research_fsm.errors import InvalidInput
from research_fsm.storage import Reader, RecordedEvent, first_hash, next_hash

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = [
    "Checkpoint",
    "Consistency",
    "Inclusion",
    "continues",
    "differences",
    "holds",
    "load_consistency",
    "load_inclusion",
    "load_private_key",
    "load_public_key",
    "make",
    "new_key",
    "parse",
    "prove_consistency",
    "prove_inclusion",
    "public_pem",
    "sign",
    "signed_by",
]

_FORMAT = "research_fsm checkpoint 1"
_SIGNATURE = "signature "


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
    """
    with reader.snapshot() as log:
        at, tree = log.now(), merkle.Tree()
        for recorded in log.events():
            if until is not None and recorded.position > until:
                break
            tree.append(recorded.hash)
    return Checkpoint(tree.size, tree.root(), at)


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
    except ValueError as error:
        raise InvalidInput("checkpoint", f"is no {_FORMAT}: {error}") from None
    if form != _FORMAT or end or exact != text or found.events < 0:
        raise InvalidInput("checkpoint", f"is no {_FORMAT}: it is not written as one")
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
    """Yield in words why a log is not the one that a checkpoint stated, continued; nothing if it is."""
    with reader.snapshot() as log:
        tree = merkle.Tree()
        for recorded in log.events():
            if tree.size == checkpoint.events:
                break
            tree.append(recorded.hash)
    if tree.size < checkpoint.events:
        yield f"the log has {tree.size} events, the checkpoint had {checkpoint.events}: some were cut off"
    elif tree.root() != checkpoint.root:
        yield f"the log's first {checkpoint.events} events are not those of the checkpoint: some were rewritten"


# --- proofs ------------------------------------------------------------------------------------------------------


@frozen
class Inclusion:
    """One event, and the proof that a checkpoint covers it: hashes and texts, all as JSON shows them.

    Args:
        previous: The hash of the stream's event before, or what stands for it before the first.
        stream: Whose event it is.
        version: Its place in the stream.
        type: Its name.
        schema: The form of its data.
        at: When it was recorded, in microseconds UTC.
        data: Canonical JSON, as it was hashed.
        meta: Canonical JSON, as it was hashed.
        index: Its place in the log, from 0.
        path: The hashes of the subtrees beside it, the lowest first.
    """

    previous: str
    stream: str
    version: int
    type: str
    schema: int
    at: int
    data: str
    meta: str
    index: int
    path: tuple[str, ...]

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)


@frozen
class Consistency:
    """The proof that the log of one checkpoint continues that of another.

    Args:
        old: How many events the old one covers.
        new: How many the new one covers.
        path: The hashes of subtrees, the lowest first.
    """

    old: int
    new: int
    path: tuple[str, ...]

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=2)


def prove_inclusion(reader: Reader, stream: str, version: int, events: int) -> Inclusion:
    """Return the proof that an event is among the first `events` of a log.

    Raises:
        InvalidInput: It is not.
    """
    with reader.snapshot() as log:
        previous, found = first_hash(stream), None
        for recorded in log.events(stream, after=max(version - 2, 0)):
            if recorded.version == version:
                found = recorded
                break
            previous = recorded.hash
        index = None if found is None else _index_of(log, found)
        if found is None or index is None or index >= events:
            raise InvalidInput("event", f"{stream} version {version} is not among the first {events} events")
        path = _hashes(log, merkle.inclusion_spans(index, events))
    return Inclusion(
        previous.hex(),
        stream,
        version,
        found.type,
        found.schema,
        found.at,
        found.data.decode(),
        found.meta.decode(),
        index,
        path,
    )


def prove_consistency(reader: Reader, old: int, new: int) -> Consistency:
    """Return the proof that the first `new` events of a log begin with the first `old`.

    Raises:
        InvalidInput: There are not as many.
    """
    if not 0 <= old <= new:
        raise InvalidInput("checkpoint", f"{old} events are no beginning of {new}")
    with reader.snapshot() as log:
        return Consistency(old, new, _hashes(log, merkle.consistency_spans(old, new)) if old else ())


def holds(proof: Inclusion, checkpoint: Checkpoint) -> bool:
    """Tell whether a proof shows that its event is one that a checkpoint covers."""
    try:
        data, meta, previous = proof.data.encode(), proof.meta.encode(), bytes.fromhex(proof.previous)
        path = [bytes.fromhex(one) for one in proof.path]
    except ValueError:
        return False
    event = RecordedEvent(
        proof.index + 1, proof.stream, proof.version, proof.type, proof.schema, proof.at, data, meta, b""
    )
    own = next_hash(previous, proof.stream, proof.version, event, proof.at)
    return merkle.is_included(own, proof.index, checkpoint.events, checkpoint.root, path)


def continues(proof: Consistency, old: Checkpoint, new: Checkpoint) -> bool:
    """Tell whether a proof shows that the log of the new checkpoint begins with that of the old one."""
    if (proof.old, proof.new) != (old.events, new.events):
        return False
    try:
        path = [bytes.fromhex(one) for one in proof.path]
    except ValueError:
        return False
    return merkle.is_consistent(old.events, old.root, new.events, new.root, path)


def load_inclusion(text: str) -> Inclusion:
    """Return a proof from its JSON.

    Raises:
        InvalidInput: It is none.
    """
    found = _loaded(text, Inclusion)
    return Inclusion(**{**found, "path": tuple(found["path"])})


def load_consistency(text: str) -> Consistency:
    """Return a proof from its JSON.

    Raises:
        InvalidInput: It is none.
    """
    found = _loaded(text, Consistency)
    return Consistency(**{**found, "path": tuple(found["path"])})


def _index_of(log: Reader, event: RecordedEvent) -> int | None:
    return next((index for index, one in enumerate(log.events()) if one.position == event.position), None)


def _hashes(log: Reader, spans: list[tuple[int, int]]) -> tuple[str, ...]:
    try:
        found = merkle.span_hashes((recorded.hash for recorded in log.events()), spans)
    except ValueError as error:
        raise InvalidInput("checkpoint", str(error)) from None
    return tuple(one.hex() for one in found)


def _loaded(text: str, form: type[Inclusion | Consistency]) -> dict[str, Any]:
    """Return the fields of a proof, which may come from anybody: each there, none besides, each of its type."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    expected = {field.name: field.type for field in fields(form)}
    if not isinstance(found, dict) or found.keys() != expected.keys():
        raise InvalidInput("proof", f"must be a JSON object with {', '.join(expected)}")
    for name, kind in expected.items():
        value = found[name]
        fits = _are_texts(value) if name == "path" else type(value) is kind
        if not fits:
            raise InvalidInput("proof", f"has another {name} than a proof has")
    return found


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


# --- keys --------------------------------------------------------------------------------------------------------


def new_key() -> bytes:
    """Return a new private key, as PEM: keep it where who writes the log cannot read it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: "Ed25519PrivateKey") -> bytes:
    """Return the public half of a key, as PEM: for everybody."""
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_private_key(pem: bytes) -> "Ed25519PrivateKey":
    """Return a private key from PEM.

    Raises:
        InvalidInput: It is none of Ed25519, or it is encrypted.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(pem, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("key", f"is no private key in PEM: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput("key", "is no key of Ed25519")
    return key


def load_public_key(pem: bytes) -> "Ed25519PublicKey":
    """Return a public key from PEM.

    Raises:
        InvalidInput: It is none of Ed25519.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("key", f"is no public key in PEM: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("key", "is no key of Ed25519")
    return key
