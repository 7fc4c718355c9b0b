"""What happens between transactions: starts, erasures and recovery, as generators.

Floor 4, pure. A flow yields what it wants done and receives the answer; whoever drives it decides whether that
blocks, awaits, or stops. Dispatch to an outside engine happens strictly between two transactions: what must survive
a crash is committed before a byte leaves, and every yield is a place where a crash may come.
"""

from research_fsm import decide, requests, transactions
from research_fsm.commands import (
    AddPerson,
    ArmAttempt,
    ErasePerson,
    MarkStale,
    RecordAnswer,
    RecoverRun,
    Sighting,
    StartRun,
)
from research_fsm.decide import Send
from research_fsm.events import StaleReason
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import (
    Action,
    CreateAnswer,
    EraseAnswer,
    Erased,
    MarkedStale,
    Recovered,
    RunNotFound,
    StartAnswer,
    SubmitAnswer,
)
from research_fsm.policy import Policy
from research_fsm.requests import Flow
from research_fsm.storage import Query

__all__ = ["create", "dispatch", "erase", "recover", "start", "submit"]


def start(command: StartRun, policy: Policy) -> Flow[StartAnswer]:
    """Start a run, and hand it over if the engine is outside."""
    answer = yield from requests.transact(*transactions.start(command, policy))
    if isinstance(answer, Send):
        return (yield from _sent(answer, policy))
    return answer


def create(adding: AddPerson, starting: StartRun, policy: Policy) -> Flow[CreateAnswer]:
    """Add a person and start them in one transaction, and hand the run over if the engine is outside."""
    answer = yield from requests.transact(*transactions.create(adding, starting, policy))
    if isinstance(answer, Send):
        return transactions.created((yield from _sent(answer, policy)))
    return answer


def submit(adding: AddPerson, starting: StartRun, policy: Policy) -> Flow[SubmitAnswer]:
    """Start the partner's person who has this address, or add one and start them; hand the run over if need be."""
    answer = yield from requests.transact(*transactions.submit(adding, starting, policy))
    if isinstance(answer, Send):
        return transactions.submitted((yield from _sent(answer, policy)))
    return transactions.submitted(answer)


def dispatch(command: ArmAttempt, policy: Policy) -> Flow[StartAnswer | RunNotFound]:
    """Arm and send the first attempt of a joined start, once its host has committed; else say how the run stands."""
    answer = yield from requests.transact(*transactions.arm(command, policy))
    if isinstance(answer, Send):
        return (yield from _sent(answer, policy))
    return answer


def erase(command: ErasePerson, policy: Policy) -> Flow[EraseAnswer]:
    """Erase a person, and ask the engine to stop what it may still do for them."""
    answer = yield from requests.transact(*transactions.erase(command, policy))
    if isinstance(answer, Erased):
        for external_id in answer.engine_runs:
            yield from requests.cancel(external_id)
    return answer


def recover(person_id: str, policy: Policy, *, sends: bool) -> Flow[Recovered]:
    """Look at one person who is overdue, ask the engine if there is one, and do the one thing that is due.

    Args:
        person_id: The person.
        policy: The settings.
        sends: Whether there is an outside dispatcher here, so that an attempt may be armed.
    """
    query = Query(streams=(transactions.person_stream(person_id),))
    view = yield from requests.read(lambda reader: reader.read(query))
    person = transactions.person_in(view, person_id)
    run = person.run
    if person.phase is Phase.COMPLETE:
        ageing = MarkStale(person_id=person_id, reason=StaleReason.AGE)
        marked = yield from requests.transact(*transactions.mark_stale(ageing, policy))
        action = Action.MARKED_STALE if isinstance(marked, MarkedStale) else Action.NOTHING
        return Recovered(person_id, person.run_no, action)
    if run is None or person.status is not Status.RUNNING:
        return Recovered(person_id, person.run_no, Action.NOTHING)
    sightings: tuple[Sighting, ...] = ()
    if sends and not run.inside and run.first_armed_at is not None:
        request = decide.dispatch_request(person, run.run_id, run.run_no)
        sightings = yield from requests.look(request, decide.engine_runs(run))
    looked = RecoverRun(person_id=person_id, run_id=run.run_id, run_no=run.run_no, sightings=sightings, sends=sends)
    answer = yield from requests.transact(*transactions.recover(looked, policy))
    if isinstance(answer, Send):
        yield from _sent(answer, policy)
        return Recovered(person_id, run.run_no, Action.RESENT)
    return answer


def _sent(armed: Send, policy: Policy) -> Flow[StartAnswer]:
    """Send an armed attempt, once, and record what it came to."""
    request = armed.request
    outcome = yield from requests.dispatch(request)
    command = RecordAnswer(
        person_id=request.person_id,
        run_id=request.run_id,
        run_no=request.run_no,
        attempt=armed.attempt,
        result=outcome.result,
        external_id=outcome.external_id,
        reason=outcome.reason,
        retry_at=outcome.retry_at,
    )
    recorded = yield from requests.transact(*transactions.record_answer(command, policy))
    if recorded.orphan is not None:
        yield from requests.cancel(recorded.orphan)
    return recorded.answer
