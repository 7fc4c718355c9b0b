"""A whole service over a fake Trigger.dev: store, dispatcher, engine, one clock, and the worker's code."""

from collections import Counter
from datetime import timedelta
from itertools import count
from typing import Any

from research_fsm import Policy, Profile, Runs
from research_fsm.audit import verify
from research_fsm.dispatchers.trigger_dev import TriggerDev, TriggerDevSettings
from research_fsm.outcomes import Claimed, PersonNotFound
from research_fsm.reads import PersonDetails
from research_fsm.requests import DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock
from research_fsm.testing.engine import FakeEngine, Fault, Status
from research_fsm.testing.engine_http import transport

OWNER = "acme"
PUBLIC_URL = "https://research.example/api"
RUN_ID = "0f0f0f0f-0000-4000-8000-000000000001"
PERSON_ID = "0f0f0f0f-0000-4000-8000-000000000002"
KEY = "a1" * 32
TOKEN = "b2" * 32


def settings(**others: Any) -> TriggerDevSettings:  # noqa: ANN401  # As the settings take them.
    """Return the settings of a test."""
    return TriggerDevSettings(**{"secret_key": "tr_dev_fake0000", "public_url": PUBLIC_URL, **others})


def request(**others: Any) -> DispatchRequest:  # noqa: ANN401  # As the request takes them.
    """Return what the driver would hand over."""
    from research_fsm import PersonKind

    asked = {
        "person_id": PERSON_ID,
        "run_id": RUN_ID,
        "run_no": 1,
        "kind": PersonKind.USER,
        "dispatch_key": KEY,
        "token": TOKEN,
    }
    return DispatchRequest(**{**asked, **others})


class Service:
    """Runs on a store in memory, handed to a fake engine whose faults a test scripts.

    Args:
        credits_: What the owner has.
        policy: The settings of the lifecycle.
    """

    def __init__(self, *faults: Fault, credits_: int = 3, policy: Policy | None = None) -> None:
        self._ids = count()
        self.clock = ManualClock()
        self.engine = FakeEngine(self.clock)
        self.engine.script(*faults)
        self.store = MemoryStore(self.clock)
        self.dispatcher = TriggerDev(settings(), transport=transport(self.engine))
        self.runs = Runs(self.store, self.dispatcher, policy=policy, new_id=self._next_id)
        self.runs.grant(OWNER, credits_, grant_id="first")
        self.person_id = self.add("ada")

    def _next_id(self) -> str:
        """Count, so that recovery meets people in the same order every time."""
        return f"0f0f0f0f-0000-4000-8000-{next(self._ids):012d}"

    def add(self, name: str) -> str:
        """Add an idle person."""
        return self.runs.add(OWNER, Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted().person_id

    def person(self, person_id: str | None = None) -> PersonDetails:
        """Return a person as it is."""
        found = self.runs.person(person_id or self.person_id)
        assert not isinstance(found, PersonNotFound)
        return found

    def recover(self, after: timedelta = timedelta()) -> list[str]:
        """Let time pass and look after what is overdue; return what was done."""
        self.clock.advance(after)
        done = self.runs.recover()
        assert done.errors == ()
        return [str(one.action) for one in done.recovered]

    # --- the worker's code, in the engine ---

    def claim(self, external_id: str) -> bool:
        """Let an engine run begin and claim, as the task does; tell whether it goes on."""
        sent = self.engine.begin(external_id)
        return isinstance(self.runs.claim(sent["run_id"], sent["run_no"], external_id), Claimed)

    def report(self, external_id: str, *, callback: bool = True, output: bool = True) -> None:
        """Let an engine run report and end.

        Args:
            external_id: It has begun.
            callback: Whether its callback comes through.
            output: Whether its task returns the report.
        """
        sent = self.engine.run(external_id).payload
        content = {"by": external_id}
        if callback:
            self.runs.complete(sent["run_id"], sent["run_no"], external_id, content)
        returned = {"run_id": sent["run_id"], "run_no": sent["run_no"], "content": content}
        self.engine.end(external_id, Status.COMPLETED, *((returned,) if output else ()))

    def work(self, external_id: str) -> bool:
        """Let an engine run do all of its work; a stale one stops and returns nothing."""
        goes_on = self.claim(external_id)
        if goes_on:
            self.report(external_id)
        else:
            self.engine.end(external_id)
        return goes_on

    # --- what was done ---

    def log(self) -> Counter[str]:
        """Count the events of each type."""
        return Counter(event.type for event in self.store.events())

    def money(self) -> tuple[int, int, int, int]:
        """Return available, held, charged and refunded credits."""
        balance = self.runs.balance(OWNER)
        return balance.available, balance.held, balance.charged, balance.refunded

    def check(self) -> None:
        """Hold the whole log against the laws."""
        assert list(verify(self.store)) == []
