"""Machines are rebuilt, moved, deleted and stripped under an Azure that is late in every way."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model import Request
from sandbox.world.state import Assignment
from tests.world.cloud import Cloud
from tests.world.ids import APPS, DATA, SUB, machine
from tests.world.policies import SEED, policy, rule

OUT = f"{SUB}/resourceGroups/rg-out"
"""A group of which no rule speaks."""
PLACES = [machine(name, group) for name in ("vm1", "vm2") for group in (APPS, DATA)]
STEPS = 10
LATE: dict[str, tuple[float, ...]] = {
    "graph_missing": (0, 0.1, 0.4),
    "graph_delay": (0, 30, 300, 3000),
    "index_delay": (0, 20, 600),
    "assignment_lag": (0, 20, 120),
    "log_delay": (0, 200, 1200),
    "operation_delay": (0.2, 5, 30),
    "dead_entry_delay": (0, 100_000),
}

type Act = Callable[[Cloud, random.Random, str], object]


def rebuild(cloud: Cloud, chance: random.Random, vm: str) -> None:
    """Build a machine anew, or one that is not there."""
    cloud.build(vm, system=chance.random() < 0.5, settle=chance.random() < 0.5)


def delete(cloud: Cloud, _: random.Random, vm: str) -> None:
    """Delete a machine."""
    if vm.lower() in cloud.world.resources:
        cloud.delete(vm)


def move(cloud: Cloud, chance: random.Random, vm: str) -> None:
    """Move a machine to another group, unless a namesake is there."""
    target = chance.choice([OUT, DATA if vm.startswith(APPS) else APPS])
    moved = machine(vm.rpartition("/")[2], target)
    cloud.pass_time()
    if vm.lower() in cloud.world.resources and moved.lower() not in cloud.world.resources:
        cloud.move(target, vm)


def strip(cloud: Cloud, _: random.Random, vm: str) -> None:
    """Take the user-assigned identities off a machine; a busy one refuses."""
    cloud.operator.call("PATCH", vm, {"identity": {"type": "SystemAssigned"}})


def take_right(cloud: Cloud, chance: random.Random, _: str) -> None:
    """Delete one of the rights that we gave."""
    mine = sorted(given(cloud))
    if mine:
        cloud.operator.call("DELETE", chance.choice(mine), version="2022-04-01")


def renew_identity(cloud: Cloud, _: random.Random, __: str) -> None:
    """Delete the shared identity, and make it anew."""
    cloud.recreate_identity()


ACTS: tuple[Act, ...] = (rebuild, delete, move, strip, take_right, renew_identity)


def given(cloud: Cloud) -> dict[str, Assignment]:
    """Return by id what we gave to principals that live."""
    world = cloud.world
    return {
        one.id: one
        for one in world.assignments
        if one.created_by == world.app.oid and world.principals[one.principal].alive
    }


def is_wanted(cloud: Cloud, right: Assignment) -> bool:
    """Return whether its holder still is where policy asks for the right."""
    for one in cloud.world.resources.values():
        if one.principal and one.principal.oid == right.principal:
            return True
        if one.system and one.system.oid == right.principal:
            return one.id.text.lower().startswith(f"{right.scope.lower()}/")
    return False


def guard(cloud: Cloud) -> Callable[[], None]:
    """Fail at the first call after which a living, wanted right is gone; returns what forgets."""
    held: dict[str, Assignment] = {}

    def check() -> None:
        now = given(cloud)
        lost = [held[one] for one in held.keys() - now.keys()]
        alive = [one for one in lost if cloud.world.principals[one.principal].alive]
        assert not [one for one in alive if is_wanted(cloud, one)]
        held.clear()
        held.update(now)

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        cloud.wire.before(method, "", check, times=10**9)

    def forget() -> None:
        held.clear()
        held.update(given(cloud))

    return forget


@pytest.mark.parametrize("seed", range(12))
def test_no_living_right_is_lost_and_all_comes_right(tmp_path: Path, seed: int) -> None:
    """Events come late or never, copies in any order; two sweeps later all is as policy asks."""
    chance = random.Random(seed)
    cloud = Cloud(
        tmp_path,
        groups=[*SEED["groups"], {"id": OUT}],
        virtualMachines=[{"id": place} for place in PLACES],
    )
    cloud.deploy(policy(rule(within=[APPS, DATA])))
    cloud.sweep()
    cloud.pass_time()
    cloud.set_faults(**{switch: chance.choice(values) for switch, values in LATE.items()})
    forget, later = guard(cloud), list[Request]()
    for _ in range(STEPS):
        start = len(cloud.events)
        chance.choice(ACTS)(cloud, chance, chance.choice(PLACES))
        forget()
        heard = [one for one in cloud.hear(start) if chance.random() < 0.85]
        if chance.random() < 0.2:
            heard += cloud.app.sweep().requests
        chance.shuffle(heard)
        if chance.random() < 0.5:
            cloud.drive(*heard, most=5000)
        else:
            later += [one.again for one in map(cloud.look, heard) if one.again]
        if chance.random() < 0.3:
            cloud.drive(*later, most=5000)
            later.clear()
    cloud.drive(*later, most=5000)

    cloud.set_faults(**{switch: values[0] for switch, values in LATE.items()})
    for _ in range(2):
        cloud.pass_time(4000)
        cloud.sweep()
    cloud.pass_time()
    for vm in cloud.world.resources.values():
        if vm.id.text.startswith((APPS, DATA)):
            assert cloud.attached(vm.id.text) >= {"system", "shared"}
            assert cloud.rights(cloud.principal(vm.id.text)) >= {("Reader", vm.id.group)}
            assert cloud.shown(vm.id.text).changes == ()
