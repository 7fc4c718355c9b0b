"""What is public: named in an `__all__`, there, in order, and documented."""

import importlib
import inspect
from pathlib import Path

import pytest

import research_fsm

ROOT = Path(research_fsm.__file__).parent
CORE = [
    "account",
    "codec",
    "commands",
    "decide",
    "decide.callbacks",
    "decide.grants",
    "decide.decision",
    "decide.people",
    "decide.recovery",
    "decide.starts",
    "driver",
    "errors",
    "events",
    "flows",
    "lifecycle",
    "outcomes",
    "person",
    "policy",
    "profile",
    "reads",
    "requests",
    "rows",
    "runs",
    "storage",
    "tokens",
    "transactions",
    "transactions.callbacks",
    "transactions.grants",
    "transactions.people",
    "transactions.queue",
    "transactions.receipts",
    "transactions.recovery",
    "transactions.starts",
    "worker",
]


def modules() -> list[str]:
    """Name every module that exports something."""
    paths = (path for path in sorted(ROOT.rglob("*.py")) if "\n__all__ = " in path.read_text(encoding="utf-8"))
    names = (".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in names]


MODULES = modules()


def test_the_modules_are_found() -> None:
    """The tests below are about all of them, and every module of the core exports something."""
    assert {f"research_fsm.{name}" for name in CORE} < set(MODULES)
    assert "research_fsm" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_every_exported_name_is_there_and_in_order(name: str) -> None:
    """Once, and sorted as people look things up: constants, classes, functions."""
    module = importlib.import_module(name)
    exported = list(module.__all__)
    assert [one for one in exported if not hasattr(module, one)] == []
    assert len(set(exported)) == len(exported)
    assert exported == sorted(exported, key=_order)


@pytest.mark.parametrize("name", MODULES)
def test_whatever_is_exported_has_a_docstring(name: str) -> None:
    """The module, its classes and functions, and their public methods."""
    module = importlib.import_module(name)
    assert inspect.getdoc(module)
    exported = {one: getattr(module, one) for one in module.__all__}
    members = {
        f"{one}.{member}": value
        for one, found in exported.items()
        if inspect.isclass(found)
        for member, value in vars(found).items()
        if inspect.isfunction(value) and not member.startswith("_")
    }
    documented = {one: found for one, found in exported.items() if inspect.isclass(found) or _is_named(one, found)}
    bare = [one for one, found in {**documented, **members}.items() if not found.__doc__]
    assert bare == []


@pytest.mark.parametrize("name", CORE)
def test_what_is_public_by_its_name_is_exported(name: str) -> None:
    """A name without an underscore that stands in no `__all__` would be neither public nor private."""
    module = importlib.import_module(f"research_fsm.{name}")
    defined = {
        one
        for one, found in vars(module).items()
        if (inspect.isclass(found) or inspect.isfunction(found)) and found.__module__ == module.__name__
    }
    assert {one for one in defined if not one.startswith("_")} - set(module.__all__) == set()


def _is_named(name: str, found: object) -> bool:
    """Tell whether a function is what its name says, and not what some decorator returned."""
    return inspect.isfunction(found) and found.__qualname__ == name


def _order(name: str) -> tuple[int, str]:
    """Order constants before classes before functions, as the linter sorts an `__all__`."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name
