"""Verify a log that somebody else wrote: is it whole, is it legal, does the money add up.

Floor 6. Reads one point in time by position and trusts nothing but the events: heads, documents and keys are held
against what the events say. Nor does it trust the types of what it reads: a file may have been edited by hand. It
folds with the same `evolve` as everything else, and never writes. What the log does not say cannot be held against it:
a partner's LinkedIn URL is personal data, so that a lost unique key of one is not found.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from types import MappingProxyType

from attrs import frozen

from research_fsm import account as accounts
from research_fsm import audit_beside as beside
from research_fsm import codec, laws, transactions
from research_fsm import person as people
from research_fsm.account import credits_for
from research_fsm.audit_memory import Listed, Remembered, Scratch
from research_fsm.audit_streams import Stream, documents_of, mistyped, printable, remembered, well_typed
from research_fsm.errors import LogUnreadable
from research_fsm.events import (
    AccountEvent,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    CreditsRevoked,
    PersonErased,
    PersonEvent,
    RunStarted,
)
from research_fsm.laws import STATEMENTS, Erased, Finding
from research_fsm.person import Hold
from research_fsm.storage import Query, Reader, RecordedEvent, next_hash

__all__ = ["OF_EVENTS", "verify", "verify_events"]

OF_EVENTS: Mapping[str, str] = MappingProxyType(
    {law: words for law, words in STATEMENTS.items() if law not in {"way_out", "heads_are_folds", "documents_match"}}
    | {"keys_are_kept": "A request key has started at most one run."}
)
"""The laws that `verify_events` looks at: what of each can be seen without what stands beside a log."""

_PAGE = 200
"""How many events are followed before what stands beside them is looked at, all of it together."""

_AT_HAND = 2000
"""How many streams are remembered without looking into the file."""

_CreditsOfRun = CreditsHeld | CreditsCharged | CreditsReleased | CreditsRefunded


def verify(
    reader: Reader,
    followed: Callable[[int], object] = lambda _: None,
    erased: Callable[[Erased], object] = lambda _: None,
) -> Iterator[Finding]:
    """Yield every place where the log breaks a law; nothing if it is whole.

    A tail that was cut off together with its heads leaves a shorter log that is whole, and is not found here.

    Args:
        reader: A store, or a snapshot of one. It is not written to, and may be written to by others meanwhile.
        followed: Called now and then with the number of events since the last time, to show how far it is.
        erased: Called for each person who was erased.
    """
    with closing(Scratch()) as scratch, reader.snapshot() as log:
        audit = _Audit(scratch, erased)
        events = log.events()
        while page := list(islice(events, _PAGE)):
            for recorded in page:
                audit.follow(recorded)
            audit.compare_documents(log)
            yield from audit.findings()
            followed(len(page))
        yield from audit.keys_used_twice()
        yield from beside.keys_differ(log, audit.keys)
        yield from beside.rows_differ(log, audit.streams, scratch)


def verify_events(
    events: Iterable[RecordedEvent], erased: Callable[[Erased], object] = lambda _: None
) -> Iterator[Finding]:
    """Yield every place where events alone, such as those of an exported file, break a law.

    What stands beside a log is not asked for: heads, documents, unique keys and the embedded queue.

    Args:
        events: A whole log's events in the order of their positions. That they cannot be read on is a finding, too.
        erased: Called for each person who was erased.
    """
    with closing(Scratch()) as scratch:
        audit = _Audit(scratch, erased)
        try:
            for recorded in events:
                audit.follow(recorded)
                audit.documents.clear()
                yield from audit.findings()
        except LogUnreadable as error:
            yield Finding("readable", error.what, None, f"{error.problem}; nothing behind it was looked at")
            return
        yield from audit.keys_used_twice()
        for name, stream in audit.streams.everything():
            yield from beside.unsettled(name, stream)


@frozen
class _Grant:
    """A grant as far as the log has been followed: how much, if it was granted, and whether it was taken back."""

    amount: int | None
    revoked: bool


_NOT_GRANTED = _Grant(None, revoked=False)


class _Audit:
    """What is remembered while the log goes by, and what was found in it."""

    def __init__(self, scratch: Scratch, erased: Callable[[Erased], object]) -> None:
        self._found: list[Finding] = []
        self.streams: Remembered[Stream] = remembered(scratch, _AT_HAND)
        self.documents: list[tuple[str, int, str, str]] = []
        self.keys: Listed[tuple[int, str, bytes]] = Listed(scratch)
        self._requests: Listed[tuple[str, int]] = Listed(scratch)
        self._erased = erased
        self._grants: Remembered[_Grant] = Remembered(scratch, _AT_HAND, lambda _: _NOT_GRANTED)

    def findings(self) -> list[Finding]:
        """Return what was found since the last time, and let go of what need not be at hand."""
        self.streams.trim()
        self._grants.trim()
        found, self._found = self._found, []
        return found

    # --- one event after the other ---

    def follow(self, recorded: RecordedEvent) -> None:
        """Take the next event of the log."""
        if not well_typed(recorded):
            self._pass_over(recorded)
            return
        name, version = recorded.stream, recorded.version
        stream = self.streams[name]
        if stream.first is None:
            stream.first = recorded.position
        if version != stream.version + 1:
            self._find("gapless", recorded, f"version {version} follows version {stream.version}")
        if recorded.hash != next_hash(stream.hash, name, version, recorded, recorded.at):
            self._find("chained", recorded, "the hash is not that of this event after the previous one")
        stream.version, stream.hash = version, recorded.hash
        kind, _, whose = name.partition(":")
        try:
            meta = codec.decode_meta(recorded.meta)
            if kind == "person":
                event = codec.decode_person_event(recorded)
                self._live(whose, stream, event, recorded)
                if isinstance(event, PersonErased):
                    self._erased(Erased(whose, recorded.at, meta.actor))
            elif kind == "account":
                self._book(whose, stream, codec.decode_account_event(recorded), recorded)
            else:
                self._find("readable", recorded, "the stream is neither a person's nor an account's")
        except (LogUnreadable, RecursionError) as error:
            self._find("readable", recorded, str(error))

    def _find(self, law: str, recorded: RecordedEvent, words: str | None) -> None:
        """Take down what is wrong with an event, if anything is."""
        if words is not None:
            self._found.append(Finding(law, recorded.stream, recorded.version, words))

    def _pass_over(self, recorded: RecordedEvent) -> None:
        """Name a row that is no event, and follow its stream past it by what can be used of it."""
        spoilt = dict(mistyped(recorded))
        if "stream" not in spoilt:
            stream = self.streams[recorded.stream]
            stream.first = recorded.position if stream.first is None else stream.first
            stream.version = stream.version + 1 if "version" in spoilt else recorded.version
            stream.hash = b"" if "hash" in spoilt else recorded.hash
        words = f"the row {recorded.position}: {', '.join(spoilt.values())}"
        version = None if "version" in spoilt else recorded.version
        self._found.append(Finding("readable", printable(recorded.stream), version, words))

    def _live(self, person_id: str, stream: Stream, event: PersonEvent, recorded: RecordedEvent) -> None:
        before = stream.person or people.nobody(person_id)
        after = stream.person = people.evolve(before, event, recorded.at)
        stream.events += 1
        for law in laws.PERSON_LAWS:
            words = law(before, event, after)
            if words is not None:
                self._find(law.__name__, recorded, words)
        stream.owed += credits_for(person_id, before.run, after.run)
        for name, digest in documents_of(event):
            self.documents.append((recorded.stream, recorded.version, name, digest))
        if isinstance(event, RunStarted):
            key = beside.key_of_run(recorded.stream, event)
            self.keys.add(key.key, (recorded.version, key.stream, key.value))
            if event.request_digest is not None:
                self._requests.add(event.request_digest, (recorded.stream, recorded.version))

    def _book(self, owner: str, stream: Stream, event: AccountEvent, recorded: RecordedEvent) -> None:
        before = stream.account or accounts.EMPTY
        after = stream.account = accounts.evolve(before, event)
        stream.events += 1
        for law in laws.ACCOUNT_LAWS:
            self._find(law.__name__, recorded, law(before, event, after))
        match event:
            case CreditsGranted() | CreditsRevoked():
                self._find("grants_count_once", recorded, self._grant_counted(recorded.stream, event))
                key = beside.key_of_grant(owner, recorded.stream, event)
                self.keys.add(key.key, (recorded.version, key.stream, key.value))
            case CreditsHeld() | CreditsCharged() | CreditsReleased() | CreditsRefunded():  # The last case.
                person = self.streams[transactions.person_stream(event.person_id)]
                self._find("one_hold_per_run", recorded, _hold_followed(person, event))
                self._find("credits_follow_runs", recorded, _called_for(person, event, recorded.stream))

    def _grant_counted(self, stream: str, event: CreditsGranted | CreditsRevoked) -> str | None:
        name = transactions.grant_key("grant", stream, event.grant_id)
        known = self._grants[name]
        if isinstance(event, CreditsGranted):
            if known.amount is not None:
                return f"the grant {event.grant_id!r} was granted before"
            self._grants[name] = _Grant(event.amount, known.revoked)
            return None
        self._grants[name] = _Grant(known.amount, revoked=True)
        if known.amount != event.amount:
            return f"{event.amount} credits of the grant {event.grant_id!r} are revoked, {known.amount} were granted"
        return f"the grant {event.grant_id!r} was revoked before" if known.revoked else None

    # --- what is looked at later, many together ---

    def compare_documents(self, log: Reader) -> None:
        """Check the documents that the events named since the last time."""
        streams = tuple({stream for stream, *_ in self.documents})
        names = tuple({transactions.SALT, *(name for _, _, name, _ in self.documents)})
        found = log.read(Query(streams=streams, documents=names)).documents
        for name, version, document, digest in self.documents:
            salt, body = found.get((name, transactions.SALT)), found.get((name, document))
            if salt is None or body is None:
                self.streams[name].missing += ((version, document),)
            elif codec.digest(salt, body) != digest:
                words = f"the document {document} is not what was recorded"
                self._found.append(Finding("documents_match", name, version, words))
        self.documents = []

    def keys_used_twice(self) -> Iterator[Finding]:
        """Yield each run that was started by a request key that had started one before."""
        last = None
        for digest, (stream, version) in self._requests.items():
            if digest == last:
                yield Finding("keys_are_kept", stream, version, "the request key has started a run before")
            last = digest


def _called_for(person: Stream, event: _CreditsOfRun, account: str) -> str | None:
    """Hold an account's event against what the person's runs call for."""
    if person.person is None or not person.owed:
        return f"no run of person {event.person_id} calls for {type(event).__name__}"
    if transactions.account_stream(person.person.owner) != account:
        return f"person {event.person_id} is {person.person.owner}'s"
    wanted, *later = person.owed
    person.owed = tuple(later)
    return None if wanted == event else f"the person's run calls for {wanted}, not {event}"


def _hold_followed(person: Stream, event: _CreditsOfRun) -> str | None:
    """Follow a run's hold through accounts alone: held, then charged or released, then perhaps refunded."""
    run_no, hold = person.held_run_no, person.hold
    person.held_run_no = event.run_no
    if isinstance(event, CreditsHeld):
        person.hold = Hold.OPEN
        if event.run_no <= run_no:
            return f"run {event.run_no} of person {event.person_id} has a hold already"
        return f"run {event.run_no} is held while run {run_no} still is" if hold is Hold.OPEN else None
    needed, person.hold = _FOLLOWS[type(event)]
    if event.run_no == run_no and hold is needed:
        return None
    return f"{type(event).__name__} of run {event.run_no}, but the last hold is run {run_no}'s and {hold}"


_FOLLOWS: dict[type, tuple[Hold, Hold]] = {
    CreditsCharged: (Hold.OPEN, Hold.CHARGED),
    CreditsReleased: (Hold.OPEN, Hold.RELEASED),
    CreditsRefunded: (Hold.CHARGED, Hold.REFUNDED),
}
