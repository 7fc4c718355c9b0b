"""What an import brings along."""

import subprocess
import sys

import pytest

UNWANTED = [
    "asyncio",
    "click",
    "httpx",
    "hypothesis",
    "psycopg",
    "pytest",
    "rich",
    "sqlite3",
    "sqlite_utils",
    "starlette",
    "uvicorn",
]


@pytest.mark.parametrize(
    "imported",
    [
        "research_fsm",
        "research_fsm.flows",
        "research_fsm.stores.memory",
        "research_fsm.worker",
        "research_fsm.testing",
        "research_fsm.testing.scenario",
    ],
)
def test_an_import_loads_no_driver_and_no_framework(imported: str) -> None:
    """In a fresh interpreter: no database driver, no event loop, no command line, no test framework."""
    code = f"import sys, {imported}; print([name for name in {UNWANTED!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # Ours.
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("imported", ["events", "errors", "policy", "profile", "commands", "storage", "outcomes"])
def test_the_words_need_attrs_alone(imported: str) -> None:
    """Floor 0 imports neither `transitions` nor msgspec."""
    code = (
        f"import sys, research_fsm.{imported};"
        "print([name for name in ('transitions', 'msgspec') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # Ours.
    assert done.stdout.strip() == "[]"


def test_a_name_is_imported_when_it_is_asked_for() -> None:
    """The package itself is empty at first, tells what there is, and knows nothing else."""
    code = (
        "import sys, research_fsm;"
        "assert not [name for name in sys.modules if name.startswith('research_fsm.')];"
        "assert set(research_fsm.__all__) <= set(dir(research_fsm));"
        "assert all(getattr(research_fsm, name).__name__ == name for name in research_fsm.__all__);"
        "assert 'Runs' in vars(research_fsm);"
        "print(getattr(research_fsm, 'Nothing', 'unknown'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # Ours.
    assert done.stdout.strip() == "unknown"
