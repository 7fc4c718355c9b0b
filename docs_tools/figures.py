"""The figures that follow the code, by the file that each is kept in; a test sees that they still do."""

from collections.abc import Callable, Mapping
from pathlib import Path

from docs_tools import crash_figure, lifecycle_figure

__all__ = ["FIGURES", "FOLDER"]

FOLDER = Path(__file__).parents[1] / "docs" / "assets"

FIGURES: Mapping[str, Callable[[], str]] = {
    "crash-windows.svg": crash_figure.drawn,
    "lifecycle.svg": lifecycle_figure.drawn,
}
