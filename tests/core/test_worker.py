"""A worker of the embedded queue: what it does with a pipeline's answer, its errors, its lease, and the store's."""

import asyncio
import json
import threading
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define

from research_fsm import Policy, Profile, Runs, worker
from research_fsm.errors import LogUnreadable, StoreBusy
from research_fsm.outcomes import Claimed, Json, QueueEmpty, Renewed
from research_fsm.reads import PersonDetails, ReportDetails
from research_fsm.storage import Query
from research_fsm.stores.memory import MemoryStore
from research_fsm.worker import Report, ResearchRequest, Worker, _Lease
from tests.core.doors import House, inside
from tests.core.examples import OWNER

QUICK = Policy(renew_every=timedelta(milliseconds=1), worker_lease=timedelta(seconds=10))
BUSY = StoreBusy("memory", "others kept it locked")
LOST = "is lost: what this worker did counts for nothing"


@define
class Monotonic:
    """A machine's own clock, in seconds, that is moved by hand."""

    seconds: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    """Give the worker a clock of its own, and no pauses."""
    clock = Monotonic()
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(worker, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(worker, "_IDLE_SECONDS", 0.0)
    return clock


@pytest.fixture
def house(monotonic: Monotonic) -> House:
    """Return doors to the embedded queue, with one run that waits."""
    assert monotonic.seconds == 0
    made = inside(QUICK)
    made.granted(1)
    made.runs.start(made.added())
    return made


def person(house: House) -> PersonDetails:
    """Return the only person."""
    (found,) = house.runs.people(OWNER).people
    return found


def report(house: House) -> ReportDetails:
    """Return the only person's report."""
    found = house.runs.report(person(house).person_id)
    assert isinstance(found, ReportDetails)
    return found


def failure(house: House) -> Json:
    """Return the free text of the only person's failure."""
    documents = house.store._tables.documents
    (found,) = (json.loads(body) for (_, name), body in documents.items() if name.startswith("failure:"))
    return found


def claimed(house: House) -> Claimed:
    """Take the run that waits."""
    answer = house.runs.take()
    assert isinstance(answer, Claimed)
    return answer


# --- pipelines ---------------------------------------------------------------------------------------------------


def test_a_blocking_pipeline_is_asked_and_its_answer_is_the_report(house: House) -> None:
    """It gets the run and the profile, and knows that nobody has taken over."""
    asked: list[ResearchRequest] = []

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        asked.append(request)
        assert not request.stopped()
        return {"found": request.profile["linkedin_url"]}

    assert Worker(house.runs, pipeline, name="w1").run_once()
    assert (asked[0].person_id, asked[0].run_no) == (person(house).person_id, 1)
    assert report(house).content == {"found": "https://www.linkedin.com/in/ada"}
    assert person(house).status == "complete"
    actors = [json.loads(event.meta)["actor"] for event in house.store.events() if event.type.startswith("RunC")]
    assert actors == ["w1", "w1"]


def test_an_awaiting_pipeline_is_awaited(house: House) -> None:
    """In an event loop of its own; a `Report` says what is new."""

    async def pipeline(request: ResearchRequest) -> Report:
        await asyncio.sleep(0)
        return Report({"run": request.run_no}, "everything")

    assert Worker(house.runs, pipeline).run_once()
    assert (report(house).content, report(house).change_summary) == ({"run": 1}, "everything")


def test_an_empty_queue_is_no_work(monotonic: Monotonic) -> None:
    """The pipeline is not asked."""
    del monotonic
    asked: list[ResearchRequest] = []

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        asked.append(request)
        return {}

    assert not Worker(inside().runs, pipeline).run_once()
    assert asked == []


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (None, "TypeError: a pipeline returns a dict or a Report, not NoneType"),
        ("text", "TypeError: a pipeline returns a dict or a Report, not str"),
        ({"x": float("nan")}, "InvalidInput: content: must be JSON, which has no nan"),
        ({1: "x"}, "InvalidInput: content: must be JSON, whose keys are strings, not int"),
        (Report({"x": 1}, {2}), "InvalidInput: content: must be plain JSON data, not set"),
    ],
    ids=["nothing", "text", "nan", "key", "set"],
)
def test_an_answer_that_is_no_report_fails_the_run(house: House, answer: Any, detail: str) -> None:  # noqa: ANN401  # That is the point.
    """The reason is from the list, what was wrong is kept as a document, the charge stays."""
    assert Worker(house.runs, lambda _request: answer).run_once()
    assert person(house).status == "failed"
    assert failure(house) == detail
    (failed,) = (event for event in house.store.events() if event.type == "RunFailed")
    assert json.loads(failed.data)["reason"] == "pipeline_error"
    assert house.runs.balance(OWNER).available == 0


