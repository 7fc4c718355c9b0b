"""A PgBouncer of a test's own, in front of a server, which gives each transaction whichever connection is free."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from research_fsm.testing.postgres import PostgresServer

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

_PATIENCE_SECONDS = 30.0


class Pooler:
    """A pooler in transaction mode, from ``with`` to its end.

    Args:
        server: What stands behind it.
        connections: How many connections to a database it has at most.
    """

    def __init__(self, server: PostgresServer, connections: int = 4) -> None:
        self._server = server
        self._connections = connections
        self._folder = Path(tempfile.mkdtemp(prefix="research_fsm_pooler_"))
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def __enter__(self) -> Self:
        self._folder.chmod(0o755)
        (self._folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={self._server.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            "auth_type = trust\nauth_file = users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {self._connections}\nserver_round_robin = 1\n"
        )
        (self._folder / "users.txt").write_text('"postgres" ""\n')
        try:
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers."""
        assert PGBOUNCER is not None
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # Our own words.
                [PGBOUNCER, "pgbouncer.ini"],
                cwd=self._folder,
                user="nobody" if os.geteuid() == 0 else None,  # Who is root is refused.
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready(self._process)

    def kill(self) -> None:
        """Kill it with signal 9, in the middle of whatever goes through it."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(_PATIENCE_SECONDS)

    def address(self, database: str) -> str:
        """Return where a database of the server is, through the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database on the server, and return its address through the pooler."""
        return self.address(self._server.new_database().rpartition("/")[2])

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError as error:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self._folder / "log").read_text()) from error
                time.sleep(0.01)
            else:
                return

    def _remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)
