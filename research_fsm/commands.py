"""What can be asked of a person or an account: requests in the imperative, with every id they need.

Floor 0. A command is checked when it is made, so that the rules meet nothing malformed. It reads no clock: the
store tells the time when the rule is decided.
"""

import hashlib
import json
import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from attrs import Attribute, field, frozen, validators

from research_fsm.errors import InvalidInput
from research_fsm.events import AttemptResult, FailReason, PersonKind, StaleReason

__all__ = [
    "AddPerson",
    "ArmAttempt",
    "ClaimRun",
    "CompleteRun",
    "ErasePerson",
    "FailRun",
    "GrantCredits",
    "MarkStale",
    "RecordAnswer",
    "RecoverRun",
    "RenewLease",
    "RequestKey",
    "RevokeCredits",
    "Sighting",
    "SightingState",
    "StartRun",
    "TakeEntry",
    "checked_id",
    "checked_member",
    "checked_uuid",
]

E = TypeVar("E", bound=StrEnum)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST_ID = 255
_LARGEST_AMOUNT = 10**12
_LARGEST_DOCUMENT = 3 * 1024 * 1024
_HIGHEST_RUN_NO = 2**31
_LONGEST_SHOWN_BITS = 64


def checked_uuid(name: str, value: object) -> str:
    """Return an id in lower case.

    Raises:
        InvalidInput: It is no UUID.
    """
    lowered = str(value).lower()
    if not _UUID.fullmatch(lowered):
        raise InvalidInput(name, f"must be a UUID, not {str(value)[:100]!r}")
    return lowered


