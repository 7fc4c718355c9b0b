"""The rules: one pure function per command. What may happen, and what is answered.

Floor 3. A rule gets a command, the states as they are inside the transaction, the store's time and the policy, and
returns a `Decision`. It never mutates, never reads a clock, and may be called again. Credits are not decided here:
`account.credits_for` derives them from what the events do to the run's hold. The guards are those of the protocol,
in ``docs/explanation/protocol.md``. Times are integer microseconds UTC.
"""

from research_fsm.decide.callbacks import claim, complete, fail, renew, take
from research_fsm.decide.decision import AnswerRecorded, Decision, Send, engine_runs, failure_name, report_name
from research_fsm.decide.grants import grant, revoke
from research_fsm.decide.people import add, erase, mark_stale
from research_fsm.decide.recovery import next_look, recover
from research_fsm.decide.starts import arm, dispatch_request, record_answer, settlement, start

__all__ = [
    "AnswerRecorded",
    "Decision",
    "Send",
    "add",
    "arm",
    "claim",
    "complete",
    "dispatch_request",
    "engine_runs",
    "erase",
    "fail",
    "failure_name",
    "grant",
    "mark_stale",
    "next_look",
    "record_answer",
    "recover",
    "renew",
    "report_name",
    "revoke",
    "settlement",
    "start",
    "take",
]
