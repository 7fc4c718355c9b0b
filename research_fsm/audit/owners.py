"""What a verification found, sorted by owner, so that each may be shown what is theirs and nothing of the others.

Floor 6, a part of `audit`, above `verification`. It never writes. A person is whose the head says and whose the log
says; where the two name two owners, what was found is shown to neither of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

import attrs
from attrs import field, frozen

from research_fsm import codec, laws, transactions
from research_fsm.audit.verification import verify
from research_fsm.columns import well_typed
from research_fsm.errors import LogUnreadable
from research_fsm.events import PersonAdded
from research_fsm.laws import STATEMENTS, Finding
from research_fsm.storage import Query, Reader

__all__ = ["Seen", "Verified", "verify_for_owners"]

_KEPT = 200
"""Findings that are kept for each owner: the first ones. All are counted."""

_REMEMBERED = 1000

_ACCOUNT = "account:"

_OF_ONE_STREAM = frozenset(
    {"chained", "documents_match", "gapless", "grants_count_once"}
    | {law.__name__ for law in (*laws.PERSON_LAWS, *laws.ACCOUNT_LAWS)}
)
"""Laws that look at one stream alone, so that the words of a finding cannot tell of another one."""


@frozen
class Seen:
    """What one owner is shown of a verification.

    Args:
        at: The log was verified as it was at this time, in microseconds UTC.
        position: The position of its last event then.
        own: How many findings are about the owner's people and account.
        findings: The first of those. Where a law takes more than one stream to check, the words are the law's own:
            those of the finding may name another owner's.
        others: How many findings are about others, or nobody.
    """

    at: int
    position: int
    own: int
    findings: tuple[Finding, ...]
    others: int


@frozen
class Verified:
    """What a verification found, and of which log.

    Args:
        at: The log was verified as it was at this time, in microseconds UTC.
        position: The position of its last event then.
        total: How many findings there are.
        counts: How many are about each owner's people and account.
        findings: The first of those.
    """

    at: int
    position: int
    total: int
    counts: Mapping[str, int] = field(repr=False)
    findings: Mapping[str, tuple[Finding, ...]] = field(repr=False)

    def seen_by(self, owner: str) -> Seen:
        """Return what this owner is shown of it."""
        own = self.counts.get(owner, 0)
        return Seen(self.at, self.position, own, self.findings.get(owner, ()), self.total - own)


def verify_for_owners(reader: Reader) -> Verified:
    """Verify a log with `audit.verify`, and sort what is found.

    Args:
        reader: A store, or a snapshot of one. It is not written to, and may be written to by others meanwhile.
    """
    counts, kept, reached = Counter[str | None](), dict[str, list[Finding]](), list[int]()
    with reader.snapshot() as log:
        at = log.now()
        owner_of = lru_cache(_REMEMBERED)(lambda stream: _owner_of(log, stream))
        for finding in verify(log, reached=reached.append):
            owner = owner_of(finding.stream)
            counts[owner] += 1
            if owner is not None and counts[owner] <= _KEPT:
                kept.setdefault(owner, []).append(_shown(finding))
    own = {owner: count for owner, count in counts.items() if owner is not None}
    return Verified(at, reached[0], counts.total(), own, {owner: tuple(found) for owner, found in kept.items()})


def _shown(finding: Finding) -> Finding:
    """Return a finding without words that could tell of another owner."""
    return (
        finding
        if finding.law in _OF_ONE_STREAM
        else attrs.evolve(finding, words=f"not kept: {STATEMENTS[finding.law]}")
    )


def _owner_of(log: Reader, stream: str) -> str | None:
    """Return whose stream it is, if everything that says so agrees."""
    named = {stream} if stream.startswith(_ACCOUNT) else set(_accounts_named(log, stream))
    account = named.pop() if len(named) == 1 else ""
    return account.removeprefix(_ACCOUNT) if account.startswith(_ACCOUNT) else None


def _accounts_named(log: Reader, stream: str) -> Iterator[str]:
    """Yield the account that a person's head names, and the one that their first event names; each may be spoilt."""
    head = log.read(Query(streams=(stream,))).heads.get(stream)
    if head is not None and isinstance(head.link, str):
        yield head.link
    first = next(log.events(stream), None)
    try:
        event = codec.decode_event(first) if first is not None and well_typed(first) else None
    except (LogUnreadable, RecursionError):
        return  # It names nobody, and is a finding of its own.
    if isinstance(event, PersonAdded):
        yield transactions.account_stream(event.owner)
