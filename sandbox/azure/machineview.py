"""The bodies of virtual machines and of their extensions (facts A2.1)."""

from typing import Any

from sandbox.azure import attachment, ids
from sandbox.azure.documents import tag
from sandbox.azure.kinds import kind
from sandbox.azure.routing import Call, Json
from sandbox.azure.state import Resource
from sandbox.azure.world import World

TYPE = "Microsoft.Compute/virtualMachines"
_KIND = kind(TYPE)


def show(call: Call, machine: Resource, *, view: bool = False) -> Json:
    """Return a machine, with its instance view if that was asked for."""
    world = call.world
    state = machine.provisioning_state(world.now())
    properties: dict[str, Any] = {
        **machine.properties,
        "provisioningState": state,
        "timeCreated": machine.created.isoformat(),
    }
    if view:
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


def instance_view(machine: Resource, state: str) -> Json:
    """Return what a machine or a scale set's instance is doing."""
    status = {
        "code": f"ProvisioningState/{state.lower()}",
        "level": "Info",
        "displayStatus": f"Provisioning {state.lower()}",
        "time": machine.ready_at.isoformat(),
    }
    power = {
        "code": f"PowerState/{machine.power}",
        "level": "Info",
        "displayStatus": f"VM {machine.power}",
    }
    found = machine.guest or _report(machine)
    if machine.power == "deallocated":
        # Nothing runs that could report (documented).
        found = {name: found[name] for name in ("disks", "hyperVGeneration") if name in found}
    return {**found, "statuses": [status, power]}


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


def show_extension(world: World, extension: Resource) -> Json:
    """Return an extension as its own routes and its machine show it."""
    state = extension.provisioning_state(world.now())
    return {
        "name": extension.id.name,
        "id": ids.respell(extension.id.text, "resourceGroups"),
        "type": extension.type,
        "location": extension.location,
        "tags": extension.tags,
        "properties": {**extension.properties, "provisioningState": state},
    }


def extensions_of(world: World, machine: Resource) -> list[Json]:
    """Return a machine's extensions as they are shown."""
    return [show_extension(world, each) for each in world.children.get(machine.id.key, {}).values()]
