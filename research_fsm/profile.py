"""What is known of a person when they are added: the checks of a profile and the one form of a LinkedIn URL.

Floor 0. A profile is personal data: it is stored as a document, never in an event.
"""

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from attrs import Attribute, asdict, field, fields, frozen

from research_fsm.errors import InvalidInput

__all__ = ["PROFILE_FIELDS", "Profile", "normal_linkedin_url"]

_LONGEST = 500
_LONGEST_SLUG = 200
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def normal_linkedin_url(url: str) -> str:
    """Return a profile's address in the one form that is compared: ``https://www.linkedin.com/in/<slug>``.

    Scheme, host, language sub-domain, letter case, query, fragment and what follows the slug do not matter, and
    neither does whether a letter and its accent are one character or two.

    Args:
        url: The address as somebody typed it; the scheme may be missing.

    Raises:
        InvalidInput: It is not the address of a LinkedIn profile.
    """
    wrong = InvalidInput("linkedin_url", f"must look like https://www.linkedin.com/in/<name>, not {url[:100]!r}")
    text = url.strip()
    if not text.isprintable():  # The parser of the standard library would drop a line break in silence.
        raise wrong
    try:
        parts = urlsplit(text if _SCHEME.match(text) else f"https://{text}")
        host = parts.hostname or ""
    except ValueError:
        raise wrong from None
    if parts.scheme.lower() not in ("http", "https") or not (host == "linkedin.com" or host.endswith(".linkedin.com")):
        raise wrong
    segments = [segment for segment in parts.path.split("/") if segment]
    if len(segments) < 2 or segments[0].lower() != "in":  # noqa: PLR2004  # "in" and the slug.
        raise wrong
    slug = unicodedata.normalize("NFC", unquote(segments[1], errors="replace").lower())
    if not _is_slug(slug):
        raise wrong
    return f"https://www.linkedin.com/in/{quote(slug, safe='')}"


def _is_slug(text: str) -> bool:
    """Tell whether this can be a profile's name: letters and digits of any script with their marks, hyphens, dots."""
    known = (character in "-._~" or unicodedata.category(character)[0] in "LMN" for character in text)
    return text.strip(".") != "" and len(text) <= _LONGEST_SLUG and all(known)


def _text(_: object, attribute: "Attribute[str | None]", value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST or not value.isprintable():
        raise InvalidInput(attribute.name, f"must be printable text of 1 to {_LONGEST} characters")


def _normal(url: object) -> object:
    return normal_linkedin_url(url) if isinstance(url, str) else url


def _optional_text() -> str | None:
    return field(default=None, validator=_text)


@frozen(kw_only=True)
class Profile:
    """A person as the caller knows them: a LinkedIn URL, or a first name, a last name and a company.

    Args:
        linkedin_url: The profile's address; kept in its normal form.
        first_name: First name.
        last_name: Last name.
        company: The organisation they work for.
        role: What they do there.
        company_domain: The organisation's internet domain.
        photo_url: Where a picture of them is.

    Raises:
        InvalidInput: A value is not printable text of at most 500 characters, or too little is known.
    """

    linkedin_url: str | None = field(default=None, converter=_normal, validator=_text)
    first_name: str | None = _optional_text()
    last_name: str | None = _optional_text()
    company: str | None = _optional_text()
    role: str | None = _optional_text()
    company_domain: str | None = _optional_text()
    photo_url: str | None = _optional_text()

    def __attrs_post_init__(self) -> None:
        """Refuse a profile nobody could be found by."""
        if self.linkedin_url is None and None in (self.first_name, self.last_name, self.company):
            raise InvalidInput("profile", "needs a linkedin_url, or all of first_name, last_name and company")

    def known(self) -> Mapping[str, str]:
        """Return what is known, without the blanks."""
        return {name: value for name, value in asdict(self).items() if value is not None}


PROFILE_FIELDS = tuple(one.name for one in fields(Profile))
"""What can be known of a person: the fields of a profile."""
