"""A fake Trigger.dev, with every trap of the real one: for tests, a host's own included.

Floor 6. Imports no HTTP client and no test framework, opens no connection, reads no clock but the injected one.
`FakeEngine.handle` answers HTTP requests as values; `research_fsm.testing.engine_http` puts it behind an httpx2
transport, or behind a socket. Safe to share between threads.

Example:
    >>> from research_fsm import Profile, Runs
    >>> from research_fsm.dispatchers.trigger_dev import TriggerDev, TriggerDevSettings
    >>> from research_fsm.stores.memory import MemoryStore
    >>> from research_fsm.testing import ManualClock
    >>> from research_fsm.testing.engine import FakeEngine, Fault, Status
    >>> from research_fsm.testing.engine_http import transport
    >>> clock = ManualClock()
    >>> engine = FakeEngine(clock)
    >>> settings = TriggerDevSettings(secret_key=engine.secret_key, public_url="https://me.example/api")
    >>> runs = Runs(MemoryStore(clock), TriggerDev(settings, transport=transport(engine)))
    >>> granted = runs.grant("acme", 1)
    >>> person = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted()
    >>> engine.script(Fault.ANSWER_LOST)
    >>> type(runs.start(person.person_id)).__name__  # The engine has it, and we do not know.
    'Unresolved'
    >>> external_id = engine.waiting()[0]
    >>> sent = engine.begin(external_id)
    >>> type(runs.claim(sent["run_id"], sent["run_no"], external_id)).__name__
    'Claimed'
"""

import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta

from attrs import define

from research_fsm.outcomes import Json
from research_fsm.policy import micros
from research_fsm.testing import engine_routes
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.engine_words import (
    BEFORE,
    CLEARING,
    Broken,
    FakeRequest,
    FakeResponse,
    FakeRun,
    Fault,
    Status,
)

__all__ = ["Broken", "FakeEngine", "FakeRequest", "FakeResponse", "FakeRun", "Fault", "Status"]

_KEY = "tr_dev_fake0000"
_TASKS = ("deep-research-enrich", "partner-deep-research-enrich")


@define
class _Key:
    external_id: str
    until: int


