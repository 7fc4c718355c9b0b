"""The library over the store under test, as an embedder has it; a part of what the suites share.

Floor 6. The log is held against `audit.verify` at the end of each test that uses it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from research_fsm import audit
from research_fsm.profile import Profile
from research_fsm.requests import Dispatcher
from research_fsm.runs import Runs
from research_fsm.storage import Store
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.suites.base import StoreSuite
from research_fsm.testing.suites.expect import same

__all__ = ["ADA", "ServiceSuite", "added", "check_whole"]

ADA = Profile(linkedin_url="https://www.linkedin.com/in/ada")


class ServiceSuite(StoreSuite):
    """A suite that drives the store through `Runs`."""

    @contextmanager
    def service(self, dispatcher: Dispatcher | None = None) -> Iterator[tuple[Runs, ManualClock]]:
        """Open a store with the façade over it, and check the log in the end."""
        with self.opened() as (store, clock):
            yield Runs(store, dispatcher), clock
            check_whole(store)


def added(runs: Runs, *, owner: str = "acme", credits: int = 1) -> str:  # noqa: A002  # The word of the domain.
    """Add a person, with this many credits granted to their owner before."""
    if credits:
        runs.grant(owner, credits).accepted()
    return runs.add(owner, ADA).accepted().person_id


def check_whole(store: Store) -> None:
    """Fail unless the log breaks no law."""
    same([str(finding) for finding in audit.verify(store)], [])
