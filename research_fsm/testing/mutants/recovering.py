"""Mistakes in recovering a run, and in the flows.

Floor 6. The texts are those of the functions named; whoever changes one changes it here.
"""

from research_fsm import flows, person
from research_fsm.decide import recovery, starts
from research_fsm.laws.catalog import (
    CHARGED_IF_EXECUTED,
    COMPLETE_NEEDS_WORK,
    CONFIRMED_BY_ITS_OWN,
    CREDITS_FOLLOW_RUNS,
    HEADS_ARE_FOLDS,
    LEGAL,
    LINE_BY_LINE,
    NEVER_OVERDRAWN,
    ONE_HOLD_PER_RUN,
    ONE_OPEN_RUN,
    ORPHANS_END_NOTHING,
    REFUSAL_IS_PROOF,
    REPEATED_IS_THE_SAME,
    REPORTS_COUNT_UP,
    STORE_PROMISE,
    UNCLAIMED_IS_REFUNDED,
    WAY_OUT,
)
from research_fsm.testing.mutants.mutant import Mutant

__all__ = ["RECOVERING"]

RECOVERING = (
    # --- recovery ---
    Mutant(
        "a dispatch without a deadline",
        (WAY_OUT,),
        starts,
        "start",
        "None if command.inside else now + micros(policy.dispatch_deadline)",
        "None",
    ),
    Mutant(
        "no deadline of the dispatch",
        (WAY_OUT,),
        recovery,
        "_by_deadline",
        "delivered or not passed(run.deadline, now)",
        "delivered or not passed(run.deadline, now) or person.phase is Phase.DISPATCHING",
        "simulate",
    ),
    Mutant(
        "deadline that rolls back a queued run",
        (ONE_HOLD_PER_RUN, NEVER_OVERDRAWN, CHARGED_IF_EXECUTED, WAY_OUT, LEGAL, CREDITS_FOLLOW_RUNS),
        recovery,
        "_by_deadline",
        "RunFailed(run.run_no, None, FailReason.QUEUE_DEADLINE, None, HoldEnd.REFUNDED)",
        "RunRolledBack(run.run_no, RollBackReason.DISPATCH_DEADLINE)",
    ),
    Mutant(
        "queued, never executed, not refunded",
        (WAY_OUT, UNCLAIMED_IS_REFUNDED, LEGAL),
        recovery,
        "_by_deadline",
        "HoldEnd.REFUNDED",
        "HoldEnd.KEPT",
    ),
    Mutant(
        "COMPLETED without output taken as done",
        (COMPLETE_NEEDS_WORK,),
        recovery,
        "_by_evidence",
        " and final.report is not None:",
        ":\n        final = Sighting(external_id=final.external_id, state=final.state, report=final.report or b'{}')",
    ),
    Mutant(
        "the final status of any run fails the run",
        (WAY_OUT, ORPHANS_END_NOTHING),
        recovery,
        "_by_evidence",
        "if seen.external_id == known",
        "if seen.external_id == known or (person.phase is Phase.QUEUED and seen.state is not SightingState.ALIVE)",
    ),
    Mutant(
        "recovery never looks",
        (WAY_OUT,),
        recovery,
        "next_look",
        "return min(run.deadline",
        "return None and min(run.deadline",
        "race",
    ),
    Mutant(
        "deadlines that a resend moves",
        (REFUSAL_IS_PROOF,),
        person,
        "_run_after",
        "lease_until=lease_until,",
        "lease_until=lease_until, deadline=(run.deadline or 0) + 1,",
    ),
    # --- flows ---
    Mutant(
        "a start decided outside its transaction, which the store's compare-and-swap stops",
        (REPEATED_IS_THE_SAME, REFUSAL_IS_PROOF, LINE_BY_LINE, STORE_PROMISE),
        flows,
        "start",
        "answer = yield from requests.transact(*transactions.start(command, policy))",
        "query, rule = transactions.start(command, policy)\n"
        "    view = yield from requests.read(lambda reader: reader.read(query))\n"
        "    answer = yield from requests.transact(query, lambda _, now: rule(view, now))",
        "race",
    ),
    Mutant(
        "recovery decides outside its transaction, and writes over what happened meanwhile",
        (
            ONE_OPEN_RUN,
            ONE_HOLD_PER_RUN,
            NEVER_OVERDRAWN,
            CHARGED_IF_EXECUTED,
            HEADS_ARE_FOLDS,
            LEGAL,
            REPORTS_COUNT_UP,
        ),
        flows,
        "recover",
        "answer = yield from requests.transact(*transactions.recover(looked, policy))",
        "from attrs import evolve\n"
        "    query, rule = transactions.recover(looked, policy)\n"
        "    seen = yield from requests.read(lambda reader: reader.read(query))\n"
        "    def unfenced(view, now):\n"
        "        decided = rule(seen, now)\n"
        "        ends = (evolve(end, expected=view.heads[end.stream].version) for end in decided.streams)\n"
        "        return evolve(decided, streams=tuple(ends))\n"
        "    answer = yield from requests.transact(query, unfenced)",
        "race",
    ),
    Mutant(
        "a retry inside an attempt",
        (REFUSAL_IS_PROOF,),
        flows,
        "_sent",
        "outcome = yield from requests.dispatch(request)",
        "outcome = yield from requests.dispatch(request)\n"
        "    if str(outcome.result) == 'ambiguous':\n"
        "        outcome = yield from requests.dispatch(request)",
        "race",
    ),
    Mutant(
        "one dispatch key per person",
        (CONFIRMED_BY_ITS_OWN,),
        starts,
        "dispatch_request",
        "{run_id}",
        "{person.person_id}",
        "race",
    ),
)
