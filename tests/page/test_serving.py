"""`research-fsm serve` and a browser: somebody edited the store, and the page says so by itself."""

import json
import sqlite3

from playwright.sync_api import Browser, Page

from tests.cli.conftest import Program, Spawn, elsewhere, program, spawn
from tests.cli.processes import ended, until

__all__ = ["elsewhere", "program", "spawn"]


def test_an_edited_store_is_found_out_by_looking(program: Program, spawn: Spawn, browser: Browser) -> None:
    """The browser asks for the token as a password; the first look begins the verification, a later one shows it."""
    person_id, other_id = program.complete(), program.person("globex")
    token = program.json("token", "create", "acme")["token"]
    server = spawn("serve", "--port", 0, "--json")
    assert server.stdout is not None
    url = json.loads(server.stdout.readline())["url"]
    with sqlite3.connect(program.store) as edited:
        edited.execute("DROP TRIGGER events_no_update")
        words = "UPDATE events SET at = at + 1 WHERE stream IN (?, ?) AND version = 1"
        edited.execute(words, (f"person:{person_id}", f"person:{other_id}"))
    edited.close()
    context = browser.new_context(http_credentials={"username": "anybody", "password": token})
    page = context.new_page()
    page.goto(f"{url}/api/deep-research/page")
    verdict = page.get_by_role("region", name="What verify found")
    assert (verdict.text_content() or "").startswith("Being verified since ")
    until(lambda: _looks_again(page))
    said = verdict.text_content() or ""
    assert f"person:{person_id} version 1: the hash is not that of this event after the previous one" in said
    assert "about others" in said
    assert other_id not in page.content()
    context.close()
    server.terminate()
    assert ended(server)[0] == 0


def _looks_again(page: Page) -> bool:
    """Look again; tell whether there is no more to wait for."""
    again = page.get_by_role("link", name="look again")
    if again.count():
        again.click()
    return not again.count()
