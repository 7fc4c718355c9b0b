"""Where Trigger.dev is, what opens it, and where its tasks call back: one frozen, checked value.

Floor 5. Imports the standard library, attrs and the errors. Reads the environment in `from_environment` alone, and
never shows the key.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from attrs import Attribute, field, frozen

from research_fsm.errors import InvalidInput
from research_fsm.events import PersonKind

__all__ = ["DEFAULT_API_URL", "TriggerDevSettings", "is_loopback"]

DEFAULT_API_URL = "https://api.trigger.dev"

_KEY = re.compile(r"tr_[A-Za-z0-9_-]{4,252}")
_TASK = re.compile(r"[A-Za-z0-9_-]{1,128}")
_KEY_TTL = re.compile(r"[1-9][0-9]{0,5}[smhd]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,2000}")
_LONGEST_HOST = 253
_LONGEST_WAIT = timedelta(minutes=5)
_LONGEST_TTL = timedelta(days=14)

_Checker = Callable[[object, "Attribute[Any]", Any], None]


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine and nowhere else."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_host(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return _is_address(host) or (len(host) <= _LONGEST_HOST and all(map(_LABEL.fullmatch, labels)))


def _parts(url: str) -> SplitResult | None:
    """Return the parts of an absolute http URL that has neither a user nor a query, None for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port  # Read here, because reading it is what checks it.
    except ValueError:
        return None
    plain = parts.username is None and port != 0 and not set("?#\\") & set(url)
    proper = parts.scheme in ("http", "https") and _is_host(parts.hostname or "")
    return parts if plain and proper else None


def _base_url(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _PRINTABLE.fullmatch(value) or _parts(value) is None:
        raise InvalidInput(attribute.name, "must be a URL like https://host/path, without user, query or fragment")


def _public_url(instance: object, attribute: "Attribute[str]", value: str) -> None:
    _base_url(instance, attribute, value)
    if not value.startswith("https:") and not is_loopback(value):
        raise InvalidInput(attribute.name, "must be https: callbacks carry a token and personal data")


def _secret(_: object, attribute: "Attribute[str]", value: object) -> None:
    # The message never quotes the key: what was pasted here by mistake may be another secret.
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise InvalidInput(attribute.name, "must be a secret key of Trigger.dev, like tr_prod_… or tr_dev_…")


def _shaped(form: re.Pattern[str], words: str) -> _Checker:
    def check(_: object, attribute: "Attribute[str]", value: object) -> None:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise InvalidInput(attribute.name, f"must be {words}, not {str(value)[:100]!r}")

    return check


def _between(lowest: timedelta, highest: timedelta) -> _Checker:
    def check(_: object, attribute: "Attribute[timedelta]", value: object) -> None:
        if not isinstance(value, timedelta) or not lowest <= value <= highest:
            raise InvalidInput(attribute.name, f"must be a timedelta from {lowest} to {highest}, not {value!r}")

    return check


def _without_slash(url: str) -> str:
    return str(url).rstrip("/")


_TASK_ID = _shaped(_TASK, "the id of a task: letters, digits, _ and -")
_WAIT = _between(timedelta(milliseconds=1), _LONGEST_WAIT)


@frozen(kw_only=True)
class TriggerDevSettings:
    """How to reach Trigger.dev, and how Trigger.dev's tasks reach us.

    Args:
        secret_key: The environment's secret key, ``tr_prod_…`` or ``tr_dev_…``. Never shown, never logged.
        public_url: Where tasks call back: the address of the HTTP interface with its prefix, like
            ``https://research.example.com/api``. Plain http only on this machine.
        api_url: Where Trigger.dev is.
        user_task: The task that researches a user's person.
        partner_task: The task that researches a partner's person.
        queue_ttl: How long a run may wait in the engine's queue, in whole seconds, before it expires there. As long
            as `Policy.queue_deadline`: nobody waits for it any longer.
        key_ttl: How long the engine remembers the idempotency key, like ``24h``; longer than `Policy.resend_window`.
        connect_timeout: How long the connection may take. When it runs out, no byte was sent. A name look-up is
            bounded by the operating system alone.
        read_timeout: How long a single read or write may take, and the whole answer after its head. Together
            with the connection it should stay below `Policy.attempt_lease`.
        read_attempts: Requests per read, the first included; a trigger is always sent once.

    Raises:
        InvalidInput: A value cannot work.
    """

    secret_key: str = field(validator=_secret, repr=False)
    public_url: str = field(converter=_without_slash, validator=_public_url)
    api_url: str = field(default=DEFAULT_API_URL, converter=_without_slash, validator=_base_url)
    user_task: str = field(default="deep-research-enrich", validator=_TASK_ID)
    partner_task: str = field(default="partner-deep-research-enrich", validator=_TASK_ID)
    queue_ttl: timedelta = field(default=timedelta(minutes=10), validator=_between(timedelta(seconds=1), _LONGEST_TTL))
    key_ttl: str = field(default="24h", validator=_shaped(_KEY_TTL, "a number and one of s, m, h, d, like 24h"))
    connect_timeout: timedelta = field(default=timedelta(seconds=5), validator=_WAIT)
    read_timeout: timedelta = field(default=timedelta(seconds=15), validator=_WAIT)
    read_attempts: int = field(default=3)

    @read_attempts.validator
    def _few(self, attribute: "Attribute[int]", value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10:  # noqa: PLR2004  # A limit.
            raise InvalidInput(attribute.name, f"must be a whole number from 1 to 10, not {value!r}")

    @classmethod
    def from_environment(
        cls,
        *,
        public_url: str,
        environ: Mapping[str, str] | None = None,
        **others: Any,  # noqa: ANN401  # Whatever the class takes.
    ) -> Self:
        """Read what Trigger.dev's own tools read.

        ``TRIGGER_SECRET_KEY``, else ``TRIGGER_ACCESS_TOKEN``, is the key, and ``TRIGGER_API_URL`` the address.

        Args:
            public_url: Where tasks call back.
            environ: The environment; by default that of the process.
            others: Further settings.

        Raises:
            InvalidInput: There is no key, or a value cannot work.
        """
        environ = os.environ if environ is None else environ
        key = environ.get("TRIGGER_SECRET_KEY") or environ.get("TRIGGER_ACCESS_TOKEN")
        if not key:
            raise InvalidInput("TRIGGER_SECRET_KEY", "is not set; the dashboard shows it under API keys")
        api_url = environ.get("TRIGGER_API_URL") or DEFAULT_API_URL
        return cls(**{"secret_key": key, "public_url": public_url, "api_url": api_url, **others})

    def task(self, kind: PersonKind) -> str:
        """Return the task that researches people of a kind."""
        return self.partner_task if kind is PersonKind.PARTNER else self.user_task
