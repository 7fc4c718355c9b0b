"""One person, one account, two runs and a few engine runs, so that the tests can speak of them by name."""

import hashlib

from research_fsm import Policy, codec
from research_fsm.commands import (
    ArmAttempt,
    ClaimRun,
    CompleteRun,
    ErasePerson,
    FailRun,
    RecordAnswer,
    RecoverRun,
    RenewLease,
    RequestKey,
    Sighting,
    SightingState,
    StartRun,
)
from research_fsm.decide import Send
from research_fsm.events import (
    AttemptAnswered,
    AttemptArmed,
    AttemptResult,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    PersonAdded,
    PersonKind,
    RunClaimed,
    RunDispatched,
    RunStarted,
)
from research_fsm.outcomes import Claimed, Queued, StaleRun, Unresolved
from research_fsm.policy import micros
from research_fsm.requests import DispatchRequest
from research_fsm.testing.scenario import NOW, PERSON_ID, SALT

OWNER = "acme"
OTHER_OWNER = "zeta"
RUN = "00000000-0000-4000-8000-0000000000a1"
RUN_2 = "00000000-0000-4000-8000-0000000000a2"
X, Y = "engine-x", "engine-y"
REPORT = codec.encode_report(RUN, {"summary": "an engineer"}, None)
DIGEST = codec.digest(SALT, REPORT)
PROFILE = {"linkedin_url": "https://www.linkedin.com/in/ada"}

POLICY = Policy()
DISPATCH_KEY = hashlib.sha256(b"research_fsm:dispatch:" + RUN.encode()).hexdigest()
REQUEST = DispatchRequest(PERSON_ID, RUN, 1, PersonKind.USER, DISPATCH_KEY)
DISPATCH_DEADLINE = NOW + micros(POLICY.dispatch_deadline)
QUEUE_DEADLINE = NOW + micros(POLICY.queue_deadline)
RUN_DEADLINE = NOW + micros(POLICY.run_deadline)
ATTEMPT_LEASE = NOW + micros(POLICY.attempt_lease)
WORKER_LEASE = NOW + micros(POLICY.worker_lease)

# --- what happened -----------------------------------------------------------------------------------------------

GRANTED = CreditsGranted("g", 1)
ADDED = PersonAdded(OWNER, PersonKind.USER, "profile digest")
STARTED = RunStarted(RUN, 1, 1, inside=False, deadline=DISPATCH_DEADLINE, request_digest=None)
ARMED = AttemptArmed(1, 1, ATTEMPT_LEASE)
CONFIRMED = RunDispatched(1, X, QUEUE_DEADLINE)
CLAIMED = RunClaimed(1, X, 0, RUN_DEADLINE)
STARTED_INSIDE = RunStarted(RUN, 1, 1, inside=True, deadline=None, request_digest=None)
QUEUED_INSIDE = RunDispatched(1, None, None)
DELIVERED = RunClaimed(1, f"{RUN}:1", 1, RUN_DEADLINE)

IDLE = (GRANTED, ADDED)
JOINED = (*IDLE, STARTED)
DISPATCHING = (*IDLE, STARTED, ARMED)
QUEUED = (*DISPATCHING, CONFIRMED)
EXECUTING = (*QUEUED, CLAIMED)
EARLY = (*DISPATCHING, CLAIMED)
"""Executing by a claim that came before the dispatch's own answer."""
WAITING = (*IDLE, STARTED_INSIDE, QUEUED_INSIDE)
AT_WORK = (*WAITING, DELIVERED)

HELD = CreditsHeld(PERSON_ID, RUN, 1, 1)
CHARGED = CreditsCharged(PERSON_ID, RUN, 1, 1)
RELEASED = CreditsReleased(PERSON_ID, RUN, 1, 1)
REFUNDED = CreditsRefunded(PERSON_ID, RUN, 1, 1)


def armed(attempt: int, at: int = NOW) -> AttemptArmed:
    """Return an attempt of run 1 that was armed at a moment."""
    return AttemptArmed(1, attempt, at + micros(POLICY.attempt_lease))


