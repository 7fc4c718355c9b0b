"""The page in a real browser: it paints at once, it is driven by the keyboard, it shows what the log says."""

import json
import re
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page, expect

from research_fsm.audit.owners import Seen
from research_fsm.laws import Finding
from research_fsm.page import render
from research_fsm.page.verdict import Standing
from tests.explain.worlds import START
from tests.page.conftest import Heard, Open
from tests.page.lives import HOSTILE, many, one_of_each

_FIRST_PAINT_MS = 1000


def test_ten_thousand_people_are_painted_within_a_second(opened: Open) -> None:
    """From navigation to the first paint of content; a hundred of them are in the document, the rest is data."""
    world = many(500)
    text = render(world.store)
    # Twenty times the same five hundred, under ids of their own: what is measured is the page, not the making of it.
    page = opened(_twentyfold(text))
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert painted < _FIRST_PAINT_MS
    expect(page.locator("#where")).to_have_text("1–100 of 10,000")  # noqa: RUF001  # A range is written with a dash.
    expect(page.locator("#people li")).to_have_count(100)


def _twentyfold(text: str) -> str:
    found = re.search(r'(id="overview">)(.*?)(</script>)', text)
    assert found is not None
    overview = json.loads(found[2])
    own = overview["people"]
    overview["people"] = [[f"{copy:02}{row[0][2:]}", *row[1:]] for copy in range(20) for row in own]
    overview["total"] = len(overview["people"])
    blocks = re.findall(r'<script type="application/json" id="lives-\d+">(.*?)</script>', text)
    copies = "".join(
        f'<script type="application/json" id="lives-{copy * len(blocks) + number}">{block}</script>'
        for copy in range(1, 20)
        for number, block in enumerate(blocks)
    )
    larger = text.replace(found[0], f"{found[1]}{json.dumps(overview)}{found[3]}")
    return larger.replace("</body>", f"{copies}</body>")


def test_it_is_driven_by_the_keyboard_alone(opened: Open) -> None:
    """Slash finds, arrows choose, Enter reads on, Escape comes back; the focus is always to be seen."""
    world, people = one_of_each()
    page = opened(render(world.store))
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("acme")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#people")).to_be_focused()
    expect(page.locator("#people li[aria-selected=true]")).to_have_attribute("class", "running")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#people li[aria-selected=true]")
    expect(chosen).to_have_count(1)
    expect(chosen).to_contain_text(people["complete"])
    assert page.locator("#people").get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_focused()
    assert page.locator("#detail").evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Escape")
    expect(page.locator("#people")).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator("#people li").last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    expect(page.locator("#people li").first).to_have_attribute("aria-selected", "true")


