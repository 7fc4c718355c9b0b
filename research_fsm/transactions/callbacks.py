"""The transactions of what workers report: claim, complete, fail.

Floor 3, pure. See `research_fsm.transactions` for what a transaction is.
"""

from collections.abc import Callable
from typing import TypeVar

from research_fsm import codec, decide
from research_fsm.commands import ClaimRun, CompleteRun, FailRun
from research_fsm.decide import Decision
from research_fsm.outcomes import CallbackAnswer, ClaimAnswer, RunNotFound
from research_fsm.person import Person
from research_fsm.policy import Policy
from research_fsm.rows import PROFILE, SALT, Transaction, document_in, person_id_of, person_in, run_key, written
from research_fsm.storage import Query, View, Write

__all__ = ["claim", "complete", "fail"]

A = TypeVar("A")


def claim(command: ClaimRun, policy: Policy) -> Transaction[ClaimAnswer]:
    """Take a run for an engine run; the answer carries the profile."""
    return _of_run(
        command,
        PROFILE,
        policy,
        lambda person, profile, now: decide.claim(command, person, now, policy, codec.parse(profile or b"{}")),
    )


def complete(command: CompleteRun, policy: Policy) -> Transaction[CallbackAnswer]:
    """End a run with its report."""
    return _of_run(command, SALT, policy, lambda person, salt, _: decide.complete(command, person, salt))


def fail(command: FailRun, policy: Policy) -> Transaction[CallbackAnswer]:
    """End a run without a report."""
    return _of_run(command, SALT, policy, lambda person, salt, _: decide.fail(command, person, salt))


def _of_run(
    command: ClaimRun | CompleteRun | FailRun,
    document: str,
    policy: Policy,
    decided: Callable[[Person, bytes, int], Decision[A]],
) -> Transaction[A | RunNotFound]:
    """Decide about the person whose run it is, with one of their documents, which is empty once they are erased."""
    key = run_key(command.run_id)

    def rule(view: View, now: int) -> Write[A | RunNotFound]:
        if key not in view.keys:
            return Write(answer=RunNotFound(command.run_id))
        stream = view.keys[key].stream
        person = person_in(view, person_id_of(stream))
        decision = decided(person, document_in(view, stream, document), now)
        return written(view, person, decision, now, policy, command.actor)

    return Query(keys=(key,), documents=(document,)), rule
