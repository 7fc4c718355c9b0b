"""People: ``add``, ``list``, ``status``, ``report``, ``history``, ``mark-stale``, ``erase``.

Floor 6. Decides nothing.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

import click

from research_fsm import as_of, reads
from research_fsm.as_of import ReportErased
from research_fsm.cli import importing, shapes
from research_fsm.cli.engines import dispatcher_options, engine
from research_fsm.cli.evidence import looking
from research_fsm.cli.exits import Exit
from research_fsm.cli.importing import BadLine
from research_fsm.cli.options import asked_by, common_options, person_argument
from research_fsm.cli.points import point_from, point_options
from research_fsm.cli.session import ACTOR, Session
from research_fsm.errors import ResearchError, StoreError
from research_fsm.events import PersonKind
from research_fsm.lifecycle import Status
from research_fsm.outcomes import AddAnswer, Added, Erased, Json, PersonNotFound
from research_fsm.profile import Profile
from research_fsm.reads import PersonDetails, ReportDetails
from research_fsm.rfc3339 import format_time
from research_fsm.storage import Reader, Wiping

__all__ = ["add", "erase", "history", "list_people", "mark_stale", "report", "status"]

_PAGE = 1000
_READERS_MAY_TAKE = timedelta(seconds=5)
_SHOWN_STATUSES = [str(one) for one in (Status.IDLE, Status.RUNNING, Status.COMPLETE, Status.FAILED)]


@click.command()
@click.argument("owner")
@click.option("--partner", is_flag=True, help="A partner's person: each LinkedIn URL once.")
@click.option("--from", "file", metavar="FILE", help="A CSV file; - for standard input.")
@click.option("--linkedin-url", metavar="URL")
@click.option("--first-name")
@click.option("--last-name")
@click.option("--company")
@click.option("--role")
@click.option("--company-domain")
@click.option("--photo-url", metavar="URL")
@common_options
@click.pass_obj
def add(session: Session, /, owner: str, partner: bool, file: str | None, **profile: str | None) -> Exit:  # noqa: FBT001  # click's signature.
    """Add a person of OWNER, idle: by --linkedin-url, or by --first-name, --last-name and --company.

    With --from, adds the people of a CSV file whose first line is the header
    linkedin_url,first_name,last_name,company (role, company_domain and photo_url may follow). The good lines are
    added, the bad ones reported with their numbers.
    """
    kind = PersonKind.PARTNER if partner else PersonKind.USER
    if file is not None:
        if any(value is not None for value in profile.values()):
            raise click.UsageError("--from names a file of people; describe one person without it")
        return _add_file(session, owner, kind, file)
    checked = Profile(**profile)
    with session.writing() as runs:
        answer = runs.add(owner, checked, kind=kind, actor=ACTOR)
        found = runs.person(answer.person_id) if session.as_json and isinstance(answer, Added) else None
    if isinstance(found, PersonDetails):
        session.show(shapes.person(found), lambda: str(answer))
        return Exit.DONE
    return session.answer(answer)


def _add_file(session: Session, owner: str, kind: PersonKind, file: str) -> Exit:
    from research_fsm.cli import rendering

    try:
        content = importing.read_bytes(file)
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from error
    lines = importing.read_people(content)
    done: dict[str, list[Json]] = {"added": [], "already_added": [], "bad": []}
    stopped: ResearchError | None = None
    with session.writing() as runs, rendering.progress("adding people", len(lines)) as step:
        for line in lines:
            if isinstance(line, BadLine):
                done["bad"].append({"line": line.line, "field": line.field, "problem": line.problem})
            else:
                try:
                    answer = runs.add(owner, line.profile, kind=kind, actor=ACTOR)
                except StoreError as error:
                    stopped = error
                    break
                done[_heading(answer)].append({"line": line.line, "id": answer.person_id})
            step()
    return _tell(session, file, done, stopped)


def _heading(answer: AddAnswer) -> str:
    return "added" if isinstance(answer, Added) else "already_added"


def _tell(session: Session, file: str, done: dict[str, list[Json]], stopped: ResearchError | None) -> Exit:
    """Say what became of each line; also if the store gave up half-way, since what was added stays added."""
    if not session.as_json:
        for bad in done["bad"]:
            session.note(f"{file}:{bad['line']}: {bad['field']}: {bad['problem']}")
    counts = {heading: len(lines) for heading, lines in done.items()}
    words = f"{counts['added']} added, {counts['already_added']} already there, {counts['bad']} bad"
    if stopped is None:
        session.show(done, lambda: words)
        return Exit.USAGE if done["bad"] else Exit.DONE
    if session.as_json:
        return session.error(stopped, **done)
    session.note(f"{words}; then it stopped")
    return session.error(stopped)


@click.command("list")
@click.argument("owner")
@click.option("--status", "wanted", type=click.Choice(_SHOWN_STATUSES), help="Only these.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@common_options
@click.pass_obj
def list_people(session: Session, owner: str, wanted: str | None, limit: int | None) -> Exit:
    """List OWNER's people, newest first."""
    from research_fsm.cli import rendering

    with looking(session) as log:
        found = list(islice((one for one in _everybody(log, owner) if wanted in (None, one.status)), limit))
    session.show([shapes.person(one) for one in found], lambda: rendering.people(found))
    return Exit.DONE