def test_tabs_are_changed_by_arrows(opened: Open) -> None:
    """One stop of the Tab key for both; the panel that is shown is the chosen tab's."""
    world, _ = one_of_each()
    page = opened(render(world.store))
    page.focus("#tab-people")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Credits")).to_be_focused()
    expect(page.get_by_role("tab", name="Credits")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#panel-people")).to_be_hidden()
    expect(page.locator("#panel-credits table")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#panel-people")).to_be_visible()


def test_who_uses_a_screen_reader_finds_their_way(opened: Open) -> None:
    """Landmarks, headings in order, a name for every control and for every drawing."""
    world, people = one_of_each()
    page = opened(render(world.store))
    _open_person(page, people["complete"])
    for role in ("banner", "main", "navigation"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_role("listbox", name="People")).to_be_visible()
    expect(page.get_by_role("img")).to_have_accessible_name(
        "run 1, 25.0 s, complete: report 1; credits held −1, charged"  # noqa: RUF001  # A sign, not a hyphen.
    )
    nameless = page.locator("button, input, select, a, [role=img]").evaluate_all(
        "all => all.filter(one => !(one.innerText || '').trim() && !one.getAttribute('aria-label')"
        " && !(one.labels || []).length).map(one => one.outerHTML)"
    )
    assert nameless == []
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_tiles_show_people_by_status(opened: Open) -> None:
    """A press narrows the list, and says so."""
    world, people = one_of_each()
    page = opened(render(world.store))
    tile = page.get_by_role("button", name="failed")
    tile.click()
    expect(tile).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#people li")).to_have_count(1)
    expect(page.locator("#people li")).to_contain_text(people["failed"])


def test_a_life_is_drawn_and_told(opened: Open) -> None:
    """The run with its phases and its end; every event in words, with who asked and what it did to the credits."""
    world, people = one_of_each()
    page = opened(render(world.store))
    _open_person(page, people["erased"])
    detail = page.locator("#detail")
    expect(detail).to_contain_text("erased with a run open; the charge stays")
    expect(detail.locator("svg .end-erased")).to_have_count(1)
    expect(detail.locator("svg .coin")).to_have_count(2)
    rows = detail.locator("tbody tr")
    expect(rows).to_have_count(len(world.runs.history(people["erased"])))
    expect(rows.last).to_contain_text("dpo")
    _open_person(page, people["running"])
    expect(detail.locator("svg .end-running")).to_have_count(1)
    expect(detail.locator(".badge")).to_have_text("running: executing")
    _open_person(page, people["idle"])
    expect(detail).to_contain_text("No run yet")


def test_the_ledger_leads_to_the_person(opened: Open) -> None:
    """From an entry to whom it concerns, by a link."""
    world, people = one_of_each()
    page = opened(render(world.store))
    page.get_by_role("tab", name="Credits").click()
    expect(page.locator("#panel-credits tbody tr").first).to_contain_text("credits charged")
    page.locator(f"#panel-credits a[href='#{people['running']}']").first.click()
    expect(page.locator("#detail-title")).to_contain_text(people["running"])
    expect(page.locator("#detail")).to_be_focused()


def test_hostile_names_are_shown_as_they_are(opened: Open, heard: Heard) -> None:
    """Nothing of them runs: no dialog, no error, no request."""
    world, people = one_of_each()
    page = opened(render(world.store, with_names=True, findings=[Finding("chained", "person:x", 1, HOSTILE)]))
    _open_person(page, people["failed"])
    assert HOSTILE in (page.locator("#detail-title").text_content() or "")
    assert HOSTILE in (page.locator(".broken").text_content() or "")
    assert len(heard.requests) == 1


def test_look_again_is_a_key_away(opened: Open, tmp_path: Path) -> None:
    """It has a stop of the Tab key, and shows what has become of the verification; what was found leads to whom."""
    world, people = one_of_each()
    place = f"person:{people['failed']}"
    found = Seen(START, 7, 1, (Finding("chained", place, 1, "torn"),), 2)
    page = opened(render(world.store, owner="acme", findings=Standing(since=START)))
    verdict = page.get_by_role("region", name="What verify found")
    expect(verdict).to_have_text("Being verified since 2026-01-01 00:00:00Z: look again.")
    (tmp_path / "page.html").write_text(render(world.store, owner="acme", findings=Standing(found)), encoding="utf-8")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="look again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(verdict).to_contain_text("1 finding: the log breaks its laws.")
    expect(verdict).to_contain_text("Verified at 2026-01-01 00:00:00Z, up to position 7.")
    expect(verdict).to_contain_text("2 findings about others")
    verdict.get_by_role("link", name=f"{place} version 1").press("Enter")
    expect(page.locator("#detail-title")).to_contain_text(people["failed"])


def test_an_empty_store_has_a_page(opened: Open) -> None:
    """Nobody, and no credits."""
    page = opened(render(one_of_each()[0].store, owner="nobody"))
    expect(page.locator("#people")).to_contain_text("nobody")
    page.get_by_role("tab", name="Credits").click()
    expect(page.locator("#panel-credits")).to_contain_text("No credits were ever granted.")


def test_it_fits_a_telephone(opened: Open) -> None:
    """Nothing is wider than the window but tables, which scroll by themselves."""
    world, people = one_of_each()
    place = f"person:{people['idle']}"
    found = Standing(Seen(START, 10**9, 1, (Finding("chained", place, 1, "torn"),), 2), since=START)
    page = opened(render(world.store, owner="acme", findings=found))
    page.set_viewport_size({"width": 390, "height": 800})
    _open_person(page, people["complete"])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _open_person(page: Page, person_id: str) -> None:
    page.evaluate("hash => { location.hash = hash; }", person_id)
    expect(page.locator("#detail")).to_contain_text(person_id)
