"""azure-mgmt-compute: scale sets, uniform and flexible, each call polled to its end."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute.models import (
    Sku,
    UserAssignedIdentitiesValue,
    VirtualMachineScaleSet,
    VirtualMachineScaleSetIdentity,
    VirtualMachineScaleSetProperties,
    VirtualMachineScaleSetUpdate,
    VirtualMachineScaleSetVMInstanceRequiredIDs,
)

from tests.conformance.clients.azure import Azure
from tests.world.arm import identity


@pytest.fixture
def compute(azure: Azure) -> ComputeManagementClient:
    """The client under test."""
    return azure.subscription_client(ComputeManagementClient)


def make(compute: ComputeManagementClient, mode: str) -> VirtualMachineScaleSet:
    """Create a set of two, whose instances are upgraded by hand where it is uniform."""
    wanted = VirtualMachineScaleSet(
        location="westus",
        sku=Sku(name="Standard_D2s_v5", tier="Standard", capacity=2),
        properties=VirtualMachineScaleSetProperties(
            {"orchestrationMode": mode, "upgradePolicy": {"mode": "Manual"}}
        ),
    )
    return compute.virtual_machine_scale_sets.begin_create_or_update("rg", "set", wanted).result()


def carrying(kind: str, *names: str) -> VirtualMachineScaleSetUpdate:
    """Return a patch of the identities that a set carries."""
    entries = {identity(name): UserAssignedIdentitiesValue() for name in names}
    block = VirtualMachineScaleSetIdentity(type=kind, user_assigned_identities=entries or None)
    return VirtualMachineScaleSetUpdate(identity=block)


def test_a_set_lives_and_dies(compute: ComputeManagementClient) -> None:
    """Create, list, scale and delete."""
    sets = compute.virtual_machine_scale_sets
    instances = compute.virtual_machine_scale_set_vms
    made = make(compute, "Uniform")

    assert made.provisioning_state == "Succeeded"
    assert [each.name for each in sets.list("rg")] == ["set"]
    assert [each.name for each in sets.list_all()] == ["set"]
    assert [each.instance_id for each in instances.list("rg", "set")] == ["0", "1"]
    sets.begin_update("rg", "set", VirtualMachineScaleSetUpdate(sku=Sku(capacity=3))).result()
    assert len(list(instances.list("rg", "set"))) == 3
    sets.begin_delete("rg", "set").result()
    with pytest.raises(ResourceNotFoundError):
        sets.get("rg", "set")


def test_instances_follow_when_they_are_upgraded(compute: ComputeManagementClient) -> None:
    """Under manual upgrade a set's new identity reaches its instances only then."""
    sets = compute.virtual_machine_scale_sets
    make(compute, "Uniform")
    patched = sets.begin_update(
        "rg", "set", carrying("SystemAssigned, UserAssigned", "id1")
    ).result()

    def principals() -> set[str | None]:
        found = compute.virtual_machine_scale_set_vms.list("rg", "set")
        return {each.identity.principal_id if each.identity else None for each in found}

    assert patched.identity is not None
    assert principals() == {None}
    everyone = VirtualMachineScaleSetVMInstanceRequiredIDs(instance_ids=["*"])
    sets.begin_update_instances("rg", "set", everyone).result()
    assert principals() == {patched.identity.principal_id}


def test_a_flexible_set_carries_user_assigned_identities_only(
    compute: ComputeManagementClient,
) -> None:
    """A system-assigned one is refused."""
    sets = compute.virtual_machine_scale_sets
    make(compute, "Flexible")
    patched = sets.begin_update("rg", "set", carrying("UserAssigned", "id1")).result()

    assert patched.identity is not None
    assert patched.identity.type == "UserAssigned"
    with pytest.raises(HttpResponseError) as caught:
        sets.begin_update("rg", "set", carrying("SystemAssigned"))
    assert caught.value.status_code == 400
