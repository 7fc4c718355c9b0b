"""What the suites check with: a failure says what was expected and what was found, under any test runner.

Floor 6. Imports no test framework. A bare ``assert`` shows the values that it compared only where pytest has rewritten
it, and nothing at all under ``python -O``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Self, TypeVar

from attrs import define, fields, has

__all__ = ["Raised", "raises", "same", "that", "the"]

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

_LONGEST = 300


@define
class Raised(Generic[E]):
    """A block that has to raise an error.

    Args:
        kind: Which.
        words: What has to be in what it says.
        error: What was raised, once it was.
    """

    kind: type[E]
    words: str
    error: E | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        """Take the error that was expected, and let any other pass."""
        __tracebackhide__ = True
        that(error is not None, f"expected {self.kind.__name__}, and nothing was raised")
        if not isinstance(error, self.kind):
            return False
        self.error = error
        wanted = f"expected {self.words!r} in what the {self.kind.__name__} says"
        that(self.words in str(error), f"{wanted}, found {_shown(str(error))}")
        return True


def that(holds: bool, otherwise: str) -> None:  # noqa: FBT001  # It is what the caller looked at.
    """Fail unless something holds.

    Args:
        holds: Whether it does.
        otherwise: What is wrong if it does not, in words.
    """
    __tracebackhide__ = True
    if not holds:
        raise AssertionError(otherwise)


def the(kind: type[T], found: object) -> T:
    """Return what was found; fail unless it is of a kind."""
    __tracebackhide__ = True
    if not isinstance(found, kind):
        raise AssertionError(f"expected {kind.__name__}, found {_shown(found)}")  # noqa: TRY004  # A test fails.
    return found


def same(found: object, expected: object) -> None:
    """Fail unless two values are equal, and show where they differ first."""
    __tracebackhide__ = True
    if found != expected:
        where, here, there = _difference(found, expected)
        raise AssertionError(f"{where and f'at {where}: '}expected {_shown(there)}, found {_shown(here)}")


def raises(kind: type[E], words: str = "") -> Raised[E]:
    """Fail unless the block raises an error of a kind, with these words in what it says."""
    return Raised(kind, words)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _difference(found: object, expected: object) -> tuple[str, object, object]:
    """Return where two values differ first, and what stands there in each."""
    for step, here, there in _parts(found, expected):
        if here != there:
            deeper, one, other = _difference(here, there)
            return step + deeper, one, other
    return "", found, expected


def _parts(found: Any, expected: Any) -> Iterator[tuple[str, object, object]]:  # noqa: ANN401  # Anything at all.
    """Yield what two values of one form are made of; nothing if their forms differ."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping) and found.keys() == expected.keys():
        yield from ((f"[{key!r}]", found[key], expected[key]) for key in expected)
    elif type(found) is not type(expected):
        return
    elif has(type(expected)):
        names = [one.name for one in fields(type(expected))]
        yield from ((f".{name}", getattr(found, name), getattr(expected, name)) for name in names)
    elif isinstance(found, list | tuple) and len(found) == len(expected):
        yield from ((f"[{place}]", *both) for place, both in enumerate(zip(found, expected, strict=True)))
