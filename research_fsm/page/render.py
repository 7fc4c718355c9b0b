"""From what the page shows to one HTML file: nothing is loaded from elsewhere, and nothing in the data can become code.

Floor 7. The style and the program of the page are files of this package; the policy in its head allows these two, by
their digests, and nothing else. Data stands in blocks that are no program, with every character that could end one
written as an escape.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from urllib.parse import quote

from research_fsm.commands import checked_id
from research_fsm.errors import InvalidInput
from research_fsm.laws import STATEMENTS, Finding
from research_fsm.outcomes import Json
from research_fsm.page.contents import CHUNK, Contents, gather
from research_fsm.page.verdict import Standing, of_findings, of_standing
from research_fsm.rfc3339 import shown_time
from research_fsm.storage import Reader
from research_fsm.visible import visible_json

__all__ = ["render", "source_digest"]

_LARGEST_LIMIT = 100_000

_ESCAPES = {ord(one): f"\\u{ord(one):04x}" for one in "<>&"}


def render(
    reader: Reader,
    *,
    owner: str | None = None,
    with_names: bool = False,
    findings: Sequence[Finding] | Standing | None = None,
    laws: Mapping[str, str] = STATEMENTS,
    limit: int = 10_000,
    after: str | None = None,
    next_page: str | None = None,
) -> str:
    """Return the page as it is to be stored or served, in UTF-8.

    Args:
        reader: Where to look: a store, or a snapshot of one.
        owner: Whose people and credits; None for everybody's.
        with_names: Whether names and companies are shown. They are personal data: the file must be deleted when a
            person is erased.
        findings: What `audit.verify` found in the whole log; or how a verification stands that is not waited for; None
            if nobody verifies it.
        laws: What `audit.verify` was asked about.
        limit: People that are shown, up to 100,000; the rest are counted.
        after: Show people behind this stream; the page of the people before says which.
        next_page: An address to which the stream can be added that the next page begins behind, if it is served.

    Raises:
        InvalidInput: The owner or the limit is malformed.
    """
    if not 1 <= limit <= _LARGEST_LIMIT:
        raise InvalidInput("limit", f"must be from 1 to {_LARGEST_LIMIT}, not {limit}")
    if owner is not None:
        checked_id("owner", owner)
    found = gather(reader, owner=owner, with_names=with_names, limit=limit, after=after)
    style, program = _file("page.css"), _file("page.js")
    overview = {
        "taken": found.taken_at // 1000,
        "chunk": CHUNK,
        "people": found.people,
        "counts": dict(found.counts),
        "total": sum(found.counts.values()),
        "next": found.next_after,
    }
    blocks = [_block(f"lives-{number}", lives) for number, lives in enumerate(found.lives)]
    return Template(_file("page.html")).substitute(
        policy=_policy(style, program),
        style=style,
        program=program,
        title=html.escape("research_fsm" if owner is None else f"research_fsm: {owner}"),
        whose=html.escape("everybody" if owner is None else owner),
        taken=shown_time(found.taken_at),
        findings=of_standing(findings) if isinstance(findings, Standing) else of_findings(findings, laws),
        tiles=_tiles(found.counts),
        note=_note(found, next_page),
        overview=_block("overview", overview),
        lives="\n".join(blocks),
        ledgers=_block("ledgers", found.ledgers),
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, program: str) -> str:
    """Return what a browser may do with the page: apply this style, run this program, and nothing else."""
    own = f"style-src '{source_digest(style)}'; script-src '{source_digest(program)}'"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def source_digest(text: str) -> str:
    """Return how a policy names a style or a program."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _block(name: str, value: Json) -> str:
    """Return a block of data: JSON in which nothing can end the block, open a comment, or break a line."""
    text = visible_json(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).translate(_ESCAPES)
    return f'<script type="application/json" id="{name}">{text}</script>'


def _tiles(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    tiles = (("all", total), *counts.items())
    return "\n".join(
        f'<button type="button" class="tile {name}" data-status="{name}" aria-pressed="{str(name == "all").lower()}">'
        f"<b>{count:,}</b> <span>{name}</span></button>"
        for name, count in tiles
    )


def _note(found: Contents, next_page: str | None) -> str:
    if found.next_after is None:
        return ""
    shown, total = len(found.people), sum(found.counts.values())
    words = html.escape(f"{shown:,} of {total:,} people are shown; the next are behind {found.next_after}")
    if next_page is not None:
        address = html.escape(next_page + quote(found.next_after, safe=""), quote=True)
        words = f'{words}: <a href="{address}" rel="next">go on</a>'
    return f'<p class="note">{words}</p>'
