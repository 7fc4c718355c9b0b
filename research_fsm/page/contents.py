"""What the page shows, as compact JSON: rows are lists, words are kept once, times are milliseconds UTC.

Floor 7. One snapshot, nothing written. What this version cannot read is named as it is stored, so that a damaged log
is shown with the findings on top and not hidden behind an error; only a row whose columns are of other types is one.
"""

import sys
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping

from attrs import Factory, define, field, frozen

from research_fsm import account as accounts
from research_fsm import codec, transactions
from research_fsm.account import Account
from research_fsm.errors import LogUnreadable
from research_fsm.events import AccountEvent
from research_fsm.lifecycle import Phase, Status
from research_fsm.lifecycle import status as status_of
from research_fsm.outcomes import Json
from research_fsm.person import Person
from research_fsm.storage import Head, Query, Reader, RecordedEvent
from research_fsm.stores.typed import TypedReader
from research_fsm.timeline import credits_in_words, in_words

__all__ = ["CHUNK", "Contents", "gather"]

CHUNK = 250
"""People whose lives stand in one block of the page, which is read when one of them is looked at."""

_LONGEST_LEDGER = 20_000
"""Entries of an account that are shown: the latest."""

_PAGE = 1000

_PERSON, _ACCOUNT = "person:", "account:"
_STATUSES = tuple(str(one) for one in Status if one is not Status.NONE)


@frozen
class Contents:
    """Everything on the page.

    Args:
        taken_at: The time of the snapshot, in microseconds UTC.
        counts: How many people there are, by status; also those who are not shown.
        people: A row for each who is shown.
        next_after: The stream to go on behind, if not everybody is shown.
        lives: Blocks of the lives of `CHUNK` people each, in the order of `people`.
        ledgers: By owner, the account's entries with the balance after each.
    """

    taken_at: int
    counts: Mapping[str, int]
    people: list[list[Json]] = field(repr=False)
    next_after: str | None
    lives: list[Json] = field(repr=False)
    ledgers: Json = field(repr=False)


@define
class _Words:
    """Texts, each once, known by their number."""

    numbers: dict[str, int] = Factory(dict)

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self.numbers.setdefault(text, len(self.numbers))

    def texts(self) -> list[str]:
        """Return the texts in the order of their numbers."""
        return list(self.numbers)


def gather(reader: Reader, *, owner: str | None, with_names: bool, limit: int, after: str | None) -> Contents:
    """Look at a log at one point in time.

    Args:
        reader: Where to look.
        owner: Whose people and whose credits; None for everybody's.
        with_names: Whether names and companies are shown, which are personal data.
        limit: People that are shown at most.
        after: Show people behind this stream: everybody's are sorted by stream, an owner's newest first.
    """
    with TypedReader(reader).snapshot() as log:
        taken_at = log.now()
        counts: Counter[str] = Counter()
        shown: list[Head] = []
        more = False
        for head, wanted in _everybody(log, after) if owner is None else _people_of(log, owner, after):
            counts[_status(head)] += 1
            if wanted:
                more = more or len(shown) == limit
                shown += [] if len(shown) == limit else [head]
        ledgers, credits_of = _ledgers(log, owner, shown)
        people, lives = _people(log, shown, credits_of, with_names=with_names)
    known = {status: counts[status] for status in _STATUSES if status != Status.ERASED or counts[status]}
    return Contents(taken_at, known, people, shown[-1].stream if more else None, lives, ledgers)


def _everybody(log: Reader, after: str | None) -> Iterator[tuple[Head, bool]]:
    """Yield everybody's heads by stream, and whether each is behind `after`."""
    for head in log.heads():
        if head.stream.startswith(_PERSON):
            yield head, after is None or head.stream > after


def _people_of(log: Reader, owner: str, after: str | None) -> Iterator[tuple[Head, bool]]:
    """Yield an owner's heads, the newest person first, and whether each is behind `after`; no other head is read."""
    link = transactions.account_stream(owner)
    last = None if after is None else log.read(Query(streams=(after,))).heads.get(after)
    before: int | None = None
    while page := log.linked(link, before=before, limit=_PAGE):
        for head in page:
            yield head, last is None or head.first < last.first
        before = page[-1].first


def _accounts(log: Reader, owner: str | None) -> Iterator[Head]:
    """Yield the heads of all accounts, or the one owner's if they have one."""
    if owner is None:
        yield from (head for head in log.heads() if head.stream.startswith(_ACCOUNT))
        return
    account = transactions.account_stream(owner)
    head = log.read(Query(streams=(account,))).heads.get(account)
    if head is not None:
        yield head


def _status(head: Head) -> str:
    try:
        return str(status_of(Phase(head.tag)))
    except ValueError:
        return str(Status.NONE)


# --- people ------------------------------------------------------------------------------------------------------


def _people(
    log: Reader, shown: list[Head], credits_of: Mapping[int, list[RecordedEvent]], *, with_names: bool
) -> tuple[list[list[Json]], list[Json]]:
    people, lives = list[list[Json]](), list[Json]()
    for start in range(0, len(shown), CHUNK):
        heads = shown[start : start + CHUNK]
        streams = tuple(head.stream for head in heads)
        view = log.read(Query(streams=streams, documents=(transactions.PROFILE,) if with_names else ()))
        words, block = _Words(), list[Json]()
        for index, head in enumerate(heads, start):
            profile = view.documents.get((head.stream, transactions.PROFILE), b"{}")
            own = list(log.events(head.stream))
            people.append(_row(head, own, _name(profile)))
            both = sorted((*own, *credits_of.get(index, ())), key=_position)
            block.append([_event(one, words) for one in both])
        lives.append({"words": words.texts(), "lives": block})
    return people, lives