class FakeEngine:
    """What Trigger.dev has, and how it behaves. Moved by hand: nothing begins or ends unless a test says so.

    Args:
        clock: Returns the time in microseconds UTC.
        secret_key: What opens it.
        tasks: The tasks that are deployed; a run of another is accepted and waits for ever.
        new_id: Makes the ids of its runs; None counts them.

    Attributes:
        requests: Every HTTP request, in order, those that went wrong included.
        lagging_reads: How many reads of a fresh run answer 404.
        list_lag: How long it takes until a run is listed.
        list_works: Whether anything is listed at all.
        tells_cached: Whether an answer says ``isCached``; the contract lets it be absent.
        keeps_large_outputs_elsewhere: Bytes above which an output is behind a URL.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        secret_key: str = _KEY,
        tasks: Collection[str] = _TASKS,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.secret_key = secret_key
        self.requests: list[FakeRequest] = []
        self.lagging_reads = 0
        self.list_lag = timedelta()
        self.list_works = True
        self.tells_cached = True
        self.keeps_large_outputs_elsewhere = 512 * 1024
        self.lock = threading.RLock()
        self._clock = clock
        self._new_id = new_id or (lambda: f"run_fake{len(self._runs) + 1}")
        self._tasks = frozenset(tasks)
        self._runs: dict[str, FakeRun] = {}
        self._keys: dict[tuple[str, str], _Key] = {}
        self._scripts: dict[bool, list[Fault]] = {True: [], False: []}

    # --- what a test says ---

    def script(self, *faults: Fault) -> None:
        """Say how the next triggers go, one each; those after them go well."""
        self._scripts[True] += faults

    def script_reads(self, *faults: Fault) -> None:
        """Say how the next requests go that are no triggers."""
        self._scripts[False] += faults

    def forget_script(self) -> None:
        """Let everything go well from now on."""
        self._scripts = {True: [], False: []}

    # --- what happens in the engine ---

    @property
    def now(self) -> int:
        """The time in microseconds UTC."""
        return self._clock()

    @property
    def runs(self) -> tuple[FakeRun, ...]:
        """Every run, oldest first, as it is now."""
        with self.lock:
            self._expire()
            return tuple(self._runs.values())

    def run(self, external_id: str) -> FakeRun:
        """Return one run.

        Raises:
            KeyError: There is none.
        """
        with self.lock:
            self._expire()
            return self._runs[external_id]

    def waiting(self) -> tuple[str, ...]:
        """Return the runs that may begin: queued, not expired, and of a task that is deployed."""
        return tuple(
            run.external_id
            for run in self.runs
            if run.status is Status.QUEUED and run.queued and run.task in self._tasks
        )

    def begin(self, external_id: str) -> Json:
        """Let a waiting run begin, and return its payload: this is where a worker's code starts.

        Raises:
            ValueError: It is not waiting.
        """
        with self.lock:
            if external_id not in self.waiting():
                raise ValueError(f"{external_id} is not waiting: {self._runs.get(external_id)!r}")
            self._runs[external_id].status = Status.EXECUTING
            return self._runs[external_id].payload

    def end(self, external_id: str, status: Status = Status.COMPLETED, *output: Json) -> None:
        """Let a run end.

        Args:
            external_id: The run.
            status: How it ended.
            output: What its task returned; nothing if it returned nothing.

        Raises:
            ValueError: It has ended already, or the status is no end.
        """
        with self.lock:
            run = self.run(external_id)
            if run.status.final or not status.final:
                raise ValueError(f"{external_id} is {run.status} and cannot become {status}")
            run.status = status
            if output:
                run.output, run.has_output = output[0], True

    def replay(self, external_id: str) -> str:
        """Repeat a run as somebody does in the dashboard: a new run, with the same payload and tags and no key."""
        with self.lock:
            old = self.run(external_id)
            options = {name: value for name, value in old.options.items() if not name.startswith("idempotencyKey")}
            return self.create(old.task, old.payload, options, replay_of=external_id).external_id

    def create(self, task: str, payload: Json, options: Mapping[str, Json], *, replay_of: str | None = None) -> FakeRun:
        """Make a run, whatever keys there are."""
        with self.lock:
            external_id = self._new_id()
            made = FakeRun(
                external_id, task, payload, options, self.now, replay_of=replay_of, unseen_reads=self.lagging_reads
            )
            if task not in self._tasks:
                made.status = Status.PENDING_VERSION
            self._runs[external_id] = made
            return made

    def trigger(self, task: str, payload: Json, options: Mapping[str, Json]) -> tuple[FakeRun, bool]:
        """Make a run unless its key is remembered; the payload is not compared.

        Returns:
            The run, and whether it was there before.
        """
        with self.lock:
            self._expire()
            key = options.get("idempotencyKey")
            known = None if key is None else self._keys.get((task, str(key)))
            if known is not None and self.now < known.until and self._runs[known.external_id].status not in CLEARING:
                return self._runs[known.external_id], True
            made = self.create(task, payload, options)
            if key is not None:
                until = self.now + micros(key_ttl(options.get("idempotencyKeyTTL")))
                self._keys[task, str(key)] = _Key(made.external_id, until)
            return made, False

    def cancel(self, external_id: str) -> bool:
        """Cancel a run; one that has ended stays as it is. Returns whether there is one."""
        with self.lock:
            run = self._runs.get(external_id)
            if run is not None and not run.status.final:
                run.status = Status.CANCELED
            return run is not None

    def listed(self) -> Iterator[FakeRun]:
        """Yield the runs that are listed by now, newest first."""
        lag, week = micros(self.list_lag), micros(timedelta(days=7))
        for run in reversed(self.runs):
            if self.list_works and lag <= self.now - run.created_at <= week:
                yield run

    def _expire(self) -> None:
        """End what has waited longer than its ttl; one that was never queued waits for ever."""
        for run in self._runs.values():
            waits = run.status is Status.QUEUED and run.queued
            patience = ttl(run.options.get("ttl")) if waits else None
            if patience is not None:
                run.status = Status.EXPIRED if self.now >= run.created_at + micros(patience) else run.status

    # --- over HTTP ---

    def handle(self, request: FakeRequest) -> FakeResponse:
        """Answer one HTTP request.

        Raises:
            Broken: The script says that there is no answer.
        """
        with self.lock:
            self.requests.append(request)
            is_trigger = request.path.endswith("/trigger")
            script = self._scripts[is_trigger]
            fault = script.pop(0) if script else Fault.NONE
            if fault in (Fault.UNREACHABLE, Fault.REQUEST_LOST):
                raise Broken(fault)
            if fault in BEFORE:
                return engine_routes.refused(BEFORE[fault], self.now)
            if fault is Fault.TWICE:
                engine_routes.answer(self, request)
            known = len(self._runs)
            answered = engine_routes.answer(self, request)
            if fault is Fault.CREATED_THEN_500:
                for run in list(self._runs.values())[known:]:
                    run.queued = False
            return _spoiled(answered, fault)

    def wait(self, patience_seconds: float) -> None:
        """Let as much time pass as somebody waited in vain, if time can be moved."""
        if isinstance(self._clock, ManualClock):
            self._clock.advance(timedelta(seconds=patience_seconds))


def _spoiled(answered: FakeResponse, fault: Fault) -> FakeResponse:
    """Do to an answer what the fault says, once the request has had its effect."""
    match fault:
        case Fault.ANSWER_LOST | Fault.SLOW:
            raise Broken(fault)
        case Fault.GARBAGE:
            return FakeResponse(200, {"content-type": "text/html"}, b"<html>Please sign in</html>")
        case Fault.NO_ID:
            return FakeResponse(200, {"content-type": "application/json"}, json.dumps({"id": ""}).encode())
        case Fault.CREATED_THEN_500:
            return FakeResponse(500, {}, b"")
        case Fault.GATEWAY_TIMEOUT:
            return FakeResponse(504, {}, b"")
        case _:
            return answered


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def key_ttl(text: Json) -> timedelta:
    """Return how long a key is remembered; what is malformed is silently 30 days."""
    if isinstance(text, str) and text[:-1].isdecimal() and text[-1:] in _UNITS:
        return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    return timedelta(days=30)


def ttl(value: Json) -> timedelta | None:
    """Return how long a run may wait in the queue: whole seconds, or a number with its unit."""
    if isinstance(value, int):
        return timedelta(seconds=value)
    return key_ttl(value) if isinstance(value, str) else None
