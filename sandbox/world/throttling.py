"""How much may be asked of Azure: every token bucket, its refusal, and the headers that show it.

See facts: Throttling. Without the switch ``throttling`` every bucket is shown full and nobody is
refused; with it a request takes a token from several buckets at once, or from none and is answered
429. The application asks `arm` before a call reaches its service; services ask the others before
they do anything.
"""

import dataclasses
import datetime as dt
import json
import math
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sandbox.arm import errors, ids, routing
from sandbox.arm.routing import Call, Reply
from sandbox.world.events import stamp
from sandbox.world.state import Principal

if TYPE_CHECKING:
    from sandbox.world.world import World

_ONE = 1 - 1e-6  # A whole token, as far as a sum of fractions can tell.


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket."""

    key: tuple[str, ...]  # Names it, and whom it counts.
    size: int
    refill: float  # Tokens a second, or a window's if there is one.
    window: float = 0.0  # Seconds from the first token on, after which it is full again at once.


class Buckets:
    """How full each bucket of a world is; one that nobody took from is full."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        """Start with full buckets."""
        self._now = now
        self._left: dict[Bucket, tuple[float, dt.datetime]] = {}
        """What was left at a time; of a window, since when it is open."""
        self._lock = threading.Lock()

    def take(self, wanted: Iterable[Bucket]) -> tuple[list[int], Bucket | None, int]:
        """Take one token from each bucket, or from none when one of them is empty.

        Returns:
            What is left in each; the bucket that was empty, if any; and the seconds until it
            has a token again.
        """
        now = self._now()
        with self._lock:
            left = {bucket: self._tokens(bucket, now) for bucket in wanted}
            for bucket, (tokens, at) in left.items():
                if tokens < _ONE:
                    wait = (_ONE - tokens) / bucket.refill
                    if bucket.window:
                        wait = bucket.window - (now - at).total_seconds()
                    return [int(rest) for rest, _ in left.values()], bucket, max(1, math.ceil(wait))
            self._left |= {bucket: (tokens - 1, at) for bucket, (tokens, at) in left.items()}
            return [int(tokens - 1) for tokens, _ in left.values()], None, 0

    def _tokens(self, bucket: Bucket, now: dt.datetime) -> tuple[float, dt.datetime]:
        """Return what is left in a bucket, and since when."""
        tokens, at = self._left.get(bucket, (float(bucket.size), now))
        passed = (now - at).total_seconds()
        if bucket.window:
            return (tokens, at) if passed < bucket.window else (float(bucket.size), now)
        return min(float(bucket.size), tokens + passed * bucket.refill), now


def _refusal(
    world: "World",
    wait: int,
    code: str,
    message: str,
    *,
    headers: dict[str, str] | None = None,
    **more: Any,  # noqa: ANN401 - those of errors
) -> errors.AzureError:
    """Return a 429; unless a switch hides it, a header says when to come again."""
    retry = {"Retry-After": str(wait)} if world.faults.retry_after else {}
    return errors.AzureError(429, code, message, headers=retry | (headers or {}), **more)


# Resource Manager. Sizes are documented and, but for deletes, recorded (facts: Errors and
# Throttling): tokens, and how many come back in a second.

_ARM = {"read": (250, 25.0), "write": (200, 10.0), "delete": (200, 10.0)}
_KINDS = {"GET": "read", "HEAD": "read", "DELETE": "delete"}
_SHARE = 15  # All principals together have so many times what one has.
_GRAPH_PATH = "/providers/microsoft.resourcegraph/"
_RIGHTS = "microsoft.authorization/"
_RIGHTS_WINDOW = 60.0
"""Seconds; that it is a window follows from the recorded wait, which is longer than any refill."""


def arm_buckets(subscription: str, principal: str, method: str) -> dict[str, Bucket]:
    """Return the buckets of a call to ARM, by the ends of their headers' names.

    The tenant, which is meant where no subscription is given, has one a principal only.
    """
    kind = _KINDS.get(method, "write")
    size, refill = _ARM[kind]
    if not subscription:
        return {f"tenant-{kind}s": Bucket(("tenant", kind, principal), size, refill)}
    key = (subscription.lower(), kind)
    return {
        f"subscription-{kind}s": Bucket((*key, principal), size, refill),
        f"subscription-global-{kind}s": Bucket(key, size * _SHARE, refill * _SHARE),
    }


def _arm_headers(left: dict[str, int]) -> dict[str, str]:
    return {f"x-ms-ratelimit-remaining-{name}": str(tokens) for name, tokens in left.items()}


def full(method: str, path: str) -> dict[str, str]:
    """Return what full buckets show after one call (facts: Throttling, recorded but for reads)."""
    subscription = "any" if path[:15].lower() == "/subscriptions/" else ""
    buckets = arm_buckets(subscription, "", method)
    return _arm_headers({name: bucket.size - 1 for name, bucket in buckets.items()})


def arm(world: "World", caller: Principal, method: str, path: str) -> dict[str, str]:
    """Charge a call to ARM and return what its headers show; raises ``AzureError`` 429.

    Resource Graph has a quota of its own. Actions on rights are counted by subscription, be it
    whose it may (assumed).
    """
    if path.lower().startswith(_GRAPH_PATH):
        return full(method, path)
    target = ids.parse(path)
    subscription, limit = target.subscription, world.faults.authorization_limit
    counted = arm_buckets(subscription, caller.oid, method)
    rights: list[Bucket] = []
    if limit is not None and target.type.lower().startswith(_RIGHTS):
        action = routing.action(target.type, method)
        rights = [Bucket((subscription.lower(), action), limit, limit, _RIGHTS_WINDOW)]
    left, lacking, wait = world.buckets.take([*counted.values(), *rights])
    shown = _arm_headers(dict(zip(counted, left, strict=False)))
    if lacking is None:
        return shown
    if lacking in rights:
        # Recorded, 429_ResourceRequestsThrottled; the limit is known from issues.
        raise _refusal(
            world,
            wait,
            "ResourceRequestsThrottled",
            f"Number of requests for action '{lacking.key[1]}' exceeded the limit of "
            f"'{lacking.size}' for time interval '00:01:00'. Please try again after '{wait}' "
            "seconds.",
            gateway=True,
        )
    # The code of the tenant is assumed, all else is known from issues (facts: Errors).
    place = "subscription" if subscription else "tenant"
    raise _refusal(
        world,
        wait,
        f"{place.capitalize()}RequestsThrottled",
        f"Number of '{_KINDS.get(method, 'write')}' requests for {place} actor "
        f"'{subscription or world.tenant}:{caller.oid}' exceeded. Please try again after '{wait}' "
        "seconds after additional tokens are available. "
        "Refer to https://aka.ms/arm-throttling for additional information.",
        headers=shown,
        gateway=True,
    )


# Compute, as ``x-ms-ratelimit-remaining-resource`` shows it. Names and sizes are recorded (facts:
# Machines, test_vm_msi, test_vmss_msi, test_invoke_action, misc_vm_vmss_arg_paging). That a PUT
# shows what a PATCH does, and the list of scale sets, is assumed. A third of each bucket comes back
# in a minute (facts: Throttling, documented).

_COMPUTE_REFILL = 1 / 3 / 60


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """What one call to Compute costs: a token from each of some buckets."""

    sizes: dict[str, int]
    """Size by name; names that end in ``Resource`` count by resource, others by subscription."""
    uncounted: dict[str, int] = dataclasses.field(default_factory=dict)
    charge: str = ""


_BATCH = {"VMScaleSetBatchedVMRequestsSubscriptionMaximum": 6000, "VmssQueuedVMOperations": 0}

POLL = Budget({"GetOperationResource": 45, "GetOperationSubscriptionMaximum": 15000})
READ = Budget({"LowCostGetSubscriptionMaximum": 24000, "LowCostGetResource": 36})
LIST = Budget({"HighCostGetSubscriptionMaximum": 900})
UPDATE = Budget({"UpdateVMSubscriptionMaximum": 1500, "UpdateVMResource": 12})
DELETE = Budget({"DeleteVMSubscriptionMaximum": 1500, "DeleteVMResource": 12})
SET_READ = Budget({"GetVMScaleSetSubscriptionMaximum": 2400, "GetVMScaleSetResource": 36})
SET_LIST = Budget({"HighCostGetVMScaleSetSubscriptionMaximum": 1080})
SET_WRITE = Budget(
    {"VMScaleSetActionsSubscriptionMaximum": 1500, "VMScaleSetActionsResource": 12}, _BATCH, "0"
)
SET_DELETE = Budget(
    {"DeleteVMScaleSetSubscriptionMaximum": 525, "DeleteVMScaleSetResource": 12}, _BATCH, "2"
)
INSTANCES = Budget(
    {
        "HighCostGetVMScaleSetSubscriptionMaximum": 1080,
        "HighCostGetVMScaleSetResource": 30,
        "VMScaleSetVMViewsSubscriptionMaximum": 30000,
    },
    charge="2",
)


def compute(call: Call, budget: Budget) -> dict[str, str]:
    """Charge a call to Compute and return what its headers show; raises ``AzureError`` 429."""
    world, lacking, wait = call.world, None, 0
    left = [size - 1 for size in budget.sizes.values()]
    if world.faults.throttling:
        # An action and a list hang on the resource that they are about.
        resource = call.id.key if call.id.name else ids.parse(call.id.parent).key
        subscription = call.id.subscription.lower()
        left, lacking, wait = world.buckets.take(
            Bucket(
                (name, resource if name.endswith("Resource") else subscription),
                size,
                size * _COMPUTE_REFILL,
            )
            for name, size in budget.sizes.items()
        )
    if lacking is None:
        shown = dict(zip(budget.sizes, left, strict=True)) | budget.uncounted
        text = ",".join(f"Microsoft.Compute/{name};{tokens}" for name, tokens in shown.items())
        charge = {"x-ms-request-charge": budget.charge} if budget.charge else {}
        return {"x-ms-ratelimit-remaining-resource": text, **charge}
    # The code has many meanings, which only the detail tells apart (facts: Errors, from issues).
    now = stamp(world.now())
    counts = {
        "operationGroup": lacking.key[0],
        "startTime": now,
        "endTime": now,
        "allowedRequestCount": lacking.size,
        "measuredRequestCount": lacking.size + 1,
    }
    detail = {
        "code": "TooManyRequests",
        "target": lacking.key[0],
        "message": json.dumps(counts, separators=(",", ":")),
    }
    text = "The server rejected the request because too many requests have been received for this "
    raise _refusal(world, wait, "OperationNotAllowed", f"{text}subscription.", details=[detail])


# Managed identities: creations, assignments to resources, tokens. The limits are documented, by
# region and for subscription and tenant; the texts of the refusals are known from issues. Of the
# metadata service's two limits only that of calls a second is here, since its calls are answered
# one after the other.

_IDENTITY_WINDOW = 20
"""Seconds in which the numbers of the table may be used up; that they refill evenly is assumed."""
_TENANT = {"create": 400, "assign": 400}
_SUBSCRIPTION = {"create": 80, "assign": 300}
_TOKENS = 20  # A second and machine.


def identity(call: Call, location: str, *operations: str) -> None:
    """Charge a request for what it does to identities in a region; raises ``AzureError`` 429.

    Of ``create`` and ``assign`` each counts once however many identities it concerns.
    """
    if not (operations and call.world.faults.throttling):
        return
    places = (("", _TENANT), (call.id.subscription.lower(), _SUBSCRIPTION))
    _, lacking, wait = call.world.buckets.take(
        Bucket(
            ("identity", operation, place, location.lower()),
            sizes[operation],
            sizes[operation] / _IDENTITY_WINDOW,
        )
        for operation in operations
        for place, sizes in places
    )
    if lacking:
        # Issues (onefuzz 249), where the code is the status.
        text = f"Request is temporarily throttled because resource {call.id.text} has issued too "
        text += f"many requests. Retry after {wait} seconds."
        raise _refusal(call.world, wait, "429", text)


def token(world: "World", machine: str) -> Reply | None:
    """Charge a machine for a token; return the metadata service's refusal, if it comes to that.

    It has no ``Retry-After`` (issues: azure-sdk-for-net 39574).
    """
    bucket = Bucket(("tokens", machine), _TOKENS, _TOKENS)
    if not world.faults.throttling or world.buckets.take([bucket])[1] is None:
        return None
    text = "Temporarily throttled, too many requests"
    return Reply(429, {"error": "invalid_request", "error_description": text})


# Resource Graph: fifteen queries in five seconds by principal (facts: Throttling, documented).

_GRAPH, _GRAPH_SECONDS = 15, 5


def graph(call: Call) -> dict[str, str]:
    """Charge a query and return what its headers show; raises ``AzureError`` 429.

    Names are recorded, code and text of the refusal documented (facts: Errors; guidance for
    throttled requests).
    """
    left, lacking, wait = _GRAPH - 1, None, 0
    if call.world.faults.throttling:
        oid = call.caller.oid if call.caller else ""
        bucket = Bucket(("graph", oid), _GRAPH, _GRAPH / _GRAPH_SECONDS)
        (left,), lacking, wait = call.world.buckets.take([bucket])
    headers = {
        "x-ms-ratelimit-remaining-tenant-resource-requests": str(left),
        "x-ms-resource-graph-request-duration": "0:00:00:00.0010000",
        "x-ms-user-quota-remaining": str(left),
        "x-ms-user-quota-resets-after": f"00:00:{_GRAPH_SECONDS:02}",
    }
    if lacking is None:
        return headers
    message = "Client application has been throttled and should not attempt to repeat the request."
    details = [{"code": "RateLimiting", "message": message}]
    text = "Too many queries."
    raise _refusal(call.world, wait, "RateLimiting", text, headers=headers, details=details)
