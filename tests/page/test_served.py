"""The page that is served: for the owner of a token, in a browser or not, and for nobody else."""

import base64
import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from research_fsm import transactions
from research_fsm.audit.owners import Verified, verify_for_owners
from research_fsm.errors import LogUnreadable, StoreBusy
from research_fsm.events import PersonKind
from research_fsm.http import create_app
from research_fsm.http.callers import Caller
from research_fsm.http.pages import page_route
from research_fsm.http.verifying import Verification
from research_fsm.laws import STATEMENTS
from research_fsm.storage import Reader
from tests.page.lives import many, one_of_each, spoil

PAGE = "/api/deep-research/page"


def _basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()}


def test_the_owner_of_a_token_sees_their_people() -> None:
    """By the bearer's header, or as a browser sends it; kept by nobody in between, framed by nobody."""
    world, people = one_of_each()
    runs = world.runs
    secret = runs.tokens.create("acme").secret
    app = create_app(runs)
    app.router.routes.append(page_route(runs.store, runs.tokens))
    client = TestClient(app)
    for headers in ({"Authorization": f"Bearer {secret}"}, _basic(secret)):
        answer = client.get(PAGE, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert all(person_id in answer.text for person_id in people.values())
        assert "Number 3" not in answer.text
    assert "Number 3" in client.get(PAGE, params={"names": "1"}, headers=_basic(secret)).text
    other = runs.tokens.create("globex", PersonKind.PARTNER).secret
    assert "acme" not in client.get(PAGE, headers=_basic(other)).text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer rfsm_unknown"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic /w=="},
        {"Authorization": "Digest abc"},
        _basic(""),
        _basic("rfsm_unknown"),
    ],
)
def test_nobody_else_sees_anything(headers: dict[str, str]) -> None:
    """The answer is what makes a browser ask for the token."""
    world, people = one_of_each()
    client = TestClient(Starlette(routes=[page_route(world.store, world.runs.tokens)]))
    answer = client.get(PAGE, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert people["idle"] not in answer.text


def test_a_password_opens_the_page_and_nothing_else() -> None:
    """What a browser remembers and sends along by itself starts no run and deletes nobody."""
    world, people = one_of_each()
    runs = world.runs
    app = create_app(runs)
    app.router.routes.append(page_route(runs.store, runs.tokens))
    secret = runs.tokens.create("acme").secret
    answer = TestClient(app).delete(f"/api/deep-research/people/{people['idle']}", headers=_basic(secret))
    assert answer.status_code == 401
    assert TestClient(app).post(PAGE, headers=_basic(secret)).status_code == 405


def test_a_host_recognises_who_asks_in_its_own_way() -> None:
    """Its own look at the request takes the place of the tokens."""
    world, people = one_of_each()

    def authenticate(request: Request) -> Caller | None:
        return Caller(request.headers["x-owner"]) if "x-owner" in request.headers else None

    route = page_route(world.store, world.runs.tokens, prefix="", authenticate=authenticate)
    client = TestClient(Starlette(routes=[route]))
    assert people["idle"] in client.get("/deep-research/page", headers={"X-Owner": "acme"}).text
    assert client.get("/deep-research/page").status_code == 401


def test_a_page_further_shows_the_others() -> None:
    """A thousand at a time; what is no stream is refused."""
    world = many(1001)
    runs = world.runs
    client = TestClient(Starlette(routes=[page_route(runs.store, runs.tokens)]))
    headers = _basic(runs.tokens.create("acme").secret)
    text = client.get(PAGE, headers=headers, params={"names": 1}).text
    after = json.loads(re.findall(r'id="overview">(.*?)</script>', text)[0])["next"]
    assert f'<a href="?names=1&amp;after={after.replace(":", "%3A")}" rel="next">go on</a>' in text
    rest = re.findall(r'id="overview">(.*?)</script>', client.get(PAGE, params={"after": after}, headers=headers).text)
    assert len(json.loads(rest[0])["people"]) == 1
    assert client.get(PAGE, params={"after": "x" * 301}, headers=headers).status_code == 400


def test_the_findings_stand_on_top() -> None:
    """First that it is looked for them, then what was found, of which log: nobody waits for it."""
    world, people = one_of_each()
    runs, begun = world.runs, list[Callable[[], None]]()
    verification = Verification(
        lambda: verify_for_owners(runs.store), clock=lambda: world.now, begin=begun.append, every=timedelta(minutes=1)
    )
    client = TestClient(Starlette(routes=[page_route(runs.store, runs.tokens, verification=verification)]))
    acme = _basic(runs.tokens.create("acme").secret)
    assert client.get(PAGE).status_code == 401
    assert begun == []
    under_way = _verdict(client, acme)
    assert under_way == 'Being verified since <time>2026-01-01 00:07:40Z</time>: <a href="">look again</a>.'
    begun.pop()()
    last = max(event.position for event in runs.store.events())
    held = f"Verified at <time>2026-01-01 00:07:40Z</time>, up to position {last}."
    assert _verdict(client, acme) == f"The log keeps every law. {len(STATEMENTS)} laws, no findings. {held}"
    spoil(world, transactions.person_stream(people["idle"]), tag="complete")
    world.later(hours=2)
    again = '<time>2026-01-01 02:07:40Z</time>: <a href="">look again</a>.'
    assert _verdict(client, acme).endswith(f"{held} Being verified again since {again}")
    begun.pop()()
    found = _verdict(client, acme)
    assert found.startswith("1 finding: the log breaks its laws. Verified at ")
    assert f'heads_are_folds <a href="#{people["idle"]}">person:{people["idle"]}</a>' in found
    other = _verdict(client, _basic(runs.tokens.create("globex").secret))
    assert other.startswith("The log breaks its laws, though not in what is yours. 1 finding about others;")
    assert people["idle"] not in other


def _verdict(client: TestClient, headers: dict[str, str]) -> str:
    """Return what stands on top of the page, in words and links."""
    text = client.get(PAGE, headers=headers).text
    (section,) = re.findall(r'<section aria-label="What verify found">(.*?)</section>', text)
    words = re.sub(r"</?(?:p|b|span|ol|li|code|details|summary)\b[^>]*>", " ", section)
    return " ".join(words.split()).replace(" :", ":")


def test_a_verification_that_failed_is_said_to_have() -> None:
    """Without where the store is."""
    world, _ = one_of_each()
    runs, begun = world.runs, list[Callable[[], None]]()

    def busy() -> Verified:
        raise StoreBusy("/secret/research.db", "somebody has it")

    verification = Verification(busy, clock=lambda: world.now, begin=begun.append)
    client = TestClient(Starlette(routes=[page_route(runs.store, runs.tokens, verification=verification)]))
    acme = _basic(runs.tokens.create("acme").secret)
    _verdict(client, acme)
    begun.pop()()
    words = "the store was busy. It will be tried again when somebody looks later."
    assert _verdict(client, acme) == f"Not verified at <time>2026-01-01 00:07:40Z</time>: {words}"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (StoreBusy("research.db", "somebody has it"), 503, "the store cannot be read now"),
        (LogUnreadable("the row 7", "it is none"), 500, "the log cannot be read; `research-fsm verify` says where"),
    ],
)
def test_a_store_that_cannot_be_read_is_said_to_be(error: Exception, code: int, words: str) -> None:
    """What to do about it, no stack trace, and nothing of what is in it."""
    world, _ = one_of_each()

    def failing(_: Request) -> Caller | None:
        raise error

    store: Reader = world.store
    client = TestClient(Starlette(routes=[page_route(store, world.runs.tokens, authenticate=failing)]))
    answer = client.get(PAGE)
    assert (answer.status_code, answer.text) == (code, words)
