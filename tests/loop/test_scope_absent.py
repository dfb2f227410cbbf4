"""A right whose scope is not there is withheld; nobody asks where nothing is to be granted."""

from dataclasses import replace

import pytest

from reconciler.changes import CreateAssignment, Hold
from tests.world.cloud import Cloud, holds
from tests.world.ids import APPS, DATA, SUB, VM
from tests.world.live import Live
from tests.world.policies import Content, policy, rule
from tests.world.sweeps import GRAPH, OWN

STORE = f"{DATA}/providers/Microsoft.Storage/storageAccounts/appstore"
MISSPELT = f"{DATA}/providers/Microsoft.Storage/storageAccounts/appstor"
VAULT = f"{DATA}/providers/Microsoft.KeyVault/vaults/kv-app"
UNKNOWN = f"{DATA}/providers/Contoso.Things/things/one"
CONTAINER = f"{STORE}/blobServices/default/containers/images"
LATER = f"{SUB}/resourceGroups/rg-later"
READER = ("Reader", "appstore")


def deploy(cloud: Cloud, *scopes: str, mode: str = "repair") -> None:
    """Let each machine read its own group and some scopes; the store is there."""
    put(cloud, STORE)
    grants = [{"role": "Reader", "scope": scope} for scope in ("{resourceGroup}", *scopes)]
    content = policy(rule(attach=[], system={"grants": grants}, mode=mode), identities={})
    cloud.deploy(content)
    cloud.pass_time(60)
    cloud.wire.calls.clear()


def put(cloud: Cloud, place: str) -> None:
    """Create a resource or group."""
    body: Content = {"location": "westeurope"}
    version = "2023-01-01" if "/providers/" in place else "2021-04-01"
    assert cloud.operator.call("PUT", place, body, version=version).status_code in {200, 201, 202}
    cloud.pass_time(10)


def asked(cloud: Cloud) -> tuple[int, int]:
    """Return how often a group was read, and how often the index was asked."""
    groups = [c for c in cloud.wire.calls if c.method == "GET" and c.path.count("/") == 4]
    return len(groups), sum(GRAPH in call.path for call in cloud.wire.calls)


def withheld(cloud: Cloud) -> dict[str, str]:
    """Return the scopes that are said to be absent, each with what is said."""
    plan = cloud.replan()
    return {
        str(held.change.grant.place): held.detail
        for held in plan.withheld
        if held.hold is Hold.SCOPE_ABSENT and isinstance(held.change, CreateAssignment)
    }


def test_a_group_that_is_not_there_is_shown_and_the_rest_is_done(cloud: Cloud) -> None:
    """Nothing is written there; one GET tells."""
    deploy(cloud, LATER)
    cloud.look(VM)

    assert cloud.rights(cloud.principal()) == OWN
    assert holds(cloud.replan()) == {Hold.SCOPE_ABSENT}
    assert not [call for call in cloud.wire.writes if "rg-later" in call.path]
    assert asked(cloud)[1] == 0


def test_a_resource_that_is_not_there_is_named_with_what_is_spelled_alike(cloud: Cloud) -> None:
    """Of its type, in its group."""
    put(cloud, VAULT)
    deploy(cloud, MISSPELT, f"{VAULT}-2", f"{DATA}/providers/Microsoft.KeyVault/vaults/zzz")
    cloud.look(VM)
    found = withheld(cloud)

    assert cloud.rights(cloud.principal()) == OWN
    assert found[MISSPELT].endswith(f"there is {STORE}")
    assert found[f"{VAULT}-2"].endswith(f"there is {VAULT}")
    assert found[f"{DATA}/providers/Microsoft.KeyVault/vaults/zzz"] == ""


def test_one_question_is_for_all_scopes_of_a_plan(cloud: Cloud) -> None:
    """However many there are."""
    put(cloud, VAULT)
    deploy(cloud, STORE, VAULT, MISSPELT, f"{VAULT}-2")
    found = withheld(cloud)

    assert set(found) == {MISSPELT, f"{VAULT}-2"}
    assert asked(cloud) == (0, 1)
    cloud.drive(VM)
    assert cloud.rights(cloud.principal()) == OWN | {READER, ("Reader", "kv-app")}


@pytest.mark.parametrize("scope", [UNKNOWN, CONTAINER])
def test_what_nobody_can_judge_is_granted_and_azure_decides(cloud: Cloud, scope: str) -> None:
    """A type that the index does not show, what lies below a resource."""
    if scope == UNKNOWN:
        put(cloud, UNKNOWN)
    deploy(cloud, scope)
    cloud.look(VM)

    assert asked(cloud) == (0, 0)
    assert ("Reader", scope.rpartition("/")[2]) in cloud.rights(cloud.principal())


