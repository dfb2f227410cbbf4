"""Spot machines, which Azure takes away when it needs their place; clients may have it simulated.

What goes so goes by no request: the activity log tells of it (issues), and no event does (assumed).
The answers are recorded: azure-cli test_vm_simulate_eviction, test_vmss_simulate_eviction.
"""

from sandbox.arm import errors
from sandbox.arm.documents import existing
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.compute import fleet
from sandbox.world import throttling
from sandbox.world.state import DEALLOCATED, Resource

routes = Routes()

_COMPUTE = "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.compute"
_MACHINE = f"{_COMPUTE}/virtualmachines/<name>"
_INSTANCE = f"{_COMPUTE}/virtualmachinescalesets/<name>/virtualmachines/<instance>"
_VERB = "simulateEviction"


def _deletes(model: Resource, budget: dict[str, str]) -> bool:
    """Tell whether an eviction deletes a machine; raises 409 for one that is safe from it."""
    profile = model.properties.get("virtualMachineProfile", model.properties)
    if str(profile.get("priority")).lower() != "spot":
        raise errors.AzureError(
            409,
            "OperationNotAllowed",
            f"Operation '{_VERB}' is allowed only for Spot Virtual Machines",
            headers=budget,
        )
    return str(profile.get("evictionPolicy")).lower() == "delete"


@routes.route(
    "POST", f"{_MACHINE}/simulateeviction", Evidence.RECORDED, "azure-cli test_vm_simulate_eviction"
)
def evict(call: Call) -> Reply:
    """Evict a machine: 204; it is deallocated or gone, as its policy says."""
    budget = throttling.compute(call, throttling.DELETE)
    machine = existing(call, call.id.parent)
    deletes = _deletes(machine, budget)
    call.world.act(machine, _VERB)
    call.world.evict(machine, deletes=deletes)
    return Reply(204, None, budget)


@routes.route(
    "POST",
    f"{_INSTANCE}/simulateeviction",
    Evidence.RECORDED,
    "azure-cli test_vmss_simulate_eviction",
)
def evict_instance(call: Call) -> Reply:
    """Evict an instance: 204; it is deallocated or gone, as its set's policy says."""
    budget = throttling.compute(call, throttling.SET_WRITE)
    found = fleet.named(call)
    scale_set = existing(call, found.id.outer)
    deletes = _deletes(found if "priority" in found.properties else scale_set, budget)
    call.world.act(found, _VERB)
    call.world.tell_eviction(scale_set)
    if deletes:
        fleet.remove(scale_set, [found], call.world.now())
    else:
        found.power = DEALLOCATED
    return Reply(204, None, budget)