def _uuid(_: object, attribute: "Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise InvalidInput(attribute.name, f"must be a UUID in lower case, not {str(value)[:100]!r}")


def checked_id(name: str, value: object) -> str:
    """Return an opaque id as it is.

    Raises:
        InvalidInput: It is no printable text of 1 to 255 characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID or not value.isprintable():
        raise InvalidInput(name, f"must be printable text of 1 to {_LONGEST_ID} characters")
    return value


def _opaque(_: object, attribute: "Attribute[str]", value: object) -> None:
    checked_id(attribute.name, value)


def checked_member(name: str, of: type[StrEnum], value: object) -> None:
    """Hold a value against a fixed list. The rules compare by identity, so a plain string would be taken for another.

    Raises:
        InvalidInput: It is no member.
    """
    if not isinstance(value, of):
        raise InvalidInput(name, f"must be a {of.__name__} ({', '.join(of)}), not {str(value)[:100]!r}")


def _member(of: type[E]) -> "Callable[[object, Attribute[E], object], None]":
    def check(_: object, attribute: "Attribute[E]", value: object) -> None:
        checked_member(attribute.name, of, value)

    return check


def _shown(value: object) -> str:
    """Return a value as an error shows it; Python refuses to write out an integer of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_SHOWN_BITS:
        return f"one of {value.bit_length()} bits"
    return repr(value)[:100]


def _whole(highest: int) -> "Callable[[object, Attribute[int], object], None]":
    def check(_: object, attribute: "Attribute[int]", value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
            raise InvalidInput(attribute.name, f"must be a whole number from 1 to {highest}, not {_shown(value)}")

    return check


def _document(_: object, attribute: "Attribute[bytes]", value: bytes) -> None:
    if len(value) > _LARGEST_DOCUMENT:
        raise InvalidInput(attribute.name, f"must be at most {_LARGEST_DOCUMENT} bytes of JSON, not {len(value)}")


_OPTIONAL = validators.optional(_opaque)


# --- people ------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class AddPerson:
    """Add a person, idle.

    Args:
        person_id: A fresh UUID.
        owner: Whose person it is.
        kind: Which API made them.
        profile: What is known of them, as canonical JSON.
        linkedin_url: Their address in its normal form; unique among a partner's people.
        salt: Fresh random text that salts the digests of the person's documents.
        actor: Who asks.
    """

    person_id: str = field(validator=_uuid)
    owner: str = field(validator=_opaque)
    kind: PersonKind = field(validator=_member(PersonKind))
    profile: bytes = field(validator=_document, repr=False)
    linkedin_url: str | None = field(default=None, repr=False)
    salt: str = field(repr=False)
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class MarkStale:
    """Make a complete person idle again, so that the report can be refreshed.

    Args:
        person_id: The person.
        owner: Who asks; None for somebody who may see everybody's.
        reason: Why.
        actor: Who asks.
    """

    person_id: str = field(validator=_uuid)
    owner: str | None = field(default=None, validator=_OPTIONAL)
    reason: StaleReason = field(default=StaleReason.REQUESTED, validator=_member(StaleReason))
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class ErasePerson:
    """Delete a person's documents and close their run."""

    person_id: str = field(validator=_uuid)
    owner: str | None = field(default=None, validator=_OPTIONAL)
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen
class RequestKey:
    """A caller's key for one request, so that asking again is answered and not done again.

    Args:
        key: The key as the caller wrote it.
        digest: The digest of caller and key: what is stored.
        fingerprint: The digest of the request: the same key with another request is refused.
    """

    key: str = field(validator=_opaque)
    digest: str
    fingerprint: str

    @classmethod
    def of(cls, caller: str | None, key: str, *request: str | None) -> "RequestKey":
        """Digest a key and the request that it stands for.

        Args:
            caller: The owner who asks; keys of different callers never meet.
            key: The key.
            request: What is asked for.
        """
        digest = _digest("key", caller, key)
        return cls(key, digest, _digest(digest, *request))


def _digest(*parts: str | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


# --- runs --------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class StartRun:
    """Start a run.

    Args:
        person_id: Whom to research.
        run_id: A fresh UUID.
        owner: Who asks; None for somebody who may see everybody's.
        key: The caller's request key, if there is one.
        inside: Whether the dispatcher is a row of the same database.
        joined: Whether it happens inside a host's open transaction, so that nothing may be sent yet.
        actor: Who asks.
    """

    person_id: str = field(validator=_uuid)
    run_id: str = field(validator=_uuid)
    owner: str | None = field(default=None, validator=_OPTIONAL)
    key: RequestKey | None = None
    inside: bool
    joined: bool = False
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class ArmAttempt:
    """Allow one dispatch request to be sent: the first of a joined start, or a resend."""

    run_id: str = field(validator=_uuid)
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class RecordAnswer:
    """Record what one attempt came to.

    Args:
        person_id: The person.
        run_id: The run.
        run_no: Its number.
        attempt: The attempt's number.
        result: One of the four results.
        external_id: The engine run, if it was accepted.
        reason: The dispatcher's short code.
        retry_at: When the engine will take requests again, in microseconds UTC, if it said so.
    """

    person_id: str = field(validator=_uuid)
    run_id: str = field(validator=_uuid)
    run_no: int
    attempt: int
    result: AttemptResult = field(validator=_member(AttemptResult))
    external_id: str | None = None
    reason: str
    retry_at: int | None = None


@frozen(kw_only=True)
class TakeEntry:
    """Take the next entry of the embedded queue, or take over one whose lease is over.

    Args:
        run_id: The run whose entry is meant, if it is not just the next one.
        actor: Who asks.
    """

    run_id: str | None = field(default=None, validator=validators.optional(_uuid))
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class RenewLease:
    """Keep an entry of the embedded queue a little longer."""

    run_id: str = field(validator=_uuid)
    run_no: int = field(validator=_whole(_HIGHEST_RUN_NO))
    external_id: str = field(validator=_opaque)


@frozen(kw_only=True)
class ClaimRun:
    """A worker's first act: take the run, or learn that it is stale."""

    run_id: str = field(validator=_uuid)
    run_no: int = field(validator=_whole(_HIGHEST_RUN_NO))
    external_id: str = field(validator=_opaque)
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class CompleteRun:
    """A worker's report, as the canonical JSON that is stored."""

    run_id: str = field(validator=_uuid)
    run_no: int = field(validator=_whole(_HIGHEST_RUN_NO))
    external_id: str = field(validator=_opaque)
    report: bytes = field(validator=_document, repr=False)
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class FailRun:
    """A worker's failure. `detail` is free text as canonical JSON, kept as a document."""

    run_id: str = field(validator=_uuid)
    run_no: int = field(validator=_whole(_HIGHEST_RUN_NO))
    external_id: str = field(validator=_opaque)
    reason: FailReason = field(default=FailReason.WORKER_REPORTED, validator=_member(FailReason))
    detail: bytes | None = field(default=None, validator=validators.optional(_document), repr=False)
    actor: str | None = field(default=None, validator=_OPTIONAL)


class SightingState(StrEnum):
    """What the engine says of one of its runs: still going, done with an output, or over without one."""

    ALIVE = "alive"
    COMPLETED = "completed"
    ENDED = "ended"


@frozen(kw_only=True)
class Sighting:
    """An engine run that carries this run's tag: positive evidence. That nothing was seen proves nothing.

    Args:
        external_id: The engine run.
        state: What became of it.
        report: The report that it returned, as canonical JSON, if it completed with one for this very run.
    """

    external_id: str = field(validator=_opaque)
    state: SightingState = field(validator=_member(SightingState))
    report: bytes | None = field(default=None, validator=validators.optional(_document), repr=False)


@frozen(kw_only=True)
class RecoverRun:
    """Look at one person who is overdue, with what the engine says, and do the one thing that is due.

    Args:
        person_id: The person.
        run_id: The run that was looked at.
        run_no: Its number.
        sightings: What the engine says.
        sends: Whether whoever looks can send another attempt.
    """

    person_id: str = field(validator=_uuid)
    run_id: str = field(validator=_uuid)
    run_no: int
    sightings: tuple[Sighting, ...] = ()
    sends: bool = True


# --- credits -----------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class GrantCredits:
    """Add credits, once per grant_id."""

    owner: str = field(validator=_opaque)
    grant_id: str = field(validator=_opaque)
    amount: int = field(validator=_whole(_LARGEST_AMOUNT))
    actor: str | None = field(default=None, validator=_OPTIONAL)


@frozen(kw_only=True)
class RevokeCredits:
    """Take a grant back, whole, once, and never below what is available."""

    owner: str = field(validator=_opaque)
    grant_id: str = field(validator=_opaque)
    actor: str | None = field(default=None, validator=_OPTIONAL)