def test_what_nobody_can_judge_and_azure_refuses_is_blocked(cloud: Cloud) -> None:
    """Nothing is kept waiting for it."""
    deploy(cloud, UNKNOWN)
    result = cloud.look(VM)

    assert [one.code for one in result.outcomes if one.code] == ["ResourceNotFound"]
    assert cloud.rights(cloud.principal()) == OWN


@pytest.mark.parametrize("mode", ["repair", "audit"])
def test_nothing_is_asked_where_nothing_is_granted(cloud: Cloud, mode: str) -> None:
    """Neither once a right is there, nor where it is only told."""
    deploy(cloud, STORE)
    cloud.drive(VM)
    cloud.deploy(
        policy(
            rule(
                attach=[],
                mode=mode,
                system={
                    "grants": [{"role": "Reader", "scope": STORE}]
                    + ([] if mode == "repair" else [{"role": "Reader", "scope": MISSPELT}])
                },
            ),
            identities={},
        )
    )
    cloud.pass_time(7200)
    cloud.wire.calls.clear()
    cloud.look(VM)

    assert asked(cloud) == (0, 0)


def test_a_scope_that_guardrails_refuse_is_not_asked_for(cloud: Cloud) -> None:
    """It is withheld by them whether it is there or not."""
    grants = [{"role": "Reader", "scope": LATER}, {"role": "Reader", "scope": MISSPELT}]
    content = policy(rule(attach=[], system={"grants": grants}), identities={})
    cloud.deploy(content)
    # Guardrails are narrowed after policy was reviewed, which only the next load would tell.
    rails = cloud.app.policy.guardrails.model_copy(update={"grants": ()})
    cloud.app.policy = replace(cloud.app.policy, guardrails=rails)
    cloud.wire.calls.clear()

    assert holds(cloud.replan()) >= {Hold.GUARDRAILS}
    assert Hold.SCOPE_ABSENT not in holds(cloud.replan())
    assert asked(cloud) == (0, 0)


def test_what_was_there_is_not_asked_for_again_within_the_hour(cloud: Cloud) -> None:
    """A hundred machines that are granted the same thing ask once."""
    put(cloud, VAULT)
    deploy(cloud, DATA, VAULT)
    cloud.drive(VM)
    assert asked(cloud) == (1, 1)
    cloud.build()
    cloud.wire.calls.clear()
    cloud.look(VM)

    assert asked(cloud)[0] == 0
    assert {("Reader", "rg-data"), ("Reader", "kv-app")} <= cloud.rights(cloud.principal())


@pytest.mark.parametrize("scope", [LATER, f"{DATA}/providers/Microsoft.KeyVault/vaults/later"])
@pytest.mark.parametrize("hours", [0, 5])
def test_a_scope_that_appears_is_granted_by_its_own_event(
    cloud: Cloud, *, scope: str, hours: int
) -> None:
    """Its write asks for a sweep of it, which finds who is to be granted something there."""
    deploy(cloud, scope)
    live = Live(cloud)
    live.ask(VM)
    live.run(30 + 3600 * hours)
    assert set(withheld(cloud)) == {scope}
    put(cloud, scope)
    live.run(130)

    assert ("Reader", scope.rpartition("/")[2]) in cloud.rights(cloud.principal())
    assert cloud.replan().compliant


@pytest.mark.parametrize("status", [403, 429, 500, 503])
@pytest.mark.parametrize("scope", [LATER, MISSPELT])
def test_a_scope_that_cannot_be_asked_for_is_not_absent(
    cloud: Cloud, scope: str, status: int
) -> None:
    """Nothing is decided by it; the look is made again, or a person is told."""
    deploy(cloud, scope)
    cloud.wire.answer("GET", "/rg-later", status, "Refused")
    cloud.wire.answer("POST", GRAPH, status, "Refused")
    result = cloud.look(VM)

    assert result.plans == ()
    assert cloud.wire.writes == []
    assert (result.again_after is None) == (status == 403)


def test_a_scope_that_stays_absent_is_no_work_for_ever(cloud: Cloud) -> None:
    """It is looked at for a quarter of an hour, and then left to its event and to sweeps."""
    deploy(cloud, LATER)
    live = Live(cloud)
    live.ask(VM)
    live.run(1800)
    looks = len(live.results)
    live.run(6 * 3600)

    assert looks == len(live.results) < 12
    assert withheld(cloud) == {LATER: ""}
    assert APPS not in withheld(cloud)