def answered(
    result: AttemptResult, attempt: int = 1, external_id: str | None = None, *, orphan: bool = False, run_no: int = 1
) -> AttemptAnswered:
    """Return what an attempt came to."""
    return AttemptAnswered(run_no, attempt, result, external_id, orphan, "")


# --- what is asked -----------------------------------------------------------------------------------------------


def starting(
    run_id: str = RUN,
    *,
    inside: bool = False,
    joined: bool = False,
    owner: str | None = None,
    key: RequestKey | None = None,
) -> StartRun:
    """Ask for a run."""
    return StartRun(person_id=PERSON_ID, run_id=run_id, inside=inside, joined=joined, owner=owner, key=key)


def arming(run_id: str = RUN) -> ArmAttempt:
    """Ask for the first attempt of a joined start."""
    return ArmAttempt(run_id=run_id)


def answering(
    result: AttemptResult, attempt: int = 1, external_id: str | None = None, *, run_id: str = RUN, run_no: int = 1
) -> RecordAnswer:
    """Say what an attempt came to."""
    return RecordAnswer(
        person_id=PERSON_ID,
        run_id=run_id,
        run_no=run_no,
        attempt=attempt,
        result=result,
        external_id=external_id,
        reason="",
    )


def accepting(external_id: str = X, attempt: int = 1, *, run_id: str = RUN, run_no: int = 1) -> RecordAnswer:
    """Say that the engine accepted an attempt."""
    return answering(AttemptResult.ACCEPTED, attempt, external_id, run_id=run_id, run_no=run_no)


def claiming(external_id: str = X, *, run_id: str = RUN, run_no: int = 1) -> ClaimRun:
    """Claim a run."""
    return ClaimRun(run_id=run_id, run_no=run_no, external_id=external_id)


def completing(external_id: str = X, *, run_id: str = RUN, run_no: int = 1, report: bytes = REPORT) -> CompleteRun:
    """Report a run."""
    return CompleteRun(run_id=run_id, run_no=run_no, external_id=external_id, report=report)


def failing(external_id: str = X, *, run_id: str = RUN, run_no: int = 1, detail: bytes | None = None) -> FailRun:
    """Report that a run failed."""
    return FailRun(run_id=run_id, run_no=run_no, external_id=external_id, detail=detail)


def renewing(external_id: str = f"{RUN}:1", *, run_no: int = 1) -> RenewLease:
    """Ask to keep an entry of the embedded queue."""
    return RenewLease(run_id=RUN, run_no=run_no, external_id=external_id)


def recovering(*sightings: Sighting, run_id: str = RUN, run_no: int = 1, sends: bool = True) -> RecoverRun:
    """Look at the person, with what the engine says."""
    return RecoverRun(person_id=PERSON_ID, run_id=run_id, run_no=run_no, sightings=sightings, sends=sends)


def alive(external_id: str = X) -> Sighting:
    """See an engine run that is still going."""
    return Sighting(external_id=external_id, state=SightingState.ALIVE)


def ended(external_id: str = X) -> Sighting:
    """See an engine run that is over without an output."""
    return Sighting(external_id=external_id, state=SightingState.ENDED)


def done(external_id: str = X, report: bytes | None = REPORT) -> Sighting:
    """See an engine run that is done, with the report that it returned or without one."""
    return Sighting(external_id=external_id, state=SightingState.COMPLETED, report=report)


ERASING = ErasePerson(person_id=PERSON_ID)

# --- what is answered --------------------------------------------------------------------------------------------

IS_QUEUED = Queued(PERSON_ID, RUN, 1)
IS_UNRESOLVED = Unresolved(PERSON_ID, RUN, 1)


def send(attempt: int) -> Send:
    """Return leave to send run 1's request."""
    return Send(REQUEST, attempt)


def claimed(external_id: str = X, deadline: int = RUN_DEADLINE, lease_until: int | None = None) -> Claimed:
    """Return what a worker that has run 1 is told."""
    return Claimed(PERSON_ID, OWNER, PersonKind.USER, RUN, 1, external_id, deadline, PROFILE, lease_until)


def stale(external_id: str = X, *, run_id: str = RUN, run_no: int = 1) -> StaleRun:
    """Return what a worker that must stop is told."""
    return StaleRun(run_id, run_no, external_id)
