"""Act 4: what the log says: one person's history, every law, and a recount that trusts nobody.

Floor 6. Reads only.
"""

from research_fsm import audit, laws
from research_fsm.demo import recount, timeline
from research_fsm.demo.stage import OWNER, Guest, Stage

__all__ = ["explain"]


def explain(stage: Stage, guest: Guest) -> None:
    """Show that everything can be explained.

    Args:
        stage: What the acts share.
        guest: The person whose history is shown.
    """
    screen = stage.screen
    screen.act("4  The log proves it")
    screen.say(f"The history of {guest.name}, whom 64 callers wanted, and whose worker was killed:\n")
    screen.timeline(timeline.lines(stage.runs.history(guest.person_id)))
    screen.say("\nEvery law that `research-fsm verify` holds a log against:\n")
    broken: dict[str, list[str]] = {}
    for finding in audit.verify(stage.runs.store):
        broken.setdefault(finding.law, []).append(str(finding))
    screen.laws(laws.STATEMENTS, broken)
    screen.say("")
    stage.check("log_is_whole", {}, broken)
    screen.say("\nA recount by plain SQL, and what the library says:\n")
    counted, said = _counted(stage), _said(stage)
    screen.table(("", "plain SQL", "the library"), [(what, counted.get(what), number) for what, number in said.items()])
    screen.say("")
    stage.check("recount_agrees", said, counted)


def _counted(stage: Stage) -> dict[str, int]:
    """Count with plain SQL over the bare events."""
    tally = recount.tally(stage.plain)
    return {
        "people added": tally.events.get("PersonAdded", 0),
        "runs started": tally.events.get("RunStarted", 0),
        "reports written": tally.events.get("RunCompleted", 0),
        "credits granted": tally.credits.get("CreditsGranted", 0),
        "credits charged": tally.credits.get("CreditsCharged", 0),
        "credits still held": tally.held,
        "credits available": tally.available,
    }


def _said(stage: Stage) -> dict[str, int]:
    """Ask the library, which folds heads."""
    people, balance = stage.runs.people(OWNER).people, stage.runs.balance(OWNER)
    return {
        "people added": len(people),
        "runs started": sum(person.run_no for person in people),
        "reports written": sum(person.reports for person in people),
        "credits granted": balance.granted,
        "credits charged": balance.charged,
        "credits still held": balance.held,
        "credits available": balance.available,
    }
