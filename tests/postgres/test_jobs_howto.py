"""The how-to's own files, in its own order, on a server: what a reader will type."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "procrastinate.md"


def said(folder: Path, address: str, *words: str) -> str:
    """Run Python as the page says, and return what it printed."""
    done = subprocess.run(  # noqa: S603  # The page's own words.
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "RESEARCH_DATABASE": address},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the page, in a folder."""
    for name, text in re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE.read_text(), flags=re.DOTALL):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_how_to_works(folder: Path, address: str) -> None:
    """The tables, a start, a worker, and a report: by the page's files and its commands, word for word."""
    commands = re.findall(r"^\$ python (-m procrastinate .*)$", PAGE.read_text(), flags=re.MULTILINE)
    apply, work, *_ = (command.split() for command in commands)
    said(folder, address, *apply)
    assert re.fullmatch(r"person \S+ is queued as run 1\n", said(folder, address, "start.py"))
    assert " running None" in said(folder, address, "look.py")
    said(folder, address, *work, "--one-shot")
    looked = said(folder, address, "look.py")
    assert " complete ReportDetails(" in looked
    assert "available=0, granted=1, revoked=0, held=0, charged=1" in looked
