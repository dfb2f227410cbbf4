"""Whatever names the app's own storage account and home, they are nobody's; nor are its names."""

import pytest

from reconciler.changes import Hold
from tests.world.cloud import Cloud, blocked, holds
from tests.world.ids import APPS, ASSIGNMENTS, DATA, HOME, IDENTITIES, VM, identity
from tests.world.policies import Content, guardrails, policy, rule
from tests.world.sweeps import GRAPH, OWN

STORE = f"{DATA}/providers/Microsoft.Storage/storageAccounts/stapp"
KEY = "a2V5"
FORMS: dict[str, dict[str, str]] = {
    "connection string": {
        "AzureWebJobsStorage": f"DefaultEndpointsProtocol=https;AccountName=stapp;AccountKey={KEY};"
        "EndpointSuffix=core.windows.net"
    },
    "endpoint in a connection string": {
        "AzureWebJobsStorage": f"QueueEndpoint=https://stapp.queue.core.windows.net;AccountKey={KEY}"
    },
    "account name": {"AzureWebJobsStorage__accountName": "stapp"},
    "queue service": {
        "AzureWebJobsStorage__queueServiceUri": "https://stapp.queue.core.windows.net"
    },
}


def reading(scope: str) -> Content:
    """Return policy by which each machine reads a scope, and nothing else."""
    grants = {"grants": [{"role": "Reader", "scope": scope}]}
    return policy(rule(attach=[], system=grants), identities={})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scope", [STORE, DATA])
def test_every_form_of_the_storage_settings_names_the_account(
    cloud: Cloud, form: str, scope: str
) -> None:
    """Whoever may write there may write requests and the package, wherever it lies."""
    body = {"location": "westeurope"}
    assert cloud.operator.call("PUT", STORE, body, version="2023-05-01").status_code in {200, 202}
    cloud.pass_time(60)
    cloud.deploy(reading(scope), None, None, **FORMS[form])
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == set()
    assert holds(cloud.replan()) == {Hold.HOME}


@pytest.mark.parametrize("form", FORMS)
def test_an_account_that_was_found_closes_nothing_else(cloud: Cloud, form: str) -> None:
    """It is sought once an hour, with one question."""
    body = {"location": "westeurope"}
    assert cloud.operator.call("PUT", STORE, body, version="2023-05-01").status_code in {200, 202}
    cloud.pass_time(60)
    cloud.deploy(reading(APPS), None, None, **FORMS[form])
    cloud.drive(VM)
    cloud.pass_time(60)
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == OWN
    assert sum(GRAPH in call.path for call in cloud.wire.calls) == 1


def test_nothing_is_created_at_home(cloud: Cloud) -> None:
    """`ensure: present` may name an identity there; the machine is not given it either."""
    there = f"{HOME}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/new"
    entry = {"id": there, "mode": "repair", "ensure": "present", "location": "westeurope"}
    cloud.deploy(
        policy(rule(attach=["new"]), identities={"new": entry}),
        guardrails(identities=[IDENTITIES, HOME]),
    )
    cloud.drive(VM)
    cloud.sweep()

    assert there.lower() not in cloud.world.resources
    assert not [call for call in cloud.wire.writes if "/rg-reconciler/" in call.path]
    assert cloud.attached() == {"system"}
    assert Hold.HOME in holds(cloud.replan())


@pytest.mark.parametrize("place", [VM, identity("shared")])
def test_a_name_that_is_taken_elsewhere_is_no_reason_to_go_without(
    cloud: Cloud, place: str
) -> None:
    """Ours can be computed by whoever may write assignments anywhere in the tenant."""
    cloud.build()
    principal = cloud.principal(place)
    wanted = [("acdd72a7-3385-48ef-bd42-f606fba81ae7", APPS)]
    if place != VM:
        wanted = [("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", DATA)]
    squatter = cloud.world.new_principal("squatter").oid
    ((role, scope),) = wanted
    name = cloud.our_name(principal, role, scope)
    elsewhere = cloud.grant(squatter, scope=identity("foreign"), name=name)
    cloud.drive(place)
    ours = cloud.right(principal)

    assert (ours.role, ours.scope) == (role, scope)
    assert ours.name != name
    assert ours.description == cloud.mark(place)
    assert elsewhere in cloud.world.assignments
    assert cloud.replan(place).compliant

    # Found again by its scope's list, whatever it is called: nothing is written twice.
    cloud.wire.calls.clear()
    cloud.deploy()
    cloud.drive(place)
    assert cloud.wire.writes == []
    assert cloud.right(principal) == ours


def test_a_right_under_a_random_name_is_replaced_and_retired_like_any_other(cloud: Cloud) -> None:
    """Its deletion, its machine's rebuild and a withdrawal are noticed all the same."""
    cloud.build()
    first = cloud.principal()
    squatter = cloud.world.new_principal("squatter").oid
    cloud.grant(squatter, scope=identity("foreign"), name=cloud.our_name(first))
    cloud.drive(VM, identity("shared"))
    cloud.pass_time(3600)
    right = cloud.right(first)
    cloud.world.remove_assignment(right)
    cloud.pass_time(60)
    cloud.drive(f"{APPS}{ASSIGNMENTS}/{right.name}")
    assert cloud.rights(first) == OWN

    cloud.build()
    cloud.drive(VM)
    assert cloud.rights(first) == set()
    assert cloud.rights(cloud.principal()) == OWN


def test_a_name_that_another_role_of_the_same_principal_bears_is_taken_too(cloud: Cloud) -> None:
    """Only its owner may move that one; ours gets another name."""
    cloud.build()
    principal = cloud.principal()
    cloud.grant(
        principal, role="2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", name=cloud.our_name(principal)
    )
    cloud.drive(VM)

    assert ("Reader", "rg-app") in cloud.rights(principal)
    assert blocked([cloud.look(VM)]) == []
