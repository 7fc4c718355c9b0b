"""The settings of the lifecycle: prices, leases, deadlines, limits. One frozen value.

Floor 0. Durations are `datetime.timedelta`; `micros` turns one into the integer microseconds of the core.
"""

from collections.abc import Callable
from datetime import timedelta

from attrs import Attribute, field, frozen

from research_fsm.errors import InvalidInput

__all__ = ["Policy", "micros"]

_MICROSECOND = timedelta(microseconds=1)
_LONGEST = timedelta(days=36_500)


def micros(duration: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return duration // _MICROSECOND


def _positive_duration(_: object, attribute: "Attribute[timedelta]", value: object) -> None:
    if not isinstance(value, timedelta) or not timedelta() < value <= _LONGEST:
        raise InvalidInput(attribute.name, f"must be a timedelta above zero and at most 100 years, not {value!r}")


def _optional_duration(instance: object, attribute: "Attribute[timedelta | None]", value: object) -> None:
    if value is not None:
        _positive_duration(instance, attribute, value)  # type: ignore[arg-type]  # The same attribute, not optional.


def _between(lowest: int, highest: int) -> Callable[[object, "Attribute[int]", object], None]:
    def check(_: object, attribute: "Attribute[int]", value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise InvalidInput(attribute.name, f"must be a whole number from {lowest} to {highest}, not {value!r}")

    return check


def _duration(**amount: int) -> timedelta:
    return field(default=timedelta(**amount), validator=_positive_duration)


def _number(default: int, lowest: int, highest: int) -> int:
    return field(default=default, validator=_between(lowest, highest))


@frozen(kw_only=True)
class Policy:
    """How long to wait, how often to try, what a run costs.

    Args:
        cost: Credits that a run costs.
        dispatch_deadline: From the start until a dispatch without an answer is rolled back.
        queue_deadline: From the confirmation until a run that no worker claimed fails with a refund. Outside
            engines only: a backlog of the embedded queue is no fault.
        run_deadline: From the claim until a run without an outcome fails, or its delivery is taken over.
        attempt_lease: How long the sender of an attempt has it for itself.
        max_attempts: Dispatch requests per run, the first included.
        resend_window: From the first attempt until the last moment at which one more may be sent. Short, because
            an engine forgets the key of a run that failed.
        worker_lease: How long an embedded worker has an entry for itself without renewing.
        renew_every: How often it renews.
        max_deliveries: Deliveries of one entry of the embedded queue before the run fails.
        poll_interval: How often recovery asks the engine about a run that is not overdue.
        stale_after: Age at which recovery marks a report stale; None for never.
        recovery_batch: People that one recovery pass looks at.
    """

    cost: int = _number(1, 0, 10**9)
    dispatch_deadline: timedelta = _duration(minutes=10)
    queue_deadline: timedelta = _duration(minutes=10)
    run_deadline: timedelta = _duration(minutes=10)
    attempt_lease: timedelta = _duration(seconds=30)
    max_attempts: int = _number(4, 1, 100)
    resend_window: timedelta = _duration(minutes=2)
    worker_lease: timedelta = _duration(seconds=10)
    renew_every: timedelta = _duration(seconds=3)
    max_deliveries: int = _number(5, 1, 100)
    poll_interval: timedelta = _duration(seconds=30)
    stale_after: timedelta | None = field(default=None, validator=_optional_duration)
    recovery_batch: int = _number(100, 1, 10_000)

    def __attrs_post_init__(self) -> None:
        """Refuse a worker that would lose its lease before it renews it."""
        if self.renew_every >= self.worker_lease:
            raise InvalidInput("renew_every", f"must be shorter than worker_lease, {self.worker_lease}")
