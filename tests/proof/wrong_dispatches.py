"""Mistakes in starting a run, handing it over, and recovering it."""

from research_fsm import flows, person
from research_fsm.decide import recovery, starts
from research_fsm.transactions import receipts
from tests.proof.mistake import Mistake

__all__ = ["WRONG_DISPATCHES"]

WRONG_DISPATCHES = (
    # --- starts ---
    Mistake(
        "no compare-and-swap",
        "one_open_run",
        starts,
        "start",
        "not lifecycle.allows(person.phase, Trigger.START)",
        "person.phase is Phase.DISPATCHING",
    ),
    Mistake("balance not checked", "never_overdrawn", starts, "start", "account.available < policy.cost", "False"),
    Mistake(
        "credits before status",
        "one_open_run",
        starts,
        "start",
        "not lifecycle.allows(person.phase, Trigger.START)",
        "False",
    ),
    Mistake("run_no reused", "refusal_is_proof", starts, "start", "person.run_no + 1", "max(1, person.run_no)"),
    Mistake(
        "claimed_by not cleared",
        "first_claim_counts",
        person,
        "_changes",
        "started_at=at, deadline=deadline)",
        "started_at=at, deadline=deadline, claimed_by=person.run and person.run.claimed_by)",
    ),
    Mistake(
        "another owner's person", "line_by_line", starts, "start", "person.visible_to(command.owner)", "person.exists"
    ),
    Mistake(
        "request key ignored",
        "memory: there is a receipt",
        receipts,
        "replayed_answer",
        "if key is None or receipt is None:",
        "if True:",
        "machine",
    ),
    Mistake(
        "a key's second request answered like its first",
        "repeated_is_the_same|KeyReused",
        receipts,
        "replayed_answer",
        "if receipt.fingerprint == key.fingerprint",
        "if True",
        "suite: test_a_request_key_is_answered_once",
    ),
    Mistake(
        "a key that outlives an erasure",
        "repeated_is_the_same|PersonNotFound|Queued",
        receipts,
        "replayed_answer",
        "person.phase is Phase.ERASED",
        "False",
        "suite: test_an_erased_person_is_gone",
    ),
    # --- attempts and their answers ---
    Mistake(
        "timeout treated as refusal",
        "refusal_is_proof",
        starts,
        "record_answer",
        "command.result is AttemptResult.AMBIGUOUS or ",
        "",
    ),
    Mistake(
        "timeout treated as refusal, seen from the engine",
        "refusal_is_proof",
        starts,
        "record_answer",
        "command.result is AttemptResult.AMBIGUOUS or ",
        "",
        "race",
    ),
    Mistake(
        "refusal after an open ambiguous attempt rolls back",
        "refusal_is_proof",
        starts,
        "record_answer",
        "len(run.open_attempts) > 1",
        "False",
    ),
    Mistake(
        "refusal after an open ambiguous attempt rolls back, seen from the engine",
        "refusal_is_proof",
        starts,
        "record_answer",
        "len(run.open_attempts) > 1",
        "False",
        "race",
    ),
    Mistake(
        "refusal that ignores the phase",
        "refusal_is_proof|charged_if_executed",
        starts,
        "record_answer",
        "if person.phase is not Phase.DISPATCHING:",
        "if False:",
    ),
    Mistake(
        "an attempt counter closed twice",
        "refusal_is_proof",
        starts,
        "record_answer",
        " or command.attempt not in run.open_attempts",
        "",
    ),
    Mistake(
        "attempt number reused",
        "refusal_is_proof",
        starts,
        "arming",
        "run.last_attempt + 1",
        "max(1, run.last_attempt)",
    ),
    Mistake(
        "resend before the lease is over",
        "refusal_is_proof",
        starts,
        "may_arm",
        " and passed(run.lease_until, now)",
        "",
    ),
    Mistake("resend behind the window", "refusal_is_proof", starts, "may_arm", "and in_window ", ""),
    Mistake(
        "attempts unbounded",
        "refusal_is_proof|way_out",
        starts,
        "may_arm",
        "run.last_attempt < policy.max_attempts",
        "True",
    ),
    Mistake(
        "an answer not fenced by run_no",
        "confirmed_by_its_own|refusal_is_proof",
        starts,
        "record_answer",
        "person.current(command.run_no, command.run_id)",
        "person.current(person.run_no)",
    ),
    Mistake(
        "confirm lowers the phase",
        "confirmed_by_its_own|legal|one_at_work",
        starts,
        "_record_accepted",
        "person.phase is Phase.DISPATCHING",
        "True",
    ),
    Mistake(
        "a deadline missing while queued", "way_out", starts, "confirmed", "now + micros(policy.queue_deadline)", "None"
    ),
    Mistake(
        "not found at the engine rolls back",
        "refusal_is_proof|one_open_run|charged_if_executed|way_out",
        recovery,
        "recover",
        "decision = _by_evidence(command.sightings, person, run, now, policy, salt)",
        "decision = _by_evidence(command.sightings, person, run, now, policy, salt)\n"
        "    if not command.sightings and person.phase is Phase.DISPATCHING:\n"
        "        return Decision(answer=Recovered(person.person_id, run.run_no, Action.ROLLED_BACK),\n"
        "            events=(RunRolledBack(run.run_no, RollBackReason.REFUSED),))",
        "race",
    ),
    # --- recovery ---
    Mistake(
        "a dispatch without a deadline",
        "way_out",
        starts,
        "start",
        "None if command.inside else now + micros(policy.dispatch_deadline)",
        "None",
    ),
    Mistake(
        "no deadline of the dispatch",
        "way_out",
        recovery,
        "_by_deadline",
        "delivered or not passed(run.deadline, now)",
        "delivered or not passed(run.deadline, now) or person.phase is Phase.DISPATCHING",
    ),
    Mistake(
        "deadline that rolls back a queued run",
        "way_out|one_hold_per_run|charged_if_executed",
        recovery,
        "_by_deadline",
        "RunFailed(run.run_no, None, FailReason.QUEUE_DEADLINE, None, HoldEnd.REFUNDED)",
        "RunRolledBack(run.run_no, RollBackReason.DISPATCH_DEADLINE)",
    ),
    Mistake(
        "queued, never executed, not refunded",
        "unclaimed_is_refunded",
        recovery,
        "_by_deadline",
        "HoldEnd.REFUNDED",
        "HoldEnd.KEPT",
    ),
    Mistake(
        "COMPLETED without output taken as done",
        "complete_needs_work",
        recovery,
        "_by_evidence",
        " and final.report is not None:",
        ":\n        final = Sighting(external_id=final.external_id, state=final.state, report=final.report or b'{}')",
    ),
    Mistake(
        "the final status of any run fails the run",
        "orphans_end_nothing",
        recovery,
        "_by_evidence",
        "if seen.external_id == known",
        "if seen.external_id == known or (person.phase is Phase.QUEUED and seen.state is not SightingState.ALIVE)",
    ),
    Mistake(
        "recovery never looks",
        "way_out",
        recovery,
        "next_look",
        "return min(run.deadline",
        "return None and min(run.deadline",
        "race",
    ),
    Mistake(
        "deadlines that a resend moves",
        "refusal_is_proof|way_out",
        person,
        "_run_after",
        "lease_until=lease_until,",
        "lease_until=lease_until, deadline=(run.deadline or 0) + 1,",
    ),
    # --- flows ---
    Mistake(
        "a start decided outside its transaction, which the store's compare-and-swap stops",
        r"memory: person:\S+ is at version",
        flows,
        "start",
        "answer = yield from requests.transact(*transactions.start(command, policy))",
        "query, rule = transactions.start(command, policy)\n"
        "    view = yield from requests.read(lambda reader: reader.read(query))\n"
        "    answer = yield from requests.transact(query, lambda _, now: rule(view, now))",
        "race",
    ),
    Mistake(
        "recovery decides outside its transaction, and writes over what happened meanwhile",
        "one_open_run|one_hold_per_run|charged_if_executed",
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
    Mistake(
        "a retry inside an attempt",
        "refusal_is_proof",
        flows,
        "_sent",
        "outcome = yield from requests.dispatch(request)",
        "outcome = yield from requests.dispatch(request)\n"
        "    if str(outcome.result) == 'ambiguous':\n"
        "        outcome = yield from requests.dispatch(request)",
        "race",
    ),
    Mistake(
        "one dispatch key per person",
        "confirmed_by_its_own",
        starts,
        "dispatch_request",
        "{run_id}",
        "{person.person_id}",
        "race",
    ),
)