def _position(recorded: RecordedEvent) -> int:
    return recorded.position


def _row(head: Head, history: list[RecordedEvent], name: str) -> list[Json]:
    """Return one person: id, owner, kind, status, phase, since, run_no, reports, failures, added, name."""
    person_id = transactions.person_id_of(head.stream)
    try:
        known = head.fold == codec.FOLD
        person = codec.decode_person(head) if known else codec.fold_person(person_id, history)
    except LogUnreadable:
        person = Person(person_id)
    return [
        person_id,
        person.owner,
        str(person.kind),
        str(person.status),
        str(person.phase),
        _ms(person.since),
        person.run_no,
        person.reports,
        person.failures_in_a_row,
        _ms(person.added_at),
        name,
    ]


def _name(profile: bytes) -> str:
    """Return how people call somebody, from what is known of them."""
    known = {name: _member(profile, name) for name in ("first_name", "last_name", "company", "linkedin_url")}
    called = " ".join(str(part) for part in (known.get("first_name"), known.get("last_name")) if part)
    parts = [part for part in (called, known.get("company")) if part]
    return ", ".join(map(str, parts)) or str(known.get("linkedin_url") or "")


def _event(recorded: RecordedEvent, words: _Words) -> Json:
    """Return one event: position, version, time, type, words, run_no, credits, actor; numbers stand for words."""
    run_no, actor = _member(recorded.data, "run_no"), _member(recorded.meta, "actor")
    return [
        recorded.position,
        recorded.version,
        _ms(recorded.at),
        words.number(recorded.type),
        words.number(in_words(recorded)),
        run_no if isinstance(run_no, int) else 0,
        words.number(credits_in_words(recorded)),
        words.number(actor if isinstance(actor, str) else ""),
    ]


def _member(stored: bytes, name: str) -> Json:
    """Return a member of stored JSON; nothing of what cannot be read, which `in_words` names."""
    try:
        value = codec.parse(stored)
    except LogUnreadable:
        return None
    return value.get(name) if isinstance(value, dict) else None


# --- credits -----------------------------------------------------------------------------------------------------


def _ledgers(log: Reader, owner: str | None, shown: list[Head]) -> tuple[Json, dict[int, list[RecordedEvent]]]:
    """Return the accounts, and their events that concern each person who is shown."""
    ledgers: dict[str, Json] = {}
    concerning: dict[int, list[RecordedEvent]] = {}
    indexes = {head.stream: index for index, head in enumerate(shown)}
    for head in _accounts(log, owner):
        words, entries = _Words(), deque[tuple[list[Json], int]](maxlen=_LONGEST_LEDGER)
        known = None if owner is None else _known(head)
        behind = 0 if known is None else _behind(log, head, shown)
        total, account = behind, accounts.EMPTY
        for recorded, event, account in _booked(log.events(head.stream, after=behind)):
            total += 1
            person_id = str(getattr(event, "person_id", ""))
            index = indexes.get(transactions.person_stream(person_id), -1) if person_id else -1
            if index >= 0:
                concerning.setdefault(index, []).append(recorded)
            line: list[Json] = [recorded.position, _ms(recorded.at), words.number(in_words(recorded))]
            line += [words.number(credits_in_words(recorded)), index, person_id, getattr(event, "run_no", 0)]
            entries.append((line, account.available))
        now = account if known is None or not behind else known
        before = now.available - account.available
        ledgers[head.stream.removeprefix(_ACCOUNT)] = {
            "words": words.texts(),
            "entries": [[*line, before + available] for line, available in entries],
            "total": total,
            "sums": [now.available, now.granted, now.revoked, now.held, now.charged, now.refunded],
        }
    return ledgers, concerning


def _known(head: Head) -> Account | None:
    """Return an account as its head has it, if that can be read."""
    try:
        return codec.decode_account(head) if head.fold == codec.FOLD else None
    except LogUnreadable:
        return None


def _behind(log: Reader, head: Head, shown: list[Head]) -> int:
    """Return a version of an account that everything is behind which is shown of it, found by halving.

    Its latest entries are, and whatever concerns the people who are shown: that comes after the first event of theirs.
    """
    first = min((one.first for one in shown if type(one.first) is int), default=sys.maxsize)

    def position(version: int) -> int:
        found = next(log.events(head.stream, after=version), None)
        return 0 if found is None else found.position

    versions = range(max(0, head.version - _LONGEST_LEDGER))
    return bisect_left(versions, first, key=position)


def _booked(events: Iterable[RecordedEvent]) -> Iterator[tuple[RecordedEvent, AccountEvent | None, Account]]:
    """Yield an account's events, each with what they come to so far; one that cannot be read moves nothing."""
    account = accounts.EMPTY
    for recorded in events:
        try:
            event: AccountEvent | None = codec.decode_account_event(recorded)
        except LogUnreadable:
            event = None
        account = account if event is None else accounts.evolve(account, event)
        yield recorded, event, account


def _ms(micros: int) -> int:
    return micros // 1000
