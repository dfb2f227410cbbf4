"""The bodies of virtual machines and of their extensions (facts: Machines)."""

from collections.abc import Collection
from typing import Any

from sandbox.arm import ids
from sandbox.arm.documents import tag
from sandbox.arm.routing import Call, Json
from sandbox.compute import computemodel
from sandbox.identity import attachment
from sandbox.resources.kinds import kind
from sandbox.world.state import DEALLOCATED, Resource
from sandbox.world.world import World

TYPE = "Microsoft.Compute/virtualMachines"
_KIND = kind(TYPE)
_AT_REST = (
    "placementGroupId",
    "platformUpdateDomain",
    "platformFaultDomain",
    "disks",
    "hyperVGeneration",
)


def show(call: Call, machine: Resource, asked: Collection[str] = ()) -> Json:
    """Return a machine, with its instance view or user data if ``asked`` names them."""
    world = call.world
    state = machine.provisioning_state(world.now())
    properties: dict[str, Any] = {
        **computemodel.shown(machine.properties, asked),
        "provisioningState": state,
        "timeCreated": machine.created.isoformat(),
    }
    if machine.power == DEALLOCATED:
        properties = computemodel.at_rest(properties)
    if "instanceview" in asked:
        properties["instanceView"] = instance_view(machine, state)
    children = extensions_of(world, machine)
    return {
        "name": machine.id.name,
        "id": ids.respell(machine.id.text, "resourceGroups"),
        "type": TYPE,
        "location": machine.location,
        "tags": machine.tags,
        **machine.extra,
        **attachment.show(world, machine, _KIND),
        "properties": properties,
        **tag(call, machine),
        **({"resources": children} if children else {}),
    }


def set_of(machine: Resource) -> str:
    """Return the lower-case id of the flexible scale set that a machine is in, or nothing."""
    found = machine.properties.get("virtualMachineScaleSet")
    return str(found.get("id", "")).lower() if isinstance(found, dict) else ""


def status(resource: Resource, state: str) -> Json:
    """Return how the last operation on a resource ended, or that it runs."""
    return {
        "code": f"ProvisioningState/{state.lower()}",
        "level": "Info",
        "displayStatus": f"Provisioning {state.lower()}",
        "time": resource.ready_at.isoformat(),
    }


def instance_view(machine: Resource, state: str) -> Json:
    """Return what a machine or a scale set's instance is doing."""
    power = {
        "code": f"PowerState/{machine.power}",
        "level": "Info",
        "displayStatus": f"VM {machine.power}",
    }
    found = machine.guest or _report(machine)
    if machine.power == DEALLOCATED:
        # Nothing runs that could report (documented).
        found = {name: found[name] for name in _AT_REST if name in found}
    return {**found, "statuses": [status(machine, state), power]}


def _report(machine: Resource) -> Json:
    """Return what a new machine's agent and platform report; names and versions are assumed."""
    storage = machine.properties.get("storageProfile") or {}
    image = storage.get("imageReference") or {}
    computer = (machine.properties.get("osProfile") or {}).get("computerName", machine.id.name)
    time = machine.created.isoformat()
    ready = {"code": "ProvisioningState/succeeded", "level": "Info"}
    agent = {"displayStatus": "Ready", "message": "Guest Agent is running", "time": time}
    disk = {"displayStatus": "Provisioning succeeded", "time": time}
    return {
        "computerName": computer,
        "osName": str(image.get("offer", "linux")).lower(),
        "osVersion": str(image.get("sku", "1")),
        "vmAgent": {
            "vmAgentVersion": "2.0",
            "statuses": [ready | agent],
            "extensionHandlers": [],
        },
        "disks": [
            {
                "name": (storage.get("osDisk") or {}).get("name", f"{machine.id.name}_OsDisk_1"),
                "statuses": [ready | disk],
            }
        ],
        "hyperVGeneration": "V1",
    }


def show_extension(world: World, extension: Resource, asked: Collection[str] = ()) -> Json:
    """Return an extension as its own routes and its machine show it."""
    state = extension.provisioning_state(world.now())
    own = extension.properties
    ended = {name: each for name, each in status(extension, state).items() if name != "time"}
    view = {
        "name": extension.id.name,
        "type": f"{own.get('publisher')}.{own.get('type')}",
        "typeHandlerVersion": own.get("typeHandlerVersion"),
        "statuses": [ended],
    }
    return {
        "name": extension.id.name,
        "id": ids.respell(extension.id.text, "resourceGroups"),
        "type": extension.type,
        "location": extension.location,
        **({"tags": extension.tags} if extension.tags else {}),
        "properties": {
            "autoUpgradeMinorVersion": False,
            **own,
            **({"instanceView": view} if "instanceview" in asked else {}),
            "provisioningState": state,
        },
    }


def extensions_of(world: World, machine: Resource) -> list[Json]:
    """Return a machine's extensions as they are shown."""
    return [show_extension(world, each) for each in world.children.get(machine.id.key, {}).values()]
