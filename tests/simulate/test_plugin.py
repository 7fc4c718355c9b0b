"""The pytest plugin: which fixtures a host's tests have, and what it costs those who use none."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from importlib import metadata

import pytest

from research_fsm import Policy, Profile, Queued, RolledBack, Runs, Unresolved
from research_fsm.outcomes import Claimed
from research_fsm.storage import Store
from research_fsm.testing import ManualClock, Reply, ScriptedDispatcher

pytest_plugins = ["pytester"]

ADA = Profile(linkedin_url="linkedin.com/in/ada")


def test_the_fixtures_are_one_world(
    research_runs: Runs,
    research_store: Store,
    research_clock: ManualClock,
    research_dispatcher: ScriptedDispatcher,
    research_policy: Policy,
) -> None:
    """The store tells the time that the test moves, and the dispatcher remembers what it was sent."""
    research_runs.grant("acme", 3)
    person = research_runs.add("acme", ADA).accepted()
    assert isinstance(research_runs.start(person.person_id), Queued)
    assert [request.person_id for request in research_dispatcher.requests] == [person.person_id]
    assert research_store.now() == research_clock.now
    research_clock.advance(research_policy.queue_deadline)
    assert [one.action for one in research_runs.recover().recovered] == ["failed"]
    assert research_runs.balance("acme").refunded == 1


def test_the_dispatcher_fails_as_it_is_told(research_runs: Runs, research_dispatcher: ScriptedDispatcher) -> None:
    """One request after the other, and then it goes well again."""
    research_runs.grant("acme", 3)
    person_id = research_runs.add("acme", ADA).accepted().person_id
    research_dispatcher.script(Reply.REFUSED, Reply.NOT_SENT)
    research_dispatcher.script(Reply.LOST)
    assert isinstance(research_runs.start(person_id), RolledBack)
    assert isinstance(research_runs.start(person_id), RolledBack)
    assert isinstance(research_runs.start(person_id), Unresolved)


def test_the_embedded_queue_stands_on_the_same_store(research_queue: Runs, research_runs: Runs) -> None:
    """A host that has no engine takes its runs from there."""
    research_queue.grant("acme", 1)
    research_queue.start(research_queue.add("acme", ADA).accepted().person_id).accepted()
    assert isinstance(research_runs.take(), Claimed)


@pytest.mark.parametrize("_", range(2))
def test_each_test_has_its_own(_: int, research_runs: Runs, research_ids: Callable[[], str]) -> None:
    """The store is empty, and the ids begin anew."""
    assert list(research_runs.store.heads()) == []
    assert research_ids() == "00000000-0000-4000-8000-000000000001"


def test_a_host_overrides_what_it_wants_otherwise(pytester: pytest.Pytester) -> None:
    """In its conftest; what stands on a fixture follows. The plugin is found without a word."""
    pytester.makeconftest(
        """
        from datetime import timedelta

        import pytest

        from research_fsm import Policy


        @pytest.fixture
        def research_policy():
            return Policy(cost=7, run_deadline=timedelta(hours=1))
        """
    )
    pytester.makepyfile(
        """
        from research_fsm import InsufficientCredits, Profile


        def test_cost(research_runs):
            person = research_runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted()
            answer = research_runs.start(person.person_id)
            assert isinstance(answer, InsufficientCredits)
            assert answer.required == 7
        """
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_whoever_uses_no_fixture_pays_little() -> None:
    """By pytest's finding the plugin, three modules are imported: no store, no Hypothesis, not even the library."""
    ours = "sorted(name for name in sys.modules if name.startswith(('research_fsm', 'hypothesis', 'sqlite')))"
    code = f"import sys, pytest, research_fsm.testing.plugin; print({ours})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # Ours.
    assert done.stdout == "['research_fsm', 'research_fsm.testing', 'research_fsm.testing.plugin']\n"


def test_the_entry_point_is_the_plugin() -> None:
    """As it is installed."""
    found = [one.value for one in metadata.entry_points(group="pytest11") if one.name == "research_fsm"]
    assert found == ["research_fsm.testing.plugin"]


def test_time_stands_still(research_clock: ManualClock) -> None:
    """Until it is moved."""
    before = research_clock()
    assert research_clock() == before
    assert research_clock.advance(timedelta(seconds=1)) == before + 1_000_000
