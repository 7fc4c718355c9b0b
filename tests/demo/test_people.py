"""The people that ship with the package, and the research about them."""

import time
from collections.abc import Callable
from importlib import resources

import pytest

from research_fsm import Profile
from research_fsm.cli.importing import GoodLine, read_people
from research_fsm.demo.people import shipped, source_of
from research_fsm.demo.pipeline import SECONDS, research
from research_fsm.worker import ResearchRequest


def asked(profile: Profile, stopped: Callable[[], bool] = lambda: False) -> ResearchRequest:
    """Return a request to research somebody."""
    return ResearchRequest("p", "r", 1, profile.known(), stopped)


def test_a_dozen_different_people_ship_with_the_package() -> None:
    """There are twelve, each with a name and an organisation, and nobody's LinkedIn address is made up."""
    people = shipped()
    assert len({(one.first_name, one.last_name, one.company) for one in people}) == 12
    assert all(one.company and one.linkedin_url is None for one in people)


@pytest.mark.parametrize("profile", shipped(), ids=lambda profile: profile.last_name)
def test_a_source_is_cited_for_everybody(profile: Profile) -> None:
    """Each person has a source of their own, an article that can be read."""
    found = source_of(profile.first_name, profile.last_name)
    assert found is not None
    assert found.known_for
    assert found.url.startswith("https://en.wikipedia.org/wiki/")
    others = [source_of(one.first_name, one.last_name) for one in shipped() if one != profile]
    assert found not in others


def test_the_command_line_can_import_the_same_file() -> None:
    """``add OWNER --from people.csv`` reads exactly the people of the demonstration."""
    content = resources.files("research_fsm.demo").joinpath("people.csv").read_bytes()
    lines = read_people(content)
    assert [line.profile for line in lines if isinstance(line, GoodLine)] == list(shipped())
    assert len(lines) == 12


def test_research_finds_what_the_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report names the person, what they are known for, and the source."""
    monkeypatch.setenv(SECONDS, "0")
    report = research(asked(shipped()[0]))
    assert report == {
        "summary": "Grace Hopper, United States Navy, wrote one of the first compilers.",
        "known_for": "wrote one of the first compilers",
        "source": "https://en.wikipedia.org/wiki/Grace_Hopper",
    }


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        (Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines"), "Ada Lovelace"),
        (Profile(linkedin_url="linkedin.com/in/ada"), "https://www.linkedin.com/in/ada"),
    ],
)
def test_research_about_somebody_else_finds_nothing(
    monkeypatch: pytest.MonkeyPatch, profile: Profile, name: str
) -> None:
    """Who is not in the file gets a report that says so, by name or by address."""
    monkeypatch.setenv(SECONDS, "0")
    assert research(asked(profile)) == {
        "summary": f"Nothing is known of {name} here.",
        "known_for": None,
        "source": None,
    }


def test_research_takes_the_time_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits in steps until its seconds are over, by a clock that only its own steps move."""
    clock, steps = [0.0], []

    def sleep(seconds: float) -> None:
        steps.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setenv(SECONDS, "2")
    research(asked(shipped()[0]))
    assert sum(steps) == pytest.approx(2.0, abs=max(steps))


def test_research_stops_waiting_when_the_lease_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose delivery was taken over is not kept for the rest of a minute."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setenv(SECONDS, "60")
    research(asked(shipped()[0], stopped=lambda: len(slept) == 3))
    assert len(slept) == 3
