"""Mistakes in the reference store.

Floor 6. The texts are those of the functions named; whoever changes one changes it here.
"""

from research_fsm.laws.catalog import (
    CHAINED,
    GAPLESS,
    HEADS_ARE_FOLDS,
    KEYS_ARE_KEPT,
    ONE_AT_WORK,
    ONE_OPEN_RUN,
    SHOWN_AS_IT_IS,
    STORE_PROMISE,
)
from research_fsm.stores import memory, memory_tables
from research_fsm.testing.mutants.mutant import Mutant

__all__ = ["REFERENCE"]

REFERENCE = (
    # --- stores ---
    Mutant(
        "a store without compare-and-swap",
        (STORE_PROMISE,),
        memory_tables,
        "check",
        "version != stream.expected",
        "False",
        "suite: test_a_stream_that_does_not_exist_has_version_zero",
    ),
    Mutant(
        "a store that takes a key twice",
        (STORE_PROMISE,),
        memory_tables,
        "check",
        "key.key in tables.keys",
        "False",
        "suite: test_a_unique_key_is_taken_once",
    ),
    Mutant(
        "a store whose chain is not chained",
        (CHAINED,),
        memory_tables,
        "_append",
        "previous = next_hash(previous,",
        "previous = next_hash(b'',",
        "simulate",
    ),
    Mutant(
        "a store that forgets too little",
        (ONE_OPEN_RUN, KEYS_ARE_KEPT),
        memory_tables,
        "_forget",
        "key.personal and key.stream == stream",
        "False",
        "simulate",
    ),
    Mutant(
        "a queue that is not fair",
        (ONE_AT_WORK, STORE_PROMISE),
        memory_tables,
        "apply",
        "tables.queue.update({entry.run_id: entry for entry in write.enqueued})",
        "tables.queue = {entry.run_id: entry for entry in write.enqueued} | tables.queue",
        "suite: test_the_queue_is_first_come_first_served",
    ),
    Mutant(
        "a snapshot that moves",
        (STORE_PROMISE,),
        memory,
        "MemoryStore.snapshot",
        "self.fork(self._clock)",
        "self",
        "suite: test_a_snapshot_stays_at_its_point_in_time",
    ),
    Mutant(
        "a store that leaves a version out",
        (HEADS_ARE_FOLDS, GAPLESS, SHOWN_AS_IT_IS),
        memory_tables,
        "_append",
        "write.expected + 1)",
        "write.expected + 1 + (write.expected > 0))",
        "simulate",
    ),
    Mutant(
        "a store that keeps no state",
        (HEADS_ARE_FOLDS,),
        memory_tables,
        "_append",
        "state=write.state",
        "state=write.state if head is None else head.state",
        "simulate",
    ),
    Mutant(
        "people listed backwards",
        (SHOWN_AS_IT_IS,),
        memory,
        "MemoryStore.linked",
        "-head.first",
        "head.first",
        "simulate",
    ),
)
