"""How many calls to Azure the app needs, counted in the local Azure; nothing is timed.

Run by `make bench`. Events go the way they do when deployed: from the world's feed through
`App.requests` into a queue, each request to `App.handle`, and what that leads to back into the
queue, copies when they are due. The clock is virtual.
"""

import heapq
import itertools
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from reconciler import events
from reconciler.model import Request
from sandbox.world.faults import Faults
from tests.world.cloud import Cloud
from tests.world.ids import SHARED, machine
from tests.world.policies import Content, policy, rule

MACHINES = 100
WAVE = 30
BETWEEN = 600
"""Seconds from one wave to the next."""
DELIVERY = timedelta(seconds=1)
"""How long an event is on its way."""
INDEX_DELAY = 30
MOST = 100_000
OPERATION = 5
"""Seconds that creating or deleting a machine takes."""


@dataclass
class Deployed:
    """The app behind its queue."""

    cloud: Cloud
    due: list[tuple[datetime, int, Request]] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=itertools.count)
    heard: int = 0

    def run(self, until: datetime | None = None) -> None:
        """Answer everything that is due, be it only later, and the echoes of that."""
        for _ in range(MOST):
            announced = self._hear()
            moments = [found for found in (announced, *(one[0] for one in self.due[:1])) if found]
            if not moments or (until and min(moments) > until):
                return
            clock = self.cloud.clock
            clock.moment = max(clock.moment, min(moments))
            while self.due and self.due[0][0] <= clock.moment:
                self._answer(heapq.heappop(self.due)[2])
        raise AssertionError("there is no end of it")

    def _answer(self, request: Request) -> None:
        result = self.cloud.app.handle(request)
        for found in result.requests:
            self._put(found, timedelta())
        if result.again and result.again_after:
            self._put(result.again, result.again_after)

    def _put(self, request: Request, delay: timedelta) -> None:
        heapq.heappush(self.due, (self.cloud.clock() + delay, next(self.order), request))

    def _hear(self) -> datetime | None:
        """Take in what was announced; returns when the next event is due."""
        following = self.cloud.world.announce()
        for content in self.cloud.events[self.heard :]:
            event = events.decode(content)
            for request in self.cloud.app.requests(event) if event else ():
                self._put(request, DELIVERY)
        self.heard = len(self.cloud.events)
        return following

    def forget(self) -> None:
        """Begin to count, with nothing under way."""
        self.heard = len(self.cloud.events)
        self.cloud.wire.calls.clear()

    def write(self, method: str, places: list[str]) -> None:
        """Let the operator create or delete machines, half a second apart."""
        body = {"location": "westeurope", "properties": {}} if method == "PUT" else None
        for place in places:
            answer = self.cloud.operator.call(method, place, body)
            assert answer.status_code in {200, 201, 202}, answer.text
            self.run(self.cloud.clock() + timedelta(seconds=0.5))
            self.cloud.clock.forward(0.5)

    def recycle(self, places: list[str]) -> None:
        """Delete machines and build them anew, without an identity."""
        self.write("DELETE", places)
        self.cloud.clock.forward(OPERATION + 1)
        self.write("PUT", places)


@contextmanager
def deployed(content: Content, machines: int) -> Iterator[Deployed]:
    """Deploy the app over as many machines as policy asks for, nothing of which is to be done."""
    places = [machine(f"vm{number}") for number in range(machines)]
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(Path(folder), virtualMachines=[{"id": place} for place in places])
        cloud.deploy(content)
        found = Deployed(cloud)
        if places:
            cloud.drive(*places, most=MOST)
        cloud.pass_time(3600)
        found.run()
        found.forget()
        yield found


