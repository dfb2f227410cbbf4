"""A fight with another writer ends: counted in writes, however and whenever ours are undone."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from tests.world.cloud import Cloud, blocked
from tests.world.ids import ASSIGNMENTS, BLOB_READER, DATA, SHARED, VM
from tests.world.policies import Content, guardrails, named, policy, rule
from tests.world.wire import Call

ALWAYS = 10**6
HOUR = timedelta(hours=1)
CONDITION = "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'images'"
OTHER = "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'others'"


def blobs(condition: str | None = None) -> Content:
    """Return policy whose identity reads blobs, under a condition or none."""
    grant: Content = {"role": "Storage Blob Data Reader", "scope": DATA}
    if condition:
        grant["condition"] = condition
    return policy(identities=named(grants=[grant]))


@dataclass(frozen=True)
class Fight:
    """What another writer undoes at once, and how one of our tries looks on the wire."""

    content: Content
    place: str
    undo: Callable[[Cloud], None]
    method: str
    part: str

    def tries(self, cloud: Cloud) -> list[Call]:
        """Return our calls that tried it."""
        calls = cloud.wire.writes
        return [one for one in calls if one.method == self.method and self.part in one.path]


def take_right(cloud: Cloud, place: str = VM) -> None:
    """Delete what the principal of an id holds."""
    found = cloud.resource(place)
    holder = found.principal or found.system
    for right in list(cloud.world.assignments_of([holder.oid])) if holder else ():
        cloud.world.remove_assignment(right)


def take_identity_right(cloud: Cloud) -> None:
    """Delete what the identity holds."""
    take_right(cloud, SHARED)


def strip(cloud: Cloud) -> None:
    """Take the user-assigned identities off the machine."""
    cloud.resource().users.clear()


def switch_off(cloud: Cloud) -> None:
    """Switch the system-assigned identity off."""
    cloud.resource().system = None


def rewrite(cloud: Cloud, condition: str | None) -> None:
    """Put another condition, or none, on the identity's right."""
    for right in list(cloud.world.assignments_of([cloud.principal(SHARED)])):
        if right.condition != condition:
            properties = {"condition": condition, "conditionVersion": "2.0"} if condition else {}
            cloud.grant(
                right.principal,
                role=BLOB_READER,
                scope=DATA,
                name=right.name,
                description=right.description or "",
                **properties,
            )


def widen(cloud: Cloud) -> None:
    """Take the condition away."""
    rewrite(cloud, None)


def replace(cloud: Cloud) -> None:
    """Put another condition there."""
    rewrite(cloud, OTHER)


FIGHTS: dict[str, Fight] = {
    "right": Fight(policy(rule(attach=[])), VM, take_right, "PUT", f"rg-app{ASSIGNMENTS}"),
    "identity's right": Fight(blobs(), SHARED, take_identity_right, "PUT", ASSIGNMENTS),
    "identity": Fight(policy(rule(system=None)), VM, strip, "PATCH", "/vm1"),
    "system": Fight(
        policy(rule(attach=[], system={"grants": []}), identities={}),
        VM,
        switch_off,
        "PATCH",
        "/vm1",
    ),
    "added condition": Fight(blobs(), SHARED, replace, "PUT", ASSIGNMENTS),
}
NARROWING: dict[str, Fight] = {
    "condition taken away": Fight(blobs(CONDITION), SHARED, widen, "PUT", ASSIGNMENTS),
    "another condition": Fight(blobs(CONDITION), SHARED, replace, "PUT", ASSIGNMENTS),
}


def begin(cloud: Cloud, fight: Fight, when: str) -> None:
    """Bring the world to what policy asks, then let the other writer go to work."""
    content = fight.content
    for wanted in content["rules"]:
        if wanted.get("system") is None:
            wanted.pop("system", None)
    cloud.deploy(content)
    cloud.drive(fight.place)
    cloud.pass_time()
    cloud.deploy(content)
    cloud.wire.calls.clear()
    if when == "before each look":
        cloud.wire.before("GET", "", lambda: fight.undo(cloud), times=ALWAYS)
    elif when == "at each event":
        fight.undo(cloud)
        cloud.world.feed.subscribe(_on_write(cloud, fight))
    else:
        fight.undo(cloud)


def _on_write(cloud: Cloud, fight: Fight) -> Callable[[Content], None]:
    busy: list[bool] = []

    def undo(event: Content) -> None:
        # What the undoing itself is told by must not undo again.
        if not busy and event["eventType"].endswith("ResourceWriteSuccess"):
            busy.append(True)
            fight.undo(cloud)
            busy.clear()

    return undo


@pytest.mark.parametrize("when", ["before each look", "at each event"])
@pytest.mark.parametrize("name", FIGHTS)
def test_an_undone_change_is_contended_after_three_writes(
    cloud: Cloud, name: str, when: str
) -> None:
    """Also where the undo comes before our next look; nothing comes of itself after that."""
    fight = FIGHTS[name]
    begin(cloud, fight, when)
    for _ in range(6):
        # A PATCH's answer is believed, so it is the other's event that makes us look.
        results = cloud.drive(fight.place, most=100)
        cloud.pass_time(10)

    assert len(fight.tries(cloud)) == 3
    assert {one.code for one in blocked(results)} == {"Contended"}
    assert results[-1].again is None


