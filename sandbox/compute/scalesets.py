"""Virtual machine scale sets (facts: Scale sets and Machines).

A uniform set's instances carry the set's identity, of one principal; with the policy ``Manual``
they get a change of the model only by a manual upgrade.
"""

from sandbox.arm import errors, listing, operations
from sandbox.arm.documents import check_etag, existing, expanded, loud, merge, tag, written
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.compute import computemodel, fleet
from sandbox.compute.scalesetview import TYPE, set_view, show
from sandbox.identity import attachment
from sandbox.world import throttling
from sandbox.world.state import Resource

routes = Routes()

_SUFFIX = "/providers/microsoft.compute/virtualmachinescalesets"
_LIST = f"/subscriptions/<subscription>{_SUFFIX}"
_SETS = f"/subscriptions/<subscription>/resourcegroups/<group>{_SUFFIX}"
_SET = f"{_SETS}/<name>"
_EXTRA = ("sku", "zones", "plan", "extendedLocation")
# A set's own; a client that writes back what it read does not change them.
_READ_ONLY = ("uniqueId", "provisioningState", "timeCreated")
_UPGRADE, _DELETE = "manualUpgrade", "delete"
_ACTIONS = fleet.ACTIONS | {
    "extensionrollingupgrade": ("extensionRollingUpgrade", "", throttling.SET_WRITE),
    "manualupgrade": (_UPGRADE, "", throttling.SET_WRITE),
    "delete": (_DELETE, "", throttling.SET_WRITE),
}


@routes.route("GET", _SET, Evidence.RECORDED, "facts: Scale sets, test_vmss_msi #1")
def get(call: Call) -> Reply:
    """Return a scale set."""
    budget = throttling.compute(call, throttling.SET_READ)
    asked = expanded(call, "userdata")
    found = existing(call)
    return Reply(200, show(call, found, asked), {**budget, **tag(call, found)})


@routes.route(
    "GET", f"{_SET}/instanceview", Evidence.RECORDED, "azure-cli test_vmss_create_and_modify"
)
def get_view(call: Call) -> Reply:
    """Count what a set's machines are doing."""
    budget = throttling.compute(call, throttling.SET_LIST)
    found = existing(call, call.id.parent)
    return Reply(200, set_view(call, found, fleet.machines(call.world, found)), budget)


@routes.route("GET", _SETS, Evidence.RECORDED, "azure-cli test_vmss_create_and_modify")
def list_group(call: Call) -> Reply:
    """List the scale sets of a group."""
    budget = throttling.compute(call, throttling.SET_LIST)
    return listing.page(call, listing.select(call, TYPE), lambda each: show(call, each), budget)


@routes.route("GET", _LIST, Evidence.RECORDED, "azure-cli test_vmss_create_and_modify")
def list_subscription(call: Call) -> Reply:
    """List the scale sets of a subscription; their ids have the group in upper case."""
    budget = throttling.compute(call, throttling.SET_LIST)
    found = listing.select(call, TYPE)
    return listing.page(call, found, lambda each: loud(show(call, each)), budget)


@routes.route("PUT", _SET, Evidence.RECORDED, "azure-cli test_vmss_create_and_modify")
def put(call: Call) -> Reply:
    """Create a scale set with its instances (201, documented) or write it anew (200)."""
    budget = throttling.compute(call, throttling.SET_WRITE)
    known, found = written(call, TYPE)
    if known is None:
        found.properties = {"orchestrationMode": "Uniform", "uniqueId": call.world.guid()}
    headers = _write(call, found, dict(call.member("tags") or {}), merges=False)
    return Reply(200 if known else 201, show(call, found), {**budget, **headers})


@routes.route("PATCH", _SET, Evidence.RECORDED, "facts: Scale sets, test_vmss_msi #6")
def patch(call: Call) -> Reply:
    """Merge identity, tags, size and properties: 200, while the operation runs."""
    budget = throttling.compute(call, throttling.SET_WRITE)
    found = existing(call)
    tags = dict(call.member("tags") or {}) if "tags" in call.object_body() else found.tags
    check_etag(call, found)
    headers = _write(call, found, tags, merges=True)
    return Reply(200, show(call, found), {**budget, **headers})


