"""``research-fsm demo``: one command that shows every promise kept, with real processes on a real server.

Floor 6. Needs the extra ``research-fsm[serve]``. Nothing else in the library imports it.
"""

from research_fsm.demo.command import demo_command

__all__ = ["demo_command"]
