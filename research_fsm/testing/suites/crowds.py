"""Many at once on one store: callers, workers, requests with one key.

Floor 6. Part of `research_fsm.testing.conformance`.
"""

# Example numbers are what a suite is made of.

from collections import Counter
from functools import partial

from research_fsm.events import PersonKind
from research_fsm.outcomes import AlreadyAdded, AlreadyRunning, Claimed, InsufficientCredits, Queued, QueueEmpty
from research_fsm.runs import Runs
from research_fsm.storage import Query, View, Write
from research_fsm.testing.suites.base import at_once, end_of, note
from research_fsm.testing.suites.expect import same, the
from research_fsm.testing.suites.service import ADA, ServiceSuite, added

__all__ = ["CrowdsSuite"]

CALLERS = 8


class CrowdsSuite(ServiceSuite):
    """Of whatever many want at once, exactly what one after the other would have got."""

    def test_each_rule_sees_what_the_one_before_it_wrote(self) -> None:
        """Eight callers append where they see the end: nobody is rejected, and nobody overwrites another."""

        def one_more(view: View, _: int) -> Write[int]:
            seen = view.heads["a"].version if "a" in view.heads else 0
            return Write(answer=seen, streams=(end_of("a", seen, note(seen)),))

        with self.opened() as (store, _):
            answers = at_once(CALLERS, lambda _: [store.transact(Query(streams=("a",)), one_more) for _ in range(5)])
            same(sorted(seen for answer in answers for seen in answer), list(range(5 * CALLERS)))
            same([event.data for event in store.events("a")], [note(number).data for number in range(5 * CALLERS)])

    def test_of_many_starts_at_once_exactly_one_wins(self) -> None:
        """Invariant 1: the others are told that the person is running, and one credit is held."""
        with self.service() as (runs, _):
            for _round in range(5):
                person_id = added(runs, credits=CALLERS)
                answers = at_once(CALLERS, partial(_started, runs, person_id))
                same(Counter(type(answer) for answer in answers), {Queued: 1, AlreadyRunning: CALLERS - 1})
            same(runs.balance("acme").charged, 5)

    def test_of_many_starts_with_one_key_all_get_the_same_answer(self) -> None:
        """A caller who repeats while the first request is still going is not told that it failed."""
        with self.service() as (runs, _):
            person_id = added(runs, credits=CALLERS)
            answers = at_once(CALLERS, lambda _: runs.start(person_id, owner="acme", key="k"))
            same(len(set(answers)), 1)
            the(Queued, answers[0])

    def test_an_account_is_not_overdrawn_by_many_at_once(self) -> None:
        """Eight people, credits for three: three are queued, five are refused, nothing is left."""
        with self.service() as (runs, _):
            people = [added(runs, credits=0) for _ in range(CALLERS)]
            runs.grant("acme", 3)
            answers = at_once(CALLERS, lambda number: runs.start(people[number]))
            same(Counter(type(answer) for answer in answers), {Queued: 3, InsufficientCredits: 5})
            same(runs.balance("acme").available, 0)

    def test_many_workers_take_each_entry_once(self) -> None:
        """Six entries, eight workers: six have one each, two find the queue empty."""
        with self.service() as (runs, _):
            people = [added(runs) for _ in range(6)]
            for person_id in people:
                runs.start(person_id).accepted()
            taken = at_once(CALLERS, lambda _: runs.take())
            same(sorted(one.person_id for one in taken if isinstance(one, Claimed)), sorted(people))
            same(sum(isinstance(one, QueueEmpty) for one in taken), 2)

    def test_a_partner_s_address_is_added_once_by_many_at_once(self) -> None:
        """The others are told who it is."""
        with self.service() as (runs, _):
            answers = at_once(CALLERS, lambda _: runs.add("acme", ADA, kind=PersonKind.PARTNER))
            same(len({answer.person_id for answer in answers}), 1)
            same(sum(isinstance(answer, AlreadyAdded) for answer in answers), CALLERS - 1)


def _started(runs: Runs, person_id: str, _: int) -> object:
    return runs.start(person_id)
