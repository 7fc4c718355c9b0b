"""A life in which every word that must not get out is marked."""

from research_fsm import Profile, Runs
from research_fsm.outcomes import Created
from research_fsm.testing.scripted import Reply, ScriptedDispatcher

__all__ = ["MARKS", "PERSON", "engine", "lived", "marks_in"]

MARKS = [f"mark{number}" for number in range(10)]
PERSON = Profile(first_name=MARKS[0], last_name=MARKS[1], company=MARKS[2], linkedin_url=f"linkedin.com/in/{MARKS[3]}")


def engine() -> ScriptedDispatcher:
    """Return an engine that takes, breaks and refuses."""
    return ScriptedDispatcher(Reply.ACCEPTED, Reply.RAISES, Reply.REFUSED)


def lived(runs: Runs) -> Created:
    """Let somebody be created, researched, failed, submitted and refused, with marks everywhere."""
    owner, external_id = MARKS[8], MARKS[7]
    runs.grant(owner, 5)
    first = runs.create(owner, PERSON, key=MARKS[4], actor=MARKS[5]).accepted()
    run_id = first.start.run_id
    runs.claim(run_id, 1, external_id)
    runs.complete(run_id, 1, external_id, {"found": MARKS[6]}, change_summary=MARKS[6])
    runs.fail(run_id, 1, external_id, MARKS[6])
    runs.submit(owner, PERSON)
    runs.create(owner, PERSON)
    runs.create(owner, PERSON, key=MARKS[4])
    runs.recover()
    return first


def marks_in(text: str) -> list[str]:
    """Return every mark that got out."""
    return [mark for mark in MARKS if mark in text]
