"""What a store within a host's transaction says of itself, on whichever database.

Floor 5. Imports what a store may import.
"""

from research_fsm.errors import InvalidInput
from research_fsm.storage import Watch

__all__ = ["Joined"]


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
