"""The management clients of the conformance group work unmodified, long-running calls included."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport

from sandbox.azure import tokens
from tests.conftest import require
from tests.sandbox.arm import GROUP, MACHINE, SUBSCRIPTION, Arm, identity


@pytest.fixture
def arm() -> Arm:
    """A world whose operations end at once, since real pollers really wait."""
    return Arm(operation_delay=0)


@pytest.fixture
def transport(arm: Arm) -> Iterator[RequestsTransport]:
    """azure-core's own transport over the in-process session."""
    with RequestsTransport(session=arm.session, session_owner=False) as made:
        yield made


def client(arm: Arm, transport: RequestsTransport, module: str, name: str, *more: str) -> Any:  # noqa: ANN401 - the clients are optional, so no type is known
    """Return a published client; the test is skipped where it is not installed."""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        found = None
    require(found, f"{module} of the conformance group")
    return getattr(found, name)(tokens.credential(arm.world), *more, transport=transport)


def test_machines_by_their_sdk(arm: Arm, transport: RequestsTransport) -> None:
    """Create, patch, restart and delete, each polled to its end."""
    compute = client(
        arm, transport, "azure.mgmt.compute", "ComputeManagementClient", SUBSCRIPTION
    ).virtual_machines
    block = {
        "type": "SystemAssigned, UserAssigned",
        "userAssignedIdentities": {identity("id1"): {}},
    }
    patched = compute.begin_update("rg", "vm", {"identity": block}).result()
    compute.begin_create_or_update("rg", "new", {"location": "westus"}).result()
    compute.begin_restart("rg", "new").result()

    assert patched.identity.principal_id
    assert [each.name for each in compute.list_all()] == ["vm", "new"]
    compute.begin_delete("rg", "new").result()
    assert [each.name for each in compute.list("rg")] == ["vm"]


def test_groups_and_resources_by_their_sdk(arm: Arm, transport: RequestsTransport) -> None:
    """Generic lists and reads, existence, and a group's deletion."""
    resource = client(
        arm, transport, "azure.mgmt.resource.resources", "ResourceManagementClient", SUBSCRIPTION
    )
    resource.resource_groups.create_or_update("x", {"location": "westus"})

    assert resource.resource_groups.check_existence("x")
    resource.resource_groups.begin_delete("x").result()
    assert not resource.resource_groups.check_existence("x")
    text = "resourceType eq 'Microsoft.Compute/virtualMachines'"
    assert [each.id for each in resource.resources.list(filter=text)] == [MACHINE]
    assert resource.resources.get_by_id(MACHINE, api_version="2024-07-01").name == "vm"


def test_resource_graph_by_its_sdk(arm: Arm, transport: RequestsTransport) -> None:
    """Rows come as objects; a query that is not understood is an HTTP error."""
    graph = client(arm, transport, "azure.mgmt.resourcegraph", "ResourceGraphClient")
    query = "resources | where type =~ 'microsoft.compute/virtualmachines' | project id"
    found = graph.resources({"subscriptions": [SUBSCRIPTION], "query": query})

    assert found.data == [{"id": MACHINE}]
    assert found.data[0]["id"].startswith(GROUP)
    with pytest.raises(HttpResponseError, match="summarize"):
        graph.resources({"subscriptions": [SUBSCRIPTION], "query": "resources | summarize x"})
