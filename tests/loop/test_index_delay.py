"""Resource Manager's index is late: what is new is 404 for a while, and nothing live is lost.

The app hears every event of the world and answers every copy when it is due; nobody sweeps.
"""

from collections.abc import Callable

import pytest

from reconciler.changes import NOT_YET, Result
from reconciler.model import Request
from sandbox import deployment
from sandbox.world.state import Assignment
from tests.world.cloud import Cloud
from tests.world.ids import APPS, DATA, SHARED, VM, machine
from tests.world.live import Live
from tests.world.policies import Content, policy, rule

DELAYS = [5, 60, 600]
BLOBS = {("Storage Blob Data Reader", "rg-data")}
OWN = {("Reader", "rg-app")}
OTHER = machine("vm2")
SYSTEM: Content = {"type": "SystemAssigned"}

type Happening = Callable[[Cloud], None]


class Watchman:
    """Notes, before and after each answer, whether a live right or identity of ours went."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.lost: list[Assignment] = []
        self._held: set[Assignment] = set()

    def __call__(self, _: Request) -> None:
        """Compare with the last time; an update is no loss."""
        world = self.cloud.world
        held = {one for one in world.assignments if world.principals[one.principal].alive}
        names = {one.name for one in held}
        alive = [one for one in self._held if world.principals[one.principal].alive]
        self.lost += [one for one in alive if one.name not in names]
        self._held = held


def put(cloud: Cloud, place: str, block: Content | None = None) -> None:
    """Create a machine or identity."""
    body: Content = {"location": "westeurope", "properties": {}}
    body |= {"identity": block} if block else {}
    version = "2024-11-30" if "ManagedIdentity" in place else "2024-07-01"
    assert cloud.operator.call("PUT", place, body, version=version).status_code in {200, 201}


def started(cloud: Cloud, delay: float) -> tuple[Live, Watchman]:
    """Let the index be late from now on; everything has been as policy asks for an hour."""
    cloud.pass_time(3600)
    cloud.wire.calls.clear()
    cloud.set_faults(index_delay=delay)
    live, watchman = Live(cloud), Watchman(cloud)
    live.watch = watchman
    return live, watchman


def is_right(cloud: Cloud, *places: str, holds: set[tuple[str, str]] = OWN) -> None:
    """Assert that machines carry what they should and hold their own right."""
    for place in places:
        assert cloud.attached(place) == {"system", "shared"}, place
        assert cloud.rights(cloud.principal(place)) == holds, place
    assert cloud.rights(cloud.principal(SHARED)) == BLOBS


def codes(results: list[tuple[Request, Result]]) -> list[str]:
    """Return the codes of all outcomes."""
    return [one.code for _, result in results for one in result.outcomes]


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("system", [False, True])
def test_a_new_machine(steady: Cloud, *, delay: float, system: bool) -> None:
    """Its write event is heard before the index knows it: 404 is "not yet", never compliant."""
    live, watchman = started(steady, delay)
    put(steady, OTHER, SYSTEM if system else None)
    live.run(delay + 60)

    is_right(steady, VM, OTHER)
    assert watchman.lost == []
    # The event comes when the machine is created, which takes five seconds.
    assert (NOT_YET in codes(live.results)) == (delay > 5)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("between", [0.0, 7.0, 90.0])
def test_a_rebuilt_machine(steady: Cloud, *, delay: float, system: bool, between: float) -> None:
    """It has all again; what the old one held goes, if only once that is proved."""
    old = steady.principal()
    live, watchman = started(steady, delay)
    assert steady.operator.call("DELETE", VM).status_code == 202
    live.run(6 + between)
    put(steady, VM, SYSTEM if system else None)
    live.run(delay + 60)

    is_right(steady, VM)
    live.run(2 * 3600)
    assert steady.rights(old) == set()
    is_right(steady, VM)
    assert watchman.lost == []


@pytest.mark.parametrize("delay", DELAYS)
def test_a_machine_that_a_template_rebuilds(steady: Cloud, delay: float) -> None:
    """Several writes of the machine and its extensions, all of them before the index knows it."""
    old = steady.principal()
    live, watchman = started(steady, delay)
    assert steady.operator.call("DELETE", VM).status_code == 202
    live.run(6)
    deployment.rebuild(steady.world, VM, identity=SYSTEM)
    live.run(20 + delay + 60)

    is_right(steady, VM)
    live.run(2 * 3600)
    assert steady.rights(old) == set()
    assert watchman.lost == []


@pytest.mark.parametrize("delay", DELAYS)
def test_a_moved_machine(cloud: Cloud, delay: float) -> None:
    """The index knows neither the old id nor, for a while, the new one; its rights are live."""
    reads = {"grants": [{"role": "Reader", "scope": DATA}]}
    cloud.deploy(policy(rule(within=[APPS, DATA], system=reads)))
    cloud.drive(VM, SHARED)
    live, watchman = started(cloud, delay)
    principal = cloud.principal()
    moved = machine("vm1", DATA)
    body = {"resources": [VM], "targetResourceGroup": DATA}
    answer = cloud.operator.call("POST", f"{APPS}/moveResources", body, version="2021-04-01")
    assert answer.status_code == 202
    live.run(10 + delay + 60)

    assert cloud.principal(moved) == principal
    assert cloud.rights(principal) == {("Reader", "rg-data")}
    live.run(4 * 3600)
    assert cloud.rights(principal) == {("Reader", "rg-data")}
    assert cloud.right(principal).description == cloud.mark(moved)
    assert watchman.lost == []


@pytest.mark.parametrize("delay", DELAYS)
def test_a_new_identity(cloud: Cloud, delay: float) -> None:
    """Made after its machines; each is given it."""
    cloud.delete(SHARED)
    cloud.drive(VM)
    live, watchman = started(cloud, delay)
    put(cloud, SHARED)
    live.run(delay + 60)

    is_right(cloud, VM)
    assert watchman.lost == []


@pytest.mark.parametrize("delay", DELAYS)
def test_an_identity_made_anew(steady: Cloud, delay: float) -> None:
    """Its machines' entries are dead, and healed in two halves."""
    old = steady.principal(SHARED)
    live, watchman = started(steady, delay)
    steady.delete(SHARED)
    put(steady, SHARED)
    # A dead entry must be met twice, with settling between.
    live.run(delay + 60 + 90)

    is_right(steady, VM)
    live.run(3600)
    assert steady.rights(old) == set()
    assert watchman.lost == []


