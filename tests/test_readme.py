"""What the documentation shows without running it is true all the same: two commands, links, console blocks."""

import re
import tomllib
from pathlib import Path

import pytest

from research_fsm.cli import cli

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

COMMANDS = (
    "pip install uv && uv run research-fsm demo",
    "pip install uv && uv run pytest",
)


def test_the_two_commands_stand_at_the_top() -> None:
    """All the set-up there is: both are in the first block of the README."""
    block = README.read_text().split("```")[1]
    for command in COMMANDS:
        assert command in block


def test_the_two_commands_need_no_flags() -> None:
    """What they need comes with the default group: every extra, and the tests' own packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"]["research-fsm"] == "research_fsm.cli:main"
    assert project["tool"]["uv"]["default-groups"] == ["dev"]
    own = next(entry for entry in project["dependency-groups"]["dev"] if isinstance(entry, str))
    assert set(re.findall(r"[a-z]+", own.partition("[")[2])) == set(project["project"]["optional-dependencies"])


def test_ci_runs_the_second_command() -> None:
    """The README's command is what CI calls, not a cousin of it."""
    assert "\nuv run pytest\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file that is there."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_only_shown_exists(page: Path) -> None:
    """A console block is not run, so at least its commands are the program's."""
    shown = "\n".join(re.findall(r"```console\n(.*?)```", page.read_text(), flags=re.DOTALL))
    names = re.findall(r"research-fsm ([a-z][a-z-]*)", shown)
    program = cli.make_context("research-fsm", [], resilient_parsing=True)
    assert set(names) <= set(cli.list_commands(program))
