"""Draws the lifecycle as a picture, from the table that the library lives by.

Where things stand is said here; what leads where comes from `lifecycle.TABLE` alone. A row that has no place yet is an
error, so that the picture cannot leave one out.
"""

from collections import defaultdict

from docs_tools.svg import DIM, arrow, box, picture, text
from research_fsm.lifecycle import RUNNING, TABLE, Phase, Row

__all__ = ["drawn", "edges"]

_WIDTH, _HEIGHT = 1000, 470

_CENTRES = {
    Phase.IDLE: (150, 200),
    Phase.DISPATCHING: (350, 200),
    Phase.QUEUED: (525, 200),
    Phase.EXECUTING: (700, 200),
    Phase.COMPLETE: (905, 120),
    Phase.FAILED: (905, 280),
    Phase.ERASED: (150, 440),
}
_KNOWN = tuple(phase for phase in Phase if phase not in {Phase.NONE, Phase.ERASED})

# From where to where, the arrow's path, and the place of its words. RUNNING and KNOWN are the boxes around phases.
_ROUTES: dict[tuple[str, str], tuple[str, tuple[int, int]]] = {
    ("none", "idle"): ("M28,200 L90,200", (74, 192)),
    ("idle", "dispatching"): ("M210,192 L290,192", (246, 184)),
    ("dispatching", "idle"): ("M290,210 L210,210", (240, 226)),
    ("dispatching", "queued"): ("M410,200 L465,200", (438, 192)),
    ("queued", "executing"): ("M585,200 L640,200", (612, 192)),
    ("dispatching", "executing"): ("M350,178 C380,132 670,132 700,178", (525, 139)),
    ("RUNNING", "complete"): ("M780,150 L845,128", (812, 160)),
    ("executing", "failed"): ("M760,212 C800,225 810,262 845,272", (822, 226)),
    ("dispatching", "failed"): ("M365,222 C400,318 700,316 845,288", (600, 322)),
    ("queued", "failed"): ("M540,222 C560,290 720,298 845,280", (0, 0)),
    ("failed", "dispatching"): ("M905,302 L905,340 Q905,350 895,350 L345,350 Q335,350 335,340 L335,222", (620, 366)),
    ("complete", "idle"): ("M905,98 L905,70 Q905,60 895,60 L160,60 Q150,60 150,70 L150,178", (525, 52)),
    ("KNOWN", "erased"): ("M150,390 L150,418", (180, 408)),
}
_SIGNS = {Phase.DISPATCHING: (310, 170), Phase.EXECUTING: (700, 240)}
_UNLABELLED = {("queued", "failed")}  # Its words stand at its neighbour's arrow.


def edges(row: Row) -> list[tuple[str, str]]:
    """Return what is drawn of a row: arrows from phases, or one from the box around all of its sources."""
    _, sources, dest = row
    groups: dict[tuple[str, ...], str] = {RUNNING: "RUNNING", _KNOWN: "KNOWN"}
    froms = [groups[sources]] if sources in groups else [str(source) for source in sources]
    return [(one, one if dest is None else str(dest)) for one in froms]


def drawn() -> str:
    """Return the picture."""
    words: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in TABLE:
        for edge in edges(row):
            words[edge].append(row[0].replace("_", " "))
    return picture(
        _WIDTH,
        _HEIGHT,
        "The lifecycle of a person, drawn from its table",
        *_boxes(),
        *(line for edge, triggers in words.items() if edge[0] != edge[1] for line in _edge(edge, triggers)),
        *(line for edge, triggers in words.items() if edge[0] == edge[1] for line in _staying(edge[0], triggers)),
    )


def _boxes() -> list[str]:
    states = [box(x - 60, y - 22, 120, 44, phase, kind=str(phase)) for phase, (x, y) in _CENTRES.items()]
    return [
        box(50, 30, 940, 360, "", kind="known"),
        box(270, 105, 510, 150, "", kind="running"),
        text(285, 126, "running", DIM),
        '<circle class="none" cx="20" cy="200" r="7"/>',
        *states,
    ]


def _edge(edge: tuple[str, str], triggers: list[str]) -> list[str]:
    path, (x, y) = _ROUTES[edge]
    labelled = [] if edge in _UNLABELLED else [text(x, y, ", ".join(triggers), anchor="middle")]
    return [arrow(path), *labelled]


def _staying(where: str, triggers: list[str]) -> list[str]:
    """Draw triggers that leave a phase as it is: no arrow, a sign beside it."""
    said = "↻ " + ", ".join(triggers)
    if where == "KNOWN":
        return [text(970, 380, f"{said}: in all of these", DIM, anchor="end")]
    x, y = _SIGNS[Phase(where)]
    return [text(x, y, said, DIM, anchor="middle")]
