"""Each rule as a transaction: which rows to load, what to decide, which rows to write.

Floor 3, pure. A function here returns a query and a store's rule for it. How heads become states and a decision becomes
rows stands in `research_fsm.rows`, whose names are given on from here; no rule of the domain is decided here.
"""

from research_fsm.rows import (
    ACCOUNT,
    PROFILE,
    SALT,
    account_in,
    account_stream,
    grant_key,
    person_id_of,
    person_in,
    person_stream,
    run_key,
    url_key,
    waits,
)
from research_fsm.transactions.callbacks import claim, complete, fail
from research_fsm.transactions.grants import grant, revoke
from research_fsm.transactions.people import add, erase, mark_stale
from research_fsm.transactions.queue import renew, take
from research_fsm.transactions.recovery import recover
from research_fsm.transactions.starts import arm, create, created, record_answer, start, submit, submitted

__all__ = [
    "ACCOUNT",
    "PROFILE",
    "SALT",
    "account_in",
    "account_stream",
    "add",
    "arm",
    "claim",
    "complete",
    "create",
    "created",
    "erase",
    "fail",
    "grant",
    "grant_key",
    "mark_stale",
    "person_id_of",
    "person_in",
    "person_stream",
    "record_answer",
    "recover",
    "renew",
    "revoke",
    "run_key",
    "start",
    "submit",
    "submitted",
    "take",
    "url_key",
    "waits",
]
