"""What managed identities may cost: creations, assignments to resources, tokens.

See facts: Throttling.

The limits are documented, by region and for subscription and tenant; the text of the refusals is
known from issues. Of the metadata service's two limits only that of calls a second is here, since
its calls are answered one after the other.
"""

from sandbox.arm import errors
from sandbox.arm.routing import Call, Reply
from sandbox.world.buckets import Bucket
from sandbox.world.world import World

_WINDOW = 20
"""Seconds in which the numbers of the table may be used up; that they refill evenly is assumed."""
_TENANT = {"create": 400, "assign": 400}
_SUBSCRIPTION = {"create": 80, "assign": 300}
_TOKENS = 20
"""A second and machine."""


def take(call: Call, location: str, *operations: str) -> None:
    """Charge a request for what it does to identities; raises ``AzureError`` 429.

    Args:
        call: names the resource that is to carry the identity, or the identity itself.
        location: where that is.
        operations: ``create``, ``assign`` or both; each counts once however many it concerns.
    """
    if not (operations and call.world.faults.throttling):
        return
    region = location.lower()
    subscription = call.id.subscription.lower()
    places = (("", _TENANT), (subscription, _SUBSCRIPTION))
    wanted = [
        Bucket(("identity", each, where, region), sizes[each], sizes[each] / _WINDOW)
        for each in operations
        for where, sizes in places
    ]
    _, lacking, wait = call.world.buckets.take(wanted)
    if lacking:
        # Issues (onefuzz 249), where the code is the status.
        raise errors.AzureError(
            429,
            "429",
            f"Request is temporarily throttled because resource {call.id.text} has issued too many "
            f"requests. Retry after {wait} seconds.",
            headers=call.world.retry(wait),
        )


def refuse_token(world: World, machine: str) -> Reply | None:
    """Charge a machine for a token; return the metadata service's refusal, if it comes to that.

    It has no ``Retry-After`` (issues: azure-sdk-for-net 39574).
    """
    if not world.faults.throttling:
        return None
    bucket = Bucket(("tokens", machine), _TOKENS, _TOKENS)
    if world.buckets.take([bucket])[1] is None:
        return None
    said = "Temporarily throttled, too many requests"
    return Reply(429, {"error": "invalid_request", "error_description": said})
