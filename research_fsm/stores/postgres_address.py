"""What the address of a PostgreSQL store says: to libpq, to this library, and to people, who never see its password.

Floor 5. Imports the errors and no driver. It opens no connection.

An address is a URL as libpq has it. Two words of ours may stand among libpq's own behind the question mark, so that one
text names a store everywhere: ``schema=NAME`` and ``prepared=true`` or ``false``.
"""

import re
from urllib.parse import unquote

from attrs import field, frozen

from research_fsm.errors import InvalidInput

__all__ = ["SCHEMA", "Place", "is_url"]

SCHEMA = "research_fsm"
"""The schema of a store whose address names none."""

_SCHEMES = ("postgresql://", "postgres://")
_HOST = r"(?:\[[^]/?@]*\]|[^]\[:/?@,]*)(?::[0-9]*)?"
# As libpq reads it: a password ends at the first @, and it may hold a ? or a # but no /.
_URL = re.compile(
    rf"(?P<scheme>postgres(?:ql)?://)(?:(?P<user>[^:@/]*)(?::[^@/]*)?@)?(?P<hosts>{_HOST}(?:,{_HOST})*)"
    r"(?P<database>/[^?@]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_SECRET = re.compile(r"[^=]*(?:password|secret|scram|options|%)[^=]*=", re.IGNORECASE)  # An escaped name may be any.
_WRITTEN = {"true": True, "false": False}


def is_url(store: str) -> bool:
    """Return whether a store is named by the address of a PostgreSQL database, and not as a file.

    Raises:
        InvalidInput: It is an address of another kind, such as another library's. The message does not repeat it.
    """
    if "://" in store and not store.startswith(_SCHEMES):
        raise InvalidInput("store", "is a file, or an address that begins with postgresql://")
    return store.startswith(_SCHEMES)


@frozen
class Place:
    """Where a store is.

    Args:
        conninfo: What libpq is told.
        bare: The same without what is secret.
        schema: The schema.
        prepared: Whether statements are prepared on the server, if the address says so.
    """

    conninfo: str = field(repr=False)
    bare: str
    schema: str = SCHEMA
    prepared: bool | None = None

    @classmethod
    def of(cls, address: str) -> "Place":
        """Read an address.

        Raises:
            InvalidInput: It is none. The message does not repeat it.
        """
        if not isinstance(address, str):
            raise InvalidInput("address", f"must be a text such as postgresql://user@host/database, not {address!r}")
        if not address.startswith(_SCHEMES):
            return cls(address, "")  # host=… dbname=…, which are libpq's alone.
        found = _URL.fullmatch(address)
        if found is None:
            problem = "must be postgresql://user:password@host:port/database; in a password, write % @ / as %25 %40 %2F"
            raise InvalidInput("address", problem)
        own, options = _ours(found["query"])
        base = address if found["query"] is None else address[: -len(found["query"]) - 1]
        user = "" if found["user"] is None else f"{found['user']}@"
        bare = f"{found['scheme']}{user}{found['hosts']}{found['database'] or ''}"
        return cls(
            conninfo=_joined(base, options),
            bare=_joined(bare, [option for option in options if not _SECRET.match(option)]),
            schema=own.get("schema", SCHEMA),
            prepared=None if "prepared" not in own else _boolean(own["prepared"]),
        )

    @property
    def shown(self) -> str:
        """The address of the store as people are shown it."""
        return self.bare if self.schema == SCHEMA else _with(self.bare, f"schema={self.schema}")

    def within(self, schema: str) -> str:
        """Return the address of the store in another schema."""
        address = _with(self.conninfo, f"schema={schema}")
        return address if self.prepared is None else _with(address, f"prepared={str(self.prepared).lower()}")


def _joined(base: str, options: list[str]) -> str:
    return f"{base}?{'&'.join(options)}" if options else base


def _with(url: str, word: str) -> str:
    found = _URL.fullmatch(url)
    return f"{url}{'&' if found and found['query'] else '?'}{word}"


def _ours(query: str | None) -> tuple[dict[str, str], list[str]]:
    """Return the words of ours, and those that are left for libpq."""
    own, rest = dict[str, str](), list[str]()
    for word in (query or "").split("&"):
        name, _, value = word.partition("=")
        if name in ("schema", "prepared"):
            own[name] = unquote(value)
        elif word:
            rest.append(word)
    return own, rest


def _boolean(written: str) -> bool:
    if written not in _WRITTEN:
        raise InvalidInput("address", "says prepared=, but neither true nor false")
    return _WRITTEN[written]
