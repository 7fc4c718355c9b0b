"""The page of the HTTP interface in a real browser: legible at once, and the keyboard suffices."""

from playwright.sync_api import expect

from research_fsm.http import openapi, reference
from tests.page.conftest import Open

DOCUMENT = openapi.document(openapi.DESCRIBED, "/api")


def test_the_keyboard_leads_to_every_operation(opened: Open) -> None:
    """Tab offers the way past the contents; a link of the contents shows its focus, and leads to its operation."""
    page = opened(reference.render(DOCUMENT))
    page.keyboard.press("Tab")
    skip = page.get_by_text("Skip to the operations")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    link = page.locator("nav").get_by_role("link", name="claimRun")
    link.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(link).to_have_css("outline-style", "solid")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="/deep-research/runs/{run_id}/claim")).to_be_in_viewport()


def test_it_is_legible_on_a_small_screen(opened: Open) -> None:
    """Nothing is wider than a phone; what is, scrolls by itself."""
    page = opened(reference.render(DOCUMENT))
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 15
