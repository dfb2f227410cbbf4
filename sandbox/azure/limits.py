"""ARM's own limits: what every call to it costs, and what its headers say is left (facts B3).

The application asks before a call reaches its service. Resource Graph has a quota of its own.
"""

import functools

from sandbox.azure import buckets, errors, ids
from sandbox.azure.state import Principal
from sandbox.azure.world import World

_GRAPH = "/providers/microsoft.resourcegraph/"


def full(method: str, path: str) -> dict[str, str]:
    """Return what full buckets show after one call (facts A2.6, recorded but for reads)."""
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
    subscription = ids.parse(path).subscription
    found = buckets.arm(subscription, caller.oid, method)
    left, lacking, wait = world.buckets.take(found.values())
    shown = _shown(dict(zip(found, left, strict=True)))
    if lacking is None:
        return shown
    # The code of the tenant is assumed, all else is known from issues (facts A2.6).
    place = "subscription" if subscription else "tenant"
    headers = {"Retry-After": str(wait)} if world.weather.retry_after else {}
    raise errors.AzureError(
        429,
        f"{place.capitalize()}RequestsThrottled",
        f"Number of '{buckets.kind_of(method)}' requests for {place} actor "
        f"'{subscription or world.tenant}:{caller.oid}' exceeded. Please try again after '{wait}' "
        "seconds after additional tokens are available. "
        "Refer to https://aka.ms/arm-throttling for additional information.",
        headers=headers | shown,
        gateway=True,
    )
