"""The whole protocol over a fake Trigger.dev: charges, claims and engine runs are counted, and the log is verified."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from research_fsm import PersonKind, Policy, Profile
from research_fsm.http import create_app
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import Queued, RolledBack, StaleRun, Unresolved
from research_fsm.testing.engine import FakeRequest, FakeResponse, Fault
from research_fsm.testing.engine import Status as EngineStatus
from tests.dispatchers.service import OWNER, Service

POLICY = Policy()
LEASE = POLICY.attempt_lease
POLL = POLICY.poll_interval


@pytest.fixture
def service() -> Iterator[Service]:
    """Run a service, and hold its whole log against the laws at the end of each test."""
    made = Service()
    yield made
    made.check()


def test_a_run_that_goes_well(service: Service) -> None:
    """Started, queued, charged, claimed, reported: one engine run, one charge."""
    assert isinstance(service.runs.start(service.person_id), Queued)
    assert service.work("run_fake1")
    assert service.person().status is Status.COMPLETE
    assert service.money() == (2, 0, 1, 0)
    assert len(service.engine.runs) == 1
    assert service.log()["RunClaimed"] == 1


def test_the_payload_names_no_person_and_opens_the_callbacks() -> None:
    """A worker that knows nothing but its payload claims, learns whom to research, and reports, over HTTP."""
    service = Service()
    http = TestClient(create_app(service.runs))
    service.runs.start(service.person_id)
    sent = service.engine.begin("run_fake1")
    assert set(sent) == {"person_id", "run_id", "run_no", "callback"}
    assert "/in/ada" not in str(service.engine.runs[0])
    assert sent["callback"]["url"].startswith("https://research.example/api/")
    path = urlsplit(sent["callback"]["url"]).path
    bearer = {"Authorization": f"Bearer {sent['callback']['token']}"}
    told = {"run_no": sent["run_no"], "external_run_id": "run_fake1"}
    claimed = http.post(f"{path}/claim", json=told, headers=bearer)
    assert claimed.json()["profile"]["linkedin_url"].endswith("/ada")
    assert http.post(f"{path}/complete", json=told | {"content": {}}, headers=bearer).status_code == 200
    assert service.person().status is Status.COMPLETE
    service.check()


def test_a_partners_run_goes_to_the_partners_task(service: Service) -> None:
    """The kind of person chooses the task."""
    profile = Profile(linkedin_url="linkedin.com/in/grace")
    service.runs.create(OWNER, profile, kind=PersonKind.PARTNER).accepted()
    assert [run.task for run in service.engine.runs] == ["partner-deep-research-enrich"]


# --- a lost answer -----------------------------------------------------------------------------------------------


def test_a_lost_answer_is_resent_with_the_same_bytes_and_confirmed_once(service: Service) -> None:
    """The list is empty, so recovery resends: the engine knows the key, and it is the same run."""
    service.engine.script(Fault.ANSWER_LOST)
    service.engine.list_works = False
    assert isinstance(service.runs.start(service.person_id), Unresolved)
    assert service.money() == (2, 1, 0, 0)
    assert service.recover(after=LEASE) == ["resent"]
    triggers = [one for one in service.engine.requests if one.path.endswith("/trigger")]
    assert len(triggers) == 2
    assert triggers[0].body == triggers[1].body
    assert triggers[0].headers == triggers[1].headers
    assert len(service.engine.runs) == 1
    assert service.log()["RunDispatched"] == service.log()["CreditsCharged"] == 1
    assert service.work("run_fake1")
    assert service.money() == (2, 0, 1, 0)


def test_a_lost_answer_is_found_by_its_tag(service: Service) -> None:
    """A look is enough: nothing is resent, and the run is charged once."""
    service.engine.script(Fault.ANSWER_LOST)
    service.runs.start(service.person_id)
    assert service.recover(after=LEASE) == ["adopted"]
    assert service.person().phase is Phase.QUEUED
    assert sum(one.path.endswith("/trigger") for one in service.engine.requests) == 1
    assert service.work("run_fake1")
    assert service.log()["CreditsCharged"] == 1


def test_a_worker_claims_before_the_answer_is_found(service: Service) -> None:
    """The claim is the proof; the resend that comes later neither charges nor disturbs."""
    service.engine.script(Fault.ANSWER_LOST)
    service.runs.start(service.person_id)
    assert service.claim("run_fake1")
    assert service.person().phase is Phase.EXECUTING
    assert service.money() == (2, 0, 1, 0)
    assert service.recover(after=LEASE) == ["waited"]
    service.report("run_fake1")
    assert service.person().status is Status.COMPLETE
    assert service.money() == (2, 0, 1, 0)


def test_a_cleared_key_makes_a_second_run_and_its_claim_is_refused(service: Service) -> None:
    """The engine forgets the key of a run that crashed; whoever claims first has the run, the others are stale."""
    service.engine.script(Fault.ANSWER_LOST)
    service.engine.list_works = False
    service.runs.start(service.person_id)
    service.engine.end("run_fake1", EngineStatus.CRASHED)
    assert service.recover(after=LEASE) == ["resent"]
    assert [run.external_id for run in service.engine.runs] == ["run_fake1", "run_fake2"]
    replayed = service.engine.replay("run_fake1")
    assert service.claim("run_fake2")
    assert not service.work(replayed)
    service.report("run_fake2")
    assert service.log()["RunClaimed"] == service.log()["CreditsCharged"] == 1
    assert service.log()["CallbackRefused"] == 1
    assert service.runs.balance(OWNER).refunded == 0


def test_a_500_after_the_row_was_made_ends_in_a_refund(service: Service) -> None:
    """The engine has it and will never begin it: adopted, and at its deadline failed and refunded."""
    service.engine.script(Fault.CREATED_THEN_500)
    assert isinstance(service.runs.start(service.person_id), Unresolved)
    assert service.recover(after=LEASE) == ["adopted"]
    assert service.engine.waiting() == ()
    assert service.recover(after=POLICY.queue_deadline) == ["failed"]
    assert service.person().status is Status.FAILED
    assert service.money() == (3, 0, 1, 1)


def test_a_request_that_was_lost_is_sent_again_and_then_given_up(service: Service) -> None:
    """Nothing is known, the window ends, and the deadline rolls back without a charge."""
    service.engine.script(*[Fault.REQUEST_LOST] * 10)
    service.runs.start(service.person_id)
    for _ in range(POLICY.max_attempts - 1):
        assert service.recover(after=LEASE) == ["resent"]
    service.recover(after=LEASE)
    assert service.log()["AttemptArmed"] == POLICY.max_attempts
    assert service.recover(after=POLICY.dispatch_deadline) == ["rolled_back"]
    assert service.person().status is Status.IDLE
    assert service.money() == (3, 0, 0, 0)
    assert service.engine.runs == ()


# --- a refusal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.UNAUTHORIZED, "refused"),
        (Fault.OUT_OF_CREDITS, "refused"),
        (Fault.RATE_LIMITED, "refused"),
        (Fault.MOVED, "refused"),
        (Fault.UNREACHABLE, "not_sent"),
    ],
)
def test_a_refusal_rolls_back_and_the_credit_is_back(service: Service, fault: Fault, reason: str) -> None:
    """At once, and the next start goes well."""
    service.engine.script(fault)
    answer = service.runs.start(service.person_id)
    assert isinstance(answer, RolledBack)
    assert answer.reason == reason
    assert service.person().status is Status.IDLE
    assert service.money() == (3, 0, 0, 0)
    assert isinstance(service.runs.start(service.person_id), Queued)
    assert service.person().run_no == 2


def test_a_429_says_when_to_come_back(service: Service) -> None:
    """In the store's microseconds."""
    service.engine.script(Fault.RATE_LIMITED)
    answer = service.runs.start(service.person_id)
    assert isinstance(answer, RolledBack)
    assert answer.retry_at == service.clock.now + 60_000_000


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.OUT_OF_CREDITS, Fault.RATE_LIMITED, Fault.UNREACHABLE])
def test_a_refused_resend_says_nothing_about_the_first_send(service: Service, fault: Fault) -> None:
    """The engine has the run: it is not rolled back under its worker."""
    service.engine.script(Fault.ANSWER_LOST, fault)
    service.engine.list_works = False
    service.runs.start(service.person_id)
    assert service.recover(after=LEASE) == ["resent"]
    assert service.person().phase is Phase.DISPATCHING
    assert service.work("run_fake1")
    assert service.money() == (2, 0, 1, 0)


