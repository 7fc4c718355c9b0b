"""Every law by its name: the invariants 1 to 8 and X1 to X9, the laws of a log, and the protocol's own lines.

Floor 3, pure. A law of one event is stated where it is checked, in `steps`; of the others, which take more than one
event to check, or more than a log, the statement stands here. The invariants' numbers are those of the protocol.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from research_fsm.laws import steps
from research_fsm.laws.law import Law

__all__ = [
    "CHAINED",
    "CHARGED_IF_EXECUTED",
    "COMPLETE_NEEDS_WORK",
    "CONFIRMED_BY_ITS_OWN",
    "CREDITS_FOLLOW_RUNS",
    "DISPATCHER_PROMISE",
    "DOCUMENTS_MATCH",
    "FIRST_CLAIM_COUNTS",
    "GAPLESS",
    "GRANTS_COUNT_ONCE",
    "HEADS_ARE_FOLDS",
    "INVARIANTS",
    "KEYS_ARE_KEPT",
    "LAWS",
    "LEASE_HOLDER_IS_HEARD",
    "LEGAL",
    "LINE_BY_LINE",
    "NEVER_OVERDRAWN",
    "ONE_AT_WORK",
    "ONE_HOLD_PER_RUN",
    "ONE_OPEN_RUN",
    "ONLY_THE_CLAIMER_ENDS",
    "ORPHANS_END_NOTHING",
    "READABLE",
    "REFUSAL_IS_PROOF",
    "REPEATED_IS_THE_SAME",
    "REPORTS_COUNT_UP",
    "SHOWN_AS_IT_IS",
    "STALE_CHANGES_NOTHING",
    "STATEMENTS",
    "STORE_PROMISE",
    "UNCLAIMED_IS_REFUNDED",
    "WAY_OUT",
]


def _checked(law: Callable[..., str | None], number: str | None = None) -> Law:
    """Return a law of one event, as its function states it."""
    return Law(law.__name__, str(law.__doc__), number)


# --- the invariants ----------------------------------------------------------------------------------------------

ONE_OPEN_RUN = _checked(steps.one_open_run, "1")
ONE_HOLD_PER_RUN = Law(
    "one_hold_per_run", "Each run has one hold, ended by one charge or one release; a refund follows a charge.", "2"
)
NEVER_OVERDRAWN = _checked(steps.never_overdrawn, "3")
CHARGED_IF_EXECUTED = _checked(steps.charged_if_executed, "4")
STALE_CHANGES_NOTHING = _checked(steps.stale_changes_nothing, "5")
WAY_OUT = Law(
    "way_out",
    "Who is running waits in the embedded queue, or recovery looks at their deadline at the latest, and comes to rest.",
    "6",
)
HEADS_ARE_FOLDS = Law("heads_are_folds", "A head is exactly what folding its stream from the beginning gives.", "7")
REPEATED_IS_THE_SAME = Law(
    "repeated_is_the_same",
    "A request repeated under its key is answered as before, and appends nothing; so is a callback while it equals the"
    " last outcome. After an erasure the answer is that there is nobody.",
    "8",
)
ONE_AT_WORK = _checked(steps.one_at_work, "X1")
REFUSAL_IS_PROOF = _checked(steps.refusal_is_proof, "X2")
ONLY_THE_CLAIMER_ENDS = _checked(steps.only_the_claimer_ends, "X3")
UNCLAIMED_IS_REFUNDED = _checked(steps.unclaimed_is_refunded, "X4")
COMPLETE_NEEDS_WORK = Law("complete_needs_work", "A person is complete only by work that was done.", "X5")
CONFIRMED_BY_ITS_OWN = Law(
    "confirmed_by_its_own", "A run is confirmed only by an engine run that carries its run_id and run_no.", "X6"
)
FIRST_CLAIM_COUNTS = Law("first_claim_counts", "The first claim of the current run is never refused.", "X7")
ORPHANS_END_NOTHING = Law(
    "orphans_end_nothing",
    "An orphan is named to be cancelled, and its end does not fail a run that another one has.",
    "X8",
)
LEASE_HOLDER_IS_HEARD = Law(
    "lease_holder_is_heard",
    "Whoever has claimed the current run, and holds its lease where there is one, is not refused.",
    "X9",
)

INVARIANTS = (
    ONE_OPEN_RUN,
    ONE_HOLD_PER_RUN,
    NEVER_OVERDRAWN,
    CHARGED_IF_EXECUTED,
    STALE_CHANGES_NOTHING,
    WAY_OUT,
    HEADS_ARE_FOLDS,
    REPEATED_IS_THE_SAME,
    ONE_AT_WORK,
    REFUSAL_IS_PROOF,
    ONLY_THE_CLAIMER_ENDS,
    UNCLAIMED_IS_REFUNDED,
    COMPLETE_NEEDS_WORK,
    CONFIRMED_BY_ITS_OWN,
    FIRST_CLAIM_COUNTS,
    ORPHANS_END_NOTHING,
    LEASE_HOLDER_IS_HEARD,
)
"""The product: 1 to 8, and X1 to X9, without which dangerous mistakes pass unnoticed."""

# --- the laws of a log beside them -------------------------------------------------------------------------------

READABLE = Law("readable", "Every event is in a form that this library writes, or wrote.")
GAPLESS = Law("gapless", "A stream's versions are 1, 2, 3 …, each once, in the order of their positions.")
CHAINED = Law("chained", "Every event carries the hash of itself and of its stream's previous hash.")
LEGAL = _checked(steps.legal)
REPORTS_COUNT_UP = _checked(steps.reports_count_up)
CREDITS_FOLLOW_RUNS = Law(
    "credits_follow_runs", "An account's events are those that its people's runs, and its grants, call for."
)
GRANTS_COUNT_ONCE = Law("grants_count_once", "A grant_id is granted once, and revoked at most once, whole.")
KEYS_ARE_KEPT = Law(
    "keys_are_kept",
    "Runs, grants and a partner's people are found by their keys; a request key has started at most one run, and its"
    " receipt says which.",
)
DOCUMENTS_MATCH = Law(
    "documents_match",
    "Every document is there and what its event's digest says, and no other is; an erased person has none.",
)

# --- and of what is answered ----------------------------------------------------------------------------------------

LINE_BY_LINE = Law("line_by_line", "A command is answered, and changes, what its line in the protocol says.")

SHOWN_AS_IT_IS = Law(
    "shown_as_it_is", "Whoever reads people, balances, reports or histories is shown what the log says."
)

# --- and of what others bring ------------------------------------------------------------------------------------

STORE_PROMISE = Law("store_promise", "A store passes `StoreConformance`: it writes all of a decision or nothing of it.")
DISPATCHER_PROMISE = Law(
    "dispatcher_promise", "A dispatcher passes `DispatcherConformance`: it concludes nothing from silence."
)

_OF_A_LOG = (
    READABLE,
    GAPLESS,
    CHAINED,
    LEGAL,
    ONE_OPEN_RUN,
    ONE_HOLD_PER_RUN,
    NEVER_OVERDRAWN,
    CHARGED_IF_EXECUTED,
    CREDITS_FOLLOW_RUNS,
    STALE_CHANGES_NOTHING,
    ONE_AT_WORK,
    REFUSAL_IS_PROOF,
    ONLY_THE_CLAIMER_ENDS,
    UNCLAIMED_IS_REFUNDED,
    REPORTS_COUNT_UP,
    GRANTS_COUNT_ONCE,
    WAY_OUT,
    HEADS_ARE_FOLDS,
    KEYS_ARE_KEPT,
    DOCUMENTS_MATCH,
)

_BESIDE = (LINE_BY_LINE, SHOWN_AS_IT_IS, STORE_PROMISE, DISPATCHER_PROMISE)

LAWS: Mapping[str, Law] = MappingProxyType({law.name: law for law in (*INVARIANTS, *_OF_A_LOG, *_BESIDE)})
"""Every law by its name."""

STATEMENTS: Mapping[str, str] = MappingProxyType({law.name: law.statement for law in _OF_A_LOG})
"""The laws that a log can be asked about, by name, with what they promise."""