def kind_of(method: str, path: str) -> str:
    """Return what a call is about, in a word or two."""
    for part, name in (
        ("/microsoft.resourcegraph/", "Graph"),
        ("/eventtypes/", "activity log"),
        ("/roleassignments", "rights"),
        ("/userassignedidentities/", "identity"),
        ("/virtualmachines/", "machine"),
    ):
        if part in path:
            return name if name in {"Graph", "activity log"} else f"{method} {name}"
    return f"{method} other"


def report(name: str, cloud: Cloud, machines: int, budget: float) -> None:
    """Print one scenario's calls a machine beside the budget, and of what kinds they are."""
    kinds = Counter(kind_of(call.method, call.path) for call in cloud.wire.calls)
    spent = sum(kinds.values()) / machines
    listed = ", ".join(f"{count / machines:.3g} {kind}" for kind, count in kinds.most_common())
    print(f"calls: {name}: {spent:.3g} (budget {budget:.3g}); {listed}")


def assert_right(cloud: Cloud, places: list[str], *, system: bool = True) -> None:
    """All machines carry the shared identity, and hold their own right where they have one."""
    for place in places:
        assert cloud.attached(place) == ({"system", "shared"} if system else {"shared"}), place
        if system:
            assert cloud.rights(cloud.principal(place)) == {("Reader", "rg-app")}, place


def warm() -> None:
    """An event of a machine that needs nothing: the machine, its identities, its grants' scopes."""
    for name, content, budget in (
        ("an event that needs nothing", policy(), 3),
        ("the same without an identity to attach", policy(rule(attach=[])), 2),
    ):
        with deployed(content, 1) as app:
            tags = {"tags": {"env": "dev"}}
            assert app.cloud.operator.call("PATCH", machine("vm0"), tags).status_code == 200  # noqa: PLR2004
            app.run()
            report(name, app.cloud, 1, budget)


def one() -> None:
    """One machine is recycled, from its deletion to the last echo."""
    with deployed(policy(), 1) as app:
        # The identity's own rights are looked at once an hour, whichever machine is given it.
        app.cloud.drive(SHARED)
        app.forget()
        app.recycle([machine("vm0")])
        app.run()
        assert_right(app.cloud, [machine("vm0")])
        # One of them asks the activity log about moves, for the whole group (decision 14).
        report("one recycled machine", app.cloud, 1, 15)


def waves() -> None:
    """Machines that only share an identity are recycled, thirty at a time."""
    places = [machine(f"vm{number}") for number in range(MACHINES)]
    attaching = {key: value for key, value in rule().items() if key != "system"}
    with deployed(policy(attaching), MACHINES) as app:
        for some in itertools.batched(places, WAVE, strict=False):
            app.recycle(list(some))
            app.run()
            app.cloud.clock.forward(BETWEEN)
        assert_right(app.cloud, places, system=False)
        # A look at the identity: itself and its grant's scope.
        budget = 7 + 2 / MACHINES
        report(f"{MACHINES} recycled machines in waves of {WAVE}", app.cloud, MACHINES, budget)


def rollout() -> None:
    """New machines get the shared identity while the index does not know them yet."""
    places = [machine(f"vm{number}") for number in range(MACHINES)]
    with deployed(policy(), 0) as app:
        app.cloud.world.faults = Faults(graph_delay=INDEX_DELAY, operation_delay=OPERATION)
        app.write("PUT", places)
        app.run()
        assert_right(app.cloud, places)
        # A first, a settled and a last look, one PATCH and one PUT a machine; beside them the
        # identity's own right: two looks, whether its scope is there, and one PUT.
        budget = 11 + 6 / MACHINES
        name = f"{MACHINES} new machines, the index {INDEX_DELAY} s late"
        report(name, app.cloud, MACHINES, budget)


def main() -> None:
    """Print a line for each scenario; all of it is one process of the app."""
    logging.getLogger("reconciler").setLevel(logging.ERROR)
    scenarios: tuple[Callable[[], None], ...] = (warm, one, waves, rollout)
    for scenario in scenarios:
        scenario()


if __name__ == "__main__":
    main()
