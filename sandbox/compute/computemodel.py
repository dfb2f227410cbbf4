"""The model that a Compute write leaves, of machines, scale sets and their instances.

A PUT to what exists replaces its properties, a PATCH merges into them; what is below was read off
azure-cli's recordings.
"""

from collections.abc import Collection
from typing import Any

from sandbox.arm import ids
from sandbox.arm.documents import merge
from sandbox.arm.routing import Json

_SECRETS = frozenset({"adminPassword", "customData", "protectedSettings"})
"""What no read shows (azure-cli test_vm_extension, test_vmss_update_custom_data)."""
_USER_DATA = "userData"
_PROFILE = "virtualMachineProfile"
_ORIGIN = ("imageReference", "osDisk")
_DISKS = "dataDisks"
_DISK = {"caching": "None", "toBeDetached": False, "deleteOption": "Detach"}
_PLACES = frozenset({"host", "hostGroup", "proximityPlacementGroup"})


def merged(old: Json, wanted: Json, own: Collection[str]) -> Json:
    """Return a model with another merged into it; null removes.

    Args:
        old: what is there.
        wanted: what the client sent.
        own: members that are the server's own; who writes back what was read changes none.
    """
    sent = {name: _completed(name, wanted[name]) for name in wanted if name not in own}
    return merge(old, public(sent))


def _completed(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a member as it is shown (recorded).

    The group is in upper case where it says where a machine is to run; a data disk says what
    becomes of it (test_vm_disk_attach_detach).
    """
    if name in _PLACES and isinstance(value, dict) and isinstance(value.get("id"), str):
        return {**value, "id": ids.loud(value["id"])}
    if name == "storageProfile" and isinstance(value, dict) and isinstance(value.get(_DISKS), list):
        disks = [_DISK | each if isinstance(each, dict) else each for each in value[_DISKS]]
        return {**value, _DISKS: disks}
    return value


def replaced(old: Json, wanted: Json | None, own: Collection[str]) -> Json:
    """Return a model in place of another; without any, the old one stays.

    Members that are left out go (test_update_dedicated_host_e2e), all together they stay
    (test_vmss_create_and_modify). What was said of the image and the disk of the system stays in
    any case: clients' updates leave it out (test_vm_update_size, test_update_dedicated_host_e2e).
    That the orchestration mode does is assumed.
    """
    if wanted is None:
        return old
    kept = {name: old[name] for name in (*own, "orchestrationMode") if name in old}
    new = kept | merged({}, wanted, own)
    _keep_origin(old, new)
    _keep_origin(_object(old, _PROFILE), _object(new, _PROFILE))
    return new


def _keep_origin(old: Json, new: Json) -> None:
    before, storage = _object(old, "storageProfile"), _object(new, "storageProfile")
    for name in _ORIGIN:
        known = _object(before, name)
        if known and storage:
            storage[name] = merge(known, _object(storage, name))


def _object(model: Json, name: str) -> Json:
    found = model.get(name)
    return found if isinstance(found, dict) else {}


def public(model: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a client sent without what no read shows."""
    if isinstance(model, dict):
        return {name: public(value) for name, value in model.items() if name not in _SECRETS}
    return [public(each) for each in model] if isinstance(model, list) else model


def shown(properties: Json, asked: Collection[str]) -> Json:
    """Return properties without the user data, unless there are any and they were asked for.

    Recorded: azure-cli test_vm_create_user_data, test_vmss_create_user_data.
    """
    told = _USER_DATA.lower() in asked
    found = _with_user_data(properties, told=told)
    if isinstance(found.get(_PROFILE), dict):
        found[_PROFILE] = _with_user_data(found[_PROFILE], told=told)
    return found


def _with_user_data(model: Json, *, told: bool) -> Json:
    return {name: value for name, value in model.items() if name != _USER_DATA or (told and value)}


def at_rest(properties: Json) -> Json:
    """Return a deallocated machine's properties: of its disks less is told (recorded).

    azure-cli test_vm_simulate_eviction, test_create_vm_with_shared_gallery_image.
    """
    storage = properties.get("storageProfile")
    if not isinstance(storage, dict):
        return properties
    found = dict(storage)
    if isinstance(storage.get("osDisk"), dict):
        found["osDisk"] = _bare(storage["osDisk"])
    if isinstance(storage.get(_DISKS), list):
        found[_DISKS] = [_bare(each) for each in storage[_DISKS]]
    return {**properties, "storageProfile": found}


def _bare(disk: Any) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(disk, dict):
        return disk
    found = {name: value for name, value in disk.items() if name != "diskSizeGB"}
    managed = found.get("managedDisk")
    if isinstance(managed, dict):
        found["managedDisk"] = {
            name: value for name, value in managed.items() if name != "storageAccountType"
        }
    return found
