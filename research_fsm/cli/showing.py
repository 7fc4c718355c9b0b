"""``page`` and ``views``: the store as a file for a browser, and as one for plain SQL.

Floor 9. Decides nothing.
"""

import os
from pathlib import Path

import click

from research_fsm.cli.evidence import evidence, imported_option, note_if_imported
from research_fsm.cli.exits import Exit
from research_fsm.cli.files import STANDARD, check_named, new_file
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.errors import InvalidInput

__all__ = ["page", "views"]

_FIRST_LINE = b"<!doctype html>"


@click.command()
@click.option(
    "--html",
    "file",
    metavar="FILE",
    required=True,
    help="The file to write; a page that is there is replaced. - for standard output.",
)
@click.option("--owner", help="Only this owner's people and credits.")
@click.option("--with-names", is_flag=True, help="Show names and companies, which are personal data.")
@click.option("--verify/--no-verify", default=True, show_default=True, help="Verify the log first.")
@imported_option
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True, help="People at most.")
@click.option("--after", metavar="STREAM", help="People behind this stream: the last page says which.")
@common_options
@click.pass_obj
def page(  # click's signature.
    session: Session,
    /,
    file: str,
    owner: str | None,
    with_names: bool,  # noqa: FBT001  # click's signature.
    verify: bool,  # noqa: FBT001  # click's signature.
    imported: bool,  # noqa: FBT001  # click's signature.
    limit: int,
    after: str | None,
) -> Exit:
    """Write one self-contained HTML file: people by status, their lives, credits, and what verify finds, on top.

    Nothing in it is loaded from elsewhere. Without --with-names people are known by their ids alone; a file with names
    is readable by you alone and must be deleted when somebody is erased. Exit code 1 if verify found anything.
    """
    from research_fsm import audit
    from research_fsm import page as pages

    if file != STANDARD:
        _check_place(Path(file))
    with evidence(session) as log:
        laws = audit.asked(log, imported=imported)
        findings = list(audit.verify(log, imported=imported)) if verify else None
        text = pages.render(
            log, owner=owner, with_names=with_names, findings=findings, laws=laws, limit=limit, after=after
        )
        note_if_imported(session, log, findings or ())
    found = None if findings is None else len(findings)
    if file == STANDARD:
        session.line(text.encode())
    else:
        _write(Path(file), text, secret=with_names)
        session.show({"page": file, "findings": found}, lambda: f"{file} shows {session.place}")
    return Exit.FINDINGS if found else Exit.DONE


@click.command()
@click.option("--out", "file", metavar="FILE", required=True, help="The copy to make; it must not exist yet.")
@click.option("--with-documents", is_flag=True, help="Profiles and reports too, which are personal data.")
@common_options
@click.pass_obj
def views(session: Session, file: str, with_documents: bool) -> Exit:  # noqa: FBT001  # click's signature.
    """Copy the store to FILE for plain SQL: views of people, runs, credits and events, and FILE.datasette.yaml.

    The secret and the access tokens are left out, and so is personal data unless it is asked for.
    """
    from research_fsm import views as copies

    check_named(file)
    about = f"{file}.datasette.yaml"
    with evidence(session) as log, new_file(about, 0o644) as description:
        description.write(copies.datasette(file).encode())
        description.flush()
        copies.write_copy(log, file, with_documents=with_documents)
    session.show({"views": file, "datasette": about}, lambda: f"{file} has the views {', '.join(copies.VIEWS)}")
    return Exit.DONE


def _check_place(place: Path) -> None:
    """Refuse to replace what is no page: the store itself, most of all, since that would be the end of the log."""
    if not place.exists():
        return
    if place.is_file():
        with place.open("rb") as there:
            if there.read(len(_FIRST_LINE)) in (_FIRST_LINE, b""):
                return
    raise InvalidInput("html", f"{place} is there already, and is no page; name another file")


def _write(place: Path, text: str, *, secret: bool) -> None:
    """Write a file at once: whoever reads it sees the old one or the new one, whole."""
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        unfinished.touch(mode=0o600 if secret else 0o644, exist_ok=False)
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        unfinished.replace(place)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(place)) from error  # The name that was asked for.
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
