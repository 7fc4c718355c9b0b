"""The ratios as a picture: one bar a case, its rounds as a whisker, its target as a mark."""

from collections.abc import Sequence
from html import escape
from math import log10

from benchmarks.rounds import Measured

__all__ = ["drawn"]

_ROW = 46
_LEFT, _WIDTH, _RIGHT = 450, 400, 130
_LOWEST, _HIGHEST = 0.05, 50.0

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #222 } .dim { fill: #777; font-size: 11px }
.bar { fill: #7aa6c2 } .met { fill: #6aa84f } .missed { fill: #d08770 } .grid { stroke: #ddd } .one { stroke: #999 }
.whisker { stroke: #333; stroke-width: 1.5 } .target { stroke: #000; stroke-width: 2 }
"""


def drawn(results: Sequence[Measured]) -> str:
    """Return an SVG picture, on a logarithmic scale; legible without the page that it stands in."""
    height = 40 + _ROW * len(results)
    box = f'viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="Each case as a ratio to its baseline">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for tick in (0.1, 0.3, 1, 3, 10, 30):
        place = _place(tick)
        kind = "one" if tick == 1 else "grid"
        lines.append(f'<line class="{kind}" x1="{place:.1f}" x2="{place:.1f}" y1="22" y2="{height - 8}"/>')
        lines.append(f'<text class="dim" x="{place:.1f}" y="16" text-anchor="middle">{tick:g} ×</text>')
    for number, one in enumerate(results):
        lines += _row(one, 34 + number * _ROW)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _row(one: Measured, top: int) -> list[str]:
    kind = {True: "met", False: "missed", None: "bar"}[one.met]
    begin, end = sorted((_place(1), _place(one.ratio)))
    low, high, middle = _place(one.lowest), _place(one.highest), top + 12
    bound = "" if one.target is None else f" ({'≤' if one.less_is_better else '≥'} {one.target:g})"
    rows = [
        f'<text x="{_LEFT - 12}" y="{top + 10}" text-anchor="end">{escape(_short(one.case))}</text>',
        f'<text class="dim" x="{_LEFT - 12}" y="{top + 25}" text-anchor="end">{escape(_short(one.baseline))}</text>',
        f'<rect class="{kind}" x="{begin:.1f}" y="{top}" width="{max(1.0, end - begin):.1f}" height="24"/>',
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{_LEFT + _WIDTH + 10}" y="{top + 16}">{one.ratio:.2f}{bound}</text>',
    ]
    if one.target is not None:
        place = _place(one.target)
        rows.append(f'<line class="target" x1="{place:.1f}" x2="{place:.1f}" y1="{top - 3}" y2="{top + 27}"/>')
    return rows


def _place(ratio: float) -> float:
    bounded = min(max(ratio, _LOWEST), _HIGHEST)
    return _LEFT + _WIDTH * (log10(bounded) - log10(_LOWEST)) / (log10(_HIGHEST) - log10(_LOWEST))


def _short(text: str) -> str:
    longest = 62
    return text if len(text) <= longest else text[: longest - 1] + "…"
