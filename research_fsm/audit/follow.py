"""Follow a log event by event: decode, hash and fold it, hold it against the laws, remember what is asked later.

Floor 6, a part of `audit`, above `beside`. It folds with the same `evolve` as everything else, trusts the types of
nothing that it reads, and never writes.
"""

from collections.abc import Callable, Iterator

from research_fsm import account as accounts
from research_fsm import codec, laws, transactions
from research_fsm import person as people
from research_fsm.account import credits_for
from research_fsm.audit import beside
from research_fsm.audit.memory import Listed, Remembered, Scratch
from research_fsm.audit.receipts import receipts_after
from research_fsm.audit.streams import Stream, documents_of, remembered
from research_fsm.columns import mistyped, printable, well_typed
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
from research_fsm.laws import Erased, Finding
from research_fsm.person import Hold
from research_fsm.rfc3339 import TIMES
from research_fsm.storage import RecordedEvent, next_hash

__all__ = ["Follower"]

_CreditsOfRun = CreditsHeld | CreditsCharged | CreditsReleased | CreditsRefunded


_Grant = tuple[int | None, bool]
"""A grant as far as the log has been followed: how much, if it was granted, and whether it was taken back."""

_NOT_GRANTED: _Grant = (None, False)


class Follower:
    """What is remembered while the log goes by, and what was found in it.

    Args:
        scratch: Where what is not at hand goes.
        erased: Called for each person who was erased.
        at_hand: How many streams are remembered without looking into the scratch file.
    """

    def __init__(self, scratch: Scratch, erased: Callable[[Erased], object], *, at_hand: int) -> None:
        self._found: list[Finding] = []
        self.streams: Remembered[Stream] = remembered(scratch, at_hand)
        self.documents: Listed[tuple[int, str, str]] = Listed(scratch)
        self.keys: Listed[tuple[int, str, bytes]] = Listed(scratch)
        self.receipts: Listed[tuple[str, int, bytes]] = Listed(scratch)
        self._requests: Listed[tuple[str, int]] = Listed(scratch)
        self._erased = erased
        self._grants: Remembered[_Grant] = Remembered(scratch, at_hand, lambda _: _NOT_GRANTED)

    def findings(self) -> list[Finding]:
        """Return what was found since the last time, and let go of what need not be at hand."""
        self.streams.trim()
        self._grants.trim()
        found, self._found = self._found, []
        return found

    # --- one event after the other ---

    def follow(self, recorded: RecordedEvent) -> None:
        """Take the next event of the log."""
        name, version = recorded.stream, recorded.version
        if not well_typed(recorded):
            self._pass_over(recorded)
            return
        stream = self.streams[name]
        if stream.first is None:
            stream.first = recorded.position
        if version != stream.version + 1:
            self._find("gapless", recorded, f"version {version} follows version {stream.version}")
        if recorded.hash != next_hash(stream.hash, name, version, recorded, recorded.at):
            self._find("chained", recorded, "the hash is not that of this event after the previous one")
        if recorded.at not in TIMES:
            self._find("readable", recorded, f"no calendar has the time {recorded.at}")
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
        for law in laws.PERSON_LAWS:
            words = law(before, event, after)
            if words is not None:
                self._find(law.__name__, recorded, words)
        stream.owed += credits_for(person_id, before.run, after.run)
        for name, digest in documents_of(event):
            self.documents.add(recorded.stream, (recorded.version, name, digest))
        for receipt, answer in receipts_after(before, event, after):
            self.receipts.add(recorded.stream, (receipt, recorded.version, answer))
        if isinstance(event, RunStarted):
            key = beside.key_of_run(recorded.stream, event)
            self.keys.add(key.key, (recorded.version, key.stream, key.value))
            self._note_request(event, recorded)

    def _note_request(self, event: RunStarted, recorded: RecordedEvent) -> None:
        if event.request_digest is not None:
            self._requests.add(event.request_digest, (recorded.stream, recorded.version))

    def _book(self, owner: str, stream: Stream, event: AccountEvent, recorded: RecordedEvent) -> None:
        before = stream.account or accounts.EMPTY
        after = stream.account = accounts.evolve(before, event)
        for law in laws.ACCOUNT_LAWS:
            self._find(law.__name__, recorded, law(before, event, after))
        match event:
            case CreditsGranted() | CreditsRevoked():
                self._find("grants_count_once", recorded, self._grant_counted(recorded.stream, event))
                key = beside.key_of_grant(owner, recorded.stream, event)
                self.keys.add(key.key, (recorded.version, key.stream, key.value))
            case CreditsHeld() | CreditsCharged() | CreditsReleased() | CreditsRefunded():  # The last case.
                self._follow_credits(event, recorded)

    def _follow_credits(self, event: _CreditsOfRun, recorded: RecordedEvent) -> None:
        """Hold credits of a run against the person's stream."""
        name = transactions.person_stream(event.person_id)
        person = self.streams[name]
        self._find("one_hold_per_run", recorded, _hold_followed(person, event))
        self._find("credits_follow_runs", recorded, _called_for(person, event, recorded.stream))

    def _grant_counted(self, stream: str, event: CreditsGranted | CreditsRevoked) -> str | None:
        name = transactions.grant_key("grant", stream, event.grant_id)
        granted, revoked = self._grants[name]
        if isinstance(event, CreditsGranted):
            if granted is not None:
                return f"the grant {event.grant_id!r} was granted before"
            self._grants[name] = (event.amount, revoked)
            return None
        self._grants[name] = (granted, True)
        if granted != event.amount:
            return f"{event.amount} credits of the grant {event.grant_id!r} are revoked, {granted} were granted"
        return f"the grant {event.grant_id!r} was revoked before" if revoked else None

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
        return f"person {event.person_id} is {person.person.owner or 'nobody'}'s"
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
