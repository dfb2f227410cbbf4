"""Each row of the table of resource types is complete, and all of it is used."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from reconciler import resource_types
from reconciler.apply import Applier
from reconciler.azure import parsing
from reconciler.azure.client import Arm
from reconciler.changes import AttachIdentity, Change, DetachIdentity, Reason
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    AttachedIdentity,
    IdentityBlock,
    Resource,
)
from reconciler.resource_types import CARRIERS, TABLE, IdentityPatch, ResourceType
from tests.properties.wire import Answer, Azure, seam
from tests.world.builders import APP, OF_APP, SECOND

GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg"
MACHINE = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
JSON = {"Content-Type": "application/json"}

ATTACHING: dict[IdentityPatch, dict[str, Any]] = {
    IdentityPatch.DELTA: {"type": "UserAssigned", "userAssignedIdentities": {str(SECOND): {}}},
}
"""The block that attaches an identity beside one that is there, by the form that a type takes."""

DETACHING: dict[IdentityPatch, dict[str, Any]] = {
    IdentityPatch.DELTA: {"type": "UserAssigned", "userAssignedIdentities": {str(APP): None}},
}
"""The block that detaches one of two."""


def place(row: ResourceType) -> ResourceId:
    """Return the id of a resource of a type."""
    provider, *types = row.name.split("/")
    segments = "/".join(f"{type_name}/x" for type_name in types)
    return ResourceId.parse(f"{GROUP}/providers/{provider}/{segments}")


def with_members(members: dict[str, object]) -> dict[str, Any]:
    """Return JSON that holds each value at its path."""
    body: dict[str, Any] = {}
    for path, value in members.items():
        *above, key = path.split(".")
        part = body
        for name in above:
            part = part.setdefault(name, {})
        part[key] = value
    return body


def named(row: ResourceType) -> str:
    """Return how a row is called in a test's id."""
    return row.name


carriers = pytest.mark.parametrize("row", CARRIERS.values(), ids=named)


@pytest.fixture
def azure() -> Azure:
    """What stands in for Azure."""
    return Azure()


@pytest.fixture
def arm(azure: Azure) -> Iterator[Arm]:
    """The seam over it."""
    made = seam(azure)
    yield made
    made.close()


def content(request: requests.PreparedRequest) -> Any:  # noqa: ANN401 (JSON)
    """Return what a call sends."""
    return json.loads(request.body or b"null")


def version(request: requests.PreparedRequest) -> str:
    """Return the api-version of a call."""
    (text,) = parse_qs(urlsplit(request.url or "").query)["api-version"]
    return text


def test_each_type_has_one_row_that_names_what_it_rests_on() -> None:
    """Whoever doubts a row can look it up."""
    assert len({fold(row.name) for row in TABLE}) == len(TABLE)
    assert all(row.evidence for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=named)
def test_a_row_is_found_whatever_the_case(row: ResourceType) -> None:
    """Azure spells types as it likes."""
    assert resource_types.find(row.name) is row
    assert resource_types.find(row.name.upper()) is row


@pytest.mark.parametrize("row", TABLE, ids=named)
def test_a_type_whose_identities_are_written_is_read_as_well(row: ResourceType) -> None:
    """What may be patched has an api-version, may carry what is attached, and shows an incarnation.

    Without the last, a PATCH that meets the next resource under the same id would go unnoticed.
    """
    if row.patch:
        assert row in CARRIERS.values()
        assert row.incarnation


@carriers
def test_all_that_a_row_names_is_read(row: ResourceType) -> None:
    """Each member from its own place."""
    members: dict[str, object] = {
        row.state: "Updating",
        row.parent: "/subscriptions/s",
        **({row.incarnation: "first"} if row.incarnation else {}),
        **({row.created: "2026-01-01T00:00:00Z"} if row.created else {}),
        **({row.children: [with_members({row.state: "Creating"})]} if row.children else {}),
    }
    read = parsing.resource({"id": str(place(row)), **with_members(members)})

    assert read.state == "Updating"
    assert read.managed_by == "/subscriptions/s"
    assert read.incarnation == ("first" if row.incarnation else None)
    assert read.created == (datetime(2026, 1, 1, tzinfo=UTC) if row.created else None)
    assert read.deploying == bool(row.children)


