"""A store's first connection, also while its server is being restarted.

Floor 5. Imports the driver, the errors and its siblings. It says no word of its own on the connection.
"""

import time

from psycopg import pq

from research_fsm.stores.postgres_errors import ServerSaid, WireLost, failure
from research_fsm.stores.postgres_server import Address
from research_fsm.stores.postgres_wire import Wire

__all__ = ["open_first"]

_PAUSE_SECONDS = 0.05


def open_first(wire: Wire, address: Address, patience: float) -> None:
    """Open a connection: a server that says it is starting or stopping is waited for, one that says nothing is not.

    So whoever names a wrong host, database or password is told at once. A connection that is lost during its first
    words to a server that is up gets one more chance.

    Args:
        wire: The connection.
        address: Where to.
        patience: For how many seconds to wait.

    Raises:
        StoreError: It could not be opened.
    """
    until = time.monotonic() + patience
    restarting, again = False, True
    with wire.lock:
        while True:
            try:
                wire.get()
            except ServerSaid as error:
                raise failure(error, wire.where) from error
            except WireLost as error:
                answer = address.ping()
                restarting = restarting or answer == pq.Ping.REJECT
                waits = again if answer == pq.Ping.OK else restarting
                if not waits or time.monotonic() > until:
                    raise failure(error, wire.where) from error
                again = answer != pq.Ping.OK
                time.sleep(_PAUSE_SECONDS)
            else:
                return
