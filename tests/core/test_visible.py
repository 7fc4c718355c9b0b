"""Text that is shown to people: no character of it can act on a terminal."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from research_fsm.visible import visible, visible_json

ACTING = st.sampled_from(
    [
        one
        for one in map(chr, range(0x110000))
        if unicodedata.category(one) in {"Cc", "Zl", "Zp"}
        or unicodedata.bidirectional(one) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        or unicodedata.name(one, "") in {"LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK"}
    ]
)
TEXTS = st.text(ACTING | st.characters())


@given(TEXTS)
def test_a_text_is_one_line_that_does_nothing(text: str) -> None:
    """Every control is shown as an escape, every other character is shown as it is, and the order stays."""
    shown = visible(text)
    assert shown == "".join(map(visible, text))
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(one) in {"Cc", "Zl", "Zp"} for one in shown)
    assert visible(shown) == shown


@given(ACTING)
def test_each_control_is_named(one: str) -> None:
    """What is shown in its place is how Python writes it."""
    assert visible(f"a{one}b").encode("ascii").decode("unicode_escape") == f"a{one}b"
    assert visible(one).isprintable()


def test_what_people_write_stays() -> None:
    """Accents, other scripts, joined emoji and a space that does not break."""
    for text in ("Åsa Öberg", "نام‌خانوادگی", "👩‍🔬", "12\u00a0000", "back\\slash"):
        assert visible(text) == text


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_says_the_same(value: object) -> None:
    """Only the ends of its own lines are left of all controls."""
    text = visible_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(text) == value
    assert {one for one in text if visible(one) != one} <= {"\n"}
