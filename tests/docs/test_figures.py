"""The figures say what the code does: they are drawn from it, and kept as they were drawn last."""

import re
from collections.abc import Callable

import pytest

from docs_tools import lifecycle_figure
from docs_tools.crash_windows import STORIES, Story, windows
from docs_tools.figures import FIGURES, FOLDER
from research_fsm.lifecycle import TABLE, Phase, Trigger


@pytest.mark.parametrize(("name", "drawn"), FIGURES.items(), ids=FIGURES)
def test_a_figure_is_as_it_would_be_drawn_now(name: str, drawn: Callable[[], str]) -> None:
    """If this fails, what the figure shows has changed: draw it anew with `python -m docs_tools`, and look at it."""
    assert (FOLDER / name).read_text(encoding="utf-8") == drawn()


def test_every_phase_and_trigger_of_the_table_is_in_the_figure() -> None:
    """By its name, and nothing that the table does not have."""
    words = set(re.findall(r">([^<>]+)</text>", lifecycle_figure.drawn()))
    assert {str(phase) for phase in Phase if phase is not Phase.NONE} <= words
    said = {word for line in words for word in re.split(r"[,:] ", line.removeprefix("↻ "))}
    assert {trigger.replace("_", " ") for trigger in Trigger} <= said


def test_a_new_row_without_a_place_in_the_figure_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the figure cannot leave one out in silence."""
    row = (Trigger.START, (Phase.COMPLETE,), Phase.DISPATCHING)
    monkeypatch.setattr(lifecycle_figure, "TABLE", (*TABLE, row))
    with pytest.raises(KeyError):
        lifecycle_figure.drawn()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_wherever_a_process_dies_somebody_moves_the_person_on(story: Story) -> None:
    """In time: with an engine outside recovery alone does it within its deadline, whatever is never heard of again."""
    for window in windows(story):
        if not window.on_disk.startswith(("dispatching", "queued", "executing")):
            assert window.mended == window.alone
            assert window.mended.startswith("nothing")
            continue
        assert window.mended.startswith(("a worker", "recovery")), window
        assert window.alone.startswith("waits for a worker" if story.inside else "recovery"), window
