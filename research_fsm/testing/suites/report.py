"""Asks a suite every question it has without a test framework, and reports what was broken, in words.

Floor 6. A part of `research_fsm.testing.conformance`. Each question has a thread of its own, so that a store that waits
for ever is reported too, with the line at which it stands.
"""

import logging
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from inspect import cleandoc
from pathlib import Path
from types import FrameType

from attrs import define, frozen

__all__ = ["Broken", "BrokenPromises", "Kept", "ask"]

_UNHEARD = logging.NullHandler()
"""Keeps what the library logs about faults that a suite asks for off the terminal; who collects logs has it anyway."""

_PATIENCE_SECONDS = 120
_AWAITED = ", for those who await"

_SUITES = Path(__file__).parent
_LIBRARY = _SUITES.parent.parent
_SHARED = frozenset(_SUITES / name for name in ("base.py", "expect.py", "report.py"))
_MACHINERY = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
"""The standard library and installed packages: between a question and its answer they say nothing."""


@frozen
class Broken:
    """A promise that is broken.

    Args:
        promise: What it is, in a few words.
        meaning: What it says, in a sentence.
        found: What was found instead.
        where: The lines that lead there, the outermost first.
    """

    promise: str
    meaning: str
    found: str
    where: tuple[str, ...]

    def __str__(self) -> str:
        led = "".join(f"\n     {line}" for line in self.where)
        return f"{self.promise}\n   {self.meaning}\n   {self.found}{led}"


class BrokenPromises(AssertionError):  # What it says, as the rest of the vocabulary.
    """Something does not keep its promise.

    Args:
        what: What was asked.
        broken: What it breaks.
        asked: How many promises there are.
    """

    def __init__(self, what: str, broken: tuple[Broken, ...], asked: int) -> None:
        self.broken = broken
        self.asked = asked
        blocking = {one.promise for one in broken if not one.promise.endswith(_AWAITED)}
        shown = [one for one in broken if one.promise in blocking or one.promise.removesuffix(_AWAITED) not in blocking]
        told = "\n\n".join(f"{number}. {one}" for number, one in enumerate(shown, 1))
        again = len(broken) - len(shown)
        also = f"\n\nFor those who await, {again} of these are broken as well." if again else ""
        super().__init__(f"{what} breaks {len(broken)} of {asked} promises\n\n{told}{also}")


@frozen
class Kept:
    """Every promise was kept.

    Args:
        promises: What they are, in the order in which they were asked for.
    """

    promises: tuple[str, ...]


def ask(what: str, suites: Iterable[Callable[[], object]]) -> Kept:
    """Ask everything that suites ask, each question of a fresh one.

    Args:
        what: What is asked, for the report.
        suites: Each makes a suite with a place of its own.

    Raises:
        BrokenPromises: Something is not as it should be; everything else was asked all the same.
    """
    kept, broken = list[str](), list[Broken]()
    logging.getLogger("research_fsm").addHandler(_UNHEARD)
    for make in suites:
        for name in _questions(make()):
            suite = make()
            found = _asked(getattr(suite, name))
            promise = _in_words(name) + (_AWAITED if getattr(suite, "awaiting", False) else "")
            if found is None:
                kept.append(promise)
            else:
                broken.append(Broken(promise, cleandoc(getattr(suite, name).__doc__ or ""), *found))
    if broken:
        raise BrokenPromises(what, tuple(broken), len(kept) + len(broken))
    return Kept(tuple(kept))


def _questions(suite: object) -> Iterator[str]:
    """Yield the names of a suite's tests, in the order in which its classes say them."""
    seen = dict[str, None]()
    for kind in type(suite).__mro__:
        seen |= dict.fromkeys(name for name in vars(kind) if name.startswith("test_"))
    return iter(seen)


def _in_words(name: str) -> str:
    return name.removeprefix("test_").replace("_s_", "'s ").replace("_", " ")


@define
class _Answer:
    error: BaseException | None = None


def _asked(question: Callable[[], None]) -> tuple[str, tuple[str, ...]] | None:
    """Ask one question; return what was found, and where, if it is not as it should be."""
    answer = _Answer()

    def think() -> None:
        try:
            question()
        except BaseException as error:  # noqa: BLE001  # Told in the report, whatever it is.
            answer.error = error

    thinking = threading.Thread(target=think, daemon=True)
    thinking.start()
    thinking.join(_PATIENCE_SECONDS)
    if thinking.is_alive():
        frame = sys._current_frames().get(thinking.ident or 0)  # noqa: SLF001  # The documented way to ask.
        return f"it still waits after {_PATIENCE_SECONDS} seconds", _standing(frame)
    error = answer.error
    if error is None:
        return None
    said = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return said, _lines(traceback.extract_tb(error.__traceback__))


def _standing(frame: FrameType | None) -> tuple[str, ...]:
    return () if frame is None else _lines(traceback.extract_stack(frame))


def _lines(stack: Iterable[traceback.FrameSummary]) -> tuple[str, ...]:
    """Return where it happened: the line of the suite that asked, and those of whoever answered."""
    told = list(stack)
    asked = [one for one in told if Path(one.filename).parent == _SUITES and Path(one.filename) not in _SHARED]
    outside = [one for one in told if not Path(one.filename).is_relative_to(_LIBRARY)]
    answered = [one for one in outside if not one.filename.startswith(_MACHINERY)]
    return tuple(f"{one.filename}:{one.lineno}: {one.line}" for one in (*asked[:1], *answered))
