"""OpenTelemetry: a span for each command, counters of starts and attempts, gauges of what is open and what is overdue.

Floor 4; needs the extra ``otel``, which is the API alone: the host brings an SDK and an exporter, and without them
nothing is sent. ::

    telemetry = OpenTelemetry()
    runs = Runs(store, observers=(telemetry,))
    telemetry.watch(store)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Status, StatusCode, TracerProvider

from research_fsm.lifecycle import RUNNING, Phase
from research_fsm.observers import Attempt, Done
from research_fsm.storage import Reader

__all__ = ["MOST_COUNTED", "OpenTelemetry"]

MOST_COUNTED = 100_000
"""A gauge counts no further."""

_NAME = "research_fsm"
_STARTS = frozenset({"create", "start", "submit"})
_FOR_EVER = 2**62
_PAGE = 1000


class OpenTelemetry:
    """Makes spans and counts.

    Args:
        tracer_provider: The host's; the global one by default.
        meter_provider: Likewise.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        self._meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._starts = self._meter.create_counter(f"{_NAME}.starts", "{start}", "Starts, by what they came to")
        self._attempts = self._meter.create_counter(f"{_NAME}.attempts", "{attempt}", "Attempts, by their result")
        self._recovered = self._meter.create_counter(f"{_NAME}.recovered", "{person}", "People, by what was done")

    @contextmanager
    def command(self, command: str) -> Iterator[Callable[[Done], None]]:
        """Make a span, in which whatever the command does has its own."""
        # The text of an error may have a path or a value in it, and a span is read by others: its name has to do.
        with self._tracer.start_as_current_span(
            f"{_NAME}.{command}", record_exception=False, set_status_on_exception=False
        ) as span:

            def told(done: Done) -> None:
                span.set_attributes(_attributes(done))
                if done.raised:
                    span.set_status(Status(StatusCode.ERROR))
                if command in _STARTS:
                    self._starts.add(1, {"outcome": done.outcome})
                if command == "recover":
                    self._recovered.add(1, {"outcome": done.outcome})

            yield told

    def attempt(self, attempt: Attempt) -> None:
        """Count an attempt."""
        self._attempts.add(1, {"result": str(attempt.result)})

    def watch(self, reader: Reader) -> None:
        """Look at a store whenever the gauges are read: how many holds are open, how many running people are overdue.

        Call it once for each store, in one process of those that share it.
        """

        def open_holds(_: CallbackOptions) -> Iterable[Observation]:
            yield Observation(_counted(reader, (str(Phase.DISPATCHING),), _FOR_EVER))

        def overdue(_: CallbackOptions) -> Iterable[Observation]:
            yield Observation(_counted(reader, tuple(map(str, RUNNING)), reader.now()))

        self._meter.create_observable_gauge(f"{_NAME}.open_holds", [open_holds], "{hold}", "Credits held for a run")
        self._meter.create_observable_gauge(
            f"{_NAME}.overdue_runs", [overdue], "{run}", "Runs that recovery should have looked at"
        )


def _attributes(done: Done) -> Mapping[str, str | int]:
    facts: dict[str, str | int | None] = {
        f"{_NAME}.command": done.command,
        f"{_NAME}.outcome": done.outcome,
        f"{_NAME}.person_id": done.person_id,
        f"{_NAME}.run_id": done.run_id,
        f"{_NAME}.run_no": done.run_no,
        "error.type": done.outcome if done.raised else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _counted(reader: Reader, tags: tuple[str, ...], until: int) -> int:
    """Count the heads with these tags that are due, a page at a time."""
    counted, after = 0, None
    while counted < MOST_COUNTED:
        heads = reader.due(tags, until, after=after, limit=_PAGE)
        counted += len(heads)
        if len(heads) < _PAGE:
            break
        last = heads[-1]
        after = (last.due or 0, last.stream)
    return counted
