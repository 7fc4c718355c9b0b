"""What the file holds, without a browser: everything it should, nothing it should not, and nothing that is code."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from research_fsm import Profile, codec, transactions
from research_fsm.account import Account
from research_fsm.audit.owners import Seen
from research_fsm.errors import InvalidInput
from research_fsm.events import AccountEvent, CreditsGranted, Meta
from research_fsm.laws import Finding
from research_fsm.page import contents, render
from research_fsm.page.render import _block
from research_fsm.page.verdict import Failure, Standing
from research_fsm.storage import Query, RecordedEvent, StreamWrite, Write
from research_fsm.stores.memory import MemoryStore
from tests.explain.worlds import START, World
from tests.page.lives import HOSTILE, many, one_of_each, spoil


def _blocks(text: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', text)
    return {name: json.loads(block) for name, block in found}


class _Scripts(HTMLParser):
    """Reads a page as a browser does, and notes its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.types: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.types.append(dict(attrs).get("type"))


def test_everybody_is_there_with_their_life_and_what_it_meant_for_the_account() -> None:
    """A row for each, with the status of now; the events of each in the order of the log, credits among them."""
    world, people = one_of_each()
    found = _blocks(render(world.store))
    rows = {row[0]: row for row in found["overview"]["people"]}
    assert {status: rows[person_id][3] for status, person_id in people.items()} == {one: one for one in people}
    assert found["overview"]["counts"] == dict.fromkeys(people, 1)
    place = [row[0] for row in found["overview"]["people"]].index(people["complete"])
    block = found["lives-0"]
    life = block["lives"][place]
    shown = [(event[0], block["words"][event[3]]) for event in life]
    assert shown == [(event.position, event.type) for event in world.runs.history(people["complete"])]
    assert [block["words"][event[6]] for event in life if block["words"][event[6]]] == ["-1", "±0"]


def test_the_ledger_has_the_balance_after_each_entry() -> None:
    """The last one is the balance of now."""
    world, _ = one_of_each()
    ledger = _blocks(render(world.store))["ledgers"]["acme"]
    balance = world.runs.balance("acme")
    running = [entry[7] for entry in ledger["entries"]]
    assert running[:3] == [10, 9, 9]
    assert running[-1] == balance.available == ledger["sums"][0]
    assert ledger["total"] == len(ledger["entries"])


def test_no_personal_data_is_in_it_unless_it_is_asked_for() -> None:
    """Names are shown when asked for; of somebody who was erased there is none to show."""
    world, people = one_of_each()
    assert "Number 3" not in render(world.store)
    found = _blocks(render(world.store, with_names=True))
    names = {row[0]: row[10] for row in found["overview"]["people"]}
    assert names[people["complete"]] == f"Person Number 3, {HOSTILE}"
    assert names[people["erased"]] == ""


def test_nothing_in_the_data_can_become_code() -> None:
    """A name that closes the block of data is data still: a parser finds one program, and it is ours."""
    world, _ = one_of_each()
    finding = Finding("<b>", f"person:{HOSTILE}", None, HOSTILE)
    text = render(world.store, with_names=True, findings=[finding], owner="acme")
    parser = _Scripts()
    parser.feed(text)
    assert parser.types.count(None) == 1
    assert set(parser.types) == {None, "application/json"}
    assert "alert(1)</script>" not in text
    block = _block("one", {"<!--": "\u2028&\u2029"})
    assert block.count("<") == 2
    assert block.isascii()


def test_only_our_style_and_our_program_are_allowed_by_the_policy() -> None:
    """By their digests; nothing is loaded, framed or sent."""
    text = render(World().store)
    policy = re.findall(r'Content-Security-Policy" content="(.*?)"', text)[0]
    style, program = (re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[0] for tag in ("style", "script"))
    for directive, content in (("style-src", style), ("script-src", program)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)


def test_an_owner_sees_their_own_people_and_credits_alone() -> None:
    """Nothing of another owner is in the file, not even a count."""
    world, _ = one_of_each()
    world.runs.grant("globex", 3)
    text = render(world.store, owner="globex")
    found = _blocks(text)
    assert found["overview"]["people"] == []
    assert found["overview"]["total"] == 0
    assert list(found["ledgers"]) == ["globex"]
    assert "acme" not in text


def test_an_account_that_was_linked_to_another_shows_nothing_of_it() -> None:
    """A store loads along what a head links to; an account's head links to nothing, unless somebody edits it."""
    linked = MemoryStore()
    events = (codec.encode_event(CreditsGranted("g", 1), Meta()),)
    rest: dict[str, Any] = {
        "events": events,
        "state": codec.encode(Account(granted=1)),
        "fold": codec.FOLD,
        "tag": "account",
        "due": None,
    }
    acme = StreamWrite(stream="account:acme", expected=0, link=None, **rest)
    globex = StreamWrite(stream="account:globex", expected=0, link="account:acme", **rest)
    linked.transact(Query(), lambda _, __: Write(answer=None, streams=(acme, globex)))
    assert list(_blocks(render(linked, owner="globex"))["ledgers"]) == ["globex"]