def _everybody(log: Reader, owner: str) -> Iterator[PersonDetails]:
    cursor = None
    while True:
        page = reads.people(log, owner, limit=_PAGE, cursor=cursor)
        yield from page.people
        if page.cursor is None:
            return
        cursor = page.cursor


@click.command()
@person_argument
@asked_by
@point_options
@common_options
@click.pass_obj
def status(
    session: Session, person_id: str, owner: str | None, at: str | None, version: int | None, position: int | None
) -> Exit:
    """Show PERSON: the status, the latest run, how many reports there are.

    With --at, --version (of the person's stream) or --position, as they were; the profile is today's, if there is one.
    """
    from research_fsm.cli import rendering

    point = point_from(at, version, position)
    with looking(session) as log:
        if point is None:
            found = reads.person(log, person_id, owner)
        else:
            found = as_of.details(log, person_id, point, owner=owner)
    if isinstance(found, PersonNotFound):
        return session.answer(found)
    session.show(shapes.person(found), lambda: rendering.person(found))
    return Exit.DONE


@click.command()
@person_argument
@asked_by
@point_options
@common_options
@click.pass_obj
def report(
    session: Session, person_id: str, owner: str | None, at: str | None, version: int | None, position: int | None
) -> Exit:
    """Show PERSON's latest report; with --json, null while there is none.

    With --at, --version (of the person's stream) or --position, the one that was the latest then.
    """
    from research_fsm.cli import rendering

    point = point_from(at, version, position)
    with looking(session) as log:
        if point is None:
            found: ReportDetails | ReportErased | PersonNotFound | None = reads.report(log, person_id, owner)
        else:
            found = as_of.report(log, person_id, point, owner=owner)
    if isinstance(found, PersonNotFound):
        return session.answer(found)
    if isinstance(found, ReportErased):
        facts = {"report": None, "version": found.version, "erased_at": format_time(found.erased_at)}
        session.show({**facts, "erased_by": found.erased_by}, lambda: str(found))
        return Exit.NOT_FOUND
    if found is None:
        session.show(None, lambda: "there is no report yet")
    else:
        session.show(shapes.report(found), lambda: rendering.report(found))
    return Exit.DONE


@click.command()
@person_argument
@common_options
@click.pass_obj
def history(session: Session, person_id: str) -> Exit:
    """Show everything that ever happened to PERSON, erased or not, and what it meant for the account, in order."""
    from research_fsm.cli import rendering

    with looking(session) as log:
        found = reads.history(log, person_id)
    if not found:
        return session.answer(PersonNotFound(person_id))
    session.show([shapes.event(one) for one in found], lambda: rendering.history(found))
    return Exit.DONE


@click.command("mark-stale")
@person_argument
@asked_by
@common_options
@click.pass_obj
def mark_stale(session: Session, person_id: str, owner: str | None) -> Exit:
    """Make PERSON, who is complete, idle again, so that the report can be refreshed; it stays readable."""
    with session.writing() as runs:
        return session.answer(runs.mark_stale(person_id, owner=owner, actor=ACTOR))


@click.command()
@person_argument
@asked_by
@dispatcher_options
@common_options
@click.pass_obj
def erase(session: Session, person_id: str, owner: str | None, dispatcher: str, public_url: str | None) -> Exit:
    """Delete PERSON's profile and reports for good. The log stays; credits that were spent are not refunded.

    What an engine still does for PERSON is cancelled if its --dispatcher is named, and stale in any case. Whoever reads
    a store that is a file keeps what was deleted in its bytes: that is waited for, some seconds, and told.
    """
    with engine(dispatcher, public_url) as outside, session.writing(dispatcher=outside) as runs:
        answer = runs.erase(person_id, owner=owner, actor=ACTOR)
        if not isinstance(answer, Erased) or not isinstance(runs.store, Wiping):
            return session.answer(answer)
        wiped = runs.store.wipe(min(session.wait, _READERS_MAY_TAKE))
    if wiped:
        return session.answer(answer, wiped=True)
    from research_fsm.stores.sqlite_wiping import left_in

    session.note(f"Warning: {left_in(session.store)}")
    return session.answer(answer, wiped=False, warning=left_in(session.store))
