"""Mistakes in starting a run and handing it over.

Floor 6. The texts are those of the functions named; whoever changes one changes it here.
"""

from research_fsm import person
from research_fsm.decide import recovery, starts
from research_fsm.laws.catalog import (
    CHARGED_IF_EXECUTED,
    CONFIRMED_BY_ITS_OWN,
    CREDITS_FOLLOW_RUNS,
    FIRST_CLAIM_COUNTS,
    KEYS_ARE_KEPT,
    LEGAL,
    LINE_BY_LINE,
    NEVER_OVERDRAWN,
    ONE_HOLD_PER_RUN,
    ONE_OPEN_RUN,
    ORPHANS_END_NOTHING,
    REFUSAL_IS_PROOF,
    REPEATED_IS_THE_SAME,
    STORE_PROMISE,
    WAY_OUT,
)
from research_fsm.testing.mutants.mutant import Mutant
from research_fsm.transactions import people, receipts
from research_fsm.transactions import starts as creates

__all__ = ["STARTS"]

STARTS = (
    # --- starts ---
    Mutant(
        "no compare-and-swap",
        (ONE_OPEN_RUN, CHARGED_IF_EXECUTED, WAY_OUT, LEGAL),
        starts,
        "start",
        "not lifecycle.allows(person.phase, Trigger.START)",
        "person.phase is Phase.DISPATCHING",
    ),
    Mutant("balance not checked", (NEVER_OVERDRAWN,), starts, "start", "account.available < policy.cost", "False"),
    Mutant(
        "credits before status",
        (ONE_OPEN_RUN, CHARGED_IF_EXECUTED, WAY_OUT, LEGAL),
        starts,
        "start",
        "not lifecycle.allows(person.phase, Trigger.START)",
        "False",
    ),
    Mutant(
        "run_no reused", (ONE_OPEN_RUN, REFUSAL_IS_PROOF), starts, "start", "person.run_no + 1", "max(1, person.run_no)"
    ),
    Mutant(
        "claimed_by not cleared",
        (FIRST_CLAIM_COUNTS,),
        person,
        "_changes",
        "started_at=at, deadline=deadline)",
        "started_at=at, deadline=deadline, claimed_by=person.run and person.run.claimed_by)",
    ),
    Mutant(
        "another owner's person", (LINE_BY_LINE,), starts, "start", "person.visible_to(command.owner)", "person.exists"
    ),
    Mutant(
        "request key ignored",
        (STORE_PROMISE,),
        receipts,
        "replayed_answer",
        "if key is None or receipt is None:",
        "if True:",
        "machine",
    ),
    Mutant(
        "a key's second request answered like its first",
        (ONE_OPEN_RUN, REPEATED_IS_THE_SAME),
        receipts,
        "replayed_answer",
        "if receipt.fingerprint == key.fingerprint",
        "if True",
        "simulate",
    ),
    Mutant(
        "a key that outlives an erasure",
        (REPEATED_IS_THE_SAME,),
        receipts,
        "replayed_answer",
        "person.phase is Phase.ERASED",
        "False",
        "simulate",
    ),
    # --- attempts and their answers ---
    Mutant(
        "timeout treated as refusal",
        (REFUSAL_IS_PROOF,),
        starts,
        "record_answer",
        "command.result is AttemptResult.AMBIGUOUS or ",
        "",
    ),
    Mutant(
        "timeout treated as refusal, seen from the engine",
        (REFUSAL_IS_PROOF,),
        starts,
        "record_answer",
        "command.result is AttemptResult.AMBIGUOUS or ",
        "",
        "race",
    ),
    Mutant(
        "refusal after an open ambiguous attempt rolls back",
        (REFUSAL_IS_PROOF,),
        starts,
        "record_answer",
        "len(run.open_attempts) > 1",
        "False",
    ),
    Mutant(
        "refusal after an open ambiguous attempt rolls back, seen from the engine",
        (REFUSAL_IS_PROOF,),
        starts,
        "record_answer",
        "len(run.open_attempts) > 1",
        "False",
        "race",
    ),
    Mutant(
        "refusal that ignores the phase",
        (NEVER_OVERDRAWN, CHARGED_IF_EXECUTED, WAY_OUT, REFUSAL_IS_PROOF, LEGAL, CREDITS_FOLLOW_RUNS),
        starts,
        "record_answer",
        "if person.phase is not Phase.DISPATCHING:",
        "if False:",
    ),
    Mutant(
        "an attempt counter closed twice",
        (REFUSAL_IS_PROOF,),
        starts,
        "record_answer",
        " or command.attempt not in run.open_attempts",
        "",
    ),
    Mutant(
        "attempt number reused",
        (REFUSAL_IS_PROOF,),
        starts,
        "arming",
        "run.last_attempt + 1",
        "max(1, run.last_attempt)",
    ),
    Mutant(
        "resend before the lease is over",
        (REFUSAL_IS_PROOF,),
        starts,
        "may_arm",
        " and passed(run.lease_until, now)",
        "",
        "simulate",
    ),
    Mutant("resend behind the window", (REFUSAL_IS_PROOF,), starts, "may_arm", "and in_window ", "", "simulate"),
    Mutant(
        "attempts unbounded",
        (WAY_OUT, REFUSAL_IS_PROOF),
        starts,
        "may_arm",
        "run.last_attempt < policy.max_attempts",
        "True",
    ),
    Mutant(
        "an answer not fenced by run_no",
        (REFUSAL_IS_PROOF, CONFIRMED_BY_ITS_OWN, ORPHANS_END_NOTHING),
        starts,
        "record_answer",
        "person.current(command.run_no, command.run_id)",
        "person.current(person.run_no)",
    ),
    Mutant(
        "confirm lowers the phase",
        (ONE_HOLD_PER_RUN, REFUSAL_IS_PROOF, ORPHANS_END_NOTHING, LEGAL),
        starts,
        "_record_accepted",
        "person.phase is Phase.DISPATCHING",
        "True",
    ),
    Mutant(
        "a deadline missing while queued",
        (WAY_OUT, CONFIRMED_BY_ITS_OWN),
        starts,
        "confirmed",
        "now + micros(policy.queue_deadline)",
        "None",
    ),
    Mutant(
        "not found at the engine rolls back",
        (REFUSAL_IS_PROOF,),
        recovery,
        "recover",
        "decision = _by_evidence(command.sightings, person, run, now, policy, salt)",
        "decision = _by_evidence(command.sightings, person, run, now, policy, salt)\n"
        "    if not command.sightings and person.phase is Phase.DISPATCHING:\n"
        "        return Decision(answer=Recovered(person.person_id, run.run_no, Action.ROLLED_BACK),\n"
        "            events=(RunRolledBack(run.run_no, RollBackReason.REFUSED),))",
        "race",
    ),
    Mutant(
        "a partner's address that nobody keeps",
        (ONE_OPEN_RUN, KEYS_ARE_KEPT),
        people,
        "url_keys",
        "() if key is None else",
        "() if True else",
        "simulate",
    ),
    Mutant(
        "an address that is said to be nobody's",
        (ONE_OPEN_RUN,),
        creates,
        "create",
        "Write(answer=there,",
        "Write(answer=AlreadyAdded(adding.person_id),",
        "simulate",
    ),
    Mutant(
        "an orphan that nobody is told of",
        (ORPHANS_END_NOTHING,),
        starts,
        "_record_accepted",
        "external_id if orphan else None",
        "None",
    ),
)
