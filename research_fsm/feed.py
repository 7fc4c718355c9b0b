"""The feed: every event of the log, once and in the order of its positions, to whoever keeps the place.

Floor 6. Imports the store's contract and the errors, and the driver's threads for those who await. It keeps nothing: a
follower's place is the position of the last event that it has done with, and is best kept where what it does is kept,
in the same transaction. An event is handed out only when nothing can be added before it any more.
"""

import logging
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from datetime import timedelta
from itertools import islice, takewhile

from attrs import define, field

from research_fsm.driver import in_thread
from research_fsm.errors import FeedStalled, InvalidInput, StoreUnavailable
from research_fsm.storage import Extent, Followed, RecordedEvent, Watch

__all__ = ["PATIENCE", "follow", "follow_async", "settled"]

PATIENCE = timedelta(minutes=1)
"""How long a feed waits, unless it is told otherwise, for a transaction in its way or a server that is restarted."""

_PAGE = 500
"""How many events are fetched at a time."""

_SHORTEST_SECONDS = 0.001
_SHORT_SECONDS = 0.05
_LONG_SECONDS = 60.0

_log = logging.getLogger(__name__)


def follow(
    store: Followed, *, after: int = 0, wait: timedelta | None = None, patience: timedelta = PATIENCE
) -> Generator[RecordedEvent, None, None]:
    """Yield the events behind a position, and those that come; see `runs.Runs.follow`."""
    return _followed(store, _Pace(after, wait, patience))


def follow_async(
    store: Followed, *, after: int = 0, wait: timedelta | None = None, patience: timedelta = PATIENCE
) -> AsyncGenerator[RecordedEvent, None]:
    """Yield the events behind a position, and those that come, to whoever awaits them; see `runs.Runs.follow`."""
    return _followed_async(store, _Pace(after, wait, patience))


def settled(store: Followed, *, patience: timedelta = PATIENCE) -> int:
    """Return the position up to which nothing can be added to the log any more: at least as far as it reaches now.

    Args:
        store: The store.
        patience: How long to wait for a transaction that was left open in the way.

    Raises:
        FeedStalled: It was left open for longer.
        StoreError: The log could not be read.
    """
    pace = _Pace(0, timedelta(0), patience)
    with closing(store.watch()) as watch:
        while True:
            pace.see(watch.extent())
            pace.place = pace.extent.settled
            pause = pace.pause(watch)
            if pause is None:
                return pace.place
            watch.wait(pause)


def _followed(store: Followed, pace: "_Pace") -> Generator[RecordedEvent, None, None]:
    with closing(store.watch()) as watch:
        while True:
            try:
                for event in _settled(store, watch, pace):
                    yield pace.passed(event)
                pause = pace.pause(watch)
            except StoreUnavailable as error:
                pause = pace.pause_after(error)
            if pause is None:
                return
            if pause:
                watch.wait(pause)


async def _followed_async(store: Followed, pace: "_Pace") -> AsyncGenerator[RecordedEvent, None]:
    with closing(await in_thread(store.watch)) as watch:
        while True:
            try:
                for event in await in_thread(lambda: _settled(store, watch, pace)):
                    yield pace.passed(event)
                pause = await in_thread(lambda: pace.pause(watch))
            except StoreUnavailable as error:
                pause = pace.pause_after(error)
            if pause is None:
                return
            if pause:
                await watch.wait_async(pause)


def _settled(store: Followed, watch: Watch, pace: "_Pace") -> list[RecordedEvent]:
    """Return the next events before which nothing can be added any more."""
    extent = watch.extent()
    pace.see(extent)
    if extent.settled <= pace.place:
        return []
    behind = store.events(after=pace.place)
    return list(islice(takewhile(lambda event: event.position <= extent.settled, behind), _PAGE))


@define
class _Pace:
    """Where a follower is, and how long it waits before it looks again."""

    place: int = field()
    wait: timedelta | None = field()
    patience: timedelta = field()
    extent: Extent = field(default=Extent(0, 0), init=False)
    _goal: int | None = None
    _quiet_since: float = field(factory=time.monotonic)
    _free_since: float = field(factory=time.monotonic)
    _reached: float = field(factory=time.monotonic)
    _short: float = _SHORTEST_SECONDS

    @place.validator
    def _check_place(self, _: object, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidInput("after", f"must be the position of an event, or 0 for the whole log, not {value!r}")

    @wait.validator
    def _check_wait(self, _: object, value: object) -> None:
        if value is not None and (not isinstance(value, timedelta) or value < timedelta(0)):
            raise InvalidInput("wait", f"must be a time, or None to follow for ever, not {value!r}")

    @patience.validator
    def _check_patience(self, _: object, value: object) -> None:
        if not isinstance(value, timedelta) or value < timedelta(0):
            raise InvalidInput("patience", f"must be a time, not {value!r}")

    def see(self, extent: Extent) -> None:
        """Note how far the log goes, and refuse a place that is not in it."""
        if extent.newest < self.place:
            raise InvalidInput(
                "after",
                f"the log ends at position {extent.newest}, before event {self.place}: it is another log, or an older "
                "state of this one was restored; look for the last event that both know, by its hash",
            )
        now = time.monotonic()
        if extent.settled > self.extent.settled or extent.settled == extent.newest:
            self._free_since, self._short = now, _SHORTEST_SECONDS
        self._goal = extent.newest if self._goal is None else self._goal
        self.extent, self._reached = extent, now

    def passed(self, event: RecordedEvent) -> RecordedEvent:
        """Move behind an event."""
        self.place, self._quiet_since = event.position, time.monotonic()
        return event

    def pause(self, watch: Watch) -> float | None:
        """Return for how many seconds to wait for news, or None if the follower has waited long enough.

        Raises:
            FeedStalled: Somebody has been in the way for too long.
        """
        if self.extent.settled > self.place:
            return 0.0
        now = time.monotonic()
        left = _LONG_SECONDS
        if self.wait is not None and self.place >= (self._goal or 0):
            left = self.wait.total_seconds() - (now - self._quiet_since)
            if left <= 0:
                return None
        if self.extent.newest == self.extent.settled:
            return min(left, _LONG_SECONDS)
        if now - self._free_since > self.patience.total_seconds():
            raise FeedStalled(
                watch.where,
                f"the log is settled up to position {self.extent.settled} and has grown to {self.extent.newest}: "
                f"{watch.behind()} may still add events between; end that transaction and follow on",
            )
        return self._in_short(left)

    def pause_after(self, error: StoreUnavailable) -> float:
        """Return for how many seconds to wait for a store that cannot be reached.

        Raises:
            StoreUnavailable: It has not been reached for too long.
        """
        if time.monotonic() - self._reached > self.patience.total_seconds():
            raise error
        _log.warning("the feed waits behind position %s: %s", self.place, error)
        return self._in_short(_LONG_SECONDS)

    def _in_short(self, left: float) -> float:
        """Return ever longer pauses, for what nobody will give notice of."""
        self._short = min(self._short * 2, _SHORT_SECONDS)
        return min(self._short, left)
