"""The instances of uniform scale sets: how they come, follow the model and go.

See facts: Scale sets and Machines.

They are no resources of their own. The services of sets and of instances and the seed change them
only here.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sandbox.arm import errors, ids, leaving
from sandbox.arm.documents import existing
from sandbox.arm.routing import Call, Json
from sandbox.compute import machineview
from sandbox.compute.scalesetview import INSTANCE
from sandbox.world import throttling
from sandbox.world.state import DEALLOCATED, Resource
from sandbox.world.world import World

ACTIONS = {
    "start": ("start", "running", throttling.SET_WRITE),
    "restart": ("restart", "running", throttling.SET_WRITE),
    "redeploy": ("redeploy", "running", throttling.SET_WRITE),
    "poweroff": ("powerOff", "stopped", throttling.SET_DELETE),
    "deallocate": ("deallocate", DEALLOCATED, throttling.SET_DELETE),
    "reimage": ("reimage", "", throttling.SET_WRITE),
    "reimageall": ("reimageAll", "", throttling.SET_WRITE),
}
"""What may be done to all instances or to one: how it is told, the power state after it, if it
has one, and what it costs."""


def flexible(properties: Json) -> bool:
    """Tell whether a set's machines are resources of their own."""
    return str(properties.get("orchestrationMode")).lower() == "flexible"


def capacity(extra: Json) -> int:
    """Return the size; raises ``AzureError`` 400 when it is none."""
    sku = extra.get("sku") or {}
    size = sku.get("capacity") or 0 if isinstance(sku, dict) else None
    if not isinstance(size, int) or size < 0:
        raise errors.bad_content("a size is required. Path 'sku.capacity'")
    return size


def instances(world: World, scale_set: Resource) -> list[Resource]:
    """Return the instances that there are; one that is being deleted goes in the end."""
    now = world.now()
    for number, each in list(scale_set.instances.items()):
        if each.busy == leaving.STATE and each.ready_at <= now:
            del scale_set.instances[number]
    return list(scale_set.instances.values())


def machines(world: World, scale_set: Resource) -> list[Resource]:
    """Return a uniform set's instances, or the machines that are in a flexible one."""
    if not flexible(scale_set.properties):
        return instances(world, scale_set)
    group = world.members[world.group_key(scale_set.id)].values()
    return [each for each in group if machineview.set_of(each) == scale_set.id.key]


def find(world: World, scale_set: Resource, number: str) -> Resource | None:
    """Return an instance by its number."""
    instances(world, scale_set)
    return scale_set.instances.get(number)


def named(call: Call) -> Resource:
    """Return the instance that the call, or its last segment but one, names.

    Raises ``AzureError`` 404 (azure-cli test_vmss_simulate_eviction).
    """
    wanted = call.id if call.id.name else ids.parse(call.id.parent)
    found = find(call.world, existing(call, wanted.outer), wanted.name)
    if found is None:
        raise errors.gone()
    return found


def scale(world: World, scale_set: Resource) -> None:
    """Create or remove instances until there are as many as the size says; the seed calls it too.

    A flexible set's machines would be resources of their own, which are not made here.
    """
    if flexible(scale_set.properties):
        return
    wanted = capacity(scale_set.extra)
    staying = [each for each in instances(world, scale_set) if each.busy != leaving.STATE]
    for each in staying[wanted:]:
        del scale_set.instances[each.id.name]
    first = max(map(int, scale_set.instances), default=-1) + 1
    for number in range(first, first + wanted - len(staying)):
        found = ids.parse(f"{scale_set.id.text}/virtualMachines/{number}")
        made = Resource(found, INSTANCE, scale_set.location, world.now(), scale_set.ready_at)
        made.properties = {"modelDefinitionApplied": "VirtualMachineScaleSet", "vmId": world.guid()}
        upgrade(made, scale_set)
        scale_set.instances[found.name] = made


def remove(scale_set: Resource, chosen: Iterable[Resource], ends: dt.datetime) -> None:
    """Delete instances until an operation ends; their set is smaller from now on.

    Recorded: azure-cli test_vmss_create_and_modify, test_vmss_vms.
    """
    for each in chosen:
        each.busy, each.ready_at = leaving.STATE, ends
    left = sum(each.busy != leaving.STATE for each in scale_set.instances.values())
    sku = scale_set.extra.get("sku") or {}
    scale_set.extra = {**scale_set.extra, "sku": {**sku, "capacity": left}}


def upgrade(instance: Resource, scale_set: Resource) -> None:
    """Give an instance the set's model, its identities among it (facts: Scale sets, recorded)."""
    instance.system, instance.users = scale_set.system, dict(scale_set.users)
    instance.tags = dict(scale_set.tags)
    sku = scale_set.extra.get("sku") or {}
    instance.extra = {"sku": {name: sku[name] for name in ("name", "tier") if name in sku}}
    instance.properties = {**instance.properties, "latestModelApplied": True}
    instance.version += 1


def change(world: World, scale_set: Resource, *, manual: bool) -> None:
    """Let the instances follow the set's new model, or say that they do not have it."""
    for each in instances(world, scale_set):
        each.properties = {**each.properties, "latestModelApplied": False}
        if not manual:
            upgrade(each, scale_set)


def chosen(call: Call, scale_set: Resource, *, required: bool) -> list[Resource]:
    """Return the instances that ``instanceIds`` names; ``*`` and, unless required, none are all."""
    wanted: Any = (call.body or {}).get("instanceIds") if isinstance(call.body, dict) else None
    if required and not wanted:
        raise errors.AzureError(
            400, "InvalidParameter", "Required parameter 'instanceIds' is missing (null)."
        )
    if wanted and not (isinstance(wanted, list) and all(isinstance(each, str) for each in wanted)):
        raise errors.bad_content("a list of text is required. Path 'instanceIds'")
    there = {each.id.name: each for each in instances(call.world, scale_set)}
    if not wanted or "*" in wanted:
        return list(there.values())
    for each in wanted:
        if each not in there:
            raise errors.AzureError(
                400,
                "InvalidParameter",
                f"The provided instanceId {each} is not an active instance.",
            )
    return [there[each] for each in wanted]