def test_a_report_that_is_too_large_fails_the_run(house: House) -> None:
    """Its size is said."""
    assert Worker(house.runs, lambda _request: {"x": "y" * 3 * 2**20}).run_once()
    assert str(failure(house)).startswith("InvalidInput: report: must be at most 3145728 bytes of JSON")


@pytest.mark.parametrize("awaits", [False, True])
def test_a_pipeline_that_raises_fails_the_run(house: House, caplog: pytest.LogCaptureFixture, *, awaits: bool) -> None:
    """Blocking or awaiting; the log names the error's class alone, for its text may be personal data."""

    async def awaiting(_request: ResearchRequest) -> dict[str, Json]:
        raise ValueError("no page of Ada Lovelace")

    def blocking(_request: ResearchRequest) -> dict[str, Json]:
        raise ValueError("no page of Ada Lovelace")

    assert Worker(house.runs, awaiting if awaits else blocking).run_once()
    assert failure(house) == "ValueError: no page of Ada Lovelace"
    assert "the pipeline raised ValueError" in caplog.text
    assert "Ada" not in caplog.text


def test_a_long_or_broken_error_text_is_cut(house: House) -> None:
    """Ten thousand characters are kept, and half a surrogate pair becomes a question mark."""

    def pipeline(_request: ResearchRequest) -> dict[str, Json]:
        raise ValueError("\ud800" + "x" * 20_000)

    assert Worker(house.runs, pipeline).run_once()
    assert failure(house) == "ValueError: ?" + "x" * (10_000 - len("ValueError: ?"))


def test_a_pipeline_that_cancels_itself_fails_the_run(house: House) -> None:
    """Nobody took over: it is a mistake of the pipeline."""

    async def pipeline(_request: ResearchRequest) -> dict[str, Json]:
        raise asyncio.CancelledError

    assert Worker(house.runs, pipeline).run_once()
    assert failure(house) == "RuntimeError: the pipeline cancelled itself"


def test_an_interrupted_worker_reports_nothing(house: House) -> None:
    """Whoever presses the keys means the program: the entry is taken over when its lease is over."""

    def pipeline(_request: ResearchRequest) -> dict[str, Json]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Worker(house.runs, pipeline).run_once()
    assert person(house).phase == "executing"
    house.clock.pass_(seconds=10)
    assert claimed(house).external_id.endswith(":2")


# --- leases ------------------------------------------------------------------------------------------------------


