"""Draws every figure anew: ``python -m docs_tools``."""

from docs_tools.figures import FIGURES, FOLDER

for name, drawn in FIGURES.items():
    (FOLDER / name).write_text(drawn(), encoding="utf-8")
