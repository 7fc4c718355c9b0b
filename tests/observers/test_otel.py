"""OpenTelemetry: spans in their places, counters and gauges that count, and no personal data in any of it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from research_fsm import Profile, Runs
from research_fsm.async_runs import AsyncRuns
from research_fsm.driver import InThreads
from research_fsm.errors import StoreBusy
from research_fsm.observers import otel
from research_fsm.observers.otel import OpenTelemetry
from research_fsm.outcomes import Created
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.scripted import Reply, ScriptedDispatcher
from tests.observers import marked

OWNER = "acme"
ADA = Profile(linkedin_url="linkedin.com/in/ada")


class Host:
    """A host with an SDK: what was exported, and what the meters say."""

    def __init__(self) -> None:
        self._spans, self._metrics = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = OpenTelemetry(
            self.tracers, MeterProvider(metric_readers=[self._metrics], shutdown_on_exit=False)
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Every span that ended, in order."""
        return self._spans.get_finished_spans()

    def measured(self) -> dict[str, dict[str, float]]:
        """Return every measure: by name, then by the value of its one attribute."""
        found = self._metrics.get_metrics_data()
        measures: dict[str, dict[str, float]] = {}
        for resource in found.resource_metrics if found else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    measures[metric.name] = {
                        "".join(map(str, (one.attributes or {}).values())): one.value
                        for one in metric.data.data_points
                        if isinstance(one, NumberDataPoint)
                    }
        return measures


@pytest.fixture
def host() -> Host:
    """Return a host of this test's own."""
    return Host()


def started(runs: Runs, count: int) -> list[Created]:
    """Create so many people, and return the answers."""
    runs.grant(OWNER, 100, grant_id="g")
    return [runs.create(OWNER, ADA).accepted() for _ in range(count)]


def test_a_command_is_a_span(host: Host) -> None:
    """With the person, the run, its number and the outcome."""
    runs = Runs(MemoryStore(), observers=[host.telemetry])
    (created,) = started(runs, 1)
    span = host.spans[-1]
    assert (span.name, span.status.is_ok or span.status.is_unset) == ("research_fsm.create", True)
    assert dict(span.attributes or {}) == {
        "research_fsm.command": "create",
        "research_fsm.outcome": "Queued",
        "research_fsm.person_id": created.person_id,
        "research_fsm.run_id": created.start.run_id,
        "research_fsm.run_no": 1,
    }


class Tracing(ScriptedDispatcher):
    """An engine whose client makes a span of its own for each request."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._tracer = host.tracers.get_tracer("engine")

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send in a span."""
        with self._tracer.start_as_current_span("POST"):
            return super().dispatch(request)


class AwaitedTracing:
    """The same for those who await."""

    def __init__(self, host: Host) -> None:
        self._blocking = Tracing(host)

    async def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send in a span."""
        return self._blocking.dispatch(request)


@pytest.mark.parametrize("awaited", [False, True])
def test_what_a_command_does_is_within_its_span(host: Host, *, awaited: bool) -> None:
    """The engine's client has its span inside the command's, and the command's is inside the host's."""

    async def create() -> object:
        engine: Any = AwaitedTracing(host)
        return await AsyncRuns(store, engine, observers=[host.telemetry]).create(OWNER, ADA)

    store = MemoryStore()
    Runs(store).grant(OWNER, 1)
    with host.tracers.get_tracer("host").start_as_current_span("request"):
        if awaited:
            asyncio.run(create())
        else:
            Runs(store, Tracing(host), observers=[host.telemetry]).create(OWNER, ADA)
    inner, command, outer = host.spans
    assert [one.name for one in host.spans] == ["POST", "research_fsm.create", "request"]
    assert inner.parent is not None
    assert command.parent is not None
    assert inner.parent.span_id == command.context.span_id
    assert command.parent.span_id == outer.context.span_id


def test_many_at_once_have_spans_of_their_own(host: Host) -> None:
    """Tasks side by side are nobody's children of one another."""

    async def main() -> None:
        runs = AsyncRuns(MemoryStore(), InThreads(ScriptedDispatcher()), observers=[host.telemetry])
        await runs.grant(OWNER, 100)
        await asyncio.gather(*(runs.create(OWNER, ADA) for _ in range(20)))

    asyncio.run(main())
    assert len(host.spans) == 21
    assert all(one.parent is None for one in host.spans)
    assert not trace.get_current_span().is_recording()


