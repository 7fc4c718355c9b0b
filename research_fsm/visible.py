"""Text from elsewhere, made fit to be shown: nothing in it can act on a terminal, or look like a line of its own.

Floor 0. Imports nothing. A log that somebody else wrote may hold anything, an escape sequence that rewrites what was
printed before it among the rest. What such a character is, is shown in its place; every other one stays as it is.
"""

from itertools import chain

__all__ = ["visible", "visible_json"]

_ACTING = (
    *chain(range(0x20), range(0x7F, 0xA0)),  # Controls of ASCII and of Latin-1: escape sequences, the ends of lines.
    *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # Unicode's Bidi_Control.
    *(0x2028, 0x2029),  # The separators of lines and paragraphs.
)
_SHOWN = {one: chr(one).encode("unicode_escape").decode() for one in _ACTING}
_IN_JSON = {one: f"\\u{one:04x}" for one in _ACTING if one >= ord(" ")}


def visible(text: str) -> str:
    r"""Return a text as one line of harmless characters: a line's end in it is shown as ``\n``."""
    return text.translate(_SHOWN)


def visible_json(text: str) -> str:
    """Return JSON that says the same, in harmless characters and the ends of its own lines.

    Args:
        text: JSON, in which the controls below a space are escaped already, as JSON wants it.
    """
    return text.translate(_IN_JSON)
