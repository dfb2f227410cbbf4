"""The bodies and entity tags of resources without a service of their own (facts A2.3)."""

from sandbox.azure import attachment
from sandbox.azure.kinds import Kind, kind
from sandbox.azure.routing import Json
from sandbox.azure.state import Resource
from sandbox.azure.world import World


def listed(resource: Resource) -> Json:
    """Return what lists of all types show of a resource, but for its identity."""
    return {
        "id": resource.id.text,
        "name": resource.id.name,
        "type": resource.type,
        "location": resource.location,
        "tags": resource.tags,
        **resource.extra,
    }


def show(world: World, resource: Resource) -> Json:
    """Return a resource as its provider does."""
    row = kind(resource.type)
    state = {"provisioningState": resource.provisioning_state(world.now())}
    properties = {"properties": {**resource.properties, **state}}
    body = listed(resource) | attachment.show(world, resource, row) | properties
    if not (resource.tags or row.shows_tags):
        del body["tags"]
    if row.lowers_name and world.now() >= resource.ready_at:
        body["id"] = f"{resource.id.parent}/{resource.id.name.lower()}"
    return body


def etag(resource: Resource, row: Kind, *, created: bool = False) -> dict[str, str]:
    """Return the header, if the type has it; its value counts writes."""
    shown = row.etag == "always" or (row.etag == "settled" and not created)
    return {"etag": f'"{resource.version:08x}-0000-0100-0000-000000000000"'} if shown else {}
