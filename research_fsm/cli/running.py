"""Runs: ``start``, ``work``, ``recover``, and the tasks that ``serve`` does besides.

Floor 6. Decides nothing: a worker works, a recovery pass recovers, this only says when and until when.
"""

import logging
import os
import threading
from collections.abc import Callable
from datetime import timedelta

import click

from research_fsm.cli import shapes
from research_fsm.cli.engines import dispatcher_options, engine
from research_fsm.cli.exits import Exit
from research_fsm.cli.observing import observe_option, observed
from research_fsm.cli.options import asked_by, common_options, person_argument
from research_fsm.cli.pipelines import PIPELINE
from research_fsm.cli.session import ACTOR, Session
from research_fsm.cli.settings import DURATION, policy_from, policy_options
from research_fsm.cli.together import Task, logging_to_stderr, side_by_side
from research_fsm.runs import RecoveryPass, Runs
from research_fsm.worker import Pipeline, Worker

__all__ = ["recover", "recovering", "start", "work", "working"]

_log = logging.getLogger(__name__)

_MOST_WORKERS = 64

workers_option = click.option(
    "--workers",
    type=click.IntRange(1, _MOST_WORKERS),
    default=1,
    show_default=True,
    help="Threads, each of which works on one run at a time.",
)


@click.command()
@person_argument
@asked_by
@click.option("--key", help="Names the request: asking again with it gives the same answer and starts nothing.")
@dispatcher_options
@policy_options
@common_options
@click.pass_obj
def start(  # click's signature.
    session: Session,
    /,
    person_id: str,
    owner: str | None,
    key: str | None,
    dispatcher: str,
    public_url: str | None,
    **settings: object,
) -> Exit:
    """Start a run of PERSON, who is idle or failed.

    With the embedded queue it waits there for `work` or `serve --pipeline`.
    """
    policy = policy_from(settings)
    with engine(dispatcher, public_url, policy) as outside, session.writing(policy, outside) as runs:
        return session.answer(runs.start(person_id, owner=owner, key=key, actor=ACTOR))


@click.command()
@click.option("--pipeline", type=PIPELINE, required=True, help="Does the research.")
@workers_option
@click.option("--drain", is_flag=True, help="Stop when nothing is waiting any more.")
@observe_option
@policy_options
@common_options
@click.pass_obj
def work(  # click's signature.
    session: Session,
    /,
    pipeline: Pipeline,
    workers: int,
    drain: bool,  # noqa: FBT001  # The same.
    observe: tuple[str, ...],
    **settings: object,
) -> Exit:
    """Work on queued runs with a pipeline, until SIGTERM or Ctrl-C; the run at work then is finished first.

    A second signal ends at once: the run is taken over by another worker when its lease is over.
    """
    with logging_to_stderr(), session.writing(policy_from(settings)) as opened:
        runs = observed(opened, observe)
        session.note(f"working on {session.place} with {workers} worker{'s' if workers > 1 else ''}")
        side_by_side(working(runs, pipeline, workers, drain=drain))
    return Exit.DONE


@click.command()
@click.option("--every", type=DURATION, help="Repeat, until SIGTERM or Ctrl-C; without it, one pass.")
@dispatcher_options
@policy_options
@common_options
@click.pass_obj
def recover(
    session: Session, /, every: timedelta | None, dispatcher: str, public_url: str | None, **settings: object
) -> Exit:
    """Look after runs that are overdue: one pass, or one --every so often. Any number may run at once.

    With --json and --every, each pass is one line. Without the engine's --dispatcher its runs are given up at their
    deadlines, but neither asked about nor sent again.
    """
    policy = policy_from(settings)
    with (
        logging_to_stderr(),
        engine(dispatcher, public_url, policy) as outside,
        session.writing(policy, outside) as runs,
    ):
        if every is not None:
            side_by_side({"recovery": recovering(runs, every, lambda done: _tell_in_a_line(session, done))})
            return Exit.DONE
        done = runs.recover()
    for person_id, error in done.errors:
        session.note(f"Error: person {person_id}: {error}")
    session.show(shapes.recovery(done), lambda: tuple(map(str, done.recovered)) or "nothing was overdue")
    return Exit.STORE_ERROR if done.errors else Exit.DONE


def working(runs: Runs, pipeline: Pipeline, workers: int, *, drain: bool = False) -> dict[str, Task]:
    """Return a task for each worker.

    Args:
        runs: Where the queue is.
        pipeline: Does the research.
        workers: How many.
        drain: Whether they stop when the queue is empty.
    """

    def drained(worker: Worker) -> Task:
        def task(stop: threading.Event) -> None:
            while not stop.is_set() and worker.run_once():
                pass

        return task

    names = [f"worker-{os.getpid()}-{number}" for number in range(1, workers + 1)]
    made = {name: Worker(runs, pipeline, name=name) for name in names}
    return {name: drained(worker) if drain else worker.run for name, worker in made.items()}


def recovering(runs: Runs, every: timedelta, tell: Callable[[RecoveryPass], None]) -> Task:
    """Return a task that makes a recovery pass now and every so often; an error is logged, and the next pass comes.

    Args:
        runs: What is recovered.
        every: The pause between two passes.
        tell: Called with what each pass came to.
    """

    def task(stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                done = runs.recover()
            except Exception:  # noqa: BLE001  # A pass that failed must not be the last one.
                _log.exception("a recovery pass failed; the next one comes in %s", every)
            else:
                for person_id, error in done.errors:
                    _log.error("person %s could not be recovered: %s", person_id, error)
                tell(done)
            stop.wait(every.total_seconds())

    return task


def _tell_in_a_line(session: Session, done: RecoveryPass) -> None:
    if session.as_json:
        session.event(shapes.recovery(done))
    elif done.recovered:
        session.show(None, lambda: tuple(map(str, done.recovered)))
