"""The addresses of a partner's people, held against their profiles: who is meant by an address, and by whose is nobody.

Floor 6, a part of `audit`. Pure. An address is personal data: it is in no event, and in no finding. The profile, whose
digest is in an event, says which unique key it calls for.
"""

from collections.abc import Iterable, Iterator

from research_fsm import codec, transactions
from research_fsm.errors import LogUnreadable
from research_fsm.events import PersonKind
from research_fsm.laws import Finding
from research_fsm.lifecycle import Phase
from research_fsm.person import Person
from research_fsm.storage import UniqueKey

__all__ = ["addresses_differ", "keys_of_address"]


def keys_of_address(person: Person, profile: bytes) -> tuple[UniqueKey, ...]:
    """Return the key by which a partner finds a person who has an address; a user may have the same person twice."""
    if person.kind is not PersonKind.PARTNER:
        return ()
    try:
        known = codec.parse(profile)
    except LogUnreadable:
        return ()  # Its digest says that it is not what was recorded.
    url = known.get("linkedin_url") if isinstance(known, dict) else None
    if not isinstance(url, str):
        return ()
    stream = transactions.person_stream(person.person_id)
    return (UniqueKey(transactions.url_key(person.owner, url), stream, personal=True),)


def addresses_differ(
    stream: str, person: Person | None, profile: bytes | None, kept: Iterable[object]
) -> Iterator[Finding]:
    """Hold the personal unique keys of one stream against the profile; without one, none is called for.

    Args:
        stream: Its name.
        person: What its events fold to, if they are a person's.
        profile: The profile, if it is there.
        kept: The names of the keys that lead there, whatever they are.
    """
    called_for = set[object]()
    if person is not None and person.exists and profile is not None:
        called_for |= {key.key for key in keys_of_address(person, profile)}
    for name in kept:
        if name in called_for:
            called_for.remove(name)
            continue
        erased = person is not None and person.phase is Phase.ERASED
        why = "the person was erased" if erased else "no profile calls for it"
        yield Finding("keys_are_kept", stream, None, f"a personal unique key leads there, and {why}")
    if called_for:
        yield Finding("keys_are_kept", stream, None, "the unique key of the person's address is missing")
