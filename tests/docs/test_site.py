"""The documentation site: built strictly, every page in its navigation, every public name in its reference."""

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest

import research_fsm
from tests.core.test_exports import MODULES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MADE_FROM = ("docs", "docs_tools", "research_fsm", "zensical.toml")

DIRECTIVE = re.compile(r"^::: (research_fsm[\w.]*)$", re.MULTILINE)
IMPORTED = re.compile(r"^ *(?:from|import) (research_fsm[\w.]*)(?: import (\w+(?:, \w+)*))?", re.MULTILINE)


INTERNAL = {
    "audit.*": "parts of the audit",
    "checkpoints.*": "parts of checkpoints, which names what is in them",
    "cli*": "the command line is public, not what it is made of",
    "columns": "what a row must be, for whoever reads one",
    "compare_replay": "a part of compare",
    "copying": "what folds are fast by",
    "decide*": "rules: public is what a door answers",
    "demo*": "a show",
    "dispatchers.*.*": "parts of dispatchers, which name what is in them",
    "doors": "what both façades stand on",
    "explain_facts": "a part of explain",
    "flows": "what happens between transactions",
    "http.*": "the interface is public, not what it is made of",
    "laws.*": "parts of laws, which names what is in them",
    "page*": "render is public, not what it is made of",
    "rows": "states and decisions as rows",
    "stores.*": "a store is public, not what it is made of",
    "testing.*": "the kit is public, not what it is made of",
    "transactions*": "rules, as a store is given them",
    "visible": "how what is printed is made harmless",
}
"""Modules that no page of the reference describes, and why; an `__all__` there is for their neighbours."""


class Elements(HTMLParser):
    """What a page is made of that others may name, or that is loaded from somewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids, and addresses of what a browser fetches by itself."""
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if value and ((tag in {"script", "img"} and name == "src") or (tag == "link" and name == "href")):
                self.loaded.add(value)


def copied(folder: Path) -> Path:
    """Copy to a folder what the site is made from."""
    for name in MADE_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def build(folder: Path) -> tuple[int, str]:
    """Build the site in a folder; return the exit code and what was printed."""
    words = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all of these tests."""
    folder = tmp_path_factory.mktemp("site")
    code, printed = build(copied(folder))
    assert code == 0, printed
    assert "griffe:" not in printed, printed  # A docstring and a signature that disagree.
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Elements]:
    """Each page of the site, by its path."""
    return {str(page.relative_to(site)): Elements(page.read_text()) for page in site.rglob("*.html")}


def navigation() -> list[str]:
    """Return the pages of the navigation, in their order."""

    def leaves(entry: object) -> list[str]:
        inner = entry.values() if isinstance(entry, dict) else entry
        return [inner] if isinstance(inner, str) else [leaf for one in cast("Any", inner) for leaf in leaves(one)]

    return leaves(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])


def public_modules() -> list[str]:
    """Return the modules that the reference describes: these are public, and no others."""
    texts = (page.read_text() for page in sorted((DOCS / "reference" / "api").glob("*.md")))
    return [module for text in texts for module in DIRECTIVE.findall(text)]


def test_every_module_is_public_or_left_out_for_a_reason() -> None:
    """A new one cannot be forgotten; nor can a reason outlive what it is for."""
    others = {f"research_fsm.{pattern}" for pattern in INTERNAL}
    modules = [module for module in MODULES if module not in {*public_modules(), "research_fsm"}]
    matched = {module: [pattern for pattern in others if fnmatch(module, pattern)] for module in modules}
    assert [module for module, patterns in matched.items() if not patterns] == []
    assert others - {pattern for patterns in matched.values() for pattern in patterns} == set()


def test_every_page_is_in_the_navigation() -> None:
    """Once, and nothing else is."""
    assert sorted(navigation()) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.mark.long
def test_every_page_is_built(pages: dict[str, Elements]) -> None:
    """The strict build ends well, and leaves a page for each."""
    assert {name.removesuffix(".md") + ".html" for name in navigation()} <= set(pages)


@pytest.mark.long
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    """So does a heading that is not there: the build is strict."""
    copied(tmp_path)
    (tmp_path / "docs" / "glossary.md").write_text("# Glossary\n\n[a](nowhere.md) [b](tutorial.md#nothing)\n")
    code, printed = build(tmp_path)
    assert code != 0
    assert printed.count("Warning") == 2, printed


@pytest.mark.long
@pytest.mark.parametrize("module", public_modules())
def test_every_public_name_is_in_the_reference(module: str, pages: dict[str, Elements]) -> None:
    """Each name of a public module's `__all__` has an entry to link to."""
    described = {one for name, page in pages.items() if name.startswith("reference/api/") for one in page.ids}
    found = importlib.import_module(module)
    # A function that is named like the module it is from is described there.
    homes = {name: getattr(getattr(found, name), "__module__", "") for name in found.__all__}
    assert [name for name, home in homes.items() if {f"{module}.{name}", f"{home}.{name}"}.isdisjoint(described)] == []


def test_the_names_at_the_top_are_in_the_reference_where_they_are_from() -> None:
    """What `from research_fsm import …` finds is the name of a public module."""
    modules = map(importlib.import_module, public_modules())
    exported = {id(getattr(module, name)) for module in modules for name in module.__all__}
    assert [name for name in research_fsm.__all__ if id(getattr(research_fsm, name)) not in exported] == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_examples_use_what_is_public(page: Path) -> None:
    """What a page imports is a public module, or a name at the top of the package, or one of a module's `__all__`."""
    public = {*public_modules(), "research_fsm"}
    for module, names in IMPORTED.findall(page.read_text()):
        exported = importlib.import_module(module).__all__ if module in public else []
        for name in names.split(", ") if names else []:
            assert name in exported or f"{module}.{name}" in public, f"{module}.{name} is not public"


@pytest.mark.long
def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Elements]) -> None:
    """No font, script or picture of somebody else's: the site works without a network."""
    assert {address for page in pages.values() for address in page.loaded if "//" in address} == set()
