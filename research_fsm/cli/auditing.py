"""The audit: ``verify`` and ``checkpoint``.

Floor 6. Decides nothing, and writes to no store.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from attrs import Factory, astuple, define

from research_fsm.audit.memory import Kept, Scratch
from research_fsm.cli import shapes
from research_fsm.cli.evidence import (
    counted,
    evidence,
    following,
    imported_option,
    looking,
    note_if_imported,
    progress,
)
from research_fsm.cli.exits import Exit
from research_fsm.cli.files import lines_of, new_file
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.errors import InvalidInput
from research_fsm.laws import Erased, Finding
from research_fsm.storage import Reader, RecordedEvent
from research_fsm.visible import visible_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from research_fsm.checkpoints import Checkpoint

__all__ = ["checkpoint", "verify"]

T = TypeVar("T")

_CHECKPOINT = "checkpointed"
"""The law that a log breaks which is not the one of a checkpoint."""


@click.command()
@click.option(
    "--exported",
    "exported_file",
    metavar="FILE",
    help="Verify this exported file instead, or - for standard input.",
)
@click.option("--checkpoint", "stated", metavar="FILE", help="See whether it is still the log of this checkpoint.")
@click.option("--key", metavar="FILE", help="The public key that the checkpoint must be signed with.")
@click.option("--state-only", is_flag=True, help="A first look: no payloads, hashes, documents or money.")
@imported_option
@common_options
@click.pass_obj
def verify(
    session: Session,
    exported_file: str | None,
    stated: str | None,
    key: str | None,
    state_only: bool,  # noqa: FBT001  # click's signature.
    imported: bool,  # noqa: FBT001  # click's signature.
) -> Exit:
    """Check that the whole log is intact and legal, and that the money adds up; exit code 1 if anything is not.

    Nothing is written to what is read, and a log in use is read as it is at one moment.
    """
    from research_fsm import checkpoints
    from research_fsm.cli import rendering

    if (stated is None) != (key is None):
        raise InvalidInput("--checkpoint", "goes together with --key: a checkpoint proves nothing by itself")
    if exported_file is not None and (stated is not None or state_only or imported):
        raise InvalidInput("--exported", "is verified whole, and alone; import the file for anything else")
    if state_only and imported:
        raise InvalidInput("--imported", "has nothing to leave out of --state-only, which asks for nothing else")
    known = None if stated is None or key is None else _checkpoint(stated, _public_key(key))
    with closing(Scratch()) as scratch:
        looked = _Looked.with_nothing(scratch)
        if exported_file is not None:
            _look_at_lines(looked, session, exported_file)
        elif state_only:
            _look_at_states(looked, session)
        else:
            _look_at_store(looked, session, imported=imported)
        if known is not None:
            with evidence(session) as log:
                looked.take(Finding(_CHECKPOINT, "the log", None, one) for one in checkpoints.differences(log, known))
        lists = {"findings": map(shapes.finding, looked.found), "erased": map(shapes.erased, looked.erased)}
        session.show_lists(
            lists, lambda: rendering.findings(looked.found, looked.laws, looked.erased, to_the_end=looked.to_the_end)
        )
        return Exit.FINDINGS if looked.found else Exit.DONE


@define
class _Looked:
    """What was looked at, and what came of it: however much that is, in a temporary file."""

    found: Kept[Finding]
    erased: Kept[Erased]
    laws: Mapping[str, str] = Factory(dict)
    to_the_end: bool = True

    @classmethod
    def with_nothing(cls, scratch: Scratch) -> "_Looked":
        """Return it before anything is looked at."""
        return cls(
            Kept(scratch, astuple, lambda packed: Finding(*packed)),
            Kept(scratch, astuple, lambda packed: Erased(*packed)),
        )

    def take(self, findings: Iterable[Finding]) -> None:
        """Keep findings as they come."""
        for finding in findings:
            self.found.append(finding)


def _look_at_lines(looked: _Looked, session: Session, file: str) -> None:
    from research_fsm import audit, exported

    looked.laws, looked.to_the_end = audit.OF_EVENTS, False

    def events(lines: Iterable[str]) -> Iterator[RecordedEvent]:
        yield from exported.events(lines)
        looked.to_the_end = True

    with lines_of(file) as lines:
        looked.take(audit.verify_events(counted(session, events(lines)), looked.erased.append))


def _look_at_states(looked: _Looked, session: Session) -> None:
    from research_fsm.audit import states

    looked.laws = states.LAWS
    with evidence(session) as log, progress(session, _events(log)) as step:
        looked.take(states.verify_states(log, step))


def _look_at_store(looked: _Looked, session: Session, *, imported: bool) -> None:
    from research_fsm import audit

    with evidence(session) as log:
        looked.laws = audit.asked(log, imported=imported)
        with progress(session, _events(log)) as step:
            looked.take(audit.verify(log, step, looked.erased.append, imported=imported))
        note_if_imported(session, log, looked.found)


def _events(log: Reader) -> int:
    return sum(head.version for head in log.heads() if type(head.version) is int)


# --- checkpoints -------------------------------------------------------------------------------------------------


@click.group()
def checkpoint() -> None:
    """State, signed, how far a log reaches; keep the statement elsewhere, and hold the log against it later."""


@checkpoint.command()
@click.argument("file")
@common_options
@click.pass_obj
def key(session: Session, file: str) -> Exit:
    """Make a key: FILE is the private half, to be kept secret; FILE.pub is the public half, for everybody."""
    from research_fsm import checkpoints

    private = checkpoints.new_key()
    public = checkpoints.public_pem(checkpoints.load_private_key(private))
    with new_file(file, 0o600) as secret, new_file(f"{file}.pub", 0o644) as shown:
        for out, half in ((secret, private), (shown, public)):
            out.write(half)
            out.flush()  # A full disk is told here, where neither file is left.
    session.show({"private": file, "public": f"{file}.pub"}, lambda: f"{file} is secret, {file}.pub is for everybody")
    return Exit.DONE


@checkpoint.command()
@click.option("--key", "key_file", metavar="FILE", required=True, help="The private key to sign with.")
@common_options
@click.pass_obj
def make(session: Session, key_file: str) -> Exit:
    """Print a checkpoint of the log as it is now."""
    from research_fsm import checkpoints

    secret = checkpoints.load_private_key(Path(key_file).read_bytes())
    until = _settled(session) if session.on_server else None  # Whoever writes to a file has it alone.
    with looking(session) as log:
        text = checkpoints.sign(checkpoints.make(log, until=until), secret)
    session.show({"checkpoint": text}, lambda: tuple(text.splitlines()))
    return Exit.DONE


@checkpoint.command()
@click.argument("file")
@click.option("--key", "key_file", metavar="FILE", required=True, help="The public key it must be signed with.")
@click.option("--proof", metavar="FILE", help="A proof to check, without any store.")
@click.option("--newer", metavar="FILE", help="The later checkpoint, if the proof is about two.")
@common_options
@click.pass_obj
def check(session: Session, file: str, key_file: str, proof: str | None, newer: str | None) -> Exit:
    """Hold the store against the checkpoint in FILE; or, with --proof, hold a proof against it without the store."""
    from research_fsm import checkpoints

    public = _public_key(key_file)
    stated = _checkpoint(file, public)
    if newer is not None and proof is None:
        raise InvalidInput("--newer", "goes together with --proof")
    if proof is None:
        with evidence(session) as log:
            problems = list(checkpoints.differences(log, stated))
    elif newer is None:
        holds = checkpoints.holds(checkpoints.load_inclusion(_text(proof)), stated)
        problems = [] if holds else ["the proof does not show that the event is one of the checkpoint's"]
    else:
        continued = checkpoints.continues(
            checkpoints.load_consistency(_text(proof)), stated, _checkpoint(newer, public)
        )
        problems = [] if continued else ["the proof does not show that the later log continues the earlier one"]
    session.show({"problems": problems}, lambda: tuple(problems) or "it holds")
    return Exit.FINDINGS if problems else Exit.DONE


@checkpoint.command()
@click.argument("file")
@click.option("--key", "key_file", metavar="FILE", required=True, help="The public key they must be signed with.")
@click.option("--event", nargs=2, type=(str, int), metavar="STREAM VERSION", help="Prove that it has this event.")
@click.option("--newer", metavar="FILE", help="Prove that the log of this checkpoint continues it.")
@common_options
@click.pass_obj
def prove(session: Session, file: str, key_file: str, event: tuple[str, int] | None, newer: str | None) -> Exit:
    """Print a proof about the checkpoint in FILE, which can be checked without the store."""
    from research_fsm import checkpoints

    public = _public_key(key_file)
    stated = _checkpoint(file, public)
    if (event is None) == (newer is None):
        raise InvalidInput("--event", "or --newer: one of them says what to prove")
    with looking(session) as log:
        if event is not None:
            text = checkpoints.prove_inclusion(log, *event, stated.events).text()
        else:
            later = _checkpoint(str(newer), public)
            text = checkpoints.prove_consistency(log, stated.events, later.events).text()
    session.line(visible_json(text))
    return Exit.DONE


def _settled(session: Session) -> int:
    from research_fsm import feed

    with following(session) as log:
        return feed.settled(log)


def _checkpoint(file: str, public: "Ed25519PublicKey") -> "Checkpoint":
    from research_fsm import checkpoints

    text = _text(file)
    stated = checkpoints.parse(text)
    if not checkpoints.signed_by(text, public):
        raise InvalidInput("checkpoint", f"{file} is not signed with this key")
    return stated


def _public_key(file: str) -> "Ed25519PublicKey":
    from research_fsm import checkpoints

    return checkpoints.load_public_key(Path(file).read_bytes())


def _text(file: str) -> str:
    return Path(file).read_bytes().decode(errors="replace")
