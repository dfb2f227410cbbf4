"""Whatever goes wrong, the app brings about what it does without faults, and harms nobody."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.world import throttling
from sandbox.world.faults import Faults, RequestFault
from sandbox.world.state import Assignment
from tests.world.cloud import Cloud
from tests.world.ids import APPS, DATA, SUBSCRIPTION, identity, machine
from tests.world.policies import policy, rule

MACHINES = [machine(f"vm{number}") for number in range(1, 7)]
GRANTS = [{"role": "Reader", "scope": "{resourceGroup}"}, {"role": "Reader", "scope": DATA}]
SWEEPS = 4
"""An hour apart; by the last of them everything must be as policy asks."""
MOST_LOOKS = 2000
TICK = 0.001
"""Seconds that a call takes: more calls a second than any bucket is refilled with."""
ALL_METHODS = ("GET", "PUT", "DELETE")

type State = dict[str, object]

FAULTS = {
    "replication": Faults(replication_delay=590, typed_replication_delay=590),
    "lagging lists": Faults(assignment_lag=45),
    "a stale index": Faults(graph_delay=600),
    "an index with gaps": Faults(graph_missing=0.3, graph_truncated=0.3),
    "short and empty pages": Faults(page_size=1, empty_pages=2),
    "throttling": Faults(throttling=True),
    "throttling that names no time": Faults(throttling=True, retry_after=False),
    "throttled rights": Faults(throttling=True, authorization_limit=30),
    "slow operations": Faults(operation_delay=60, operation_jitter=600),
    "reads that fail": Faults(requests=[RequestFault(method="GET", status=503, probability=0.1)]),
    "conflicts": Faults(
        requests=[
            RequestFault(method="PUT", status=409, probability=0.3),
            RequestFault(method="PATCH", status=412, probability=0.3),
            RequestFault(method="DELETE", status=409, probability=0.3),
        ]
    ),
    "refusals at random": Faults(
        requests=[
            RequestFault(status=429, retry_after=7, probability=0.05),
            RequestFault(status=500, probability=0.05),
            RequestFault(status=504, done=True, probability=0.05),
        ]
    ),
    "dropped connections": Faults(
        requests=[
            RequestFault(drop=True, probability=0.1),
            RequestFault(drop=True, done=True, probability=0.1),
        ]
    ),
    "operations that fail late": Faults(
        operation_delay=5, requests=[RequestFault(method="PATCH", late=True, probability=0.5)]
    ),
    "events that go astray": Faults(
        events_lost=0.3, events_duplicate=0.3, events_late=0.3, events_reordered=0.5
    ),
}
ALL_TOGETHER = Faults(
    replication_delay=300,
    typed_replication_delay=300,
    assignment_lag=20,
    graph_delay=120,
    graph_missing=0.1,
    graph_truncated=0.1,
    throttling=True,
    operation_delay=20,
    operation_jitter=60,
    events_lost=0.1,
    events_duplicate=0.2,
    events_late=0.2,
    events_reordered=0.3,
    events_textual=0.3,
    events_pascal_case=0.3,
    requests=[
        RequestFault(method="PATCH", late=True, probability=0.2),
        RequestFault(method="PUT", status=409, probability=0.05),
        RequestFault(status=503, probability=0.03),
        RequestFault(status=504, done=True, probability=0.03),
        RequestFault(drop=True, done=True, probability=0.03),
    ],
)


class Story:
    """Six machines: recycled, gone, robbed of a right, stripped, kept; and an identity made anew.

    What happens to them happens while the index and the lists lag, and nobody refuses anything.
    """

    def __init__(self, folder: Path, faults: Faults, seed: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        self.cloud = Cloud(folder, virtualMachines=[{"id": each} for each in MACHINES])
        self.cloud.world.injector.chance.seed(seed)
        self.cloud.deploy(policy(rule(system={"grants": GRANTS})))
        self._theirs: set[Assignment] = set()
        self._strangers()
        self.cloud.sweep()
        self.cloud.pass_time(3600)
        self.cloud.wire.calls.clear()
        self.cloud.wire.tick = TICK
        self.cloud.events.clear()
        self.cloud.world.requests.clear()
        self.seen: dict[str, Assignment] = {}
        self._note(None)
        self.cloud.world.feed.subscribe(self._note)
        self.cloud.world.faults = faults.changed({"requests": [], "throttling": False})
        self._happen()
        self.cloud.world.faults = faults

    def _strangers(self) -> None:
        """Give others their rights, some of which look like ours, and an identity of their own."""
        cloud = self.cloud
        for place in (APPS, DATA):
            cloud.grant(cloud.operator.principal("stranger").oid, scope=place)
            marked = cloud.mark(MACHINES[1])
            oid = cloud.principal(identity("foreign"))
            cloud.grant(oid, scope=place, description=marked)
        cloud.attach("foreign", vm=MACHINES[5])
        self._theirs = set(cloud.world.assignments)

    def _note(self, _: object) -> None:
        self.seen |= self.cloud.world.assignments.by_name

    def _happen(self) -> None:
        cloud = self.cloud
        cloud.build(MACHINES[0], system=False)
        cloud.delete(MACHINES[1])
        for right in list(cloud.world.assignments_of([cloud.principal(MACHINES[2])])):
            cloud.world.remove_assignment(right)
        cloud.operator.patch(MACHINES[3], {"type": "SystemAssigned"})
        cloud.recreate_identity()
        cloud.build(MACHINES[4])

    def play(self) -> State:
        """Let the app hear of it and sweep hourly; return what is there in the end."""
        heard = 0
        for _ in range(SWEEPS):
            self._use_up_buckets()
            requests = self.cloud.hear(heard)
            heard = len(self.cloud.events)
            self.cloud.drive(*requests, most=MOST_LOOKS)
            swept = self.cloud.app.sweep()
            self.cloud.drive(*swept.requests, most=MOST_LOOKS)
            self.cloud.pass_time(3600)
        return self.state()

    def _use_up_buckets(self) -> None:
        """Let other instances of the app have asked as much as it may, just now."""
        world = self.cloud.world
        if world.faults.throttling:
            for method in ALL_METHODS:
                wanted = throttling.arm_buckets(SUBSCRIPTION, world.app.oid, method)
                for _ in range(250):
                    world.buckets.take(wanted.values())

    def state(self) -> State:
        """Return who carries and holds what, by names that are the same in every run."""
        world = self.cloud.world
        places = [each for each in MACHINES if each.lower() in world.resources]
        rights = [
            (world.principals[one.principal].name, world.roles[one.role].name, one.scope)
            for one in world.assignments
            if world.principals[one.principal].alive
        ]
        orphans = [one for one in world.assignments if not world.principals[one.principal].alive]
        return {
            "attached": {place: self.cloud.attached(place) for place in places},
            "rights": sorted(rights),
            "orphans": [self.seen[one.name.lower()].scope for one in orphans],
        }

    def answers(self) -> list[int]:
        """Return the statuses that the app was answered, 0 where it was not."""
        world = self.cloud.world
        return [each.status for each in world.requests if each.app_id == world.app.app_id]

    def assert_nobody_was_harmed(self) -> None:
        """Whose right was deleted is dead, and what is not ours is as it was."""
        world = self.cloud.world
        for call in self.cloud.wire.writes:
            if call.method == "DELETE":
                deleted = self.seen[call.path.rpartition("/")[2]]
                assert not world.principals[deleted.principal].alive
                assert deleted not in self._theirs
            if call.method == "PATCH":
                assert call.path in {each.lower() for each in MACHINES}
        assert self._theirs <= set(world.assignments)
        assert "foreign" in self.cloud.attached(MACHINES[5])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[State, list[int]]:
    """What the app brings about without faults, and what it was answered."""
    story = Story(tmp_path_factory.mktemp("undisturbed"), Faults())
    return story.play(), story.answers()


@pytest.fixture
def story(tmp_path: Path) -> Callable[[Faults, int], Story]:
    """What begins a story with some faults."""
    return lambda faults, seed: Story(tmp_path / "policies", faults, seed)


def test_without_faults_everything_is_as_policy_asks(undisturbed: tuple[State, list[int]]) -> None:
    """Each live machine carries its identities and holds its rights; no right is an orphan."""
    state, _ = undisturbed
    kept = [each for each in MACHINES if each != MACHINES[1]]
    assert isinstance(state["attached"], dict)
    assert set(state["attached"]) == set(kept)
    for place, names in state["attached"].items():
        assert names == {"system", "shared"} | ({"foreign"} if place == MACHINES[5] else set())
    assert isinstance(state["rights"], list)
    for place in kept:
        name = place.rpartition("/")[2]
        assert {(name, "Reader", APPS), (name, "Reader", DATA)} <= set(state["rights"])
    assert ("shared", "Storage Blob Data Reader", DATA) in state["rights"]
    assert state["orphans"] == []


@pytest.mark.parametrize("name", FAULTS)
def test_with_each_fault_the_same_is_brought_about(
    undisturbed: tuple[State, list[int]], story: Callable[[Faults, int], Story], name: str
) -> None:
    """One weakness at a time, and each is felt."""
    played = story(FAULTS[name], 0)
    state, answers = undisturbed

    assert played.play() == state
    assert played.answers() != answers
    played.assert_nobody_was_harmed()


def test_events_of_old_forms_lead_to_the_same(
    undisturbed: tuple[State, list[int]], story: Callable[[Faults, int], Story]
) -> None:
    """They are understood as others are, so that not even a call differs."""
    played = story(Faults(events_textual=0.7, events_pascal_case=0.7), 0)

    assert (played.play(), played.answers()) == undisturbed


@pytest.mark.parametrize("seed", range(3))
def test_with_all_faults_the_same_is_brought_about(
    undisturbed: tuple[State, list[int]], story: Callable[[Faults, int], Story], seed: int
) -> None:
    """All of it together, by several seeds."""
    played = story(ALL_TOGETHER, seed)

    assert played.play() == undisturbed[0]
    played.assert_nobody_was_harmed()
