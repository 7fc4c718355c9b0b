"""Profiles, and the one form of a LinkedIn URL."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from research_fsm import InvalidInput, Profile
from research_fsm.profile import normal_linkedin_url

NORMAL = "https://www.linkedin.com/in/ada-lovelace"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.linkedin.com/in/ada-lovelace",
        "http://www.linkedin.com/in/ada-lovelace",
        "linkedin.com/in/ada-lovelace",
        "www.linkedin.com/in/ada-lovelace",
        "  https://linkedin.com/in/ada-lovelace\n",
        "https://de.linkedin.com/in/ada-lovelace",
        "https://uk.linkedin.com/in/ada-lovelace",
        "https://touch.www.linkedin.com/in/ada-lovelace",
        "HTTPS://WWW.LINKEDIN.COM/IN/ADA-LOVELACE",
        "https://www.linkedin.com/in/Ada-Lovelace",
        "https://www.linkedin.com/in/ada-lovelace/",
        "https://www.linkedin.com/in/ada-lovelace///",
        "https://www.linkedin.com//in//ada-lovelace",
        "https://www.linkedin.com/in/ada-lovelace/de",
        "https://www.linkedin.com/in/ada-lovelace/details/experience/",
        "https://www.linkedin.com/in/ada-lovelace?trk=people&x=1",
        "https://www.linkedin.com/in/ada-lovelace#about",
        "linkedin.com/in/ada-lovelace?next=https://example.org",
        "https://www.linkedin.com:443/in/ada-lovelace",
        "https://www.linkedin.com/in/%61da%2Dlovelace",
        "https://somebody:secret@www.linkedin.com/in/ada-lovelace",
        "https://evil.org@linkedin.com/in/ada-lovelace",
    ],
)
def test_one_profile_has_one_url(url: str) -> None:
    """Scheme, host, sub-domain, case, query, fragment, user and what follows the slug do not matter."""
    assert normal_linkedin_url(url) == NORMAL


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("linkedin.com/in/josé", "jos%C3%A9"),
        ("linkedin.com/in/jos%C3%A9", "jos%C3%A9"),
        ("linkedin.com/in/JOS%C3%89", "jos%C3%A9"),
        ("linkedin.com/in/jose\u0301", "jos%C3%A9"),
        ("linkedin.com/in/jose%CC%81", "jos%C3%A9"),
        ("linkedin.com/in/%E5%B0%8F%E6%98%8E-123", "%E5%B0%8F%E6%98%8E-123"),
        ("linkedin.com/in/%E0%A4%B0%E0%A4%BE%E0%A4%9C", "%E0%A4%B0%E0%A4%BE%E0%A4%9C"),
        ("linkedin.com/in/a.b_c~d", "a.b_c~d"),
        ("linkedin.com/in/x", "x"),
        ("linkedin.com/in/" + "x" * 200, "x" * 200),
    ],
)
def test_a_slug_may_be_of_any_script(url: str, slug: str) -> None:
    """Percent-encoded or not, composed or not: one form, percent-encoded."""
    assert normal_linkedin_url(url) == f"https://www.linkedin.com/in/{slug}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "ada",
        "linkedin.com",
        "linkedin.com/in",
        "linkedin.com/in/",
        "linkedin.com/ada-lovelace",
        "linkedin.com/company/acme",
        "linkedin.com/pub/ada/1/2/3",
        "linkedin.com/en/in/ada",
        "https://linkedin.com.evil.org/in/ada",
        "https://www.linkedin.com.evil.org/in/ada",
        "https://evillinkedin.com/in/ada",
        "https://linkedin.org/in/ada",
        "https://linkedin.com@evil.org/in/ada",
        "https://www.linkedin.com:pass@evil.org/in/ada",
        "https://linkedin.com\\@evil.org/in/ada",
        "https://evil.org/linkedin.com/in/ada",
        "https://evil.org/?x=linkedin.com/in/ada",
        "https://evil.org#linkedin.com/in/ada",
        "https:///in/ada",
        "//linkedin.com/in/ada",
        "ftp://linkedin.com/in/ada",
        "javascript://linkedin.com/in/ada",
        "file://linkedin.com/in/ada",
        "https://[::1/in/ada",
        "https://linkedin.com./in/ada",
        "https://linkedin.com/in/.",
        "https://linkedin.com/in/..",
        "https://linkedin.com/in/...",
        "https://linkedin.com/in/ada lovelace",
        "https://linkedin.com/in/ada%20lovelace",
        "https://linkedin.com/in/ada%2Flovelace",
        "https://linkedin.com/in/%2e%2e",
        "https://linkedin.com/in/ada%00",
        "https://linkedin.com/in/ada%ff",
        "https://linkedin.com/in/ada%2561",
        "https://linkedin.com/in/<script>",
        "https://linkedin.com/in/ada\nlovelace",
        "https://linkedin.com/in/ada\tlovelace",
        "https://linkedin.com/in/a\u200bda",
        "https://linkedin.com/in/\ud800",
        "https://linkedin.com/in/" + "x" * 201,
    ],
)
def test_what_is_no_profile_is_refused(url: str) -> None:
    """Another host, another path, a slug that is none, a character that would be dropped in silence."""
    with pytest.raises(InvalidInput) as raised:
        normal_linkedin_url(url)
    assert raised.value.field == "linkedin_url"


@given(st.text(st.characters(categories=["L", "M", "N"], include_characters="-._~"), min_size=1, max_size=40))
@example("\u0130")
@example("\u1e9e")
@example("\u0345")
@example("K\u0307\u0323")
def test_the_normal_form_is_its_own_normal_form(slug: str) -> None:
    """Otherwise a partner could have the same URL twice. Whatever is accepted stays on LinkedIn."""
    try:
        once = normal_linkedin_url(f"linkedin.com/in/{slug}")
    except InvalidInput:
        return
    assert once.startswith("https://www.linkedin.com/in/")
    assert once.isascii()
    assert normal_linkedin_url(once) == once
    assert normal_linkedin_url(once.upper()) == once


@given(st.text(max_size=60))
def test_any_text_is_normalised_or_refused(url: str) -> None:
    """No other error, whatever somebody types."""
    for text in (url, f"https://{url}", f"linkedin.com/in/{url}", f"https://{url}.linkedin.com/in/ada"):
        try:
            assert normal_linkedin_url(text).startswith("https://www.linkedin.com/in/")
        except InvalidInput:
            continue


# --- profiles ----------------------------------------------------------------------------------------------------


def test_a_profile_keeps_the_normal_form() -> None:
    """What is stored is what is compared."""
    assert Profile(linkedin_url="LinkedIn.com/in/Ada-Lovelace/").linkedin_url == NORMAL


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"first_name": "Ada"},
        {"first_name": "Ada", "last_name": "Lovelace"},
        {"first_name": "Ada", "company": "Acme"},
        {"last_name": "Lovelace", "company": "Acme"},
        {"role": "Engineer", "company_domain": "acme.example", "photo_url": "https://acme.example/ada.png"},
    ],
)
def test_somebody_nobody_could_find_is_refused(known: dict[str, str]) -> None:
    """A URL, or first name, last name and company."""
    with pytest.raises(InvalidInput, match="needs a linkedin_url, or all of first_name, last_name and company"):
        Profile(**known)


def test_a_name_and_a_company_suffice() -> None:
    """What is not known is left out."""
    known = {"first_name": "Ada", "last_name": "Lovelace", "company": "Acme"}
    assert Profile(**known).known() == known


def test_a_url_suffices() -> None:
    """Everything else may be missing."""
    assert Profile(linkedin_url=NORMAL).known() == {"linkedin_url": NORMAL}


FIELDS = ["first_name", "last_name", "company", "role", "company_domain", "photo_url"]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", ["", "  ", "a" * 501, "a\nb", "a\x00", 5, b"Ada", ["Ada"], "\ud800"])
def test_a_value_is_printable_text(name: str, value: object) -> None:
    """At most 500 characters, and something to be seen."""
    with pytest.raises(InvalidInput) as raised:
        Profile(linkedin_url=NORMAL, **{name: value})  # type: ignore[arg-type]  # That is the point.
    assert raised.value.field == name


@pytest.mark.parametrize("value", [5, b"linkedin.com/in/ada", ["linkedin.com/in/ada"]])
def test_a_url_is_text(value: object) -> None:
    """Whatever is no text is no URL."""
    with pytest.raises(InvalidInput) as raised:
        Profile(linkedin_url=value)
    assert raised.value.field == "linkedin_url"


def test_a_url_too_long_to_store_is_refused() -> None:
    """A slug of 200 characters may be 1,800 long once it is percent-encoded."""
    with pytest.raises(InvalidInput):
        Profile(linkedin_url="linkedin.com/in/" + "\u0930" * 60)


@pytest.mark.parametrize("name", FIELDS)
@given(value=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=500))
def test_printable_text_of_any_script_is_kept(name: str, value: str) -> None:
    """As it was typed."""
    assert Profile(linkedin_url=NORMAL, **{name: value}).known()[name] == value