@pytest.mark.parametrize("delay", DELAYS)
def test_an_identity_and_its_machine_at_once(steady: Cloud, delay: float) -> None:
    """Both are rebuilt at the same time, as an environment is."""
    old = steady.principal(), steady.principal(SHARED)
    live, watchman = started(steady, delay)
    steady.delete(SHARED)
    steady.delete(VM)
    put(steady, SHARED)
    put(steady, VM, SYSTEM)
    live.run(delay + 60 + 90)

    is_right(steady, VM)
    live.run(2 * 3600)
    assert [steady.rights(one) for one in old] == [set(), set()]
    assert watchman.lost == []


def test_of_what_is_not_visible_the_get_alone_is_asked_again(steady: Cloud) -> None:
    """After ten seconds, doubling, for fifteen minutes; never compliant meanwhile."""
    live, _ = started(steady, 3600)
    put(steady, OTHER, SYSTEM)
    live.run(7)
    first = len(steady.wire.calls)
    assert codes(live.results) == [NOT_YET]
    live.run(880)
    later = steady.wire.calls[first:]

    assert {(call.method, call.path) for call in later} == {("GET", OTHER.lower())}
    assert len(later) in range(6, 10)
    assert set(codes(live.results)) == {NOT_YET}
    assert all(result.outcomes for _, result in live.results)


def test_what_stays_invisible_is_told_only_where_something_of_ours_names_it(steady: Cloud) -> None:
    """After fifteen minutes it is gone like any other; of a new id nothing is left to say."""
    live, _ = started(steady, 20_000)
    put(steady, OTHER, SYSTEM)
    live.run(2 * 3600)
    _, last = live.results[-1]

    assert (last.outcomes, last.again) == ((), None)
    assert last.plans[-1].compliant


def test_a_machine_that_never_became_visible_leaves_nothing(steady: Cloud) -> None:
    """It was made and deleted while the index was late: a few GETs, and no end of it is sought."""
    live, watchman = started(steady, 3600)
    put(steady, OTHER, SYSTEM)
    live.run(10)
    assert steady.operator.call("DELETE", OTHER).status_code == 202
    live.run(2 * 3600)

    assert steady.wire.writes == []
    assert len(steady.wire.calls) <= 16
    assert watchman.lost == []
