"""The bodies of scale sets and of the instances of uniform ones (facts A2.2)."""

from sandbox.azure import attachment, errors, ids
from sandbox.azure.documents import etag, tag
from sandbox.azure.kinds import kind
from sandbox.azure.machineview import instance_view
from sandbox.azure.routing import Call, Json
from sandbox.azure.state import Resource

TYPE = "Microsoft.Compute/virtualMachineScaleSets"
INSTANCE = f"{TYPE}/virtualMachines"
_KIND = kind(TYPE)


def show(call: Call, scale_set: Resource) -> Json:
    """Return a scale set."""
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
            **scale_set.properties,
            "provisioningState": scale_set.provisioning_state(world.now()),
            "timeCreated": scale_set.created.isoformat(),
        },
        **tag(call, scale_set),
    }


def show_instance(call: Call, instance: Resource) -> Json:
    """Return an instance, with its instance view if that was asked for; raises 400."""
    expand = call.query.get("$expand", "").lower()
    if expand not in ("", "instanceview"):
        raise errors.unsupported(f"the option $expand={expand}")
    number, state = instance.id.name, instance.provisioning_state(call.world.now())
    view = {"instanceView": instance_view(instance, state)} if expand else {}
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
            **instance.properties,
            **view,
            "provisioningState": state,
            "timeCreated": instance.created.isoformat(),
        },
        "etag": etag(instance),
    }