def test_an_owners_page_reads_the_heads_of_their_people_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newest first, however many others there are, and page after page."""
    world = many(5)
    expected = [one.person_id for one in world.runs.people("acme").people]
    monkeypatch.delattr(MemoryStore, "heads")
    monkeypatch.setattr(contents, "_PAGE", 2)
    first = _blocks(render(world.store, owner="acme", limit=3))["overview"]
    rest = _blocks(render(world.store, owner="acme", limit=3, after=first["next"]))["overview"]
    assert [row[0] for row in (*first["people"], *rest["people"])] == expected
    assert (len(first["people"]), first["total"], rest["total"], rest["next"]) == (3, 5, 5, None)


def _ledger_and_lives(text: str) -> tuple[Any, dict[str, Any]]:
    """Return acme's account and, by person, their lives, with words in place of their numbers."""
    found = _blocks(text)
    ledger, block, people = found["ledgers"]["acme"], found["lives-0"], found["overview"]["people"]
    for entry in ledger["entries"]:
        entry[2:4] = [ledger["words"][word] for word in entry[2:4]]
        del entry[4]  # The person's place on this page.
    del ledger["words"]
    for event in (event for life in block["lives"] for event in life):
        event[3], event[4], event[6] = (block["words"][event[place]] for place in (3, 4, 6))
    return ledger, {row[0]: life for row, life in zip(people, block["lives"], strict=True)}


def _created(count: int) -> World:
    """Return a world of people who were each added and started at once."""
    world = World()
    world.runs.grant("acme", count, grant_id="welcome")
    for number in range(count):
        world.runs.create("acme", Profile(first_name="Person", last_name=str(number), company="Example"))
    return world


@pytest.mark.parametrize("world", [many(6), _created(4)], ids=["one by one", "at once"])
def test_an_owners_account_is_read_from_where_it_is_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its latest entries, and all about those who are shown: the same as when it is folded from the beginning."""
    monkeypatch.setattr(contents, "_LONGEST_LEDGER", 2)
    ledger, lives = _ledger_and_lives(render(world.store))
    seen, after = dict[str, Any](), None
    for _ in lives:
        text = render(world.store, owner="acme", limit=1, after=after)
        own, life = _ledger_and_lives(text)
        assert own == ledger
        seen |= life
        after = _blocks(text)["overview"]["next"]
    assert seen == lives


def test_what_is_before_it_is_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account may have very many entries that no page of an owner's newest people shows."""
    monkeypatch.setattr(contents, "_LONGEST_LEDGER", 2)
    folded, decode = list[int](), codec.decode_account_event

    def noted(recorded: RecordedEvent) -> AccountEvent:
        folded.append(recorded.version)
        return decode(recorded)

    monkeypatch.setattr(codec, "decode_account_event", noted)
    world = many(20)
    render(world.store, owner="acme", limit=1)
    assert max(folded) == 21
    assert min(folded) > 15


@pytest.mark.parametrize(
    "spoilt", [{"fold": codec.FOLD - 1, "state": codec.encode(Account(granted=99))}, {"state": b"{"}], ids=str
)
def test_an_account_whose_head_does_not_say_the_balance_is_folded(
    monkeypatch: pytest.MonkeyPatch, spoilt: dict[str, Any]
) -> None:
    """From its beginning, as the log has it."""
    monkeypatch.setattr(contents, "_LONGEST_LEDGER", 2)
    world, stream = many(4), transactions.account_stream("acme")
    expected = _ledger_and_lives(render(world.store))
    spoil(world, stream, **spoilt)
    assert _ledger_and_lives(render(world.store, owner="acme"))[0] == expected[0]


def test_more_people_than_fit_are_counted_and_the_page_says_where_to_go_on() -> None:
    """Page after page, everybody is shown once."""
    world = many(7)
    seen, after = list[str](), None
    for _ in range(4):
        text = render(world.store, limit=2, after=after)
        overview = _blocks(text)["overview"]
        assert overview["total"] == 7
        seen += [row[0] for row in overview["people"]]
        after = overview["next"]
        assert (f"behind {after}" in text) == (after is not None)
    assert after is None
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == 7


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (None, "Not verified."),
        (Standing(), "Not verified."),
        ([], "The log keeps every law."),
        ([Finding("chained", "person:p", 2, "torn")], "1 finding: the log breaks its laws."),
        ([Finding("chained", "account:a", None, "torn")] * 201, "201 findings: the log breaks its laws."),
    ],
)
def test_the_findings_stand_on_top(findings: list[Finding] | Standing | None, words: str) -> None:
    """Before everything else, each with its place; of very many the first, and how many are left."""
    text = render(World().store, findings=findings)
    assert words in text
    assert text.index(words) < text.index('role="tablist"')
    assert ("… and 1 more" in text) == words.startswith("201")
    assert ('<a href="#p">person:p version 2</a>: torn' in text) == (words.startswith("1 finding"))


def test_what_went_wrong_since_stands_beneath_what_was_found() -> None:
    """With when and why; and of very many findings, how many are left."""
    found = (Finding("chained", "account:acme", 1, "torn"),)
    failed = Standing(Seen(START, 5, 251, found, 0), failure=Failure(START, "the <store> was busy"))
    text = render(World().store, owner="acme", findings=failed)
    assert "251 findings: the log breaks its laws." in text
    assert "… and 250 more" in text
    assert "about others" not in text
    assert "<b>Not verified again</b> <span>at <time>2026-01-01 00:00:00Z</time>: the &lt;store&gt; was busy." in text


def test_a_damaged_head_is_shown_and_does_not_end_the_page() -> None:
    """Somebody who cannot be read stands among the others; the findings say what is wrong."""
    world = World()
    ada = world.person()
    spoil(world, transactions.person_stream(ada), state=b"{", tag="no phase", profile=b"{")
    (row,) = _blocks(render(world.store, with_names=True))["overview"]["people"]
    assert (row[0], row[3], row[10]) == (ada, "none", "")


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 100_001}, {"owner": ""}])
def test_what_no_page_can_show_is_refused(wrong: dict[str, Any]) -> None:
    """The limit is bounded, and an owner is a name."""
    with pytest.raises(InvalidInput):
        render(World().store, **wrong)