@carriers
def test_what_a_resource_does_not_show_is_empty(row: ResourceType) -> None:
    """A state that is not shown is that of a write which has succeeded."""
    assert parsing.resource({"id": str(place(row))}) == Resource(place(row))


@carriers
def test_a_type_is_called_under_its_own_api_version(
    azure: Azure, arm: Arm, row: ResourceType
) -> None:
    """Another may show, or take, another identity block."""
    resource = place(row)
    azure.answer = Answer(200, json.dumps({"id": str(resource)}).encode(), JSON)
    arm.resource(resource)
    if row.patch:
        arm.patch_identities(Resource(resource), {"type": "SystemAssigned"})

    assert {version(sent) for sent in azure.sent} == {row.api_version}


def test_an_identity_is_called_under_its_own_api_version(azure: Azure, arm: Arm) -> None:
    """Its client is the SDK's, which has a version of its own."""
    body = {"id": str(APP), "properties": {"principalId": OF_APP}}
    azure.answer = Answer(200, json.dumps(body).encode(), JSON)
    arm.user_identity(APP)

    (sent,) = azure.sent
    assert version(sent) == resource_types.find(USER_ASSIGNED_IDENTITY).api_version


@carriers
@pytest.mark.parametrize("attach", [True, False], ids=["attach", "detach"])
def test_identities_are_written_in_the_form_that_a_type_takes(
    azure: Azure,
    arm: Arm,
    row: ResourceType,
    *,
    attach: bool,
) -> None:
    """Never in one that could take away what another attached."""
    resource = place(row)
    if row.patch is None or not row.user_assigned:
        return
    there = (APP,) if attach else (APP, SECOND)
    block = IdentityBlock(attached=tuple(AttachedIdentity(one, OF_APP) for one in there))
    change: Change = AttachIdentity(resource, SECOND)
    if not attach:
        change = DetachIdentity(resource, APP, Reason.NOT_ALLOWED)
    azure.answer = Answer(200, json.dumps({"id": str(resource)}).encode(), JSON)
    Applier(arm, Resource(resource, identities=block), confirmed=True).apply([change])

    (sent,) = azure.sent
    forms = ATTACHING if attach else DETACHING
    assert (sent.method, content(sent)) == ("PATCH", {"identity": forms[row.patch]})


@pytest.mark.parametrize(
    "type_name", ["Microsoft.Web/sites", "Microsoft.Compute/disks", "Microsoft.X/y"]
)
def test_what_is_not_reconciled_is_neither_read_nor_written(
    azure: Azure, arm: Arm, type_name: str
) -> None:
    """Whether it has a row, as a place of grants, or none."""
    resource = ResourceId.parse(f"{GROUP}/providers/{type_name}/x")
    with pytest.raises(AssertionError):
        arm.resource(resource)
    with pytest.raises(AssertionError):
        arm.patch_identities(Resource(resource), {"type": "None"})

    assert azure.sent == []


@pytest.mark.parametrize(
    ("text", "reconciled"),
    [
        (MACHINE, True),
        (MACHINE.upper(), True),
        (str(APP), True),
        (f"{MACHINE}/extensions/agent", False),
        (f"{MACHINE}/providers/Microsoft.Compute/virtualMachines/vm-2", False),
        (f"{GROUP}/providers/Microsoft.Compute/disks/d", False),
        ("/subscriptions/s/providers/Microsoft.Compute/virtualMachines/vm-1", False),
        ("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app", False),
        (GROUP, False),
        ("/subscriptions/s", False),
        ("/", False),
    ],
)
def test_only_machines_and_identities_in_a_group_are_reconciled(
    text: str,
    reconciled: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """What a message names below another resource, or outside any group, is neither."""
    assert resource_types.is_reconciled(ResourceId.parse(text)) is reconciled


@pytest.mark.parametrize(
    ("state", "passing"),
    [
        ("Creating", True),
        ("updating", True),
        ("DELETING", True),
        ("Succeeded", False),
        ("Failed", False),
        ("Canceled", False),
        ("", False),
    ],
)
def test_only_a_write_under_way_is_a_passing_state(
    state: str,
    passing: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """A failed resource stays as it is until somebody writes to it, so nothing waits for it."""
    assert resource_types.is_passing(state) is passing
