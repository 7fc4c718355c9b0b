"""What importing the package costs, in a fresh interpreter each time."""

import subprocess
import sys

from attrs import evolve

from benchmarks.rounds import Measured, Settings, paired

__all__ = ["imports"]

_HEAVY = ("asyncio", "click", "hypothesis", "psycopg", "sqlite3", "sqlite_utils", "starlette", "httpx2")


def imports(settings: Settings) -> list[Measured]:
    """Compare ``import research_fsm`` with ``import attrs, transitions``."""
    listing = f"import research_fsm, sys; print([name for name in {_HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True, text=True)  # noqa: S603
    return [
        paired(
            "import research_fsm",
            "import attrs, transitions",
            lambda operations: _import("research_fsm", operations),
            lambda operations: _import("attrs, transitions", operations),
            evolve(settings, operations=min(settings.operations, 3)),
            target=1.6,
            less_is_better=True,
            remark=f"of {', '.join(_HEAVY)} it loads {loaded.stdout.strip()}",
        )
    ]


def _import(what: str, operations: int) -> None:
    for _ in range(operations):
        subprocess.run([sys.executable, "-c", f"import {what}"], check=True)  # noqa: S603  # A fresh interpreter.
