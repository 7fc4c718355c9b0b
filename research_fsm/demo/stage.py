"""What every act of the demonstration works with: the store, its people, and the program's own server and workers.

Floor 6. Servers and workers are started as anybody starts them, by the command line of this package, and are asked
over HTTP. Only ids, and never a secret, stand in an argument that other users of the machine could read.
"""

import re
import sys
from http.client import HTTPConnection
from typing import Any

from attrs import frozen

from research_fsm.demo.caller import call
from research_fsm.demo.people import shipped
from research_fsm.demo.pipeline import SECONDS
from research_fsm.demo.place import Place
from research_fsm.demo.processes import Child, DemoFailed, Processes, until
from research_fsm.demo.promises import Checks
from research_fsm.demo.recount import Plain
from research_fsm.demo.screen import Screen
from research_fsm.outcomes import PersonNotFound
from research_fsm.profile import Profile
from research_fsm.reads import PersonDetails
from research_fsm.runs import Runs

__all__ = ["GRANTED", "OWNER", "Guest", "Server", "Stage", "start_path"]

OWNER = "demo"
GRANTED = 10

_START_SECONDS = 15.0
_URL = re.compile(r"http://127\.0\.0\.1:(\d+)")
# Short, so that a killed worker is missed soon; long enough for a machine that is busy with something else.
_LEASES = ("--worker-lease", "1500ms", "--renew-every", "300ms")
_PIPELINE = "research_fsm.demo.pipeline:research"


@frozen
class Guest:
    """One of the dozen people: who they are here, and what is known of them."""

    person_id: str
    profile: Profile

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.profile.first_name} {self.profile.last_name}"


@frozen
class Server:
    """A server that listens.

    Args:
        child: Its process.
        port: Where it listens, on the loopback interface.
        token: The access token to ask it with.
    """

    child: Child
    port: int
    token: str

    def connect(self) -> HTTPConnection:
        """Return a connection, not open yet."""
        return HTTPConnection("127.0.0.1", self.port, timeout=_START_SECONDS)

    def ask(self, method: str, path: str, *, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """Send one request; status 0 if no answer came."""
        connection = self.connect()
        try:
            return call(connection, method, path, token=self.token, key=key)
        finally:
            connection.close()


@frozen
class Stage:
    """Everything that the acts share.

    Args:
        screen: Where they show what happens.
        checks: What became of the promises.
        processes: The children.
        runs: The store, opened in this process as an embedder would.
        place: Where the store is.
        plain: Somebody to ask it with plain SQL.
        token: An access token of the owner.
        guests: The dozen people.
    """

    screen: Screen
    checks: Checks
    processes: Processes
    runs: Runs
    place: Place
    plain: Plain
    token: str
    guests: tuple[Guest, ...]

    @classmethod
    def build(
        cls, screen: Screen, checks: Checks, processes: Processes, runs: Runs, place: Place, plain: Plain
    ) -> "Stage":
        """Fill a fresh store: the dozen people, the credits, an access token."""
        runs.grant(OWNER, GRANTED, grant_id="welcome", actor="demo")
        people = [Guest(runs.add(OWNER, one, actor="demo").accepted().person_id, one) for one in shipped()]
        return cls(screen, checks, processes, runs, place, plain, runs.tokens.create(OWNER).secret, tuple(people))

    @property
    def available(self) -> int:
        """The owner's credits that are left."""
        return self.runs.balance(OWNER).available

    def check(self, name: str, expected: object, seen: object) -> None:
        """Look at a promise and show what became of it."""
        self.screen.check(self.checks.equal(name, expected, seen))

    def person(self, guest: Guest) -> PersonDetails:
        """Return how somebody is now."""
        found = self.runs.person(guest.person_id)
        if isinstance(found, PersonNotFound):
            raise DemoFailed(f"{guest.name} is gone")
        return found

    def serve(self, name: str) -> Server:
        """Start a server on a free port, and wait until it answers.

        Args:
            name: What to call it.

        Raises:
            DemoFailed: It did not come up; the message has what it wrote.
        """
        command = ("serve", "--port", "0", *_LEASES)
        child = self.processes.start(name, self._program(*command), env=self.place.environment)
        found = until(f"{name} should listen", lambda: _URL.search(child.output()), seconds=_START_SECONDS, child=child)
        server = Server(child, int(found[1]), self.token)
        until(
            f"{name} should be healthy",
            lambda: server.ask("GET", "/api/healthz")[0] == 200,  # noqa: PLR2004  # HTTP's own number.
            seconds=_START_SECONDS,
            child=child,
        )
        return server

    def work(self, name: str, *, seconds: float) -> Child:
        """Start a worker.

        Args:
            name: What to call it.
            seconds: How long its research takes.
        """
        command = ("work", "--pipeline", _PIPELINE, *_LEASES)
        env = {**self.place.environment, SECONDS: str(seconds)}
        return self.processes.start(name, self._program(*command), env=env)

    def _program(self, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "research_fsm", *arguments, *self.place.words)


def start_path(guest: Guest) -> str:
    """Return the path that starts a run of somebody."""
    return f"/api/deep-research/people/{guest.person_id}/run"
