"""A world to explore: how it begins, who is at work in it, and every step that anybody may take next.

Floor 6. A part of `schedules`. A state is a handful of numbers; what they stand for is kept once. What it costs to take
a transaction, and to ask the laws about it, is paid once for each store and each question, however many schedules meet
there.
"""

from collections.abc import Iterable, Iterator

from attrs import define, frozen

from research_fsm import audit
from research_fsm.laws.catalog import REPEATED_IS_THE_SAME
from research_fsm.outcomes import PersonNotFound, Unresolved
from research_fsm.requests import Cancel, Dispatch, Look, Read, Transact
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.engine_words import Status
from research_fsm.testing.recount import Recount
from research_fsm.testing.schedules import laws
from research_fsm.testing.schedules.cast import Cast, Place
from research_fsm.testing.schedules.engine import ANSWERS, SIGHTS, Engine, EngineRun, report_of
from research_fsm.testing.schedules.state import Move, State, Wrong
from research_fsm.testing.simulate import verbs
from research_fsm.testing.simulate.setting import Setting
from research_fsm.testing.simulate.words import Fate, Step, steps
from research_fsm.testing.simulate.world import World

__all__ = ["Scene"]

_WAITING, _OVER = -1, -2
_SECOND = 1_000_000


@frozen
class _Edge:
    """What a transaction came to."""

    store: int
    answer: object
    happened: tuple[laws.Happened, ...]


@define
class _Kept:
    """A store, with what is known of it."""

    store: MemoryStore
    recount: Recount


