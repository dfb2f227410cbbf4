"""What routes of Compute and others share: finding what a call names, entity tags, merging."""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Json
from sandbox.world.state import Resource

_FIRST_WITH_ETAG = "2024-03-01"


def merge(old: Json, new: Json) -> Json:
    """Return an object with another merged into it: null removes, objects merge, others replace."""
    merged = dict(old)
    for name, value in new.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            known = merged.get(name)
            merged[name] = merge(known if isinstance(known, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def etag(resource: Resource) -> str:
    """Return the entity tag of a compute resource, a small counter (facts: Machines, recorded)."""
    return f'"{resource.version}"'


def tag(call: Call, resource: Resource, since: str = _FIRST_WITH_ETAG) -> Json:
    """Return the tag as a member or header; older api-versions show none (facts: Machines)."""
    shown = call.query["api-version"] >= since
    return {"etag": etag(resource)} if shown else {}


def check_etag(call: Call, resource: Resource | None) -> None:
    """Raise ``AzureError`` 412 unless the resource is as If-Match and If-None-Match want it."""
    if call.headers.get("if-none-match") == "*" and resource is not None:
        # Only a creation is wanted (documented); the body is assumed.
        raise errors.AzureError(
            412, "PreconditionFailed", "The condition specified in If-None-Match was not met."
        )
    wanted = call.headers.get("if-match")
    if wanted is None or (wanted == "*" and resource):
        return
    if resource is None or wanted != etag(resource):
        # What the body of a machine's 412 holds is assumed (facts: Machines).
        raise errors.AzureError(
            412, "PreconditionFailed", "The condition specified in If-Match was not met."
        )


def loud(body: Json) -> Json:
    """Return a resource as lists of a subscription show it: with its group in upper case.

    Recorded of machines (facts: Lists) and scale sets (azure-cli test_vmss_create_and_modify).
    """
    return body | {"id": ids.loud(body["id"])}


def expanded(call: Call, *allowed: str) -> frozenset[str]:
    """Return what ``$expand`` asks for, in lower case; raises ``AzureError`` 400 for all else."""
    found = frozenset(each.strip().lower() for each in call.query.get("$expand", "").split(","))
    if found - {"", *allowed}:
        raise errors.unsupported(f"the option $expand={call.query['$expand']}")
    return found


def existing(call: Call, text: str | None = None) -> Resource:
    """Return the resource of the call, or of another id; raises ``AzureError`` 404.

    A read finds none that ARM's index does not show yet.
    """
    wanted = ids.parse(text) if text else call.id
    call.world.group(call.id)
    found = call.world.resources.get(wanted.key)
    if found is None and wanted.key in call.world.vanished:
        raise errors.gone()
    if found is None or (call.method == "GET" and not call.world.indexed(found)):
        raise errors.resource_not_found(wanted)
    return found


def written(call: Call, kind: str) -> tuple[Resource | None, Resource]:
    """Return what a compute PUT finds, if anything, and the resource that it writes.

    Raises ``AzureError`` 404 without the group, 400 without a location, 412 for another entity tag.
    """
    world = call.world
    world.group(call.id)
    location = call.object_body().get("location")
    if not location:
        raise errors.location_required()
    known = world.resources.get(call.id.key)
    check_etag(call, known)
    now = world.now()
    return known, known or Resource(call.id, kind, location, now, now)
