"""Times as text: microseconds to RFC 3339 in UTC, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_fsm import InvalidInput
from research_fsm.rfc3339 import format_time, parse_time, shown_time

EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_767_225_600_000_001, "2026-01-01T00:00:00.000001Z"),
        (EARLIEST, "0001-01-01T00:00:00.000000Z"),
        (LATEST, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_written_in_utc(micros: int, text: str) -> None:
    """Always with Z and six digits, to the microsecond."""
    assert format_time(micros) == text
    assert parse_time(text) == micros


@pytest.mark.parametrize("micros", [EARLIEST - 1, LATEST + 1, 9 * 10**18, -(10**30)])
def test_a_time_that_no_calendar_has_is_a_number(micros: int) -> None:
    """Somebody forged it, and whoever looks is shown what it is."""
    assert format_time(micros) == shown_time(micros) == f"microsecond {micros}"


def test_people_are_shown_as_much_of_a_second_as_they_need() -> None:
    """Nothing is rounded up."""
    assert shown_time(1_999_999) == "1970-01-01 00:00:01Z"
    assert shown_time(1_999_999, digits=3) == "1970-01-01 00:00:01.999Z"


@given(st.integers(EARLIEST, LATEST), st.integers(EARLIEST, LATEST))
def test_text_says_the_same_as_the_number(one: int, other: int) -> None:
    """Nothing is lost on the way to text and back, and texts sort as times do."""
    assert parse_time(format_time(one)) == one
    assert (format_time(one) < format_time(other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T01:00:00+01:00",
        "2025-12-31T19:00:00-05:00",
        "2026-01-01t00:00:00z",
        "2026-01-01 00:00:00.0Z",
        "2026-01-01T00:00:00.000-00:00",
    ],
)
def test_every_form_of_the_standard_is_read(text: str) -> None:
    """Other offsets, lower case and shorter fractions mean the same moment."""
    assert parse_time(text) == 1_767_225_600_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "20260101T000000Z",
        "2026-W01-4T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.1234567Z",
        "2026-01-01T00:00:00Z\n",
        "2026-01-01T00:00:00+24:00",
        "٢٠٢٦-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    """A text that names no moment, or more than one, is invalid under the field's own name."""
    with pytest.raises(InvalidInput, match=r"^as_of: must be a time like"):
        parse_time(text, "as_of")