def test_a_worker_renews_while_the_pipeline_is_at_work(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease in the queue's row moves; no event is written."""
    renewed = threading.Event()
    renew = house.runs.renew

    def renewing(run_id: str, run_no: int, external_id: str) -> object:
        answer = renew(run_id, run_no, external_id)
        renewed.set()
        return answer

    monkeypatch.setattr(house.runs, "renew", renewing)

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        house.clock.pass_(seconds=5)
        assert renewed.wait(timeout=30)
        renewed.clear()
        assert renewed.wait(timeout=30)
        (entry,) = house.store.entries()
        assert entry.lease_until == house.clock.now + 10_000_000
        assert not request.stopped()
        return {}

    assert Worker(house.runs, pipeline).run_once()
    assert person(house).status == "complete"


def test_a_lease_counts_from_before_it_was_asked_for(house: House, monotonic: Monotonic) -> None:
    """A take that took nine seconds leaves one: the worker stops no later than the store lets another begin."""
    take = house.runs.take

    def slow(run_id: str | None, *, actor: str | None = None) -> object:
        monotonic.seconds += 9
        return take(run_id, actor=actor)

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        assert not request.stopped()
        monotonic.seconds += 1
        assert request.stopped()
        return {}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(house.runs, "take", slow)
        patched.setattr(house.runs, "renew", lambda *_run: (_ for _ in ()).throw(BUSY))
        assert Worker(house.runs, pipeline).run_once()
    assert person(house).phase == "executing"


def test_a_blocking_pipeline_whose_lease_is_lost_counts_for_nothing(
    house: House, monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told when it asks, and what it returns is not reported."""

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        monotonic.seconds += 10
        assert request.stopped()
        return {"late": True}

    assert Worker(house.runs, pipeline).run_once()
    assert caplog.text.count(LOST) == 1
    assert person(house).phase == "executing"
    house.clock.pass_(seconds=10)
    assert claimed(house).external_id.endswith(":2")


def test_an_awaiting_pipeline_whose_lease_is_lost_is_cancelled(
    house: House, monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    """It would wait for ever; the lease's end cancels it, and nothing is reported but to the log, once."""
    ended: list[str] = []

    async def pipeline(_request: ResearchRequest) -> dict[str, Json]:
        monotonic.seconds += 10
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return {}

    assert Worker(house.runs, pipeline).run_once()
    assert ended == ["cancelled"]
    assert person(house).phase == "executing"
    assert caplog.text.count(LOST) == 1
    assert "the pipeline raised" not in caplog.text


def test_a_renewal_that_hangs_keeps_no_pipeline_at_work(
    house: House, monotonic: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may keep it waiting for longer than the lease lasts; the pipeline is cancelled all the same."""
    asked, answered = threading.Event(), threading.Event()
    ended: list[str] = []

    def renewing(*_run: object) -> Renewed:
        asked.set()
        answered.wait(timeout=5)
        ended.append("renewed")
        return Renewed(0)

    async def pipeline(_request: ResearchRequest) -> dict[str, Json]:
        await asyncio.to_thread(asked.wait)
        monotonic.seconds += 10
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
            answered.set()
        return {}

    monkeypatch.setattr(house.runs, "renew", renewing)
    assert Worker(house.runs, pipeline).run_once()
    assert ended == ["cancelled", "renewed"]
    assert person(house).phase == "executing"


def test_a_cancelled_pipeline_may_clear_up(house: House, monotonic: Monotonic) -> None:
    """It is cancelled once, so that what it awaits in its own end is awaited."""
    ended: list[str] = []

    async def pipeline(_request: ResearchRequest) -> dict[str, Json]:
        monotonic.seconds += 10
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            ended.append("cleared up")
        return {}

    assert Worker(house.runs, pipeline).run_once()
    assert ended == ["cleared up"]


def test_a_pipeline_of_somebody_who_was_erased_is_cancelled(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """The next renewal learns it; nobody took over, and the log does not say so."""

    async def pipeline(request: ResearchRequest) -> dict[str, Json]:
        house.runs.erase(request.person_id)
        await asyncio.Event().wait()
        return {}

    assert Worker(house.runs, pipeline).run_once()
    assert caplog.text.count(LOST) == 1


def test_a_run_is_worked_on_by_its_name(house: House) -> None:
    """Before those who came earlier; there is nothing to do for a run that is nobody's, or with somebody."""
    house.granted(1)
    later = house.runs.start(house.added()).accepted().run_id
    worker = Worker(house.runs, lambda request: {"run": request.run_id})
    assert worker.run_once(later)
    assert not worker.run_once(later)
    assert [str(one.status) for one in house.runs.people(OWNER).people] == ["complete", "running"]
    assert worker.run_once()


def test_a_blocking_pipeline_that_is_let_go_is_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """What it returns counts for nothing, and the run is for whoever takes it over."""
    told: list[bool] = []

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        going.set()
        told.append(request.stopped())
        return {}

    going = threading.Event()
    assert Worker(house.runs, pipeline).run_once(let_go=going.is_set)
    assert told == [True]
    assert caplog.text.count(LOST) == 1
    house.clock.pass_(seconds=10)
    assert claimed(house).external_id.endswith(":2")


def test_an_awaiting_pipeline_that_is_let_go_is_cancelled(house: House) -> None:
    """It ends, and the run does not."""
    going = threading.Event()

    async def pipeline(_: ResearchRequest) -> dict[str, Json]:
        going.set()
        await asyncio.Event().wait()
        return {}

    assert Worker(house.runs, pipeline).run_once(let_go=going.is_set)
    assert person(house).status == "running"


def test_a_worker_that_was_taken_over_learns_it_when_it_renews(house: House) -> None:
    """The store says so, before the lease is over by the worker's own clock."""
    lease = _Lease(house.runs, claimed(house), 0.0)
    house.clock.pass_(seconds=10)
    claimed(house)
    assert lease.held
    lease._renew()
    assert not lease.held


def test_a_lease_that_was_found_lost_is_lost_for_good(
    house: House, monotonic: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that is answered too late revives nothing: the pipeline was cancelled meanwhile."""
    lease = _Lease(house.runs, claimed(house), 0.0)
    held: list[bool] = []

    def renewing(*_run: object) -> Renewed:
        monotonic.seconds = 11
        held.append(lease.held)
        lease._done.set()
        return Renewed(0)

    monkeypatch.setattr(house.runs, "renew", renewing)
    monotonic.seconds = 5
    lease._renew()
    assert [*held, lease.held] == [False, False]


def test_a_renewed_lease_counts_from_before_the_renewal_was_asked_for(
    house: House, monotonic: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked at second five and answered at second seven, ten seconds last until second fifteen."""
    lease = _Lease(house.runs, claimed(house), 0.0)

    def renew(*_run: object) -> Renewed:
        monotonic.seconds = 7
        lease._done.set()
        return Renewed(0)

    monkeypatch.setattr(house.runs, "renew", renew)
    monotonic.seconds = 5
    lease._renew()
    held = []
    for second in (14.9, 15.0):
        monotonic.seconds = second
        held.append(lease.held)
    assert held == [True, False]


def test_a_lease_is_not_renewed_after_its_end(
    house: House, monotonic: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the worker's own clock it is over: the store is not even asked."""
    asked: list[object] = []
    monkeypatch.setattr(house.runs, "renew", lambda *run: asked.append(run))
    lease = _Lease(house.runs, claimed(house), 0.0)
    monotonic.seconds = 10
    lease._renew()
    assert asked == []


@pytest.mark.parametrize("error", [BUSY, LogUnreadable("person:x", "is damaged")], ids=["busy", "unreadable"])
def test_a_renewal_that_fails_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """While the lease lasts, it lasts."""
    answers: list[Any] = [error, Renewed(0)]
    lease = _Lease(house.runs, claimed(house), 0.0)

    def renew(*_run: object) -> object:
        answer = answers.pop(0)
        if not answers:
            lease._done.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(house.runs, "renew", renew)
    lease._renew()
    assert answers == []
    assert lease.held
    assert "could not be renewed; trying again while it lasts" in caplog.text


# --- reporting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [BUSY, LogUnreadable("person:x", "is damaged")], ids=["busy", "unreadable"])
def test_a_report_that_the_store_did_not_take_is_reported_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Until it has it; a callback that is repeated changes nothing."""
    complete = house.runs.complete
    errors = [error, error]

    def completing(*run: Any, **report: Any) -> object:  # noqa: ANN401  # Handed on.
        if errors:
            raise errors.pop()
        complete(*run, **report)
        return complete(*run, **report)

    monkeypatch.setattr(house.runs, "complete", completing)
    assert Worker(house.runs, lambda _request: {"found": 1}).run_once()
    assert report(house).content == {"found": 1}
    assert caplog.text.count("could not be reported; trying again while the lease lasts") == 2
    assert house.types(person(house).person_id).count("RunCompleted") == 1


def test_a_report_that_the_store_never_takes_is_given_up_with_the_lease(
    house: House, monotonic: Monotonic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next delivery does the work again."""

    def completing(*_run: object, **_report: object) -> object:
        monotonic.seconds += 5
        raise BUSY

    def renewing(*_run: object) -> object:
        raise BUSY

    monkeypatch.setattr(house.runs, "complete", completing)
    monkeypatch.setattr(house.runs, "renew", renewing)
    assert Worker(house.runs, lambda _request: {}).run_once()
    assert caplog.text.count("could not be reported") == 2
    assert caplog.text.count(LOST) == 1


def test_a_report_of_somebody_who_was_erased_is_stale_and_that_is_all(house: House) -> None:
    """The worker goes on to the next entry."""

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        house.runs.erase(request.person_id)
        return {"found": 1}

    assert Worker(house.runs, pipeline).run_once()
    assert not Worker(house.runs, pipeline).run_once()
    assert house.store._tables.documents == {}


# --- deliveries --------------------------------------------------------------------------------------------------


def test_the_entry_of_a_killed_worker_is_taken_over(house: House) -> None:
    """Its late report is stale; the one of the new delivery counts, once."""
    killed = claimed(house)
    house.clock.pass_(seconds=10)
    assert Worker(house.runs, lambda _request: {"by": "second"}).run_once()
    before = house.runs.balance(OWNER)
    answer = house.runs.complete(killed.run_id, killed.run_no, killed.external_id, {"by": "first"})
    assert str(answer).endswith("stop")
    assert report(house).content == {"by": "second"}
    assert house.runs.balance(OWNER) == before
    assert before.charged == 1


def test_an_entry_whose_deliveries_are_used_up_is_given_up(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """The worker ends the run, says so, and counts it as work."""
    for _ in range(5):
        claimed(house)
        house.clock.pass_(seconds=10)
    assert Worker(house.runs, lambda _request: {}).run_once()
    assert "its deliveries are used up" in caplog.text
    assert person(house).status == "failed"
    assert isinstance(house.runs.take(), QueueEmpty)


def test_entries_are_taken_first_come_first_served(monotonic: Monotonic) -> None:
    """A delivery that is out is passed by."""
    del monotonic
    house = inside(QUICK)
    house.granted(3)
    ids = [house.added() for _ in range(3)]
    for person_id in ids:
        house.runs.start(person_id)
    assert [claimed(house).person_id for _ in range(3)] == ids
    assert isinstance(house.runs.take(), QueueEmpty)


# --- run until told to stop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [BUSY, LogUnreadable("person:x", "is damaged")], ids=["busy", "unreadable"])
def test_a_worker_outlives_an_error_of_the_store(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """It is logged and tried again; the worker works on, and stops when it is told to."""
    stop = threading.Event()
    take = house.runs.take
    taken: list[object] = [error]

    def taking(run_id: str | None, *, actor: str | None = None) -> object:
        if len(taken) == 1:
            taken.append(None)
            raise error
        answer = take(run_id, actor=actor)
        if isinstance(answer, QueueEmpty):
            stop.set()
        return answer

    monkeypatch.setattr(house.runs, "take", taking)
    Worker(house.runs, lambda _request: {"found": 1}).run(stop)
    assert "the queue could not be worked on; trying again" in caplog.text
    assert report(house).content == {"found": 1}


def test_a_worker_that_is_to_stop_takes_nothing_more(house: House) -> None:
    """Set before it begins, it never asks; set during an entry, that one is finished."""
    stop = threading.Event()
    asked: list[int] = []

    def pipeline(request: ResearchRequest) -> Mapping[str, Json]:
        asked.append(request.run_no)
        stop.set()
        return {}

    Worker(house.runs, pipeline).run(stop)
    assert asked == [1]
    assert person(house).status == "complete"
    Worker(house.runs, pipeline).run(stop)
    assert asked == [1]


def test_nothing_of_the_person_is_printed_with_a_request(house: House) -> None:
    """A profile is personal data."""
    seen: list[str] = []

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        seen.append(repr(request))
        return {}

    Worker(house.runs, pipeline).run_once()
    assert "linkedin" not in seen[0]


class _Speechless(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


def _exits(_: object) -> dict[str, object]:
    """Give up as a command line would."""
    raise SystemExit(3)


def _is_speechless(_: object) -> dict[str, object]:
    """Raise what has no text."""
    raise _Speechless


def _counts_far(_: object) -> dict[str, object]:
    """Return a number that no JSON writer takes."""
    return {"n": 10**5000}


@pytest.mark.parametrize(
    ("pipeline", "detail"),
    [
        (_exits, "SystemExit: 3"),
        (_is_speechless, "_Speechless: it has no text"),
        (_counts_far, "InvalidInput: content"),
    ],
)
def test_whatever_a_pipeline_does_its_run_fails_and_the_worker_lives(pipeline: Any, detail: str) -> None:  # noqa: ANN401  # A pipeline.
    """A dependency that exits, an exception without a text, a number without end: the run fails with the reason."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 1)
    person_id = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
    runs.start(person_id).accepted()
    assert Worker(runs, pipeline).run_once()
    found = runs.person(person_id)
    assert isinstance(found, PersonDetails)
    assert str(found.status) == "failed"
    stream = f"person:{person_id}"
    kept = runs.store.read(Query(streams=(stream,), documents=("failure:1",))).documents[stream, "failure:1"]
    assert detail in kept.decode()


def test_a_mistake_of_ours_does_not_end_a_worker(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the queue raises is logged, and the worker is there for the next entry."""
    stop = threading.Event()

    class Broken(Runs):
        def take(self, run_id: str | None = None, *, actor: str | None = None) -> Any:  # noqa: ANN401  # It returns nothing.
            stop.set()
            raise ZeroDivisionError(run_id, actor)

    Worker(Broken(MemoryStore()), lambda _: {}).run(stop)
    assert "ZeroDivisionError" in caplog.text
