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
    """Floor 0 imports neither `transitions` nor msgspec; importing the package itself does, so it is stood in for."""
    code = (
        "import sys, types, importlib.util as u; root = u.find_spec('research_fsm').submodule_search_locations;"
        "package = types.ModuleType('research_fsm'); package.__path__ = list(root);"
        f"sys.modules['research_fsm'] = package; import research_fsm.{imported};"
        "print([name for name in ('transitions', 'msgspec') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # Ours.
    assert done.stdout.strip() == "[]"
