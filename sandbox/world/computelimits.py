"""The Compute provider's budgets, as ``x-ms-ratelimit-remaining-resource`` shows them.

Names and sizes are recorded (facts: Machines, test_vm_msi, test_vmss_msi, test_invoke_action,
misc_vm_vmss_arg_paging). That a PUT shows what a PATCH does, and the list of scale sets, is
assumed. A third of each bucket comes back in a minute (facts: Throttling, documented).
"""

import dataclasses
import json

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call
from sandbox.eventgrid.events import stamp
from sandbox.world.buckets import Bucket

_HEADER = "x-ms-ratelimit-remaining-resource"
_REFILL = 1 / 3 / 60


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """What one call costs: a token from each of some buckets."""

    sizes: dict[str, int]
    """Size by name; names that end in ``Resource`` count by resource, others by subscription."""
    headers: dict[str, str]
    """What full buckets show once the token is taken."""
    uncounted: dict[str, int]
    charge: dict[str, str]


def _budget(*, uncounted: dict[str, int] | None = None, charge: str = "", **sizes: int) -> Budget:
    more = {"x-ms-request-charge": charge} if charge else {}
    left = {name: size - 1 for name, size in sizes.items()} | (uncounted or {})
    return Budget(sizes, _shown(left) | more, uncounted or {}, more)


def _shown(left: dict[str, int]) -> dict[str, str]:
    return {_HEADER: ",".join(f"Microsoft.Compute/{name};{each}" for name, each in left.items())}


_BATCH = {"VMScaleSetBatchedVMRequestsSubscriptionMaximum": 6000, "VmssQueuedVMOperations": 0}

POLL = _budget(GetOperationResource=45, GetOperationSubscriptionMaximum=15000)

READ = _budget(LowCostGetSubscriptionMaximum=24000, LowCostGetResource=36)
LIST = _budget(HighCostGetSubscriptionMaximum=900)
UPDATE = _budget(UpdateVMSubscriptionMaximum=1500, UpdateVMResource=12)
DELETE = _budget(DeleteVMSubscriptionMaximum=1500, DeleteVMResource=12)

SET_READ = _budget(GetVMScaleSetSubscriptionMaximum=2400, GetVMScaleSetResource=36)
SET_LIST = _budget(HighCostGetVMScaleSetSubscriptionMaximum=1080)
SET_WRITE = _budget(
    VMScaleSetActionsSubscriptionMaximum=1500,
    VMScaleSetActionsResource=12,
    uncounted=_BATCH,
    charge="0",
)
SET_DELETE = _budget(
    DeleteVMScaleSetSubscriptionMaximum=525,
    DeleteVMScaleSetResource=12,
    uncounted=_BATCH,
    charge="2",
)
INSTANCES = _budget(
    HighCostGetVMScaleSetSubscriptionMaximum=1080,
    HighCostGetVMScaleSetResource=30,
    VMScaleSetVMViewsSubscriptionMaximum=30000,
    charge="2",
)


def take(call: Call, budget: Budget) -> dict[str, str]:
    """Charge a call and return the headers that say so; raises ``AzureError`` 429.

    Handlers ask before they do anything.
    """
    if not call.world.faults.throttling:
        return budget.headers
    # An action and a list hang on the resource that they are about.
    resource = call.id.key if call.id.name else ids.parse(call.id.parent).key
    buckets = [
        Bucket(
            (name, resource if name.endswith("Resource") else call.id.subscription.lower()),
            size,
            size * _REFILL,
        )
        for name, size in budget.sizes.items()
    ]
    left, lacking, wait = call.world.buckets.take(buckets)
    if lacking:
        raise _too_many(call, lacking, wait)
    found = dict(zip(budget.sizes, left, strict=True))
    return _shown(found | budget.uncounted) | budget.charge


def _too_many(call: Call, lacking: Bucket, wait: int) -> errors.AzureError:
    """Return Compute's 429, which has a code of many meanings (facts: Errors, from issues)."""
    group = lacking.key[0]
    now = stamp(call.world.now())
    counted = {"operationGroup": group, "startTime": now, "endTime": now}
    counts = {"allowedRequestCount": lacking.size, "measuredRequestCount": lacking.size + 1}
    detail = {
        "code": "TooManyRequests",
        "target": group,
        "message": json.dumps(counted | counts, separators=(",", ":")),
    }
    return errors.AzureError(
        429,
        "OperationNotAllowed",
        "The server rejected the request because too many requests have been received for this "
        "subscription.",
        details=[detail],
        headers=call.world.retry(wait),
    )
