"""The HTTP interface of deep research: an ASGI application, to be served or mounted.

Floor 6; needs the extra ``http`` (Starlette). ::

    app = create_app(Runs(SQLiteStore("research.db")))
"""

from research_fsm.http.app import create_app
from research_fsm.http.callers import Authenticate, Caller, Limit
from research_fsm.http.problems import Code

__all__ = ["Authenticate", "Caller", "Code", "Limit", "create_app"]