# --- what recovery reads -----------------------------------------------------------------------------------------


def test_a_report_whose_callback_was_lost_is_read_from_the_engine(service: Service) -> None:
    """The task returned it: the claimed run completes."""
    service.runs.start(service.person_id)
    assert service.claim("run_fake1")
    service.report("run_fake1", callback=False)
    assert service.recover(after=POLL) == ["completed"]
    report = service.runs.report(service.person_id)
    assert report is not None
    assert getattr(report, "content", None) == {"by": "run_fake1"}
    assert service.money() == (2, 0, 1, 0)


def test_a_run_that_completed_without_an_output_fails(service: Service) -> None:
    """It was claimed, so its charge stays; a worker that was told to stop would have been somebody else."""
    service.runs.start(service.person_id)
    assert service.claim("run_fake1")
    service.report("run_fake1", callback=False, output=False)
    assert service.recover(after=POLL) == ["failed"]
    assert service.money() == (2, 0, 1, 0)


def test_a_report_that_cannot_be_seen_yet_is_waited_for(service: Service) -> None:
    """It is kept elsewhere, and elsewhere does not answer: the next look has it."""
    service.engine.keeps_large_outputs_elsewhere = 1
    service.runs.start(service.person_id)
    assert service.claim("run_fake1")
    service.report("run_fake1", callback=False)
    service.engine.script_reads(Fault.NONE, Fault.UNAVAILABLE, Fault.UNAVAILABLE, Fault.UNAVAILABLE)
    assert service.recover(after=POLL) == ["waited"]
    assert service.recover(after=POLL) == ["completed"]


