"""Draws the crash windows: each story as a column of steps, and what follows if its process dies between two."""

from docs_tools.crash_windows import STORIES, Story, windows
from docs_tools.svg import DIM, picture, text

__all__ = ["drawn"]

_WIDTH, _ROW, _TOP = 980, 25, 96
_ON_DISK, _WELL, _ALONE = 66, 262, 618
_TITLE = "Every moment at which a process can die, what is on disk then, and who mends it"


def drawn() -> str:
    """Return the picture."""
    parts: list[str] = []
    y = _TOP
    for story in STORIES:
        drawn_story, y = _story(story, y)
        parts += drawn_story
    heads = [
        text(20, 30, _TITLE, "title"),
        text(_ON_DISK, 62, "on disk: phase, credit", "head"),
        text(_WELL, 62, "who moves the person on, and when", "head"),
        text(_ALONE, 62, "and if no engine and no worker is ever heard of", "head"),
        text(20, 62, "✕", "cross"),
    ]
    return picture(_WIDTH, y, _TITLE, *heads, *parts)


def _story(story: Story, y: int) -> tuple[list[str], int]:
    parts = [
        f'<rect class="band" x="10" y="{y - 19}" width="{_WIDTH - 20}" height="28" rx="4"/>',
        text(20, y, story.title, "head"),
    ]
    y += _ROW + 4
    first = y
    for window in windows(story):
        if window.done:
            parts.append(f'<circle class="step" cx="26" cy="{y - 4}" r="4"/>')
            parts.append(text(44, y, window.done, DIM))
            y += _ROW
        parts.append(f'<line class="crash" x1="40" x2="{_WIDTH - 20}" y1="{y + 6}" y2="{y + 6}"/>')
        parts.append(text(44, y, "✕", "cross"))
        columns = ((_ON_DISK, window.on_disk), (_WELL, window.mended), (_ALONE, window.alone))
        parts += [text(x, y, words) for x, words in columns]
        y += _ROW
    line = f'<line class="life" x1="26" x2="26" y1="{first - 10}" y2="{y - _ROW}"/>'
    return [line, *parts], y + 14
