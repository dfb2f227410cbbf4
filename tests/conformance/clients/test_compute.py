"""azure-mgmt-compute: machines, their extensions and entity tags, each call polled to its end."""

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute.models import (
    UserAssignedIdentitiesValue,
    VirtualMachine,
    VirtualMachineExtension,
    VirtualMachineExtensionProperties,
    VirtualMachineIdentity,
    VirtualMachineUpdate,
)

from sandbox.world.faults import Faults
from tests.conformance.clients.azure import Azure
from tests.world.arm import identity


@pytest.fixture
def compute(azure: Azure) -> ComputeManagementClient:
    """The client under test."""
    return azure.subscription_client(ComputeManagementClient)


def update(*names: str, kind: str = "UserAssigned") -> VirtualMachineUpdate:
    """Return a patch that attaches identities of the seed."""
    entries = {identity(name): UserAssignedIdentitiesValue() for name in names}
    block = VirtualMachineIdentity(type=kind, user_assigned_identities=entries)
    return VirtualMachineUpdate(identity=block)


def test_a_machine_lives_and_dies(compute: ComputeManagementClient) -> None:
    """Create, write again, list and delete."""
    machines = compute.virtual_machines
    made = machines.begin_create_or_update("rg", "new", VirtualMachine(location="westus")).result()
    again = machines.begin_create_or_update(
        "rg", "new", VirtualMachine(location="westus", tags={"a": "b"})
    ).result()

    assert (made.provisioning_state, made.vm_id) == ("Succeeded", again.vm_id)
    assert [each.name for each in machines.list("rg")] == ["vm", "new"]
    machines.begin_delete("rg", "new").result()
    machines.begin_delete("rg", "new").result()
    assert [each.name for each in machines.list_all()] == ["vm"]
    with pytest.raises(ResourceNotFoundError) as caught:
        machines.get("rg", "new")
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceNotFound"


def test_identities_are_merged(compute: ComputeManagementClient) -> None:
    """A patch adds to what a machine carries; both kinds at once."""
    machines = compute.virtual_machines
    machines.begin_update("rg", "vm", update("id1")).result()
    both = machines.begin_update(
        "rg", "vm", update("id2", kind="SystemAssigned, UserAssigned")
    ).result()

    assert both.identity is not None
    assert both.identity.principal_id is not None
    assert set(both.identity.user_assigned_identities or {}) == {identity("id1"), identity("id2")}


def test_a_poller_waits_for_the_end(azure: Azure, compute: ComputeManagementClient) -> None:
    """While the operation runs the poller says so; its result is the machine as it then is."""
    azure.world.faults = Faults(operation_delay=0.5)
    azure.world.clock.speed = 0
    poller = compute.virtual_machines.begin_update("rg", "vm", update("id1"))

    assert poller.status() == "InProgress"
    azure.world.clock.forward(1)
    updated = poller.result()
    assert (poller.status(), updated.provisioning_state) == ("Succeeded", "Succeeded")
    assert updated.identity is not None
    (entry,) = (updated.identity.user_assigned_identities or {}).values()
    assert entry.principal_id is not None


def test_an_entity_tag_protects_a_machine(compute: ComputeManagementClient) -> None:
    """A write under an old tag is refused, under the current one accepted."""
    machines = compute.virtual_machines
    before = machines.get("rg", "vm").etag
    machines.begin_update(
        "rg", "vm", update("id1"), etag=before, match_condition=MatchConditions.IfNotModified
    ).result()

    assert machines.get("rg", "vm").etag != before
    with pytest.raises(ResourceModifiedError) as caught:
        machines.begin_update(
            "rg", "vm", update("id2"), etag=before, match_condition=MatchConditions.IfNotModified
        )
    assert caught.value.status_code == 412


def test_a_machine_is_stopped_and_started(compute: ComputeManagementClient) -> None:
    """Each action is an operation; the instance view shows the power state."""
    machines = compute.virtual_machines
    seen = []
    for act in (
        machines.begin_power_off,
        machines.begin_start,
        machines.begin_restart,
        machines.begin_deallocate,
    ):
        act("rg", "vm").result()
        view = machines.get("rg", "vm", expand="instanceView").instance_view
        assert view is not None
        seen.append([each.code for each in view.statuses or ()][-1])

    assert [each.partition("/")[2] for each in seen if each] == [
        "stopped",
        "running",
        "running",
        "deallocated",
    ]


def test_an_extension_lives_and_dies(compute: ComputeManagementClient) -> None:
    """Create, read, list and delete below a machine."""
    extensions = compute.virtual_machine_extensions
    wanted = VirtualMachineExtension(
        location="westus",
        properties=VirtualMachineExtensionProperties(
            publisher="Microsoft.Azure.Extensions", type="CustomScript", type_handler_version="2.1"
        ),
    )
    made = extensions.begin_create_or_update("rg", "vm", "script", wanted).result()

    assert made.provisioning_state == "Succeeded"
    assert extensions.get("rg", "vm", "script").publisher == "Microsoft.Azure.Extensions"
    assert [each.name for each in extensions.list("rg", "vm").value or ()] == ["script"]
    extensions.begin_delete("rg", "vm", "script").result()
    with pytest.raises(ResourceNotFoundError):
        extensions.get("rg", "vm", "script")
