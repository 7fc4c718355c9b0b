"""The page that says which law catches which mutant, and what is missing from it.

Floor 6, pure. ``docs/reference/laws.md`` is what `page` returns; a test compares them.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from research_fsm.laws import INVARIANTS, LAWS, STATEMENTS, Law
from research_fsm.laws import catalog as c
from research_fsm.testing.mutants.dispatchers import WRONG_DISPATCHERS
from research_fsm.testing.mutants.mutant import Mutant
from research_fsm.testing.mutants.stores import WRONG_STORES

__all__ = ["SHARED", "gaps", "page"]

_BEGINNING = """\
# The laws, and what catches what

Every promise has a name, and whoever finds it broken says that name: `verify`, the walk, the race, the schedules, the
simulator. The numbered ones are the invariants that the guards of [the protocol](../explanation/protocol.md) are there
for, those with an X about the engine; names and words are those of `research_fsm.laws`. A law that is *of a log* is one
that `verify` can ask a log about; the others take more: a command and its answer, an engine, the passing of time.

This page is made, by `python -m research_fsm.testing.mutants`; a test holds it against the code, and another one, which
takes minutes, against what the searches find.

| law | number | of a log | what it promises | what only it catches |
|---|---|---|---|---|
"""

_MUTANTS = """
## The mutants

Small mistakes in the rules, the fold, the flows and the reference store, each made and found by
`tests/proof/test_mutants.py`. ● says that the law catches the mutant, ◉ that no other one does: without it the mistake
would pass. A mutant is caught in the first wrong step of the walk on any path, or of any simulated world.

"""

_USE = """
## Against a suite of your own

A mutant is made for as long as a block lasts. A suite that does not fail meanwhile does not notice the mistake.

```python
from research_fsm import Profile, Runs
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.mutants import MUTANTS


def my_suite() -> None:
    runs = Runs(MemoryStore())
    runs.grant("acme", 1)
    for name in ("ada", "grace"):
        runs.start(runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted().person_id)
    assert runs.balance("acme").available == 0


my_suite()
mutant = next(mutant for mutant in MUTANTS if mutant.what == "balance not checked")
with mutant.made():
    try:
        my_suite()
    except AssertionError:
        noticed = True
assert noticed
```

Stores and dispatchers are wrong by themselves. A store of `WRONG_STORES` goes round one of yours; what each loses a
suite should miss:

"""

_DISPATCHERS = """
A dispatcher of `WRONG_DISPATCHERS` stands where one of yours would; `DispatcherConformance` finds each by the promise
that stands beside it.

| dispatcher | what it does | the promise that it breaks |
|---|---|---|
"""

SHARED: Mapping[Law, str] = MappingProxyType(
    {
        c.ONE_HOLD_PER_RUN: "a hold that ends twice takes twice from the account, which is then overdrawn;"
        " where others have credits on hold, this law alone says so",
        c.UNCLAIMED_IS_REFUNDED: "the table has two triggers for a failure, by whether the run was claimed;"
        " a charge that is kept belongs to the other one",
        c.READABLE: "what cannot be read stops the reader before any other law is asked; it is tried on forged logs",
        c.GAPLESS: "a version that is missing is missing from the head's count as well",
        c.LEGAL: "what the table forbids, the command's own line forbids; it is there for logs that others wrote",
        c.KEYS_ARE_KEPT: "whoever looks for a key that is lost or wrong is led astray, and breaks a law of their own",
        c.GRANTS_COUNT_ONCE: "a grant counts twice only if its key is not kept: a store refuses a key that is taken",
    }
)
"""The laws without a mutant of their own, and why there is none."""


def page(mutants: Sequence[Mutant]) -> str:
    """Return the whole page."""
    laws = "".join(_row(law, mutants) for law in LAWS.values())
    stores = "".join(f"* {what}\n" for what in WRONG_STORES)
    dispatchers = "".join(
        f"| `{kind.__name__}` | {str(kind.__doc__).rstrip('.')} | {promise} |\n"
        for kind, promise in WRONG_DISPATCHERS.items()
    )
    return _BEGINNING + laws + _MUTANTS + _matrix(mutants) + _USE + stores + _DISPATCHERS + dispatchers


def gaps(mutants: Sequence[Mutant]) -> Iterator[str]:
    """Yield what is missing: a mutant that no law catches, a law that no mutant needs, a reason that is none."""
    for mutant in mutants:
        if not mutant.laws:
            yield f"no law catches the mutant {mutant.what!r}"
    for law in LAWS.values():
        needed = law is c.DISPATCHER_PROMISE or bool(_only(law, mutants))
        if not needed and law not in SHARED:
            yield f"no mutant is caught by {law} alone, and no reason says why"
        if needed and law in SHARED:
            yield f"{law} catches what no other law does: it needs no reason"


def _only(law: Law, mutants: Sequence[Mutant]) -> list[str]:
    return [mutant.what for mutant in mutants if mutant.laws == (law,)]


def _row(law: Law, mutants: Sequence[Mutant]) -> str:
    if law is c.DISPATCHER_PROMISE:
        only = f"each of the {len(WRONG_DISPATCHERS)} wrong dispatchers below"
    else:
        only = "; ".join(_only(law, mutants)[:2]) or f"*{SHARED.get(law, '')}*"
    of_a_log = "yes" if law.name in STATEMENTS else ""
    return f"| `{law}` | {law.number or ''} | {of_a_log} | {law.statement} | {only} |\n"


def _matrix(mutants: Sequence[Mutant]) -> str:
    head = " | ".join(str(law.number) for law in INVARIANTS)
    lines = [f"| mutant | {head} | and beside them |\n", "|---|" + ":-:|" * len(INVARIANTS) + "---|\n"]
    for mutant in mutants:
        sign = "◉" if len(mutant.laws) == 1 else "●"
        cells = " | ".join(sign if law in mutant.laws else "" for law in INVARIANTS)
        beside = ", ".join(f"`{law}`" for law in mutant.laws if law not in INVARIANTS)
        lines.append(f"| {mutant.what} | {cells} | {beside} |\n")
    return "".join(lines)
