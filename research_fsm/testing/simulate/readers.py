"""Looks at a world through everything that reads: what callers are shown has to be what the log says.

Floor 6. A part of `simulate`.
"""

from collections.abc import Iterator

from research_fsm import reads, transactions
from research_fsm.laws.catalog import SHOWN_AS_IT_IS
from research_fsm.outcomes import PersonNotFound
from research_fsm.person import Person
from research_fsm.reads import PersonDetails, ReportDetails
from research_fsm.storage import Reader
from research_fsm.testing.simulate.watch import Watch

__all__ = ["shown"]

_PAGE = 2
_MOST_LONG = 2


def shown(reader: Reader, watch: Watch) -> Iterator[str]:
    """Yield what is shown otherwise than it is: people, their reports, their owners' lists and balances.

    Args:
        reader: The store.
        watch: What the log says.
    """
    for person_id, person in watch.people.items():
        yield from _person(reader, person_id, person)
    for person_id in list(watch.people)[:_MOST_LONG]:
        yield from _long(reader, person_id, watch.people[person_id])
    owners = dict.fromkeys([*watch.accounts, *(person.owner for person in watch.people.values())])
    for owner in owners:
        account, balance = watch.account(owner), reads.balance(reader, owner)
        if (balance.available, balance.held, balance.granted) != (account.available, account.held, account.granted):
            yield f"{SHOWN_AS_IT_IS}: {owner} is shown {balance}, the log says {account}"
        listed, there = list(_listed(reader, owner)), _there(watch, owner)
        if listed != there:
            yield f"{SHOWN_AS_IT_IS}: the people of {owner} are listed as {listed}, and are {there}"


def _person(reader: Reader, person_id: str, person: Person) -> Iterator[str]:
    found = reads.person(reader, person_id)
    if not person.exists:
        if not isinstance(found, PersonNotFound):
            yield f"{SHOWN_AS_IT_IS}: {person_id} is {person.phase}, and is shown {found}"
        return
    expected = (person.status, person.phase, person.run_no, person.reports)
    if not isinstance(found, PersonDetails) or (found.status, found.phase, found.run_no, found.reports) != expected:
        yield f"{SHOWN_AS_IT_IS}: {person_id} is {expected}, and is shown {found}"


def _long(reader: Reader, person_id: str, person: Person) -> Iterator[str]:
    """Look at what takes a snapshot: the latest report, and the whole history."""
    report = reads.report(reader, person_id)
    version = report.version if isinstance(report, ReportDetails) else 0
    if version != (person.reports if person.exists else 0):
        yield f"{SHOWN_AS_IT_IS}: {person_id} has {person.reports} reports, and is shown {report}"
    own = [event for event in reads.history(reader, person_id) if event.stream == transactions.person_stream(person_id)]
    if [event.version for event in own] != list(range(1, len(own) + 1)):
        yield f"{SHOWN_AS_IT_IS}: the history of {person_id} is shown as versions {[event.version for event in own]}"


def _listed(reader: Reader, owner: str) -> Iterator[str]:
    """Yield an owner's people, page by page."""
    cursor = None
    while True:
        page = reads.people(reader, owner, limit=_PAGE, cursor=cursor)
        yield from (person.person_id for person in page.people)
        cursor = page.cursor
        if cursor is None:
            return


def _there(watch: Watch, owner: str) -> list[str]:
    """Return an owner's people, newest first: the log met them in the order in which they were added."""
    found = [person_id for person_id, person in watch.people.items() if person.exists and person.owner == owner]
    return found[::-1]
