"""Runs every Python and every shell example of the documentation as a test, and gives Hypothesis all the time it needs.

The examples of one page share a namespace and a fresh folder, top to bottom. A block with a title is a file of that
folder, which later examples use. A block marked ``console`` is shown and not run; `tests/test_readme.py` says why each
of those is true.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

_LONGEST_SECONDS = 60

# How long an example takes says something about the machine and nothing about the law.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def _run_shell(example: Example) -> None:
    """Run a shell example as a user would, with the environment's own commands first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603  # The documentation's own examples.
        ["bash", "-euo", "pipefail", "-c", str(example.parsed)],  # noqa: S607  # The user's shell.
        check=False,
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        env={**os.environ, "PATH": path},
    )
    if done.returncode:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")


_titled = RawFencedCodeBlockLexer(re.compile(r'\w+ title="(?P<title>[^"]+)"$\n', re.MULTILINE))


def _files(document: Document) -> Iterable[Region]:
    """Find the blocks of a page that are files."""
    for region in _titled(document):
        region.parsed = region.lexemes
        region.evaluator = _write
        yield region


def _write(example: Example) -> None:
    """Write a file of the page's into its folder."""
    file = Path(example.parsed["title"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(example.parsed["source"]), encoding="utf-8")


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run a page's examples in a folder of their own."""
    folder, before = tmp_path_factory.mktemp("page"), Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def _close_stores(namespace: dict[str, object]) -> None:
    """Close what a page opened, so that a forgotten connection is nobody else's warning."""
    for value in list(namespace.values()):
        close = getattr(getattr(value, "store", value), "close", None)
        if callable(close) and not isinstance(value, (type, ModuleType)):
            close()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser(language="sh", evaluator=_run_shell), _files],
    patterns=["README.md", "docs/**/*.md", "docs/*.md"],
    fixtures=["page_folder"],
    teardown=_close_stores,
).pytest()
