"""Mistakes of a store."""

from research_fsm.stores import memory
from tests.proof.mistake import Mistake

__all__ = ["WRONG_STORES"]

WRONG_STORES = (
    # --- stores ---
    Mistake(
        "a store without compare-and-swap",
        "one_open_run",
        memory,
        "_check",
        "version != stream.expected",
        "False",
        "suite: test_a_stream_that_does_not_exist_has_version_zero",
    ),
    Mistake(
        "a store that takes a key twice",
        "one_open_run",
        memory,
        "_check",
        "key.key in tables.keys",
        "False",
        "suite: test_a_unique_key_is_taken_once",
    ),
    Mistake(
        "a store whose chain is not chained",
        "heads_are_folds",
        memory,
        "_append",
        "previous = next_hash(previous,",
        "previous = next_hash(b'',",
        "suite: test_the_hash_chain_is_the_one_in_the_documentation",
    ),
    Mistake(
        "a store that forgets too little",
        "repeated_is_the_same",
        memory,
        "_forget",
        "key.personal and key.stream == stream",
        "False",
        "suite: test_forgetting_deletes_what_is_personal_and_nothing_else",
    ),
    Mistake(
        "a queue that is not fair",
        "one_open_run",
        memory,
        "_apply",
        "tables.queue.update({entry.run_id: entry for entry in write.enqueued})",
        "tables.queue = {entry.run_id: entry for entry in write.enqueued} | tables.queue",
        "suite: test_the_queue_is_first_come_first_served",
    ),
    Mistake(
        "a snapshot that moves",
        "heads_are_folds",
        memory,
        "MemoryStore.snapshot",
        "tables.copy()",
        "tables",
        "suite: test_a_snapshot_stays_at_its_point_in_time",
    ),
)
