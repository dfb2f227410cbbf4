"""What machines, extensions and scale sets share: entity tags, and what a write leaves.

A PUT to what exists replaces its properties, a PATCH merges into them (facts: Machines).
"""

from collections.abc import Collection

from sandbox.arm import errors
from sandbox.arm.routing import Call, Json, merge
from sandbox.world.state import Resource


def tag(call: Call, resource: Resource, since: str = "2024-03-01") -> Json:
    """Return the entity tag as a member or header: a small counter (facts: Machines, recorded).

    Args:
        call: the request; of an older api-version it shows none.
        resource: what is shown.
        since: the first api-version that shows one.
    """
    shown = call.query["api-version"] >= since
    return {"etag": f'"{resource.version}"'} if shown else {}


def check_etag(call: Call, resource: Resource | None) -> None:
    """Raise ``AzureError`` 412 unless the resource is as If-Match and If-None-Match want it.

    That If-None-Match lets only a creation pass is documented; no recording shows the body of a
    machine's 412.
    """
    wanted = call.headers.get("if-match")
    failed = ""
    if call.headers.get("if-none-match") == "*" and resource is not None:
        failed = "If-None-Match"
    elif wanted is not None and (resource is None or wanted not in ("*", f'"{resource.version}"')):
        failed = "If-Match"
    if failed:
        raise errors.AzureError(
            412, "PreconditionFailed", f"The condition specified in {failed} was not met."
        )


def put_target(call: Call, resource_type: str) -> tuple[Resource | None, Resource]:
    """Return what a PUT finds, if anything, and the resource that it writes.

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
    return known, known or Resource(call.id, resource_type, location, now, now)


def written(old: Json, sent: Json | None, own: Collection[str], *, merges: bool) -> Json:
    """Return the properties that a write leaves.

    Args:
        old: what is there.
        sent: what the client sent; None leaves all as it is (recorded for scale sets).
        own: members that are the server's; who writes back what was read changes none of them.
        merges: whether members that are not sent stay, as for a PATCH.
    """
    if sent is None:
        return old
    kept = {name: value for name, value in old.items() if merges or name in own}
    return merge(kept, {name: value for name, value in sent.items() if name not in own})


def group_in_upper_case(body: Json) -> Json:
    """Return a resource as lists of a subscription show it.

    Recorded of machines (facts: Lists) and scale sets (azure-cli test_vmss_create_and_modify).
    """
    segments = body["id"].split("/")
    segments[4] = segments[4].upper()
    return body | {"id": "/".join(segments)}
