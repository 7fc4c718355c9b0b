"""Where a server is, connecting to it, and asking whether it answers at all.

Floor 5. Imports the driver, the errors and its siblings. It says no word on a connection.
"""

import psycopg
from attrs import field, frozen
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from research_fsm.errors import InvalidInput
from research_fsm.stores.postgres_address import Place
from research_fsm.stores.postgres_errors import WireLost

__all__ = ["Address"]

_PING_SECONDS = 2

_DEFAULTS: dict[str, str | int] = {
    "application_name": "research_fsm",
    "connect_timeout": 10,
    # A peer that is gone without a word is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


@frozen
class Address:
    """Where a server is.

    Args:
        conninfo: As libpq has it: a URL, or ``host=… dbname=…``.
        where: The same for messages, without a password.
    """

    conninfo: str = field(repr=False)
    where: str

    @classmethod
    def of(cls, address: str) -> "Address":
        """Check an address; what it says of the store is left out.

        Raises:
            InvalidInput: It is none.
        """
        conninfo = Place.of(address).conninfo
        try:
            found = conninfo_to_dict(conninfo)
        except psycopg.Error as error:
            # What the driver says of a malformed URL may quote its password.
            raise InvalidInput("address", "must be postgresql://user@host:port/database") from error
        host = f"{found.get('host') or 'localhost'}:{found.get('port') or 5432}"
        return cls(conninfo, f"postgresql://{host}/{found.get('dbname') or found.get('user') or ''}")

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Open a connection.

        Raises:
            WireLost: It could not be opened.
        """
        try:
            return psycopg.connect(self._with_defaults(), autocommit=True)
        except psycopg.Error as error:
            raise WireLost.of(error) from error

    def ping(self) -> pq.Ping:
        """Ask whether a server answers there, and whether it lets anybody in."""
        return pq.Ping(pq.PGconn.ping(make_conninfo(self._with_defaults(), connect_timeout=_PING_SECONDS).encode()))

    def _with_defaults(self) -> str:
        given = {name: value for name, value in conninfo_to_dict(self.conninfo).items() if value is not None}
        return make_conninfo("", **{**_DEFAULTS, **given, "client_encoding": "UTF8"})
