"""The tags of a subscription, a group or a resource as a resource of their own.

Its writes change the tags of what it hangs on, and are told of that (facts: Resource events).
"""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes

routes = Routes()

_TYPE = "Microsoft.Resources/tags"
_RULE = "/~/providers/microsoft.resources/tags/default"
_RECORDED = "azure-cli test_tag_update_resource, test_tag_get_resourcegroup"


def _current(call: Call) -> dict[str, str]:
    """Return the tags of the scope; raises ``AzureError`` 404 without it, 400 above it."""
    world, scope = call.world, ids.parse(call.id.scope)
    if not scope.subscription:
        raise errors.unsupported(f"tags at the scope '{call.id.scope or '/'}'")
    world.require_scope(scope)
    if not scope.group:
        return world.subscription_tags.get(scope.subscription.lower(), {})
    found = world.groups.get(scope.key) or world.resources.get(scope.key)
    if found is None:
        raise errors.unsupported(f"tags of '{scope.text}'")
    return found.tags


def _sent(call: Call) -> dict[str, str]:
    """Return the tags of the body; raises ``AzureError`` 400."""
    found = (call.member("properties") or {}).get("tags")
    if not isinstance(found, dict):
        raise errors.bad_content("an object is required. Path 'properties.tags'")
    return found


def _reply(call: Call, tags: dict[str, str]) -> Reply:
    body: Json = {
        "id": call.id.text,
        "name": "default",
        "type": _TYPE,
        "properties": {"tags": tags},
    }
    return Reply(200, body)


def _without(tags: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    """Return tags without those named; names are compared without regard to case (documented)."""
    folded = {each.lower() for each in names}
    return {name: value for name, value in tags.items() if name.lower() not in folded}


@routes.route("GET", _RULE, Evidence.RECORDED, _RECORDED)
def get(call: Call) -> Reply:
    """Return the tags of a scope."""
    return _reply(call, _current(call))


@routes.route("PUT", _RULE, Evidence.RECORDED, _RECORDED)
def put(call: Call) -> Reply:
    """Replace all tags: 200, also where there were none."""
    _current(call)
    wanted = _sent(call)
    call.world.tag(ids.parse(call.id.scope), wanted)
    return _reply(call, wanted)


@routes.route("PATCH", _RULE, Evidence.RECORDED, _RECORDED)
def patch(call: Call) -> Reply:
    """Merge tags, replace all, or delete some."""
    sent, current = _sent(call), _current(call)
    operation = str(call.object_body().get("operation", ""))
    made = {
        "merge": _without(current, sent) | sent,
        "replace": sent,
        "delete": _without(current, sent),
    }
    if operation.lower() not in made:
        raise errors.bad_content(f"Error converting value '{operation}' to operation")
    wanted = made[operation.lower()]
    call.world.tag(ids.parse(call.id.scope), wanted)
    return _reply(call, wanted)


@routes.route("DELETE", _RULE, Evidence.RECORDED, _RECORDED)
def delete(call: Call) -> Reply:
    """Remove all tags: 200 without a body."""
    _current(call)
    call.world.tag(ids.parse(call.id.scope), {}, verb="Delete")
    return Reply(200)
