"""The model that a Compute write leaves, of machines, scale sets and their instances.

A PUT to what exists merges as a PATCH does (recorded, azure-cli): it may name the size alone
(test_vmss_create_and_modify), and a client that writes back a machine leaves its image out
(test_vm_update_size). Null removes (test_update_dedicated_host_e2e).
"""

from collections.abc import Collection, Iterable
from typing import Any

from sandbox.azure.documents import merge

type Json = dict[str, Any]

_SECRETS = frozenset({"adminPassword", "customData", "protectedSettings"})
"""What no read shows (azure-cli test_vm_extension, test_vmss_update_custom_data)."""
_USER_DATA = "userData"
_PROFILE = "virtualMachineProfile"


def write(old: Json, wanted: Json, own: Iterable[str] = ()) -> Json:
    """Return a model with another written over it.

    Args:
        old: what is there; empty for a creation.
        wanted: what the client sent.
        own: members that are the server's own; who writes back what was read changes none.
    """
    skipped = frozenset(own)
    sent = {name: value for name, value in wanted.items() if name not in skipped}
    return merge(old, public(sent))


def public(model: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a client sent without what no read shows."""
    if isinstance(model, dict):
        return {name: public(value) for name, value in model.items() if name not in _SECRETS}
    return [public(each) for each in model] if isinstance(model, list) else model


def shown(properties: Json, asked: Collection[str]) -> Json:
    """Return properties without the user data, unless that was asked for.

    Recorded: azure-cli test_vm_create_user_data, test_vmss_create_user_data.
    """
    if _USER_DATA.lower() in asked:
        return properties
    found = {name: value for name, value in properties.items() if name != _USER_DATA}
    profile = found.get(_PROFILE)
    if isinstance(profile, dict):
        found[_PROFILE] = {name: value for name, value in profile.items() if name != _USER_DATA}
    return found


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
    if isinstance(storage.get("dataDisks"), list):
        found["dataDisks"] = [_bare(each) for each in storage["dataDisks"]]
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
