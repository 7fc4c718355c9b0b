"""A browser for the tests of the page, and pages to open in it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# As root, without a graphics card, and without a look at the network.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Open = Callable[[str], Page]


@frozen
class Heard:
    """What a page said and asked for."""

    errors: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium, closed before others' tests: while it is open, nobody else can run an event loop here."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def heard() -> Heard:
    """Everything that was opened said and asked for; the tests that open something end without errors."""
    return Heard([], [])


@pytest.fixture
def opened(browser: Browser, heard: Heard, tmp_path: Path) -> Iterator[Open]:
    """Open a page from a file; whatever goes wrong in it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})

    def open_page(text: str) -> Page:
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        shown = context.new_page()
        shown.on("pageerror", lambda error: heard.errors.append(str(error)))
        shown.on("console", lambda message: heard.errors.append(message.text))
        shown.on("request", lambda request: heard.requests.append(request.url))
        shown.goto(file.as_uri())
        return shown

    yield open_page
    context.close()
    assert heard.errors == []
    assert all(url.startswith("file:") for url in heard.requests)
