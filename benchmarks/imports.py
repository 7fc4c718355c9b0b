"""What importing the package costs, in a fresh interpreter each time."""

import subprocess
import sys

from attrs import evolve

from benchmarks.rounds import Measured, Settings, paired

__all__ = ["imports"]

_HEAVY = ("asyncio", "click", "hypothesis", "psycopg", "sqlite3", "sqlite_utils", "starlette", "httpx2")


def imports(settings: Settings) -> list[Measured]:
    """Compare ``import research_fsm`` with ``import attrs, transitions``, and show what its main name costs."""
    listing = f"import research_fsm, sys; print([name for name in {_HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True, text=True)  # noqa: S603
    loaded = told.stdout.strip("[]\n") or "nothing"
    few = evolve(settings, operations=max(1, settings.operations // 200))
    return [
        paired(
            statement,
            "import attrs, transitions",
            lambda operations, statement=statement: _import(statement, operations),  # type: ignore[misc]
            lambda operations: _import("import attrs, transitions", operations),
            few,
            target=target,
            less_is_better=True,
            remark=remark,
        )
        for statement, target, remark in (
            ("import research_fsm", 1.6, f"of {', '.join(_HEAVY)} it loads {loaded}"),
            ("from research_fsm import Runs", None, "the doors, with all that they need"),
        )
    ]


def _import(statement: str, operations: int) -> None:
    for _ in range(operations):
        subprocess.run([sys.executable, "-c", statement], check=True)  # noqa: S603  # A fresh interpreter.
