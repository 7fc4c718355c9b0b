"""What a store within a host's transaction says of itself, on whichever database.

Floor 5. Imports what a store may import.
"""

from typing import Any, TypeVar

from research_fsm.errors import InvalidInput
from research_fsm.storage import Watch

__all__ = ["Joined", "driver_connection"]

D = TypeVar("D")


class Joined:
    """A store whose connection, and whose end, are the host's.

    Args:
        where: The file or address of the store, for messages.
        secret: What callback tokens are derived from.
    """

    def __init__(self, where: str, secret: bytes) -> None:
        self._where = where
        self._secret = secret

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where!r})"

    @property
    def secret(self) -> bytes:
        """What callback tokens are derived from."""
        return self._secret

    def watch(self) -> Watch:
        """Refuse: what a transaction has not committed is in nobody's feed."""
        raise InvalidInput("follow", "is not for a transaction that is still open: follow the store itself")

    def close(self) -> None:
        """Do nothing: the connection is the host's."""


def driver_connection(connection: Any, driver: type[D], kinds: str) -> D:  # noqa: ANN401  # Of several libraries.
    """Return the driver's connection behind a host's, which is known by what it has: no library is imported.

    Args:
        connection: The host's, or what has one.
        driver: The class of the driver's.
        kinds: What a host's can be, for a message.

    Raises:
        InvalidInput: It is none, or one that is awaited.
    """
    if isinstance(connection, driver):
        return connection
    if hasattr(connection, "run_sync"):  # Whatever SQLAlchemy awaits.
        kind = type(connection).__name__
        raise InvalidInput("connection", f"must be one that blocks, in a function that blocks, not an awaited {kind}")
    if hasattr(connection, "ensure_connection"):  # Django's.
        connection.ensure_connection()
        found = connection.connection
    elif callable(getattr(connection, "connection", None)):  # A session of SQLAlchemy's.
        return driver_connection(connection.connection(), driver, kinds)
    else:  # A connection of SQLAlchemy's.
        found = getattr(getattr(connection, "connection", None), "driver_connection", None)
    if not isinstance(found, driver):
        raise InvalidInput("connection", f"must be {kinds}, not {type(connection).__name__}")
    return found
