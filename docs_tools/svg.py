"""The few shapes that the figures are made of, as text. Legible in a light and in a dark page, and without one."""

from html import escape

__all__ = ["DIM", "arrow", "box", "picture", "text"]

DIM = "dim"

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222 } .dim { fill: #666; font-size: 12px }
.head { font-weight: 600 } .title { font-size: 16px; font-weight: 600 }
.arrow { fill: none; stroke: #556; stroke-width: 1.4; marker-end: url(#tip) } .none { fill: #222 }
.crash { stroke: #e3b4ae; stroke-dasharray: 4 4 } .cross { fill: #c0392b; font-weight: 700 }
.band { fill: #eaf3fb; stroke: none } .step { fill: #5b8db8 } .life { stroke: #9bbad3; stroke-width: 2 }
rect { fill: #f3f5f8; stroke: #8a94a6 } .paper { fill: #fff; stroke: none }
.known { fill: none; stroke: #bbb; stroke-dasharray: 4 4 } .running { fill: #eaf3fb; stroke: #5b8db8 }
.dispatching, .queued, .executing { fill: #fff; stroke: #5b8db8 } .complete { fill: #e8f5e6; stroke: #5a9a52 }
.failed { fill: #fbeaea; stroke: #b86b6b } .erased { fill: #eee; stroke: #999 }
"""


_TIP = """<defs>
<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<path d="M0,0 L10,5 L0,10 z" fill="#556"/></marker></defs>"""


def picture(width: int, height: int, title: str, *parts: str) -> str:
    """Return a whole picture."""
    said, size = escape(title), f'width="{width}" height="{height}"'
    opened = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{said}">'
    paper = f'<rect class="paper" {size}/>'
    return "\n".join([opened, f"<title>{said}</title>", f"<style>{_STYLE}</style>", _TIP, paper, *parts, "</svg>\n"])


def box(x: int, y: int, width: int, height: int, words: str, *, kind: str) -> str:
    """Return a rectangle with words in its middle."""
    shape = f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
    return shape + (text(x + width // 2, y + height // 2 + 5, words, "head", anchor="middle") if words else "")


def text(x: int, y: int, words: str, kind: str = "", *, anchor: str = "start") -> str:
    """Return a line of text."""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def arrow(path: str) -> str:
    """Return a line that ends in a tip."""
    return f'<path class="arrow" d="{path}"/>'
