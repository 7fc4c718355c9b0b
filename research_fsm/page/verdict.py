"""The first thing on the page: what verify found, and of which log; or how far it is.

Floor 7. Every word of what was found is shown as text.
"""

import html
from collections.abc import Mapping, Sequence

from attrs import frozen

from research_fsm.audit.owners import Seen
from research_fsm.laws import STATEMENTS, Finding
from research_fsm.rfc3339 import shown_time
from research_fsm.visible import visible

__all__ = ["Failure", "Standing", "of_findings", "of_standing"]

_SHOWN_FINDINGS = 200


@frozen
class Failure:
    """A verification that came to nothing.

    Args:
        at: When, in microseconds UTC.
        words: Why, as everybody may know it.
    """

    at: int
    words: str


@frozen
class Standing:
    """How the verification of a log in use stands, for one owner.

    Args:
        seen: What the latest one found that came to its end.
        since: When the one began that is under way, in microseconds UTC.
        failure: What became of the latest one, if it came to nothing.
    """

    seen: Seen | None = None
    since: int | None = None
    failure: Failure | None = None


def of_findings(findings: Sequence[Finding] | None, laws: Mapping[str, str] = STATEMENTS) -> str:
    """Return the verdict on a log that was verified for this page, and held against these laws; None if it was not."""
    if findings is None:
        words = "research-fsm verify says whether the log is whole."
        return f'<p class="verdict unknown"><b>Not verified.</b> <span>{words}</span></p>'
    left_out = ", ".join(law for law in STATEMENTS if law not in laws)
    words = f" Not asked: {left_out}." if left_out else ""
    return _broken(findings, len(findings), f" <span>{words}</span>") if findings else _kept(words, laws)


def of_standing(standing: Standing) -> str:
    """Return the verdict on a log in use: the latest there is, and what is under way or went wrong since."""
    news = _news(standing)
    if standing.seen is None:
        return f'<p class="verdict unknown">{news}</p>' if news else of_findings(None)
    return _seen(standing.seen) + (f'<p class="note">{news}</p>' if news else "")


def _news(standing: Standing) -> str:
    again = "" if standing.seen is None else " again"
    if standing.since is not None:
        return f'<b>Being verified{again}</b> <span>since {_time(standing.since)}: <a href="">look again</a>.</span>'
    if standing.failure is not None:
        words = f"{html.escape(standing.failure.words)}. It will be tried again when somebody looks later."
        return f"<b>Not verified{again}</b> <span>at {_time(standing.failure.at)}: {words}</span>"
    return ""


def _seen(seen: Seen) -> str:
    when = f"Verified at {_time(seen.at)}, up to position {seen.position:,}."
    if not seen.own and not seen.others:
        return _kept(f" {when}")
    others = f"{_many(seen.others)} about others; research-fsm verify lists all." if seen.others else ""
    if seen.own:
        return _broken(seen.findings, seen.own, f" <span>{when}</span>", f"<p>{others}</p>" if others else "")
    head = "<b>The log breaks its laws, though not in what is yours.</b>"
    return f'<p class="verdict broken">{head} <span>{others} {when}</span></p>'


def _kept(when: str, laws: Mapping[str, str] = STATEMENTS) -> str:
    words = f"{len(laws)} laws, no findings.{when}"
    which = "every law" if len(laws) == len(STATEMENTS) else "each law that it was asked about"
    return f'<p class="verdict kept"><b>The log keeps {which}.</b> <span>{words}</span></p>'


def _broken(findings: Sequence[Finding], count: int, when: str = "", others: str = "") -> str:
    lines = [_finding(one) for one in findings[:_SHOWN_FINDINGS]]
    left = count - len(lines)
    more = f"<p>… and {left:,} more: research-fsm verify lists them all.</p>" if left else ""
    head = f"<b>{_many(count)}: the log breaks its laws.</b>{when}"
    listed = f"<ol>{''.join(lines)}</ol>{more}{others}"
    return f'<details class="verdict broken" open><summary>{head}</summary>{listed}</details>'


def _many(count: int) -> str:
    return f"{count:,} {'finding' if count == 1 else 'findings'}"


def _time(micros: int) -> str:
    return f"<time>{shown_time(micros)}</time>"


def _finding(one: Finding) -> str:
    stream, words = visible(one.stream), html.escape(visible(one.words))
    person_id = stream.removeprefix("person:")
    shown = html.escape(stream if one.version is None else f"{stream} version {one.version}")
    if person_id != stream:
        shown = f'<a href="#{html.escape(person_id, quote=True)}">{shown}</a>'
    statement = html.escape(STATEMENTS.get(one.law, ""), quote=True)
    return f'<li><code title="{statement}">{html.escape(one.law)}</code> {shown}: {words}</li>'