def test_starts_and_attempts_are_counted(host: Host) -> None:
    """Starts by what they came to, attempts by their result; a create and a submit are starts."""
    engine = ScriptedDispatcher(Reply.ACCEPTED, Reply.REFUSED, Reply.NOT_SENT, Reply.RAISES)
    runs = Runs(MemoryStore(), engine, observers=[host.telemetry])
    created = started(runs, 4)
    runs.start(created[0].person_id)
    runs.submit(OWNER, ADA)
    measured = host.measured()
    assert measured["research_fsm.starts"] == {"Queued": 2, "RolledBack": 2, "Unresolved": 1, "AlreadyRunning": 1}
    assert measured["research_fsm.attempts"] == {"accepted": 2, "refused": 1, "not_sent": 1, "ambiguous": 1}


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_gauges_look_at_the_store(host: Host, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """Open holds, and running people whom recovery should have looked at; recovery brings both to zero."""
    monkeypatch.setattr(otel, "_PAGE", page)
    now = [1_000_000]
    store = MemoryStore(lambda: now[0])
    engine = ScriptedDispatcher(Reply.ACCEPTED, Reply.LOST, Reply.LOST)
    runs = Runs(store, engine, observers=[host.telemetry])
    host.telemetry.watch(store)
    started(runs, 3)
    assert host.measured()["research_fsm.open_holds"] == {"": 2}
    assert host.measured()["research_fsm.overdue_runs"] == {"": 0}
    now[0] += timedelta(hours=1) // timedelta(microseconds=1)
    assert host.measured()["research_fsm.overdue_runs"] == {"": 3}
    runs.recover()
    measured = host.measured()
    assert (measured["research_fsm.open_holds"], measured["research_fsm.overdue_runs"]) == ({"": 0}, {"": 0})
    assert sum(measured["research_fsm.recovered"].values()) == 3


def test_a_gauge_counts_no_further_than_it_must(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with a million runs is not read from end to end for a figure."""
    monkeypatch.setattr(otel, "_PAGE", 1)
    monkeypatch.setattr(otel, "MOST_COUNTED", 2)
    store = MemoryStore()
    host.telemetry.watch(store)
    started(Runs(store, ScriptedDispatcher(then=Reply.LOST)), 4)
    assert host.measured()["research_fsm.open_holds"] == {"": 2}


def test_without_an_sdk_nothing_happens() -> None:
    """The API alone sends nothing and refuses nothing."""
    runs = Runs(MemoryStore(), observers=[OpenTelemetry()])
    assert len(started(runs, 2)) == 2


class Telling(MemoryStore):
    """A store whose errors tell too much."""

    broken = False

    def transact(self, *arguments: Any) -> Any:  # noqa: ANN401  # As the contract says.
        """Do it, or say what was asked for."""
        if self.broken:
            raise StoreBusy(f"/srv/{marked.MARKS[9]}", f"of {marked.MARKS}")
        return super().transact(*arguments)


def test_marked_people_stand_in_no_span_and_no_measure(host: Host) -> None:
    """Neither who they are nor what was found, nor why it failed, nor owner, key, actor, or an error's text."""
    store = Telling()
    runs = Runs(store, marked.engine(), observers=[host.telemetry])
    host.telemetry.watch(store)
    person_id = marked.lived(runs).person_id
    store.broken = True
    for door in (lambda: runs.submit(marked.MARKS[8], marked.PERSON), lambda: runs.erase(person_id)):
        with pytest.raises(StoreBusy):
            door()
    written = "".join(span.to_json() for span in host.spans) + repr(host.measured())
    assert '"error.type": "StoreBusy"' in written
    assert '"status_code": "ERROR"' in written
    assert marked.marks_in(written) == []
