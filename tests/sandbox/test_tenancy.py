"""The tenant, its subscriptions and the endpoints of the cloud."""

from tests.world.arm import SEED, Arm, error, identity
from tests.world.ids import SUB, SUBSCRIPTION


def test_the_tenant_and_its_subscriptions_are_listed(arm: Arm) -> None:
    """Those that the caller may read, with what clients need to sign in to."""
    assert [each["tenantId"] for each in arm.get("/tenants")["value"]] == [arm.world.tenant]
    (found,) = arm.get("/subscriptions")["value"]
    assert found == arm.get(SUB)
    assert (found["displayName"], found["state"]) == ("lab", "Enabled")

    arm.called_by(arm.principal("stranger"))
    assert arm.get("/subscriptions")["value"] == []


def test_a_write_to_an_unregistered_namespace_is_refused() -> None:
    """409 names the namespace; reads, deletions and writes elsewhere pass."""
    missing = [{"id": SUBSCRIPTION, "unregistered": ["Microsoft.ManagedIdentity"]}]
    arm = Arm({**SEED, "subscriptions": missing})
    refused = arm.call("PUT", identity("id3"), {"location": "westeurope"})

    assert error(refused) == (409, "MissingSubscriptionRegistration")
    (detail,) = refused.json()["error"]["details"]
    assert detail["target"] == "Microsoft.ManagedIdentity"
    assert arm.get(identity("id1"))
    assert arm.attach("id1").status_code == 200
    assert arm.call("DELETE", identity("id2")).status_code == 200


def test_a_cloud_is_registered_from_its_endpoints(arm: Arm) -> None:
    """Anybody may read them, in the form of the version asked for."""
    url = "https://management.azure.com/metadata/endpoints?api-version="
    old = arm.session.get(url + "2015-01-01").json()
    new = arm.session.get(url + "2022-09-01").json()

    assert old["authentication"]["loginEndpoint"] == "https://management.azure.com"
    assert new["resourceManager"] == "https://management.azure.com"
    assert new["authentication"]["audiences"] == old["authentication"]["audiences"]
