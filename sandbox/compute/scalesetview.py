"""The bodies of scale sets and of their instances (facts: Scale sets)."""

import collections
from collections.abc import Collection, Iterable

from sandbox.arm import ids
from sandbox.arm.documents import tag
from sandbox.arm.routing import Call, Json
from sandbox.compute import computemodel, machineview
from sandbox.identity import attachment
from sandbox.resources.kinds import kind
from sandbox.world.state import DEALLOCATED, Resource

TYPE = "Microsoft.Compute/virtualMachineScaleSets"
INSTANCE = f"{TYPE}/virtualMachines"
_KIND = kind(TYPE)
_DOMAINS = 5


def show(call: Call, scale_set: Resource, asked: Collection[str] = ()) -> Json:
    """Return a scale set, with its user data if ``asked`` names them."""
    world = call.world
    return {
        "name": scale_set.id.name,
        "id": ids.respell(scale_set.id.text, "resourceGroups"),
        "type": TYPE,
        "location": scale_set.location,
        "tags": scale_set.tags,
        **scale_set.extra,
        **attachment.show(world, scale_set, _KIND),
        "properties": {
            **computemodel.shown(scale_set.properties, asked),
            "provisioningState": scale_set.provisioning_state(world.now()),
            "timeCreated": scale_set.created.isoformat(),
        },
        **tag(call, scale_set),
    }


def set_view(call: Call, scale_set: Resource, machines: Iterable[Resource]) -> Json:
    """Return what a set's machines are doing, counted (azure-cli test_vmss_create_and_modify)."""
    now = call.world.now()
    counts = collections.Counter(each.provisioning_state(now).lower() for each in machines)
    summary = [
        {"code": f"ProvisioningState/{state}", "count": count}
        for state, count in sorted(counts.items())
    ]
    own = machineview.status(scale_set, scale_set.provisioning_state(now))
    return {"virtualMachine": {"statusesSummary": summary}, "statuses": [own]}


def show_instance(call: Call, instance: Resource, asked: Collection[str] = ()) -> Json:
    """Return an instance, with its instance view or user data if ``asked`` names them."""
    number = instance.id.name
    properties = computemodel.shown(instance.properties, asked)
    if instance.power == DEALLOCATED:
        properties = computemodel.at_rest(properties)
    return {
        "name": f"{instance.id.text.split('/')[8]}_{number}",
        "id": ids.respell(instance.id.text, "resourceGroups"),
        "type": INSTANCE,
        "location": instance.location,
        "tags": instance.tags,
        "instanceId": number,
        **instance.extra,
        **attachment.show(call.world, instance, _KIND),
        "properties": {
            **properties,
            **({"instanceView": instance_view(call, instance)} if "instanceview" in asked else {}),
            "provisioningState": instance.provisioning_state(call.world.now()),
            "timeCreated": instance.created.isoformat(),
        },
        **instance_tag(call, instance),
    }


def instance_tag(call: Call, instance: Resource) -> Json:
    """Return an instance's entity tag; it has one since an earlier version than the set.

    Recorded: misc_vm_vmss_arg_paging #10, and none by azure-cli test_vmss_create_options.
    """
    return tag(call, instance, "2023-09-01")


def instance_view(call: Call, instance: Resource) -> Json:
    """Return what an instance is doing, and where (azure-cli test_vmss_vms).

    The group's name is assumed, and that domains are given out in turn.
    """
    scale_set = call.world.resources[instance.id.outer.lower()]
    domain = int(instance.id.name) % _DOMAINS
    place = {
        "placementGroupId": scale_set.properties.get("uniqueId"),
        "platformUpdateDomain": domain,
        "platformFaultDomain": domain,
    }
    state = instance.provisioning_state(call.world.now())
    return place | machineview.instance_view(instance, state)


def show_member(scale_set: Resource, machine: Resource) -> Json:
    """Return a flexible set's machine as the set lists it.

    Recorded: azure-cli test_vmss_linux_patch_mode.
    """
    set_id = ids.respell(scale_set.id.text, "resourceGroups")
    return {
        "name": machine.id.name,
        "id": f"{set_id}/virtualMachines/{machine.id.name}",
        "type": INSTANCE,
        "location": machine.location,
        "instanceId": machine.id.name,
        "zones": machine.extra.get("zones", [None]),
    }
