"""A verification in a process apart: what it finds comes back, and it ends with whoever asked."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from research_fsm.audit.apart import verify_apart
from research_fsm.audit.owners import verify_for_owners
from research_fsm.errors import StoreForeign, StoreUnavailable
from research_fsm.stores.sqlite import SQLiteStore
from tests.audit.test_evidence import WAIT
from tests.audit.test_tampered import Forger, forger, whole

__all__ = ["forger", "whole"]  # The fixtures that this module takes over.

PATIENCE_SECONDS = 60.0


def test_what_is_found_comes_back(forger: Forger, tmp_path: Path) -> None:
    """All of it, of a store that is open and was written to a moment ago; the file keeps its bytes."""
    forger.change("ada", "RunStarted", cost=7)
    forger.sql.close()
    before = (tmp_path / "log.db").read_bytes()
    found = verify_apart(str(tmp_path / "log.db"), WAIT)
    assert (tmp_path / "log.db").read_bytes() == before
    assert found.total > 0
    with SQLiteStore(tmp_path / "log.db") as store:
        here = verify_for_owners(store)
    assert (found.position, found.counts, found.findings) == (here.position, here.counts, here.findings)


def test_what_goes_wrong_there_is_raised_here(tmp_path: Path) -> None:
    """As if it had been opened here."""
    with pytest.raises(StoreUnavailable, match="no file here"):
        verify_apart(str(tmp_path / "nothing.db"), WAIT)
    (tmp_path / "other.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreForeign):
        verify_apart(str(tmp_path / "other.db"), WAIT)


@pytest.mark.parametrize("ends", ["exit 1", "head -c 1 >/dev/null"])
def test_a_process_that_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ends: str) -> None:
    """It ends at once, or once it was told which log: not by its arguments, which everybody can read."""
    silent = tmp_path / "python"
    silent.write_text(f"#!/bin/sh\necho $* > {tmp_path}/arguments\n{ends}\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    with pytest.raises(ChildProcessError, match="without a word"):
        verify_apart("postgresql://somebody:secret@127.0.0.1/app", WAIT)
    assert (tmp_path / "arguments").read_text() == "-P -m research_fsm.audit.apart\n"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_whoever_asked(how: signal.Signals) -> None:
    """However they end: here while it waits for a server that takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        place = f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/none"
        asks = f"""
from datetime import timedelta
from research_fsm.audit.apart import verify_apart
verify_apart({place!r}, timedelta(hours=1))
"""
        command = [sys.executable, "-c", asks]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as asking:  # noqa: S603  # Our own interpreter.
            waiting, _ = server.accept()
            with waiting:
                asking.send_signal(how)
                # Both have standard error: that it ends says that both have ended.
                asking.communicate(timeout=PATIENCE_SECONDS)
