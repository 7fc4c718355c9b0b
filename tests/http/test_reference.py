"""The document for readers: whole, self-contained, and a page that a keyboard suffices for."""

import copy
import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from research_fsm.http import reference
from tests.http.service import Service

PAGE = "/api/docs"


class Seen(HTMLParser):
    """What is in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        """Return every value of an attribute."""
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    """Return the document that is served."""
    found: dict[str, Any] = service.nobody.get("/api/openapi.json").json()
    return found


@pytest.fixture
def seen(service: Service) -> Seen:
    """Return the page that is served."""
    return Seen(service.nobody.get(PAGE).text)


def test_it_is_served_to_everybody_and_allows_nothing_foreign(service: Service) -> None:
    """HTML with a policy under which a browser runs no program and asks nobody for anything."""
    answer = service.nobody.get(PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_it_brings_everything_along(seen: Seen) -> None:
    """No program, nothing that is loaded, no link to elsewhere."""
    assert {tag for tag, _ in seen.tags} & {"script", "link", "img", "iframe", "object", "form"} == set()
    assert [value for value in seen.values("href") if not value.startswith("#")] == ["openapi.json"]
    assert seen.values("src") + seen.values("onclick") == []


def test_every_operation_and_every_schema_is_in_it(seen: Seen, document: dict[str, Any]) -> None:
    """Each under an address of its own, with its path, its parameters, its answers and its codes."""
    ids = seen.values("id")
    assert len(set(ids)) == len(ids)
    words = " ".join(seen.text)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["operationId"] in ids
            assert path in words
            for answer in operation["responses"].values():
                ((_, content),) = answer["content"].items()
                for code in content["schema"].get("properties", {}).get("code", {}).get("enum", []):
                    assert code in words
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= set(ids)


def test_every_link_leads_somewhere(seen: Seen) -> None:
    """What is pointed at is there, and everything is pointed at from the contents."""
    ids, targets = set(seen.values("id")), {value[1:] for value in seen.values("href") if value.startswith("#")}
    assert targets <= ids
    assert {"createPerson", "claimRun", "getPage", "schemas", "operations"} <= targets


def test_it_is_in_order_for_whoever_does_not_see_it(seen: Seen) -> None:
    """A language, a title, one main heading, no heading that skips a step, a way past the contents, heads of tables."""
    tags = [tag for tag, _ in seen.tags]
    assert ("html", {"lang": "en"}) in seen.tags
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    inside = levels[levels.index(1) :]
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(inside))
    first = next(attributes for tag, attributes in seen.tags if tag == "a")
    assert (first["class"], first["href"]) == ("skip", "#operations")
    assert all(attributes.get("scope") == "col" for tag, attributes in seen.tags if tag == "th")


def test_every_word_of_the_document_is_escaped(document: dict[str, Any]) -> None:
    """Whatever stands in it, nothing of it becomes part of the page."""
    hostile = copy.deepcopy(document)
    bad = '"><script>alert(1)</script>&'
    hostile["info"]["title"] = bad
    hostile["components"]["schemas"]["Person"]["properties"][bad] = {"type": "string", "pattern": bad}
    hostile["components"]["schemas"][bad] = {"enum": [bad]}
    hostile["components"]["schemas"]["NewPerson"]["examples"] = [{"firstName": bad}]
    hostile["components"]["securitySchemes"]["token"]["description"] = bad
    for tag in hostile["tags"]:
        tag["description"] = bad
    for methods in hostile["paths"].values():
        for operation in methods.values():
            operation["summary"] = bad
            operation["operationId"] += bad
            for parameter in operation["parameters"]:
                parameter["name"] = bad
    text = reference.render(hostile)
    assert "<script" not in text
    assert bad in "".join(Seen(text).text)