class Scene:
    """A world, as it is when the exploration begins.

    Args:
        beginning: Lines of a schedule that lead there; the first says how the world is.
    """

    def __init__(self, beginning: str) -> None:
        self.beginning = steps(beginning)
        self.cast: tuple[Step, ...] = ()
        self.setting = Setting.of(self.beginning[0])
        self._policy = self.setting.policy
        self._places = Cast(self.setting)
        self._stores: list[_Kept] = []
        self._store_of: dict[object, int] = {}
        self._engines: list[Engine] = []
        self._engine_of: dict[Engine, int] = {}
        self._edges: dict[tuple[int, int, int], _Edge] = {}
        self._rests: set[tuple[int, int]] = set()

    def first(self, cast: Iterable[str]) -> State:
        """Begin with a cast; what was learned with another one is remembered.

        Args:
            cast: Who is at work, as lines that begin something. ``work * PLAN`` is the task of any engine run that
                waits, ``arrive *`` any late request, ``again *`` and ``end * STATUS`` befall any engine run.
        """
        self.cast = tuple(tuple(line.split()) for line in cast)
        world = World(self.setting, MemoryStore)
        for step in self.beginning[1:]:
            verbs.take(world, step)
        store = world.disk.store
        if not isinstance(store, MemoryStore):
            raise TypeError("a world is explored in memory")
        runs = tuple(
            EngineRun(
                run.external_id,
                run.payload,
                run.status,
                run.queued,
                report_of(run.payload.run_id, run.output) if run.has_output else None,
            )
            for run in world.network.engine.runs
        )
        places = (_WAITING,) * len(self.cast)
        return State(self._keep(store, ()), self._engine(Engine(runs)), world.now, places)

    def is_over(self, state: State) -> bool:
        """Tell whether everybody came to an end, and everything befell the world."""
        return all(number == _OVER for number in state.places)

    # --- every step that may be taken ---

    def moves(self, state: State) -> Iterator[Move]:
        """Yield every step that anybody may take.

        Raises:
            Wrong: A law does not hold after one of them.
        """
        for slot, number in enumerate(state.places):
            if number == _WAITING:
                yield from self._beginnings(state, slot)
            elif number != _OVER:
                yield from self._steps(state, slot, self._places[number])

    def check_rest(self, state: State) -> None:
        """Let everybody die here, and see that recovery leads out.

        Raises:
            Wrong: It does not, or not rightly.
        """
        if (state.store, state.now) in self._rests:
            return
        self._rests.add((state.store, state.now))
        inside = self.setting.kind == "inside"
        store = self._stores[state.store].store
        wrong = laws.at_rest(store, state.now, self._policy, inside=inside)
        if self.is_over(state):
            wrong += map(str, audit.verify(store))
        if wrong:
            raise Wrong((("rest", "silent"),), wrong)

    def _beginnings(self, state: State, slot: int) -> Iterator[Move]:
        """Let somebody begin, or something befall the world."""
        line, engine = self.cast[slot], self._engines[state.engine]
        over = state._replace(places=_put(state.places, slot, _OVER))
        match line:
            case ("wait", seconds):
                yield Move((line,), over._replace(now=state.now + int(seconds) * _SECOND))
            case ("arrive", _):
                for late in engine.late:
                    yield Move((("arrive", late.name),), over._replace(engine=self._engine(engine.arrived(late))))
            case ("again", _):
                for run in engine.runs:
                    repeated = self._engine(engine.repeated(run))
                    yield Move((("again", run.external_id),), over._replace(engine=repeated))
            case ("end", _, status):
                for run in engine.runs:
                    if not run.status.final:
                        yield self._ended(over, run, status)
            case ("work", _, plan):
                for run in engine.runs:
                    if self._may_begin(state, run):
                        yield self._hired(state, slot, run, plan)
            case _:
                place = self._places.begins(line, self._stores[state.store].store, state.now)
                yield self._moved(state, slot, place, (line,))

    def _may_begin(self, state: State, run: EngineRun) -> bool:
        """Tell whether a run waits for its task, or lost the one that it had."""
        if run.status is Status.QUEUED:
            return run.queued
        names = {self._places[number].actor.name for number in state.places if number >= 0}
        return run.status is Status.EXECUTING and run.external_id not in names

    def _ended(self, over: State, run: EngineRun, status: str) -> Move:
        """End a run in silence; its task is killed."""
        killed = tuple(
            _OVER if number >= 0 and self._places[number].actor.name == run.external_id else number
            for number in over.places
        )
        after = self._engines[over.engine].becomes(run.external_id, Status(status))
        return Move((("end", run.external_id, status),), over._replace(engine=self._engine(after), places=killed))

    def _hired(self, state: State, slot: int, run: EngineRun, plan: str) -> Move:
        after = self._engines[state.engine].becomes(run.external_id, Status.EXECUTING)
        place = self._places.works(run.external_id, plan, run.request)
        hired = state._replace(engine=self._engine(after))
        return self._moved(hired, slot, place, (("work", run.external_id, plan),))

    def _steps(self, state: State, slot: int, place: Place) -> Iterator[Move]:
        """Let somebody have what they wait for, in every way in which it may go."""
        name, engine = place.actor.name, self._engines[state.engine]
        match place.wanted:
            case Transact():
                edge = self._transacted(state, place)
                self._check_engine(state, slot, edge, place)
                yield self._heard(state._replace(store=edge.store), slot, place, edge.answer, (("go", name),))
            case Read(look=look):
                seen = look(self.at(state))
                yield self._heard(state, slot, place, seen, (("go", name),))
            case Dispatch(request=request):
                for answer in ANSWERS:
                    after, outcome = engine.sent(name, request, answer)
                    sent = state._replace(engine=self._engine(after))
                    yield self._heard(sent, slot, place, outcome, (("go", name, str(answer)), ("go", name)))
            case Look(request=request, external_ids=known):
                for sight in SIGHTS:
                    sightings = engine.seen(request, known, sight)
                    yield self._heard(state, slot, place, sightings, (("go", name, str(sight)), ("go", name)))
            case Cancel(external_id=external_id):
                cancelled = self._engine(engine.becomes(external_id, Status.CANCELED))
                yield self._heard(state._replace(engine=cancelled), slot, place, None, (("go", name),))
                yield self._heard(state, slot, place, None, (("go", name, str(Fate.LOST)),))
            case None:
                return

    def _heard(self, state: State, slot: int, place: Place, answer: object, lines: tuple[Step, ...]) -> Move:
        return self._moved(state, slot, self._places.goes_on(place, answer, state.now), lines)

    def _moved(self, state: State, slot: int, place: Place, lines: tuple[Step, ...]) -> Move:
        """Put somebody where they are now; who is done is over, and what they were told has to be true."""
        if place.wanted is not None:
            return Move(lines, state._replace(places=_put(state.places, slot, place.number)))
        engine, ending, actor = self._engines[state.engine], place.ending, place.actor
        if ending is not None:
            run = engine.find(actor.name)
            output = report_of(run.request.run_id, ending.output[0]) if run is not None and ending.output else None
            engine = engine.becomes(actor.name, ending.status, output)
        told = state.told
        if actor.caller:
            wrong = list(laws.told(place.answer, self._stores[state.store].recount))
            if actor.key is not None and not isinstance(place.answer, Unresolved | PersonNotFound):
                wrong += [
                    f"{REPEATED_IS_THE_SAME}: a key was answered {one}, and then {place.answer}"
                    for one in told
                    if one != place.answer
                ]
                told = (*told, place.answer)
            if wrong:
                raise Wrong(lines, wrong)
        places = _put(state.places, slot, _OVER)
        return Move(lines, state._replace(places=places, engine=self._engine(engine), told=told))

    # --- transactions ---

    def _transacted(self, state: State, place: Place) -> _Edge:
        """Take a transaction, once for each store, place and time."""
        key = (state.store, place.number, state.now)
        if key not in self._edges:
            self._edges[key] = self._take(state, place)
        return self._edges[key]

    def _take(self, state: State, place: Place) -> _Edge:
        request = place.wanted
        if not isinstance(request, Transact):
            raise TypeError(f"{place.actor.name} waits for {request}, which is no transaction")
        before, after, lines = self.at(state), self.at(state), (("go", place.actor.name),)
        try:
            answer = after.transact(request.query, request.rule)
        except Exception as error:
            raise Wrong(lines, [f"{type(error).__name__}: {error}"]) from error
        wrong, happened = laws.judged(before, after, place.command, answer, self._policy)
        if wrong:
            raise Wrong(lines, wrong)
        return _Edge(self._keep(after, lines), answer, happened)

    def _check_engine(self, state: State, slot: int, edge: _Edge, place: Place) -> None:
        if not edge.happened:
            return
        others = (number for other, number in enumerate(state.places) if other != slot and number >= 0)
        waiting = (self._places[number].wanted for number in others)
        sending = frozenset(one.request.run_id for one in waiting if isinstance(one, Dispatch))
        engine = self._engines[state.engine]
        wrong = [w for one in edge.happened for w in laws.engine_laws(one, engine, sending, place.command)]
        if wrong:
            raise Wrong((("go", place.actor.name),), wrong)

    # --- what numbers stand for ---

    def at(self, state: State) -> MemoryStore:
        """Return what is stored in a state, to go on from there."""
        return self._stores[state.store].store.fork(lambda: state.now)

    def _keep(self, store: MemoryStore, lines: tuple[Step, ...]) -> int:
        key = store.contents()
        number = self._store_of.get(key)
        if number is None:
            recount, wrong = laws.counted(store)
            if wrong:
                raise Wrong(lines, wrong)
            number = self._store_of[key] = len(self._stores)
            self._stores.append(_Kept(store, recount))
        return number

    def _engine(self, engine: Engine) -> int:
        number = self._engine_of.setdefault(engine, len(self._engines))
        if number == len(self._engines):
            self._engines.append(engine)
        return number


def _put(places: tuple[int, ...], slot: int, number: int) -> tuple[int, ...]:
    return (*places[:slot], number, *places[slot + 1 :])
