"""``--observe``: who is told what a program that goes on does.

Floor 6. Decides nothing. OpenTelemetry's providers are the process's: ``opentelemetry-instrument research-fsm serve …``
makes them of environment variables.
"""

import click

from research_fsm.observers import Observer
from research_fsm.observers.logs import Logs
from research_fsm.runs import Runs

__all__ = ["observe_option", "observed"]

observe_option = click.option(
    "--observe",
    type=click.Choice(["logs", "otel"]),
    multiple=True,
    help="Tell of each command: in a line on standard error, or as OpenTelemetry's spans and counts.",
)


def observed(runs: Runs, names: tuple[str, ...], *, gauges: bool = False) -> Runs:
    """Return the same doors with observers.

    Args:
        runs: The doors.
        names: Which observers.
        gauges: Whether the store's gauges are read here: once is enough for the processes that share it.

    Raises:
        UsageError: The extra is not installed.
    """
    observers = [_observer(name, runs, gauges=gauges) for name in names]
    return Runs(runs.store, runs.dispatcher, policy=runs.policy, observers=observers)


def _observer(name: str, runs: Runs, *, gauges: bool) -> Observer:
    if name == "logs":
        return Logs()
    try:
        from research_fsm.observers.otel import OpenTelemetry
    except ImportError as error:
        raise click.UsageError("--observe otel needs the extra: pip install 'research-fsm[otel]'") from error
    telemetry = OpenTelemetry()
    if gauges:
        telemetry.watch(runs.store)
    return telemetry
