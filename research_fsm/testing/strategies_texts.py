"""Hypothesis strategies for what values are made of: ids, names, JSON, profiles; a part of `strategies`.

Floor 6. Needs Hypothesis, from the extra ``research-fsm[testing]``.
"""

from hypothesis import strategies as st

from research_fsm import codec
from research_fsm.outcomes import Json
from research_fsm.profile import Profile

__all__ = ["documents", "json_values", "names", "profiles", "uuids"]

_LARGEST = 2**53


def names() -> st.SearchStrategy[str]:
    """Opaque ids: owners, external ids, grant ids, actors. Printable text of 1 to 255 characters, of any script."""
    printable = st.characters(codec="utf-8").filter(str.isprintable)
    return st.text(printable, min_size=1, max_size=40)


def uuids() -> st.SearchStrategy[str]:
    """The ids of people and runs."""
    return st.uuids().map(str)


def json_values() -> st.SearchStrategy[Json]:
    """Plain JSON data as callers may send it."""
    leaves = st.none() | st.booleans() | st.integers(-_LARGEST, _LARGEST) | st.text(st.characters(codec="utf-8"))
    keys = st.text(st.characters(codec="utf-8"), max_size=8)
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=8)


def documents() -> st.SearchStrategy[bytes]:
    """Canonical JSON as commands carry it."""
    return json_values().map(lambda value: codec.canonical("document", value))


def profiles() -> st.SearchStrategy[Profile]:
    """People as callers know them: by LinkedIn URL, or by name and company, with whatever else is known."""
    text = names().filter(lambda value: bool(value.strip()))
    slugs = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.~éß", min_size=1, max_size=20).filter(
        lambda slug: slug.strip(".")  # A path of dots leads elsewhere.
    )
    urls = slugs.map(lambda slug: f"https://www.linkedin.com/in/{slug}")
    more = {name: st.none() | text for name in ("role", "company_domain", "photo_url")}
    by_name = st.builds(Profile, linkedin_url=st.none() | urls, first_name=text, last_name=text, company=text, **more)
    return st.builds(Profile, linkedin_url=urls, **more) | by_name