@pytest.mark.parametrize(
    "status",
    [EngineStatus.FAILED, EngineStatus.CRASHED, EngineStatus.SYSTEM_FAILURE, EngineStatus.CANCELED],
)
@pytest.mark.parametrize("claimed", [False, True])
def test_a_run_that_ended_otherwise_fails_and_is_refunded_if_it_never_began(
    service: Service, status: EngineStatus, *, claimed: bool
) -> None:
    """The engine pushes nothing of it: a look reads it. Timed out and expired are as final as failed."""
    service.runs.start(service.person_id)
    if claimed:
        assert service.claim("run_fake1")
    service.engine.end("run_fake1", status)
    assert service.recover(after=POLL) == ["failed"]
    assert service.money() == ((2, 0, 1, 0) if claimed else (3, 0, 1, 1))


def test_a_run_that_expired_in_the_engines_queue_is_refunded(service: Service) -> None:
    """As soon as the engine says so, by a status whose flags say nothing."""
    service.runs.start(service.person_id)
    service.engine.run("run_fake1").options = {"tags": service.engine.run("run_fake1").tags, "ttl": 60}
    service.clock.advance(timedelta(seconds=60))
    assert service.engine.run("run_fake1").status is EngineStatus.EXPIRED
    assert service.recover() == ["failed"]
    assert service.money() == (3, 0, 1, 1)


def test_nothing_can_be_read_and_the_deadline_still_leads_out(service: Service) -> None:
    """Reads fail for ever: failed at the deadline, with a refund, since nobody claimed."""
    service.runs.start(service.person_id)
    service.engine.script_reads(*[Fault.UNAVAILABLE] * 1000)
    assert service.recover(after=POLL) == ["waited"]
    assert service.recover(after=POLICY.queue_deadline) == ["failed"]
    assert service.money() == (3, 0, 1, 1)


