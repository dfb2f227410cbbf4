"""No right may reach the app itself: whoever writes there acts as the app."""

from pathlib import Path

import pytest

from reconciler.changes import Hold
from tests.world.cloud import Cloud, holds
from tests.world.ids import APPS, DATA, HOME, IDENTITIES, SHARED, SUB, SUBSCRIPTION, VM
from tests.world.policies import SEED, Content, guardrails, policy, rule

ELSEWHERE = "99999999-9999-9999-9999-999999999999"
FAR_HOME = f"/subscriptions/{ELSEWHERE}/resourceGroups/rg-reconciler"
GROUPS = "/providers/Microsoft.Management/managementGroups"
OWN = f"{HOME}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reconciler"
STORE = f"{DATA}/providers/Microsoft.Storage/storageAccounts/stapp"
READS = {("Reader", "rg-app")}


def tenant(folder: Path, *subscriptions: str) -> Cloud:
    """Return a tenant of three management groups: corp holds all below it, lab one of them."""
    return Cloud(
        folder,
        subscriptions=[{"id": one, "name": one[:4]} for one in subscriptions],
        managementGroups=[
            {"name": "corp", "subscriptions": []},
            {"name": "lab", "parent": "corp", "subscriptions": [SUBSCRIPTION]},
            {"name": "other", "subscriptions": []},
        ],
        assignments=[
            {"scope": f"{GROUPS}/{one}", "role": "Owner", "principal": "reconciler"}
            for one in ("corp", "other")
        ],
    )


def writes(*scopes: str) -> tuple[Content, Content]:
    """Return policy that grants Contributor at some scopes, and guardrails that allow it."""
    grants = [{"role": "Contributor", "scope": scope} for scope in scopes]
    rails = [{"scope": one, "roles": ["Contributor"], "privileged": True} for one in scopes]
    content = policy(rule(attach=[], system={"grants": grants}), identities={})
    return content, guardrails(grants=rails)


@pytest.mark.parametrize("group", ["corp", "lab", "CORP"])
def test_a_management_group_above_the_app_is_refused(tmp_path: Path, group: str) -> None:
    """A right there reaches every resource below it; the machine writes nothing of the app's."""
    cloud = tenant(tmp_path, SUBSCRIPTION)
    cloud.deploy(*writes(f"{GROUPS}/{group}"))
    cloud.drive(VM)
    cloud.sweep()

    assert cloud.rights(cloud.principal()) == set()
    assert holds(cloud.replan()) == {Hold.HOME}
    holder = cloud.world.principals[cloud.principal()]
    cloud.operator.called_by(holder)
    path = f"{HOME}/providers/Microsoft.Storage/storageAccounts/streconciler"
    answer = cloud.operator.call("PUT", path, {"location": "westeurope"}, version="2023-05-01")
    assert answer.status_code == 403


def test_a_management_group_beside_the_app_is_not(tmp_path: Path) -> None:
    """Where the app's subscription names its ancestors, what is none of them is allowed."""
    cloud = tenant(tmp_path, ELSEWHERE, SUBSCRIPTION)
    cloud.deploy(*writes(f"{GROUPS}/lab"), RECONCILER_HOME=FAR_HOME)
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == {("Contributor", "lab")}


@pytest.mark.parametrize("home", [FAR_HOME, f"{FAR_HOME} {HOME}"])
def test_where_the_app_lives_is_not_known_every_management_group_is_above(
    tmp_path: Path, home: str
) -> None:
    """A subscription that cannot be read names no ancestors."""
    cloud = tenant(tmp_path, SUBSCRIPTION)
    cloud.deploy(*writes(f"{GROUPS}/other"), RECONCILER_HOME=home.replace(" ", ","))
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == set()
    assert holds(cloud.replan()) == {Hold.HOME}


@pytest.mark.parametrize(
    "scope",
    [
        SUB,
        HOME,
        OWN,
        f"{HOME}/providers/Microsoft.Storage/storageAccounts/any",
        STORE,
        f"{STORE}/blobServices/default/containers/packages",
        DATA,
        HOME.upper()
        .replace("/SUBSCRIPTIONS", "/subscriptions")
        .replace("RESOURCEGROUPS", "resourceGroups"),
    ],
)
def test_what_holds_the_app_or_lies_in_it_is_refused(cloud: Cloud, scope: str) -> None:
    """Its group, identity and storage account wherever they lie, and what contains one."""
    cloud.operator.call("PUT", STORE, {"location": "westeurope"}, version="2023-05-01")
    cloud.deploy(*writes(scope), None, AzureWebJobsStorage__accountName="stapp")
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == set()
    assert holds(cloud.replan()) == {Hold.HOME}


def test_a_storage_account_that_is_not_found_closes_what_could_hold_it(cloud: Cloud) -> None:
    """Subscriptions and groups; the machine's own group still may not be given away."""
    cloud.deploy(*writes(APPS), None, AzureWebJobsStorage__accountName="stlost")
    cloud.drive(VM)

    assert cloud.rights(cloud.principal()) == set()
    assert holds(cloud.replan()) == {Hold.HOME}


@pytest.mark.parametrize(
    "place", [OWN, OWN.replace("userAssignedIdentities/reconciler", "userAssignedIdentities/host")]
)
def test_an_identity_that_lives_at_home_is_nobodys(cloud: Cloud, place: str) -> None:
    """The host's can write the package; neither attached, nor granted to, nor made."""
    if place != OWN:
        body = {"location": "westeurope"}
        assert cloud.operator.call("PUT", place, body, version="2024-11-30").status_code == 201
    before = cloud.rights(cloud.principal(place))
    entry = {"id": place, "mode": "repair", "grants": [{"role": "Reader", "scope": APPS}]}
    content = policy(rule(attach=["own"]), identities={"own": entry})
    cloud.deploy(content, guardrails(identities=[IDENTITIES, HOME]))
    cloud.drive(VM, place)
    cloud.sweep()

    assert cloud.attached() == {"system"}
    assert cloud.rights(cloud.principal()) == READS
    assert cloud.rights(cloud.principal(place)) == before


def test_a_machine_at_home_is_not_touched(tmp_path: Path) -> None:
    """Nothing inside the app's own group is written, whoever matches it."""
    there = VM.replace("rg-app", "rg-reconciler")
    cloud = Cloud(tmp_path, virtualMachines=[*SEED["virtualMachines"], {"id": there}])
    cloud.deploy(policy(rule(within=[SUB], attach=["shared"], system={"grants": []})))
    cloud.drive(there, VM, SHARED)
    cloud.sweep()

    assert cloud.attached(there) == set()
    assert cloud.attached() == {"system", "shared"}
    assert holds(cloud.replan(there)) == {Hold.HOME}
