"""When the log behind the page is verified: once for however many look, and not again for every look."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from research_fsm.audit.owners import Verified, verify_for_owners
from research_fsm.errors import StoreBusy, StoreDamaged, StoreReadOnly
from research_fsm.http.verifying import Verification
from research_fsm.page.verdict import Failure, Standing
from tests.explain.worlds import START, World

MINUTE = 60_000_000


class Watched:
    """A verification of a world that the tests begin and end by hand."""

    def __init__(self, error: Exception | None = None) -> None:
        self.world, self.error = World(), error
        self.world.person()
        self.begun: list[Callable[[], None]] = []
        self.verification = Verification(
            self._verify, every=timedelta(minutes=10), clock=lambda: self.world.now, begin=self.begun.append
        )

    def _verify(self) -> Verified:
        if self.error is not None:
            raise self.error
        return verify_for_owners(self.world.store)

    def look(self) -> Standing:
        """Look as acme does."""
        return self.verification.standing(self.world.store, "acme")

    def end(self) -> None:
        """Let what was begun come to its end."""
        (task,) = self.begun
        self.begun.clear()
        task()


def test_the_first_look_begins_it_and_a_later_one_sees_what_was_found() -> None:
    """With the time and the position that it holds for; nobody waits for it."""
    watched = Watched()
    assert watched.look() == Standing(since=START)
    watched.world.later(minutes=3)
    assert watched.look() == Standing(since=START)
    watched.end()
    seen = watched.look().seen
    assert seen is not None
    assert (seen.at, seen.position, seen.own, seen.others) == (START + 3 * MINUTE, 2, 0, 0)
    assert watched.begun == []


def test_however_many_look_at_once_it_begins_once() -> None:
    """Everybody is told since when."""
    watched, together = Watched(), threading.Barrier(8)

    def look(_: int) -> Standing:
        together.wait()
        return watched.look()

    with ThreadPoolExecutor(8) as many:
        assert set(many.map(look, range(8))) == {Standing(since=START)}
    assert len(watched.begun) == 1


def test_whether_it_is_under_way_is_seen_and_said_in_one_step() -> None:
    """Nobody can look between the two."""
    world, alone = World(), list[bool]()
    verification = Verification(
        lambda: verify_for_owners(world.store), begin=lambda _: alone.append(verification._lock.locked())
    )
    verification.standing(world.store, "acme")
    assert alone == [True]


def test_it_begins_again_after_a_while_if_something_was_appended() -> None:
    """What was found before stands meanwhile."""
    watched = Watched()
    watched.look()
    watched.end()
    watched.world.runs.grant("acme", 1)
    watched.world.later(minutes=9, seconds=59)
    assert watched.look().since is None
    watched.world.later(seconds=1)
    again = watched.look()
    assert again.since == START + 10 * MINUTE
    assert again.seen is not None
    assert again.seen.position == 2
    watched.end()
    after = watched.look()
    assert after.seen is not None
    assert (after.seen.position, after.since) == (3, None)


def test_it_begins_again_in_an_hour_though_nothing_was_appended() -> None:
    """Somebody may have edited what is there."""
    watched = Watched()
    watched.look()
    watched.end()
    watched.world.later(minutes=59)
    assert watched.look().since is None
    watched.world.later(minutes=1)
    assert watched.look().since is not None


def test_the_while_is_counted_from_its_end() -> None:
    """One that takes longer than the while does not follow upon itself."""
    watched = Watched()
    watched.look()
    watched.world.later(minutes=30)
    watched.end()
    watched.world.runs.grant("acme", 1)
    assert watched.look().since is None
    watched.world.later(minutes=10)
    assert watched.look().since is not None


def test_a_clock_that_was_set_back_puts_nothing_off() -> None:
    """However wrong it was before."""
    watched = Watched()
    watched.world.later(days=365)
    watched.look()
    watched.end()
    watched.world.now = START
    assert watched.look().since == START


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreBusy("/secret/place.db", "locked"), "the store was busy"),
        (StoreDamaged("/secret/place.db", "torn"), "the store is damaged; restore a backup"),
        (StoreReadOnly("/secret/place.db", "no"), "the store could not be read; the server's log says why"),
        (ChildProcessError("/secret/place.db"), "it broke off; the server's log says why"),
    ],
)
def test_one_that_comes_to_nothing_says_so(error: Exception, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """Beside what was found before; the server's log has the place, which is nobody else's. Later it is tried again."""
    watched = Watched()
    watched.look()
    watched.end()
    watched.world.later(hours=1)
    watched.look()
    watched.error = error
    with caplog.at_level(logging.WARNING, "research_fsm"):
        watched.end()
    assert "/secret/place.db" in caplog.text
    standing = watched.look()
    assert standing.failure == Failure(START + 60 * MINUTE, words)
    assert standing.since is None
    assert standing.seen is not None
    watched.world.later(minutes=10)
    assert watched.look().since is not None
    watched.error = None
    watched.end()
    assert watched.look().failure is None


def test_a_first_one_that_comes_to_nothing_is_not_repeated_for_every_look() -> None:
    """A store that is busy is left alone for a while, too."""
    watched = Watched(error=StoreBusy("research.db", "locked"))
    watched.look()
    watched.end()
    watched.world.later(minutes=9)
    assert watched.look() == Standing(failure=Failure(START, "the store was busy"))
    assert watched.begun == []
    watched.world.later(minutes=1)
    assert watched.look().since is not None


def test_a_thread_that_cannot_be_had_is_tried_again() -> None:
    """The look fails, and the next one begins it."""
    world, tries = World(), list[Callable[[], None]]()

    def begin(task: Callable[[], None]) -> None:
        tries.append(task)
        if len(tries) == 1:
            raise RuntimeError("can't start new thread")

    verification = Verification(lambda: verify_for_owners(world.store), clock=lambda: world.now, begin=begin)
    with pytest.raises(RuntimeError):
        verification.standing(world.store, "acme")
    assert verification.standing(world.store, "acme").since == START


def test_it_is_done_in_a_thread_of_its_own() -> None:
    """Unless it is begun otherwise: whoever looks is answered while it goes on."""
    world, may_end, ended = World(), threading.Event(), threading.Event()

    def verify() -> Verified:
        may_end.wait()
        ended.set()
        return verify_for_owners(world.store)

    verification = Verification(verify, clock=lambda: world.now)
    assert verification.standing(world.store, "acme").since == START
    assert not ended.is_set()
    (thread,) = (one for one in threading.enumerate() if one.name == "verification")
    assert thread.daemon
    may_end.set()
    thread.join()
    assert verification.standing(world.store, "acme").seen is not None