# --- stray runs --------------------------------------------------------------------------------------------------


def test_an_engine_run_that_nobody_waits_for_is_cancelled(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a resend is under way, the first run claims and crashes: the resend makes a second run, an orphan."""
    service.engine.script(Fault.ANSWER_LOST)
    service.engine.list_works = False
    service.runs.start(service.person_id)
    handle = service.engine.handle

    def overtaken(request: FakeRequest) -> FakeResponse:
        if request.path.endswith("/trigger"):
            assert service.claim("run_fake1")
            service.engine.end("run_fake1", EngineStatus.CRASHED)
        return handle(request)

    monkeypatch.setattr(service.engine, "handle", overtaken)
    assert service.recover(after=LEASE) == ["resent"]
    assert service.engine.run("run_fake2").status is EngineStatus.CANCELED
    assert service.person().phase is Phase.EXECUTING
    assert service.recover(after=POLL) == ["failed"]
    assert service.money() == (2, 0, 1, 0)


def test_erasing_cancels_and_learns_the_stray_run_nothing(service: Service) -> None:
    """The engine run that was queued is cancelled; a replay of it is stale and is told no profile."""
    service.runs.start(service.person_id)
    service.runs.erase(service.person_id).accepted()
    assert service.engine.run("run_fake1").status is EngineStatus.CANCELED
    stray = service.engine.replay("run_fake1")
    sent = service.engine.begin(stray)
    assert isinstance(service.runs.claim(sent["run_id"], sent["run_no"], stray), StaleRun)
    assert service.money() == (2, 0, 1, 0)


def test_a_replay_is_turned_away_while_and_after_the_first_works(service: Service) -> None:
    """Somebody presses the dashboard's button twice: one claim, one report."""
    service.runs.start(service.person_id)
    early = service.engine.replay("run_fake1")
    assert service.claim("run_fake1")
    assert not service.work(early)
    service.report("run_fake1")
    assert not service.work(service.engine.replay("run_fake1"))
    assert service.log()["RunClaimed"] == service.log()["RunCompleted"] == 1


def test_a_replay_may_be_the_one_that_works(service: Service) -> None:
    """Whoever claims first has the run; the end of the other one does not end it."""
    service.runs.start(service.person_id)
    replay = service.engine.replay("run_fake1")
    assert service.claim(replay)
    service.engine.end("run_fake1", EngineStatus.FAILED)
    assert service.recover(after=POLL) == ["waited"]
    service.report(replay)
    assert service.person().status is Status.COMPLETE
    assert service.money() == (2, 0, 1, 0)


def test_a_worker_that_claims_with_another_runs_id_ends_nothing_but_its_own(service: Service) -> None:
    """The id it gave is of a run without this run's tag: its end is no evidence, and the deadline decides."""
    other = service.add("grace")
    service.runs.start(service.person_id)
    service.runs.start(other)
    sent = service.engine.begin("run_fake1")
    service.runs.claim(sent["run_id"], sent["run_no"], "run_fake2").accepted()
    service.engine.end("run_fake2", EngineStatus.FAILED)
    service.recover(after=POLL)
    assert service.person().phase is Phase.EXECUTING
    assert service.person(other).status is Status.FAILED


def test_a_typo_in_the_task_is_found_out_by_the_deadline() -> None:
    """The engine accepts it; nobody ever claims; failed, and refunded."""
    service = Service()
    service.engine._tasks = frozenset()
    assert isinstance(service.runs.start(service.person_id), Queued)
    assert service.recover(after=POLL) == ["waited"]
    assert service.recover(after=POLICY.queue_deadline) == ["failed"]
    assert service.money() == (3, 0, 1, 1)
    service.check()


def test_a_lagging_replica_never_rolls_back(service: Service) -> None:
    """A 404 right after the trigger is no news, and the poll after it reads the run."""
    service.engine.lagging_reads = 1
    service.runs.start(service.person_id)
    assert service.recover(after=POLL) == ["waited"]
    assert service.person().phase is Phase.QUEUED
    assert service.work("run_fake1")
