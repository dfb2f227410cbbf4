"""Headers by which clients find their requests again, and by which they make them conditional."""

import pytest

from tests.world.arm import GROUP, MACHINE, Arm, error, identity
from tests.world.ids import SUB

NAME = "88888888-0000-0000-0000-000000000000"


def test_a_client_gets_its_own_ids_back(arm: Arm) -> None:
    """The correlation id always, its request id where it asks for it."""
    sent = {"x-ms-correlation-request-id": NAME, "x-ms-client-request-id": "mine"}

    plain = arm.call("GET", GROUP, headers=sent).headers
    assert plain["x-ms-correlation-request-id"] == NAME
    assert plain["x-ms-request-id"] != NAME
    assert "x-ms-client-request-id" not in plain
    asked = sent | {"x-ms-return-client-request-id": "true"}
    assert arm.call("GET", GROUP, headers=asked).headers["x-ms-client-request-id"] == "mine"


def test_events_tell_the_clients_correlation(arm: Arm) -> None:
    """Its id joins a client's requests with what came of them."""
    told: list[str] = []
    arm.world.feed.subscribe(lambda event: told.append(event["data"]["correlationId"]))

    arm.call("PUT", GROUP, {"location": "x"}, headers={"x-ms-correlation-request-id": NAME})
    assert told == [NAME]


def test_a_creation_can_be_kept_from_replacing(arm: Arm) -> None:
    """If-None-Match: * lets a machine be created and not be written anew."""
    only_new = {"If-None-Match": "*"}
    body = {"location": "westeurope"}

    assert error(arm.call("PUT", MACHINE, body, headers=only_new)) == (412, "PreconditionFailed")
    assert arm.call("PUT", f"{MACHINE}2", body, headers=only_new).status_code == 201


def test_a_refused_head_has_neither_body_nor_length(arm: Arm) -> None:
    """azure-cli test_resource_group: 404 with a length of 0."""
    refused = arm.call("HEAD", f"{GROUP}2")

    assert (refused.status_code, refused.headers["content-length"]) == (404, "0")
    assert arm.call("HEAD", GROUP).status_code == 204


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{MACHINE}2", "ResourceNotFound"),
        (identity("id9"), "ResourceNotFound"),
        (f"{GROUP}/providers/Microsoft.Storage/storageAccounts/none", "ResourceNotFound"),
        (f"{MACHINE}/extensions/none", "ResourceNotFound"),
        (f"{MACHINE}2/extensions/none", "ParentResourceNotFound"),
        (f"{GROUP}2", "ResourceGroupNotFound"),
        (MACHINE.replace("/rg/", "/rg2/"), "ResourceGroupNotFound"),
        (f"{GROUP}2/providers/Microsoft.Authorization/roleAssignments", "ResourceGroupNotFound"),
        (f"{SUB[:-1]}9/resourceGroups/rg", "SubscriptionNotFound"),
    ],
)
def test_what_its_own_index_lacks_resource_manager_refuses(arm: Arm, path: str, code: str) -> None:
    """The header says that no provider was asked (facts: Errors and Visibility, recorded)."""
    answer = arm.call("GET", path, version="2022-04-01")

    assert error(answer) == (404, code)
    assert answer.headers["x-ms-failure-cause"] == "gateway"


def test_a_providers_404_has_no_such_header(arm: Arm) -> None:
    """Compute's of an evicted machine, Authorization's of a right, Event Grid's."""
    machine = arm.world.resources[MACHINE.lower()]
    with arm.world.transaction():
        arm.world.evict(machine, deletes=True)
    right = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{NAME}"
    hook = f"{SUB}/providers/Microsoft.EventGrid/eventSubscriptions/none"

    for path in (MACHINE, right, hook):
        answer = arm.call("GET", path, version="2022-04-01")
        assert answer.status_code == 404
        assert "x-ms-failure-cause" not in answer.headers