def _write(
    call: Call, scale_set: Resource, tags: dict[str, str], *, merges: bool
) -> dict[str, str]:
    """Write what a body says and let the instances follow; return the operation's headers."""
    body, world = call.object_body(), call.world
    old, wanted = scale_set.properties, call.member("properties")
    extra = {name: body[name] for name in _EXTRA if name in body}
    if merges:
        extra = merge(scale_set.extra, extra)
        properties = computemodel.merged(old, wanted or {}, _READ_ONLY)
    else:
        properties = computemodel.replaced(old, wanted, _READ_ONLY)
    _check(call, properties, extra)
    before = _model(scale_set)
    attachment.write(call, scale_set, call.member("identity"), merge=merges)
    scale_set.tags, scale_set.properties, scale_set.extra = tags, properties, extra
    created = scale_set.id.key not in world.resources
    headers = operations.begin(call, scale_set, "Creating" if created else "Updating", final=False)
    world.put(scale_set)
    if _model(scale_set) != before:
        policy = str((properties.get("upgradePolicy") or {}).get("mode") or "Manual")
        fleet.change(world, scale_set, manual=policy.lower() == "manual")
    fleet.scale(world, scale_set)
    return headers | tag(call, scale_set)


def _model(scale_set: Resource) -> tuple[object, ...]:
    """Return what makes an instance outdated: all but the size (test_vmss_create_and_modify)."""
    sku = {**(scale_set.extra.get("sku") or {}), "capacity": 0}
    extra = {**scale_set.extra, "sku": sku}
    return scale_set.properties, extra, scale_set.tags, *scale_set.holders


def _check(call: Call, properties: Json, extra: Json) -> None:
    """Raise ``AzureError`` 400 for a wrong size or an identity that the set cannot have."""
    fleet.capacity(extra)
    if not isinstance(properties.get("upgradePolicy") or {}, dict):
        raise errors.bad_content("an object is required. Path 'properties.upgradePolicy'")
    block = call.member("identity") or {}
    kinds = str(block.get("type", ""))
    if not fleet.flexible(properties):
        return
    if "systemassigned" in kinds.lower():
        # Azure-Landing-Zones #3994 and bicep-registry-modules #2671 quote code and text.
        raise errors.AzureError(
            400,
            "InvalidParameter",
            f"The value '{kinds}' of parameter 'identity' is not allowed. "
            "Allowed values are: UserAssigned, None.",
            target="identity",
        )
    entries = block.get("userAssignedIdentities")
    if isinstance(entries, dict) and len({entry is None for entry in entries.values()}) > 1:
        # Facts A2.3 name the refusal (azurerm #25058); code and text are assumed.
        raise errors.AzureError(
            400,
            "InvalidParameter",
            "Identities cannot be added and removed by one request.",
            target="identity",
        )


@routes.route("DELETE", _SET, Evidence.RECORDED, "misc_vm_vmss_arg_paging #13")
def delete(call: Call) -> Reply:
    """Delete a scale set with its instances: 202, or 204 (documented) when there was none."""
    budget = throttling.compute(call, throttling.SET_DELETE)
    scale_set = call.world.resources.get(call.id.key)
    if scale_set is None:
        return Reply(204)
    check_etag(call, scale_set)
    return Reply(202, None, {**budget, **operations.delete(call, scale_set)})


@routes.route(
    "POST",
    f"{_SET}/<any({','.join(_ACTIONS)}):verb>",
    Evidence.RECORDED,
    "facts: Scale sets; azure-cli test_vmss_create_and_modify, test_vmss_vms, test_vmss_reimage",
)
def act(call: Call) -> Reply:
    """Act on all instances or on some: 202, an operation."""
    verb, power_state, cost = _ACTIONS[call.args["verb"]]
    budget = throttling.compute(call, cost)
    scale_set = existing(call, call.id.parent)
    chosen = fleet.chosen(call, scale_set, required=verb in (_UPGRADE, _DELETE))
    found = operations.begin(call, scale_set, "Updating", final=True)
    for instance in chosen:
        instance.power = power_state or instance.power
        if verb == _UPGRADE:
            fleet.upgrade(instance, scale_set)
    if verb == _DELETE and not call.late:
        fleet.remove(scale_set, chosen, scale_set.ready_at)
    call.world.act(scale_set, verb)
    return Reply(202, None, {**budget, **found})
