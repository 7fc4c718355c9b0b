"""What settings of Trigger.dev can work, and that they never show the key."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from research_fsm import InvalidInput, PersonKind
from research_fsm.dispatchers.trigger_dev import AsyncTriggerDev, TriggerDev, TriggerDevSettings
from tests.dispatchers.service import PUBLIC_URL, settings


@pytest.mark.parametrize("key", ["tr_dev_abcd1234", "tr_prod_Zz9-_", "tr_pat_0123456789"])
def test_a_secret_key_is_taken(key: str) -> None:
    """The keys of every environment, and an access token, are of the one form."""
    assert settings(secret_key=key).secret_key == key


@pytest.mark.parametrize("key", ["", "pk_prod_abcdefgh", "tr_", "tr_dev_a b", "tr_dev_a\nb", "hunter2-hunter2", None])
def test_anything_else_is_no_key_and_is_not_repeated(key: Any) -> None:  # noqa: ANN401  # Whatever was pasted.
    """A public key cannot trigger, and an error shows nothing of what may be another secret."""
    with pytest.raises(InvalidInput, match="secret_key") as refused:
        settings(secret_key=key)
    assert key in (None, "", "tr_") or key not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://research.example/api", "https://research.example/api"),
        ("https://research.example/api//", "https://research.example/api"),
        ("https://research.example", "https://research.example"),
        ("http://localhost:8000/api", "http://localhost:8000/api"),
        ("http://127.0.0.1:8000/api", "http://127.0.0.1:8000/api"),
        ("http://[::1]:8000/api", "http://[::1]:8000/api"),
    ],
)
def test_tasks_call_back_under_the_public_url(given: str, kept: str) -> None:
    """A slash at the end makes no difference; plain http is for this machine."""
    assert settings(public_url=given).public_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "research.example/api",
        "ftp://research.example",
        "http://research.example/api",
        "http://127.0.0.1.research.example/api",
        "http://localhost.research.example/api",
        "https://user:secret@research.example/api",
        "https://research.example/api?x=1",
        "https://research.example/api#x",
        "https://research.example/a b",
        "https://research.example/\n",
        "https://research.example:0/api",
        "https://research.example:99999/api",
        "https://-research.example",
        "https://research..example",
        "https://" + "a" * 64 + ".example",
        "https://" + "a.example" * 40,
        "https://[::1",
        "https://",
    ],
)
def test_a_public_url_that_cannot_work_is_refused(url: str) -> None:
    """A callback carries a token: over https, to a host, and with nothing that a path could be lost behind."""
    with pytest.raises(InvalidInput, match="public_url"):
        settings(public_url=url)


@pytest.mark.parametrize("url", ["api.trigger.dev", "https://api.trigger.dev?x", "https://a\\b", "file:///etc"])
def test_an_engine_address_that_cannot_work_is_refused(url: str) -> None:
    """The engine's address has the same form; plain http is allowed there, and `check` warns of it."""
    assert settings(api_url="http://trigger.internal:3030/").api_url == "http://trigger.internal:3030"
    with pytest.raises(InvalidInput, match="api_url"):
        settings(api_url=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_task", ""),
        ("user_task", "a/b"),
        ("partner_task", "a" * 129),
        ("partner_task", None),
        ("key_ttl", "24"),
        ("key_ttl", "1h30m"),
        ("key_ttl", "0s"),
        ("key_ttl", "1w"),
        ("key_ttl", None),
        ("queue_ttl", timedelta()),
        ("queue_ttl", timedelta(milliseconds=999)),
        ("queue_ttl", timedelta(days=15)),
        ("queue_ttl", 600),
        ("connect_timeout", timedelta()),
        ("read_timeout", timedelta(minutes=6)),
        ("read_timeout", 5.0),
        ("read_attempts", 0),
        ("read_attempts", 11),
        ("read_attempts", True),
        ("read_attempts", 2.0),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_its_name(name: str, value: Any) -> None:  # noqa: ANN401  # Anything.
    """A malformed key_ttl would silently be 30 days, an empty queue_ttl would never expire: refused here."""
    with pytest.raises(InvalidInput, match=f"^{name}: "):
        settings(**{name: value})


def test_each_kind_of_person_has_its_task() -> None:
    """A partner's people are researched by another task."""
    assert settings().task(PersonKind.USER) == "deep-research-enrich"
    assert settings().task(PersonKind.PARTNER) == "partner-deep-research-enrich"
    assert settings(user_task="one", partner_task="two").task(PersonKind.PARTNER) == "two"


def test_the_environment_says_what_the_engines_own_tools_read() -> None:
    """The secret key comes first, the access token is the fallback, and the address has a default."""
    both = {"TRIGGER_SECRET_KEY": "tr_prod_first", "TRIGGER_ACCESS_TOKEN": "tr_pat_second"}
    read = TriggerDevSettings.from_environment(public_url=PUBLIC_URL, environ=both)
    assert (read.secret_key, read.api_url) == ("tr_prod_first", "https://api.trigger.dev")
    second = {"TRIGGER_SECRET_KEY": "", "TRIGGER_ACCESS_TOKEN": "tr_pat_second", "TRIGGER_API_URL": "https://t.example"}
    read = TriggerDevSettings.from_environment(public_url=PUBLIC_URL, environ=second, key_ttl="1h")
    assert (read.secret_key, read.api_url, read.key_ttl) == ("tr_pat_second", "https://t.example", "1h")


def test_an_environment_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable that is missing."""
    monkeypatch.delenv("TRIGGER_SECRET_KEY", raising=False)
    monkeypatch.delenv("TRIGGER_ACCESS_TOKEN", raising=False)
    with pytest.raises(InvalidInput, match="TRIGGER_SECRET_KEY"):
        TriggerDev.from_environment(public_url=PUBLIC_URL)


def test_the_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor a dispatcher shows it."""
    monkeypatch.setenv("TRIGGER_SECRET_KEY", "tr_prod_topsecret")
    with TriggerDev.from_environment(public_url=PUBLIC_URL) as dispatcher:
        assert dispatcher.settings.secret_key == "tr_prod_topsecret"  # noqa: S105  # Of this test.
        assert "topsecret" not in f"{dispatcher!r} {dispatcher.settings!r} {dispatcher.settings}"
        assert PUBLIC_URL in repr(dispatcher)
    awaiting = AsyncTriggerDev.from_environment(public_url=PUBLIC_URL)
    assert "topsecret" not in repr(awaiting)
    assert PUBLIC_URL in repr(awaiting)
    asyncio.run(awaiting.aclose())
