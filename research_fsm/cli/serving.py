"""``serve``: the HTTP interface, with workers and recovery beside it.

Floor 6. Decides nothing. The server runs in a thread like every other task, so that one place decides about signals.
"""

import logging
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from research_fsm.cli.engines import dispatcher_options, engine
from research_fsm.cli.exits import Exit
from research_fsm.cli.observing import observe_option, observed
from research_fsm.cli.options import common_options
from research_fsm.cli.pipelines import PIPELINE
from research_fsm.cli.running import recovering, workers_option, working
from research_fsm.cli.session import Session
from research_fsm.cli.settings import DURATION, policy_from, policy_options
from research_fsm.cli.together import Task, logging_to_stderr, side_by_side
from research_fsm.runs import RecoveryPass
from research_fsm.worker import Pipeline

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["serve"]

_log = logging.getLogger(__name__)

_HIGHEST_PORT = 65535
_BACKLOG = 2048
_LONGEST_REQUEST_SECONDS = 30


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, _HIGHEST_PORT), default=8000, show_default=True, help="0 for any that is free."
)
@click.option("--pipeline", type=PIPELINE, help="Does the research, in a worker that is built in.")
@workers_option
@click.option("--recover-every", type=DURATION, default="10s", show_default=True, help="Between two recovery passes.")
@observe_option
@dispatcher_options
@policy_options
@common_options
@click.pass_obj
def serve(  # noqa: PLR0913, PLR0917  # click's signature: an argument for each option.
    session: Session,
    /,
    host: str,
    port: int,
    pipeline: Pipeline | None,
    workers: int,
    recover_every: timedelta,
    observe: tuple[str, ...],
    dispatcher: str,
    public_url: str | None,
    **settings: object,
) -> Exit:
    """Serve the HTTP interface, with recovery in the background, until SIGTERM or Ctrl-C.

    With --pipeline a worker is built in; without it, runs wait in the queue for `research-fsm work`. With
    --dispatcher trigger they are handed to Trigger.dev, whose tasks call back at the --public-url. What is at work
    when the signal comes is finished first; a second signal ends at once. When it listens, the URL is printed to
    standard error, or with --json as one line to standard output.
    """
    from research_fsm.audit.apart import verify_apart
    from research_fsm.http import create_app
    from research_fsm.http.pages import page_route
    from research_fsm.http.verifying import Verification

    policy = policy_from(settings)
    with (
        logging_to_stderr(),
        _bound(host, port) as listening,
        engine(dispatcher, public_url, policy) as outside,
        session.writing(policy, outside) as opened,
    ):
        runs = observed(opened, observe, gauges=True)
        if pipeline is None and outside is None:
            session.note("no worker is built in without --pipeline: runs wait in the queue for `research-fsm work`")
        url = _url(listening)
        facts = {"url": url, "host": host, "port": listening.getsockname()[1], "workers": workers if pipeline else 0}
        app = create_app(runs)
        verification = Verification(partial(verify_apart, session.store, session.wait))
        app.router.routes.append(page_route(runs.store, runs.tokens, verification=verification))
        tasks = {
            "http": _serving(app, listening, lambda: session.event(facts, f"listening on {url}")),
            "recovery": recovering(runs, recover_every, _log_recovered),
            **({} if pipeline is None else working(runs, pipeline, workers)),
        }
        side_by_side(tasks)
    return Exit.DONE


def _log_recovered(done: RecoveryPass) -> None:
    for one in done.recovered:
        _log.info("%s", one)


def _bound(host: str, port: int) -> socket.socket:
    """Listen; connections are answered once the server runs."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise click.UsageError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
    # Accepted sockets inherit it. Without it an answer's body waits some 40 ms for its head to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _serving(app: "Starlette", listening: socket.socket, tell: Callable[[], None]) -> Task:
    """Return a task that serves an application.

    Args:
        app: The application.
        listening: The socket.
        tell: Called once connections are answered.
    """
    import uvicorn

    from research_fsm.http.patience import PatientProtocol

    class _Server(uvicorn.Server):
        """Says when it listens, and stops when it is asked to."""

        def __init__(self, config: uvicorn.Config, stop: threading.Event) -> None:
            super().__init__(config)
            self._stop = stop

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            tell()

        async def on_tick(self, counter: int) -> bool:
            return await super().on_tick(counter) or self._stop.is_set()

    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=_LONGEST_REQUEST_SECONDS,
    )

    def task(stop: threading.Event) -> None:
        _Server(config, stop).run(sockets=[listening])

    return task
