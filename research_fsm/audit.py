"""Verify a log that somebody else wrote: is it whole, is it legal, does the money add up.

Floor 6. Reads one point in time by position and trusts nothing but the events: heads, documents and keys are held
against what the events say. Nor does it trust the types of what it reads: a file may have been edited by hand. It
folds with the same `evolve` as everything else, and never writes. What the log does not say cannot be held against it:
a partner's LinkedIn URL is personal data, so that a lost unique key of one is not found.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from attrs import Factory, define

from research_fsm import account as accounts
from research_fsm import audit_beside as beside
from research_fsm import codec, laws, transactions
from research_fsm import person as people
from research_fsm.account import Account, credits_for
from research_fsm.audit_beside import Chain, Grant, Life, mistyped, printable
from research_fsm.audit_memory import Remembered, Scratch
from research_fsm.errors import LogUnreadable
from research_fsm.events import (
    AccountEvent,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    CreditsRevoked,
    PersonEvent,
    RunStarted,
)
from research_fsm.laws import Finding
from research_fsm.lifecycle import Phase, Status
from research_fsm.person import Hold
from research_fsm.storage import Query, Reader, RecordedEvent, UniqueKey, first_hash, next_hash

__all__ = ["verify", "verify_events"]

_CHUNK = 200

_AT_HAND = 2000
"""How many streams are remembered without looking into the file."""

_CreditsOfRun = CreditsHeld | CreditsCharged | CreditsReleased | CreditsRefunded


def verify(reader: Reader, followed: Callable[[], object] = lambda: None) -> Iterator[Finding]:
    """Yield every place where the log breaks a law; nothing if it is whole.

    A tail that was cut off together with its heads leaves a shorter log that is whole, and is not found here.

    Args:
        reader: A store, or a snapshot of one. It is not written to, and may be written to by others meanwhile.
        followed: Called after each event, to show how far it is.
    """
    with closing(Scratch()) as scratch, reader.snapshot() as log:
        yield from _Audit.remembering_in(scratch).findings(log, followed)


def verify_events(events: Iterable[RecordedEvent]) -> Iterator[Finding]:
    """Yield every place where events alone, such as those of an exported file, break a law.

    What stands beside a log is not asked for: heads, documents, unique keys and the embedded queue.

    Args:
        events: A whole log's events in the order of their positions. That they cannot be read on is a finding, too.
    """
    with closing(Scratch()) as scratch:
        audit = _Audit.remembering_in(scratch)
        try:
            for recorded in events:
                yield from audit.followed(recorded)
                audit.documents, audit.keys = [], []
        except LogUnreadable as error:
            yield Finding("readable", error.what, None, f"{error.problem}; nothing behind it was looked at")
            return
        yield from audit.unsettled()


@define
class _Audit:
    """What is remembered while the log goes by: little for each stream, grant and request key, and that in a file."""

    chains: Remembered[Chain]
    lives: Remembered[Life]
    accounts: Remembered[Account]
    grants: Remembered[Grant]
    holds: Remembered[tuple[int, Hold]]
    requests: Remembered[bool]
    documents: list[tuple[str, int, str, str]] = Factory(list)
    keys: list[tuple[int, UniqueKey]] = Factory(list)

    @classmethod
    def remembering_in(cls, scratch: Scratch) -> "_Audit":
        return cls(
            chains=Remembered(scratch, _AT_HAND),
            lives=Remembered(scratch, _AT_HAND),
            accounts=Remembered(scratch, _AT_HAND),
            grants=Remembered(scratch, _AT_HAND),
            holds=Remembered(scratch, _AT_HAND),
            requests=Remembered(scratch, _AT_HAND),
        )

    def findings(self, log: Reader, followed: Callable[[], object]) -> Iterator[Finding]:
        for recorded in log.events():
            yield from self.followed(recorded)
            followed()
            if len(self.documents) + len(self.keys) >= _CHUNK:
                yield from self._beside_the_log(log)
        yield from self._beside_the_log(log)
        yield from self.unsettled()
        yield from beside.heads_differ(log, self.chains, self.lives, self.accounts)
        yield from beside.forgotten(log, self.lives)
        yield from beside.left_behind(log, self.lives)

    # --- one event after the other ---

    def followed(self, recorded: RecordedEvent) -> Iterator[Finding]:
        stream, version = recorded.stream, recorded.version
        spoilt = ", ".join(words for _, words in mistyped(recorded))
        if spoilt:
            yield self._passed_over(recorded, spoilt)
            return
        chain = self._chain_of(recorded)
        if version != chain.version + 1:
            yield Finding("gapless", stream, version, f"version {version} follows version {chain.version}")
        if recorded.hash != next_hash(chain.hash, stream, version, recorded, recorded.at):
            yield Finding("chained", stream, version, "the hash is not that of this event after the previous one")
        chain.version, chain.hash = version, recorded.hash
        kind, _, name = stream.partition(":")
        try:
            codec.decode_meta(recorded.meta)
            if kind == "person":
                yield from self._lived(name, codec.decode_person_event(recorded), recorded)
            elif kind == "account":
                yield from self._booked(name, codec.decode_account_event(recorded), recorded)
            else:
                yield Finding("readable", stream, version, "the stream is neither a person's nor an account's")
        except (LogUnreadable, RecursionError) as error:
            yield Finding("readable", stream, version, str(error))

    def _chain_of(self, recorded: RecordedEvent) -> Chain:
        chain = self.chains.get(recorded.stream)
        if chain is None:
            chain = Chain(0, first_hash(recorded.stream), recorded.position)
            self.chains.put(recorded.stream, chain)
        return chain

    def _passed_over(self, recorded: RecordedEvent, words: str) -> Finding:
        """Name a row that is no event, and follow its stream past it by what can be used of it."""
        usable = {"stream", "version", "hash"} - {name for name, _ in mistyped(recorded)}
        if "stream" in usable:
            chain = self._chain_of(recorded)
            chain.version = recorded.version if "version" in usable else chain.version + 1
            chain.hash = recorded.hash if "hash" in usable else b""
        version = recorded.version if "version" in usable else None
        return Finding("readable", printable(recorded.stream), version, f"the row {recorded.position}: {words}")

    def _lived(self, person_id: str, event: PersonEvent, recorded: RecordedEvent) -> Iterator[Finding]:
        stream, version = recorded.stream, recorded.version
        life = self.lives.get(stream) or self.lives.put(stream, Life(people.nobody(person_id)))
        before, life.person = life.person, people.evolve(life.person, event, recorded.at)
        life.events += 1
        for law in laws.PERSON_LAWS:
            words = law(before, event, life.person)
            if words is not None:
                yield Finding(law.__name__, stream, version, words)
        life.due_credits.extend(credits_for(person_id, before.run, life.person.run))
        self.documents.extend((stream, version, name, digest) for name, digest in beside.documents_of(event))
        if isinstance(event, RunStarted):
            self.keys.append((version, beside.key_of_run(stream, event)))
            if event.request_digest is not None:
                if self.requests.get(event.request_digest):
                    yield Finding("keys_are_kept", stream, version, "the request key has started a run before")
                self.requests.put(event.request_digest, True)  # noqa: FBT003 - a set is a mapping to True.

    def _booked(self, owner: str, event: AccountEvent, recorded: RecordedEvent) -> Iterator[Finding]:
        stream, version = recorded.stream, recorded.version
        before = self.accounts.get(stream) or accounts.EMPTY
        after = self.accounts.put(stream, accounts.evolve(before, event))
        for law in laws.ACCOUNT_LAWS:
            words = law(before, event, after)
            if words is not None:
                yield Finding(law.__name__, stream, version, words)
        match event:
            case CreditsGranted() | CreditsRevoked():
                granted = self._grant_counted(stream, event)
                if granted is not None:
                    yield Finding("grants_count_once", stream, version, granted)
                self.keys.append((version, beside.key_of_grant(owner, stream, event)))
            case CreditsHeld() | CreditsCharged() | CreditsReleased() | CreditsRefunded():
                held = self._hold_followed(stream, event)
                if held is not None:
                    yield Finding("one_hold_per_run", stream, version, held)
                called_for = self._called_for(stream, event)
                if called_for is not None:
                    yield Finding("credits_follow_runs", stream, version, called_for)

    def _called_for(self, stream: str, event: _CreditsOfRun) -> str | None:
        """Hold an account's event against what the person's runs call for."""
        life = self.lives.get(transactions.person_stream(event.person_id))
        if life is None or not life.due_credits:
            return f"no run of person {event.person_id} calls for {type(event).__name__}"
        if transactions.account_stream(life.person.owner) != stream:
            return f"person {event.person_id} is {life.person.owner}'s"
        wanted = life.due_credits.popleft()
        return None if wanted == event else f"the person's run calls for {wanted}, not {event}"

    def _grant_counted(self, stream: str, event: CreditsGranted | CreditsRevoked) -> str | None:
        name = transactions.grant_key("grant", stream, event.grant_id)
        known = self.grants.get(name)
        if isinstance(event, CreditsGranted):
            if known is not None and known.amount is not None:
                return f"the grant {event.grant_id!r} was granted before"
            self.grants.put(name, Grant(event.amount, known is not None and known.revoked))
            return None
        granted, again = (None, False) if known is None else (known.amount, known.revoked)
        self.grants.put(name, Grant(granted, revoked=True))
        if granted != event.amount:
            return f"{event.amount} credits of the grant {event.grant_id!r} are revoked, {granted} were granted"
        return f"the grant {event.grant_id!r} was revoked before" if again else None

    def _hold_followed(self, stream: str, event: _CreditsOfRun) -> str | None:
        """Follow a run's hold through the account alone: held, then charged or released, then perhaps refunded."""
        name = transactions.grant_key("hold", stream, event.person_id)
        run_no, hold = self.holds.get(name) or (0, Hold.RELEASED)
        if isinstance(event, CreditsHeld):
            self.holds.put(name, (event.run_no, Hold.OPEN))
            if event.run_no <= run_no:
                return f"run {event.run_no} of person {event.person_id} has a hold already"
            return f"run {event.run_no} is held while run {run_no} still is" if hold is Hold.OPEN else None
        needed, becomes = _FOLLOWS[type(event)]
        self.holds.put(name, (event.run_no, becomes))
        if event.run_no == run_no and hold is needed:
            return None
        return f"{type(event).__name__} of run {event.run_no}, but the last hold is run {run_no}'s and {hold}"

    # --- what stands beside the log ---

    def _beside_the_log(self, log: Reader) -> Iterator[Finding]:
        """Check the documents and keys of the events followed since the last time."""
        streams = tuple({stream for stream, *_ in self.documents})
        names = tuple({transactions.SALT, *(name for _, _, name, _ in self.documents)})
        found = log.read(Query(streams=streams, documents=names)).documents
        for stream, version, name, digest in self.documents:
            salt, body = found.get((stream, transactions.SALT)), found.get((stream, name))
            if salt is None or body is None:
                life = self.lives.get(stream)
                if life is not None:
                    life.missing.append((version, name))
            elif codec.digest(salt, body) != digest:
                yield Finding("documents_match", stream, version, f"the document {name} is not what was recorded")
        kept = log.read(Query(keys=tuple(key.key for _, key in self.keys))).keys
        for version, key in self.keys:
            found_key = kept.get(key.key)
            if found_key is None:
                yield Finding("keys_are_kept", key.stream, version, f"the unique key {key.key} is missing")
            elif (found_key.stream, found_key.value) != (key.stream, key.value):
                words = f"the unique key {key.key} leads to {found_key.stream} with {found_key.value!r}"
                yield Finding("keys_are_kept", key.stream, version, words)
        self.documents, self.keys = [], []

    def unsettled(self) -> Iterator[Finding]:
        """Look for what is missing now that the whole log is known."""
        for stream, life in self.lives.items():
            run = life.person.run
            for wanted in life.due_credits:
                yield Finding("credits_follow_runs", stream, None, f"{wanted} is missing from the account")
            if run is not None and run.hold is Hold.OPEN and life.person.status is not Status.RUNNING:
                yield Finding("one_hold_per_run", stream, None, f"run {run.run_no} is over and its hold is open")
            for version, name in life.missing if life.person.phase is not Phase.ERASED else ():
                yield Finding("documents_match", stream, version, f"the document {name} or its salt is missing")


_FOLLOWS: dict[type, tuple[Hold, Hold]] = {
    CreditsCharged: (Hold.OPEN, Hold.CHARGED),
    CreditsReleased: (Hold.OPEN, Hold.RELEASED),
    CreditsRefunded: (Hold.CHARGED, Hold.REFUNDED),
}
