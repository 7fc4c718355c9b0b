"""However small the tables were when a statement was planned, it finds its rows by a key: a plan lasts for long."""

from collections.abc import Iterator

import pytest

from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_load import LOADING
from research_fsm.stores.postgres_reads import READING
from research_fsm.stores.postgres_rows import text_of
from research_fsm.stores.postgres_statements import Argument, Statement
from research_fsm.stores.postgres_writes import WRITING
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import appending

ANY: dict[str, Argument] = {"jsonb": "[]", "text[]": ("a",), "text": "a", "bigint": 1}

OF_WHAT_GROWS = [statement for statement in (*LOADING, *WRITING, *READING) if "{s}.tokens" not in statement.sql]
"""Access tokens are few."""


@pytest.fixture(scope="module")
def store(server: PostgresServer) -> Iterator[PostgresStore]:
    """Open a store that has hardly anything in it, as planners see it at first."""
    with PostgresStore(server.new_database()) as opened:
        opened.transact(*appending("a", 1))
        yield opened


@pytest.mark.parametrize("statement", OF_WHAT_GROWS, ids=lambda statement: statement.name)
def test_a_statement_finds_its_rows_by_a_key(store: PostgresStore, statement: Statement) -> None:
    """No table is read from end to end, neither by itself nor along an index, and none is joined as a whole."""
    wire = store._writers[0].wire
    call = store._dialect.call(statement, *(ANY[kind] for kind in statement.types))
    plan = [text_of(line) for (line,) in wire.run(b"EXPLAIN (COSTS OFF) " + call)[0]]
    assert not [line for line in plan if "Seq Scan" in line or "Hash Join" in line or "Merge Join" in line]
    for number, line in enumerate(plan):
        if "Index" in line and "Scan" in line:
            up_to_a_limit = any("Limit" in above for above in plan[:number])
            assert up_to_a_limit or "Index Cond" in plan[number + 1], plan
