"""A worker of the embedded queue: takes a run, hands it to the pipeline, reports what came of it.

Floor 6. Work is done at least once and its outcome counts once: a worker that was killed, or only slow, is taken over
when its lease is over, and whatever it reports afterwards is stale. A lease is counted from before it was asked for,
so that a worker stops no later than the store lets another one begin.
"""

import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from attrs import field, frozen

from research_fsm.errors import InvalidInput, ResearchError
from research_fsm.events import FailReason
from research_fsm.outcomes import Claimed, EntrySkipped, GivenUp, Json, QueueEmpty, Renewed, StaleRun
from research_fsm.runs import Runs

__all__ = ["Pipeline", "Report", "ResearchRequest", "Worker"]

_log = logging.getLogger(__name__)

_LONGEST_DETAIL = 10_000
_IDLE_SECONDS = 0.2
_PAUSE_SECONDS = 0.1


@frozen
class ResearchRequest:
    """What a pipeline is asked to research.

    Args:
        person_id: Whom.
        run_id: The run.
        run_no: Its number.
        profile: What is known of the person. Personal data.
        stopped: Tells whether the lease is lost or let go, so that what is done from now on counts for nothing. A
            long pipeline asks between two steps; one that awaits is cancelled instead.
    """

    person_id: str
    run_id: str
    run_no: int
    profile: Mapping[str, Json] = field(repr=False)
    stopped: Callable[[], bool] = field(repr=False)


@frozen
class Report:
    """What a pipeline found out, with a word on what is new since the last time."""

    content: Json
    change_summary: Json = None


Pipeline = Callable[[ResearchRequest], "Mapping[str, Json] | Report | Awaitable[Mapping[str, Json] | Report]"]
"""Does the research: returns the report's content, or a `Report`. What it raises fails the run."""


def _never() -> bool:
    return False