@pytest.mark.parametrize("name", FIGHTS)
def test_a_contended_change_is_written_three_times_an_hour_whoever_asks(
    cloud: Cloud, name: str
) -> None:
    """Events of every minute and sweeps, for four hours; each hour it is tried anew."""
    fight = FIGHTS[name]
    begin(cloud, fight, "before each look")
    started, made = cloud.clock(), list[datetime]()
    cloud.wire.before(fight.method, fight.part, lambda: made.append(cloud.clock()), times=ALWAYS)
    for minute in range(240):
        cloud.clock.moment = max(cloud.clock(), started + timedelta(minutes=minute))
        cloud.drive(fight.place, most=200)
        if minute % 60 == 30:
            cloud.sweep()

    assert all(sum(one <= each < one + HOUR for each in made) <= 3 for one in made)
    for hour in range(4):
        begun = started + hour * HOUR
        assert any(begun <= each < begun + HOUR + timedelta(minutes=2) for each in made)


@pytest.mark.parametrize("when", ["before each look", "at each event"])
@pytest.mark.parametrize("name", NARROWING)
def test_a_condition_is_restored_as_often_as_it_is_undone(
    cloud: Cloud, name: str, when: str
) -> None:
    """With a pause of at most five minutes."""
    fight = NARROWING[name]
    begin(cloud, fight, when)
    made: list[datetime] = []
    cloud.wire.before("PUT", fight.part, lambda: made.append(cloud.clock()), times=ALWAYS)
    started = cloud.clock()
    for minute in range(0, 180, 2):
        cloud.clock.moment = max(cloud.clock(), started + timedelta(minutes=minute))
        result = cloud.look(fight.place)
        assert not [one for one in result.outcomes if one.code == "Contended"]

    pauses = [later - earlier for earlier, later in itertools.pairwise(made)]
    assert len(made) > 25
    assert max(pauses) <= timedelta(minutes=7)
    assert made[-1] - started > timedelta(minutes=170)


def test_a_condition_undone_four_times_is_restored_half_an_hour_later(cloud: Cloud) -> None:
    """Whoever rewrites it for an hour must not have it for good."""
    cloud.deploy(blobs(CONDITION))
    cloud.drive(SHARED)
    cloud.pass_time()
    for _ in range(4):
        widen(cloud)
        cloud.pass_time(60)
        cloud.drive(SHARED)
    cloud.pass_time(1800)
    cloud.sweep()

    assert cloud.right(cloud.principal(SHARED)).condition == CONDITION


def test_an_exclusive_identity_is_detached_as_often_as_it_is_attached(cloud: Cloud) -> None:
    """By each sweep that counted it."""
    stray = VM.replace("rg-app", "rg-data")
    cloud.build(stray)
    content = policy(rule(), identities=named(exclusive=True))
    cloud.deploy(content, guardrails())
    for _ in range(6):
        cloud.attach("shared", vm=stray)
        cloud.sweep()
        assert cloud.attached(stray) == {"system"}


def test_an_unwanted_right_is_removed_as_often_as_it_is_put_back(steady: Cloud) -> None:
    """By whoever may act as the app; what another puts back is not ours."""
    steady.deploy(policy(rule(system={"grants": []})))
    for _ in range(6):
        steady.sweep()
        steady.pass_time(300)
        assert steady.rights(steady.principal()) == set()
        steady.granted_by_us(DATA)
        steady.pass_time(60)


def test_a_contended_change_holds_back_no_other_of_its_machine(cloud: Cloud) -> None:
    """One that is contended keeps nobody else waiting."""
    wanted = policy(rule(attach=["shared", "other"]), identities=named() | named("other"))
    cloud.deploy(wanted)
    cloud.wire.before("GET", "", lambda: take_right(cloud), times=ALWAYS)
    cloud.drive(VM, most=100)
    assert cloud.attached() == {"system", "shared", "other"}

    strip(cloud)
    cloud.drive(VM, most=100)
    assert cloud.attached() == {"system", "shared", "other"}


def test_a_rebuilt_machine_is_not_contended(cloud: Cloud) -> None:
    """A machine that is recycled by design is no fight, whoever fought over its forerunner."""
    cloud.deploy(policy(rule(attach=[])))
    for _ in range(6):
        cloud.build()
        cloud.drive(VM)
        assert cloud.rights(cloud.principal()) == {("Reader", "rg-app")}


def test_a_right_that_its_list_lacks_is_not_written_again(cloud: Cloud) -> None:
    """A GET of the right's own id shows that it is there."""
    cloud.deploy(policy(rule(attach=[])))
    cloud.set_faults(assignment_lag=900)
    results = cloud.drive(VM, most=100)

    assert sum(one.method == "PUT" for one in cloud.wire.calls) == 1
    assert "Contended" not in {one.code for result in results for one in result.outcomes}
    assert cloud.rights(cloud.principal()) == {("Reader", "rg-app")}
    assert cloud.replan().compliant
