"""The transaction of recovery.

Floor 3, pure. See `research_fsm.transactions` for what a transaction is.
"""

from research_fsm import decide
from research_fsm.commands import RecoverRun
from research_fsm.decide import Send
from research_fsm.outcomes import Recovered
from research_fsm.policy import Policy
from research_fsm.rows import SALT, Transaction, document_in, person_in, person_stream, written
from research_fsm.storage import Query, View, Write

__all__ = ["recover"]


def recover(command: RecoverRun, policy: Policy) -> Transaction[Recovered | Send]:
    """Do the one thing that is due for a person."""

    def rule(view: View, now: int) -> Write[Recovered | Send]:
        stream = person_stream(command.person_id)
        person = person_in(view, command.person_id)
        lease_until = None if view.entry is None else view.entry.lease_until
        decision = decide.recover(command, person, lease_until, now, policy, document_in(view, stream, SALT))
        return written(view, person, decision, now, policy, None)

    query = Query(streams=(person_stream(command.person_id),), documents=(SALT,), entry=command.run_id)
    return query, rule