class Worker:
    """Takes entries of the embedded queue, one at a time.

    Args:
        runs: Where the queue is.
        pipeline: Does the research, blocking or awaiting.
        name: Who it is, in the log.
    """

    def __init__(self, runs: Runs, pipeline: Pipeline, *, name: str | None = None) -> None:
        self._runs = runs
        self._pipeline = pipeline
        self._name = name

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; an entry that is at work then is finished first.

        An error is logged and tried again: a worker outlives a full disk, and a log it cannot read.
        """
        while not stop.is_set():
            try:
                idle = not self.run_once()
            except Exception:  # noqa: BLE001  # Logged; the worker is there for the next entry, whatever it was.
                _log.exception("the queue could not be worked on; trying again")
                idle = True
            if idle:
                stop.wait(_IDLE_SECONDS)

    def run_once(self, run_id: str | None = None, *, let_go: Callable[[], bool] = _never) -> bool:
        """Take one entry and work on it.

        Args:
            run_id: The run whose entry is meant; None for whichever is next.
            let_go: Tells whether to stop in the middle and leave the run to somebody else: nothing is reported
                then, and the entry is free once its lease is over. By default never.

        Returns:
            Whether there was one.
        """
        asked_at = time.monotonic()
        match self._runs.take(run_id, actor=self._name):
            case QueueEmpty():
                return False
            case GivenUp() | EntrySkipped() as passed_over:
                _log.warning("%s", passed_over)
            case Claimed() as claimed:
                self._work(claimed, asked_at, let_go)
        return True

    def _work(self, claimed: Claimed, asked_at: float, let_go: Callable[[], bool]) -> None:
        with _Lease(self._runs, claimed, asked_at, let_go) as lease:
            try:
                outcome: Report | str = _as_report(self._research(claimed, lease))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # Whatever a pipeline raises fails its run.
                if lease.held:
                    _log.warning("the pipeline raised %s; run %s fails", type(error).__name__, claimed.run_id)
                outcome = _detail(error)
            self._report(claimed, outcome, lease)

    def _research(self, claimed: Claimed, lease: "_Lease") -> object:
        request = ResearchRequest(
            claimed.person_id, claimed.run_id, claimed.run_no, claimed.profile, lambda: not lease.held
        )
        found = self._pipeline(request)
        return _awaited(found, lease) if inspect.isawaitable(found) else found

    def _report(self, claimed: Claimed, outcome: Report | str, lease: "_Lease") -> None:
        """Report until the store has it or the lease is lost; a callback that is repeated changes nothing."""
        while lease.held:
            try:
                answer = self._tell(claimed, outcome)
            except InvalidInput as error:
                outcome = _detail(error)
            except ResearchError:
                _log.exception("run %s could not be reported; trying again while the lease lasts", claimed.run_id)
                lease.wait(_PAUSE_SECONDS)
            else:
                _log.info("%s", answer)
                return
        _log.warning("the lease of run %s is lost: what this worker did counts for nothing", claimed.run_id)

    def _tell(self, claimed: Claimed, outcome: Report | str) -> object:
        run = (claimed.run_id, claimed.run_no, claimed.external_id)
        if isinstance(outcome, Report):
            summary = outcome.change_summary
            return self._runs.complete(*run, outcome.content, change_summary=summary, actor=self._name)
        return self._runs.fail(*run, outcome, reason=FailReason.PIPELINE_ERROR, actor=self._name)


class _Lease:
    """A worker's hold on its entry, renewed by a thread while the pipeline is at work."""

    def __init__(self, runs: Runs, claimed: Claimed, asked_at: float, let_go: Callable[[], bool] = _never) -> None:
        self._runs = runs
        self._claimed = claimed
        self._let_go = let_go
        self._seconds = runs.policy.worker_lease.total_seconds()
        self._until = asked_at + self._seconds
        self._lost = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease of run {claimed.run_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def held(self) -> bool:
        """Whether the entry is still ours, counted from before we asked; once lost, it is lost for good."""
        if self.left <= 0 or self._let_go():
            self._lost = True  # The pipeline is stopped for it: a renewal that is answered later revives nothing.
        return not self._lost

    @property
    def left(self) -> float:
        """The seconds until the lease is over, if it is not renewed."""
        return self._until - time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait a moment."""
        self._done.wait(seconds)

    def _renew(self) -> None:
        pause = self._runs.policy.renew_every.total_seconds()
        while not self._done.wait(min(pause, max(0.0, self.left))):
            asked_at = time.monotonic()
            if not self.held or not self._renewed(asked_at):
                self._lost = True
                return

    def _renewed(self, asked_at: float) -> bool:
        run = self._claimed
        try:
            answer = self._runs.renew(run.run_id, run.run_no, run.external_id)
        except ResearchError:
            _log.exception("the lease of run %s could not be renewed; trying again while it lasts", run.run_id)
            return True
        match answer:
            case Renewed():
                self._until = asked_at + self._seconds
                return True
            case StaleRun():
                return False


def _awaited(found: Awaitable[Any], lease: _Lease) -> object:
    """Await a pipeline in a loop of its own, and cancel it when the lease is lost.

    The loop looks at the clock itself: the thread that renews may be kept waiting for longer than the lease lasts.
    """
    import asyncio

    async def main() -> object:
        task = asyncio.ensure_future(found)
        while lease.held and not task.done():
            await asyncio.wait({task}, timeout=min(_PAUSE_SECONDS, max(0.0, lease.left)))
        if not lease.held:
            task.cancel()
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:  # If it was us, the lease is lost, and nobody is told.
        raise RuntimeError("the pipeline cancelled itself") from None


def _as_report(found: object) -> Report:
    if isinstance(found, Report):
        return found
    if isinstance(found, Mapping):
        return Report(dict(found))
    raise TypeError(f"a pipeline returns a dict or a Report, not {type(found).__name__}")


def _detail(error: BaseException) -> str:
    """Say what was raised, also if it cannot say so itself."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001  # Whatever its __str__ raises says nothing about the research.
        words = "it has no text"
    text = f"{type(error).__name__}: {words}"[:_LONGEST_DETAIL]
    return text.encode(errors="replace").decode()
