"""ARM's own limits: what every call to it costs, and what its headers say is left.

See facts: Throttling.

The application asks before a call reaches its service. Resource Graph has a quota of its own.
"""

import functools

from sandbox.arm import errors, ids, routing
from sandbox.world import buckets
from sandbox.world.state import Principal
from sandbox.world.world import World

_GRAPH = "/providers/microsoft.resourcegraph/"
_RIGHTS = "microsoft.authorization/"
_MINUTE = 60.0


def full(method: str, path: str) -> dict[str, str]:
    """Return what full buckets show after one call (facts: Errors, recorded but for reads)."""
    return _full(method, within=path[:15].lower() == "/subscriptions/")


@functools.cache
def _full(method: str, *, within: bool) -> dict[str, str]:
    found = buckets.arm("subscription" if within else "", "", method)
    return _shown({name: bucket.size - 1 for name, bucket in found.items()})


def _shown(left: dict[str, int]) -> dict[str, str]:
    return {f"x-ms-ratelimit-remaining-{name}": str(each) for name, each in left.items()}


def take(world: World, caller: Principal, method: str, path: str) -> dict[str, str]:
    """Charge a call and return what its headers show; raises ``AzureError`` 429."""
    if path.lower().startswith(_GRAPH):
        return full(method, path)
    parsed = ids.parse(path)
    subscription = parsed.subscription
    found = buckets.arm(subscription, caller.oid, method)
    more = _authorization(world, parsed, method)
    left, lacking, wait = world.buckets.take([*found.values(), *more])
    shown = _shown(dict(zip(found, left, strict=False)))
    if lacking is None:
        return shown
    if lacking in more:
        raise _too_often(world, lacking, wait)
    # The code of the tenant is assumed, all else is known from issues (facts: Errors).
    place = "subscription" if subscription else "tenant"
    raise errors.AzureError(
        429,
        f"{place.capitalize()}RequestsThrottled",
        f"Number of '{buckets.kind_of(method)}' requests for {place} actor "
        f"'{subscription or world.tenant}:{caller.oid}' exceeded. Please try again after '{wait}' "
        "seconds after additional tokens are available. "
        "Refer to https://aka.ms/arm-throttling for additional information.",
        headers=world.retry(wait) | shown,
        gateway=True,
    )


def _authorization(world: World, path: ids.ArmId, method: str) -> list[buckets.Bucket]:
    """Return the bucket of an action on rights: by subscription, be it whose it may (assumed).

    That it is a window follows from the wait that was recorded, which is longer than any refill.
    """
    limit = world.faults.authorization_limit
    if limit is None or not path.type.lower().startswith(_RIGHTS):
        return []
    action = routing.action(path.type, method)
    return [buckets.Bucket((path.subscription.lower(), action), limit, limit, _MINUTE)]


def _too_often(world: World, lacking: buckets.Bucket, wait: int) -> errors.AzureError:
    """Return the 429 of one action (recorded, 429_ResourceRequestsThrottled; the limit: issues)."""
    return errors.AzureError(
        429,
        "ResourceRequestsThrottled",
        f"Number of requests for action '{lacking.key[1]}' exceeded the limit of '{lacking.size}' "
        f"for time interval '00:01:00'. Please try again after '{wait}' seconds.",
        headers=world.retry(wait),
        gateway=True,
    )
