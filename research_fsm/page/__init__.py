"""The page: one self-contained HTML file that shows people, their lives, their owners' credits and what verify found.

Floor 7. It imports the reads, the codec, the timeline's words and the laws. It never writes, loads nothing from
anywhere, and holds personal data only if it is asked to.
"""

from research_fsm.page.render import render

__all__ = ["render"]
