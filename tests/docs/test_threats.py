"""The list of threats: whatever it says is shown by a test, is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "threats.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:\w+/)+\w+\.py)`|`(test_\w+)`")


def rows() -> list[tuple[str, str]]:
    """Return every threat with what it is said to be shown by."""
    cells = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| ")]
    return [(row[0].strip(), row[-1]) for row in cells if row[0].strip() != "threat"]


def test_every_threat_names_what_shows_its_answer() -> None:
    """A file at least."""
    assert len(rows()) > 25
    assert [threat for threat, shown in rows() if not NAMED.search(shown)] == []


def test_what_is_named_is_there() -> None:
    """Each file, and each test in the file that is named before it."""
    missing: list[str] = []
    for _, shown in rows():
        text = ""
        for file, test in NAMED.findall(shown):
            if file:
                path = ROOT / "tests" / file
                text = path.read_text(encoding="utf-8") if path.exists() else ""
                missing += [] if text else [file]
            elif f"def {test}(" not in text:
                missing.append(test)
    assert missing == []
