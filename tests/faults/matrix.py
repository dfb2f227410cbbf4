"""Runs a scenario with one call gone wrong, and watches every write and the end.

`python -m tests.faults` runs all of it; the tests run a part, drawn by a seed.
"""

import copy
import heapq
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler import events
from reconciler.errors import ReconcilerError
from reconciler.model import Request
from sandbox.interleave import Crash
from sandbox.transport import App, StartResponse
from sandbox.world.faults import DroppedError, RequestFault
from sandbox.world.state import Assignment
from tests.faults.answers import FAULTS, Fault
from tests.faults.scenarios import SCENARIOS, SEEDED, Scenario
from tests.world.cloud import Cloud
from tests.world.ids import APPS, DATA, READER
from tests.world.policies import Content

COPIES: Final = timedelta(minutes=65)
"""Within an hour all copies of a request have come, and a look takes its time."""
_REDELIVERED: Final = timedelta(seconds=30)
_POISON: Final = 5
_MOST: Final = 600


@dataclass
class Broken(BaseException):
    """Something live was lost, something foreign touched, or the end is not as it must be.

    No `Exception`: it is raised in the middle of a call, whose errors the app maps.
    """

    what: str


@dataclass
class Run:
    """One scenario with its world, the queue before the app, and the call that goes wrong."""

    scenario: Scenario
    fault: Fault = None
    wrong: int = 0
    cloud: Cloud = field(init=False)
    number: int = field(default=0, init=False)
    """How many calls there were since it is armed."""
    armed: bool = field(default=False, init=False)
    ended: Content = field(init=False)
    _queue: list[tuple[datetime, int, Request, int]] = field(
        default_factory=list[tuple[datetime, int, Request, int]]
    )
    _order: Iterator[int] = field(default_factory=itertools.count)
    _heard: int = 0
    _azure: App = field(init=False)
    _answers: dict[tuple[str, str, bytes], tuple[str, bytes]] = field(
        default_factory=dict[tuple[str, str, bytes], tuple[str, bytes]]
    )
    """What each call was answered before it is armed: status and body."""

    def play(self) -> int:
        """Play it to its end; returns how many calls could have gone wrong."""
        with tempfile.TemporaryDirectory() as folder:
            self._prepare(Path(folder))
            self.scenario.happens(self.cloud)
            if self.scenario.end:
                self.cloud.deploy(self.scenario.end)
            self.ended = self.scenario.end or self.scenario.start
            self.arm()
            self._drive(self.cloud.clock() + COPIES)
            self._sweep()
            self._drive(self.cloud.clock() + COPIES)
            # What only the schedule's sweep removes, and a failed sweep, have their next turn.
            if self.wrong:
                self._sweep()
                self._drive(self.cloud.clock() + COPIES)
            self._check_end()
            return self.number

    def _prepare(self, folder: Path) -> None:
        self.cloud = cloud = Cloud(folder, **copy.deepcopy(SEEDED))
        self._azure, cloud.wire.azure = cloud.wire.azure, self._call
        cloud.deploy(self.scenario.start)
        stranger = cloud.operator.principal("stranger").oid
        cloud.grant(stranger)
        cloud.grant(stranger, scope=DATA)
        cloud.drive(*cloud.app.sweep().requests)
        self.scenario.before(cloud)
        cloud.pass_time(600)
        self._heard = len(cloud.events)

    def arm(self) -> None:
        """Watch all writes from now on, and let the call of the number go wrong."""
        self.armed = True
        if isinstance(self.fault, RequestFault):
            wrong = self.fault.model_copy(update={"after": self.wrong - 1, "times": 1})
            self.cloud.world.faults = self.cloud.world.faults.model_copy(
                update={"requests": [wrong]}
            )

    def _call(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Hand a call of the app on to Azure, unless this is the one to go wrong."""
        stream = environ["wsgi.input"]
        key = (environ["REQUEST_METHOD"], environ["PATH_INFO"].lower(), stream.read())
        stream.seek(0)
        self.number += self.armed
        fault = self.fault if self.armed and self.number == self.wrong else None
        if fault == "death before":
            raise Crash
        if fault == "stale" and key in self._answers:
            status, content = self._answers[key]
            start(status, [("Content-Type", "application/json")])
            return [content]
        statuses: list[str] = []
        answered: list[bytes] = []
        lost: list[DroppedError] = []

        def begin(status: str, headers: list[tuple[str, str]]) -> object:
            statuses.append(status)
            return start(status, headers)

        def act() -> None:
            try:
                answered.append(b"".join(self._azure(environ, begin)))
            except DroppedError as error:
                lost.append(error)

        self._watch(f"{key[0]} {environ['PATH_INFO']}", act)
        if lost:
            raise lost[0]
        if fault == "death after":
            raise Crash
        if not self.armed:
            self._answers[key] = statuses[0], answered[0]
        return answered

    def _watch(self, what: str, act: Callable[[], None]) -> None:
        """Do a write of the app, and see that nothing live or foreign is lost by it."""
        if what.split(" ", 1)[0] not in {"PUT", "PATCH", "DELETE"} or not self.armed:
            act()
            return
        world = self.cloud.world
        before, carried = set(world.assignments), self._carried()
        act()
        after = set(world.assignments)
        triples = {right.triple for right in after}
        for lost in before - after:
            if lost.created_by != world.app.oid:
                raise Broken(f"{what} touched a right that the app did not make: {lost}")
            if lost.triple not in triples and self._is_live_and_wanted(lost):
                raise Broken(f"{what} took a live right away: {lost}")
        for place, number in self.scenario.least.items():
            held = len(self.cloud.rights(self.cloud.principal(place)))
            if held < number:
                raise Broken(f"{what} left {place} with {held} rights, not {number}")
        for machine, name in carried - self._carried():
            raise Broken(f"{what} detached the live identity {name} from {machine}")

    def _is_live_and_wanted(self, right: Assignment) -> bool:
        """Return whether a right belongs to what is alive now, and policy asks for it."""
        scope, role, principal = right.triple
        world = self.cloud.world
        holder = next((one for one in world.principals.values() if one.oid == principal), None)
        if holder is None or not holder.alive:
            return False
        named = (world.roles[role].name, scope.rsplit("/", 1)[-1])
        for place, rights in self.scenario.rights.items():
            if place.lower() in world.resources and self.cloud.principal(place) == principal:
                return named in rights
        return True

    def _carried(self) -> set[tuple[str, str]]:
        return {
            (key, user)
            for key, found in self.cloud.world.resources.items()
            for user, attached in found.users.items()
            if attached.principal.alive
        } | {(key, "system") for key, found in self.cloud.world.resources.items() if found.system}

    def _drive(self, end: datetime) -> None:
        """Deliver events as they are told, and requests and copies as they are due."""
        clock = self.cloud.clock
        for _ in range(_MOST):
            ahead = self.cloud.world.announce()
            self._hear()
            due = self._queue[0][0] if self._queue else None
            times = [time for time in (ahead, due) if time is not None]
            if not times or min(times) > end:
                clock.moment = max(clock.moment, end)
                return
            clock.moment = max(clock.moment, min(times))
            if due is not None and due <= clock.moment:
                _, _, request, tries = heapq.heappop(self._queue)
                self._answer(request, tries)
        raise Broken(f"no end: {len(self._queue)} requests are left, such as {self._queue[0][2]}")

    def _hear(self) -> None:
        told, self._heard = self.cloud.events[self._heard :], len(self.cloud.events)
        for event in told:
            decoded = events.decode(event)
            assert decoded is not None
            for request in self.cloud.app.requests(decoded):
                self._put(request)

    def _put(self, request: Request, after: timedelta = timedelta(), tries: int = 0) -> None:
        due = self.cloud.clock() + after
        heapq.heappush(self._queue, (due, next(self._order), request, tries))

    def _answer(self, request: Request, tries: int) -> None:
        """Answer one message as the queue trigger does; one that fails is delivered once more."""
        try:
            result = self.cloud.app.handle(request)
        except Crash:
            self.cloud.deploy(self.ended)
            self._put(request, _REDELIVERED, tries + 1)
        except ReconcilerError:
            if tries + 1 < _POISON:
                self._put(request, _REDELIVERED, tries + 1)
        else:
            if result.again and result.again_after:
                self._put(result.again, result.again_after)
            for found in result.requests:
                self._put(found)

    def _sweep(self) -> None:
        try:
            result = self.cloud.app.sweep()
        except Crash:
            self.cloud.deploy(self.ended)
            return
        except ReconcilerError:
            return
        for found in result.requests:
            self._put(found)
        if result.again and result.again_after:
            self._put(result.again, result.again_after)

    def _check_end(self) -> None:
        world = self.cloud.world
        for place, rights in self.scenario.rights.items():
            found = self.cloud.rights(self.cloud.principal(place))
            if found != rights:
                raise Broken(f"in the end {place} has {sorted(found)}, not {sorted(rights)}")
        for place, names in self.scenario.attached.items():
            carried = self.cloud.attached(place)
            if carried != names:
                raise Broken(f"in the end {place} carries {sorted(carried)}, not {sorted(names)}")
        for one in world.assignments:
            holder = next(each for each in world.principals.values() if each.oid == one.principal)
            if one.created_by == world.app.oid and not holder.alive:
                raise Broken(f"in the end a right of the dead is left: {one}")
        stranger = self.cloud.operator.principal("stranger").oid
        for scope in (APPS, DATA):
            if (scope.lower(), READER, stranger) not in {a.triple for a in world.assignments}:
                raise Broken(f"the stranger's right at {scope} is gone")


def cells(name: str) -> Iterator[tuple[str, int, str]]:
    """Yield every call of a scenario with every wrong answer."""
    for number in range(1, Run(SCENARIOS[name]).play() + 1):
        for fault in FAULTS:
            yield name, number, fault


def broken(cell: tuple[str, int, str]) -> str | None:
    """Play one cell; returns what is broken, none where all holds."""
    name, number, fault = cell
    try:
        Run(SCENARIOS[name], FAULTS[fault], number).play()
    except Broken as error:
        return f"{name}, call {number}, {fault}: {error.what}"
    return None
