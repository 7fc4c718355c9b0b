"""The fake engines of this library, as the conformance suite of dispatchers tells them what to do."""

from collections.abc import Sequence

from research_fsm.outcomes import Json
from research_fsm.testing.conformance import Taken
from research_fsm.testing.engine import FakeEngine, Fault, Status
from research_fsm.testing.scripted import Reply, ScriptedDispatcher

FAULTS = {
    Reply.ACCEPTED: Fault.NONE,
    Reply.REFUSED: Fault.OUT_OF_CREDITS,
    Reply.NOT_SENT: Fault.UNREACHABLE,
    Reply.TAKEN_UNANSWERED: Fault.ANSWER_LOST,
    Reply.LOST: Fault.REQUEST_LOST,
}
"""What each reply is at Trigger.dev."""

_FOR_EVER = 1_000


class ScriptedEngine:
    """The engine of a `ScriptedDispatcher`.

    Args:
        dispatcher: It.
    """

    def __init__(self, dispatcher: ScriptedDispatcher) -> None:
        self.dispatcher = dispatcher

    def script(self, *replies: Reply) -> None:
        """Say how the next requests go."""
        self.dispatcher.script(*replies)

    def silence(self) -> None:
        """Answer nothing."""
        self.dispatcher.blind = True
        self.dispatcher.script(*[Reply.LOST] * _FOR_EVER)

    def sent(self) -> int:
        """Return how many requests left."""
        return len(self.dispatcher.requests)

    def taken(self) -> Sequence[Taken]:
        """Return the runs that there are."""
        return [
            Taken(run.external_id, run.request.run_id, run.request.run_no, run.request.token, run.cancelled)
            for run in self.dispatcher.engine.runs
        ]

    def complete(self, external_id: str, content: Json, *, with_output: bool) -> None:
        """Let a run end well."""
        self.dispatcher.engine.complete(external_id, content, with_output=with_output)

    def end(self, external_id: str) -> None:
        """Let a run crash."""
        self.dispatcher.engine.end(external_id)

    def replay(self, external_id: str) -> str:
        """Repeat a run by hand."""
        return self.dispatcher.engine.replay(external_id)


class TriggerEngine:
    """A fake Trigger.dev.

    Args:
        engine: It.
    """

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine

    def script(self, *replies: Reply) -> None:
        """Say how the next triggers go."""
        self.engine.script(*(FAULTS[reply] for reply in replies))

    def silence(self) -> None:
        """Answer nothing."""
        self.engine.script(*[Fault.REQUEST_LOST] * _FOR_EVER)
        self.engine.script_reads(*[Fault.REQUEST_LOST] * _FOR_EVER)

    def sent(self) -> int:
        """Return how many triggers left."""
        return sum(request.path.endswith("/trigger") for request in self.engine.requests)

    def taken(self) -> Sequence[Taken]:
        """Return the runs that there are."""
        return [
            Taken(
                run.external_id,
                run.payload["run_id"],
                run.payload["run_no"],
                run.payload["callback"]["token"],
                run.status is Status.CANCELED,
            )
            for run in self.engine.runs
        ]

    def complete(self, external_id: str, content: Json, *, with_output: bool) -> None:
        """Let a task return its report, or nothing."""
        told = self.engine.run(external_id).payload
        report = {"run_id": told["run_id"], "run_no": told["run_no"], "content": content}
        self.engine.end(external_id, Status.COMPLETED, *([report] if with_output else []))

    def end(self, external_id: str) -> None:
        """Let a task crash."""
        self.engine.end(external_id, Status.CRASHED)

    def replay(self, external_id: str) -> str:
        """Repeat a run in the dashboard."""
        return self.engine.replay(external_id)
