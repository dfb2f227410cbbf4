"""The bodies and entity tags of resources without a service of their own.

See facts: Identity by type.
"""

import functools

from sandbox.arm import ids, regions
from sandbox.arm.routing import Evidence, Json
from sandbox.identity import attachment
from sandbox.resources.kinds import kind
from sandbox.resources.traits import Kind
from sandbox.world.state import Resource
from sandbox.world.world import World

# ARM spells identity blocks in its own lists alike for all types (azure-cli test_acr_identity).
_ARM = Kind("", group_literal="")


@functools.lru_cache(maxsize=65536)
def _of_arm(resource: ids.ArmId) -> tuple[str, str]:
    """Return id and name as ARM lists them: all names, from the outermost.

    The name is recorded (azure-cli test_resource_scenario).
    """
    return ids.respell(resource.text, "resourceGroups"), resource.names


def listed(world: World, resource: Resource) -> Json:
    """Return what ARM's lists of all types show; it keeps little of how providers spell it."""
    row = kind(resource.type)
    block = attachment.show(world, resource, row)
    if resource.system or resource.users:
        block = attachment.show(world, resource, _ARM)
    own_id, name = _of_arm(resource.id)
    return {
        "id": own_id,
        "name": name,
        "type": resource.type,
        "location": regions.plain(resource.location),
        **({"tags": resource.tags} if row.tags == "always" or _tagged(resource) else {}),
        **resource.extra,
        **block,
    }


@functools.lru_cache(maxsize=65536)
def spelled(resource: ids.ArmId) -> str:
    """Return an id as its provider spells it, whoever asks."""
    row = kind(resource.type)
    path = resource.parent[len(resource.scope) :]
    if row.evidence is not Evidence.ASSUMED:
        path = f"/providers/{row.type}"
    return f"{ids.respell(resource.scope, row.own_group)}{path}/{resource.name}"


def _region(resource: Resource, row: Kind, *, read: bool) -> str:
    if row.region == "plain":
        return regions.plain(resource.location)
    named = row.region == "shown" or (row.region == "read" and read)
    return regions.shown(resource.location) if named else resource.location


def show(world: World, resource: Resource, *, read: bool = True) -> Json:
    """Return a resource as its provider does; ``read`` unless it answers a write."""
    row = kind(resource.type)
    state = {"provisioningState": resource.provisioning_state(world.now())} if row.state else {}
    own_id = spelled(resource.id)
    if row.lowers_name and world.now() >= resource.ready_at:
        parent, _, name = own_id.rpartition("/")
        own_id = f"{parent}/{name.lower()}"
    return {
        "id": own_id,
        "name": resource.id.name,
        "type": row.spelled or resource.type,
        "location": _region(resource, row, read=read),
        **_tags(resource, row),
        **resource.extra,
        **attachment.show(world, resource, row),
        "properties": {**resource.properties, **state},
    }


def _tags(resource: Resource, row: Kind) -> Json:
    if row.tags == "null":
        return {"tags": resource.tags or None}
    sent = _tagged(resource) if row.tags == "sent" else bool(resource.tags)
    return {"tags": resource.tags} if row.tags == "always" or sent else {}


def _tagged(resource: Resource) -> bool:
    return bool(resource.tags) or resource.tagged


def etag(resource: Resource, row: Kind, *, put: bool = False) -> dict[str, str]:
    """Return the header, if the type has it; its value counts writes."""
    shown = row.etag in ("shown", "always") or (row.etag == "settled" and not put)
    return {"etag": f'"{resource.version:08x}-0000-0100-0000-000000000000"'} if shown else {}
