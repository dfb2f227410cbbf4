"""Tenants, subscriptions, providers and the endpoints of the cloud."""

from tests.sandbox.arm import SEED, SUB, SUBSCRIPTION, Arm, error, identity


def test_the_tenant_and_its_subscriptions(arm: Arm) -> None:
    """Those that the caller may read, with what clients need to sign in to."""
    assert [each["tenantId"] for each in arm.get("/tenants")["value"]] == [arm.world.tenant]
    (found,) = arm.get("/subscriptions")["value"]
    assert found == arm.get(SUB)
    assert (found["displayName"], found["state"]) == ("lab", "Enabled")

    arm.called_by(arm.principal("stranger"))
    assert arm.get("/subscriptions")["value"] == []


def test_the_regions_of_a_subscription(arm: Arm) -> None:
    """Each by both of its names; who may not read the subscription does not see them."""
    found = arm.get(f"{SUB}/locations")["value"]
    west = {each["name"]: each for each in found}["westus2"]
    assert (west["id"], west["displayName"]) == (f"{SUB}/locations/westus2", "West US 2")

    arm.called_by(arm.principal("stranger"))
    assert error(arm.call("GET", f"{SUB}/locations")) == (403, "AuthorizationFailed")


def test_providers_tell_types_and_versions(arm: Arm) -> None:
    """Clients that are not told a version look it up there."""
    listed = [each["namespace"] for each in arm.get(f"{SUB}/providers")["value"]]
    assert {"Microsoft.Compute", "Microsoft.ManagedIdentity"} <= set(listed)
    compute = arm.get(f"{SUB}/providers/microsoft.compute")
    assert compute["registrationState"] == "Registered"
    types = {each["resourceType"]: each["apiVersions"] for each in compute["resourceTypes"]}
    assert types["virtualMachines"]
    assert arm.call("POST", f"{SUB}/providers/Microsoft.Compute/register").json() == compute

    assert error(arm.call("GET", f"{SUB}/providers/Microsoft.Nothing")) == (
        404,
        "InvalidResourceNamespace",
    )


def test_a_namespace_is_registered_in_a_while(arm: Arm) -> None:
    """It ends as Unregistered, begins as Registering, and to register again changes nothing."""
    path = f"{SUB}/providers/Microsoft.Compute"

    def state() -> str:
        found: str = arm.get(path)["registrationState"]
        return found

    assert arm.call("POST", f"{path}/register").json()["registrationState"] == "Registered"
    assert arm.call("POST", f"{path}/unregister").json()["registrationState"] == "Unregistering"
    arm.clock.forward(1)
    assert state() == "Unregistered"
    assert arm.call("POST", f"{path}/register").json()["registrationState"] == "Registering"
    arm.clock.forward(1)
    assert state() == "Registered"


def test_writes_need_a_registered_namespace() -> None:
    """409 names the namespace; reads, deletions and namespaces that need none pass."""
    missing = [{"id": SUBSCRIPTION, "unregistered": ["Microsoft.ManagedIdentity"]}]
    arm = Arm({**SEED, "subscriptions": missing})
    refused = arm.call("PUT", identity("id3"), {"location": "westeurope"})

    assert error(refused) == (409, "MissingSubscriptionRegistration")
    (detail,) = refused.json()["error"]["details"]
    assert detail["target"] == "Microsoft.ManagedIdentity"
    assert arm.get(identity("id1"))
    assert arm.attach("id1").status_code == 200
    path = f"{SUB}/providers/Microsoft.ManagedIdentity"
    assert arm.get(path)["registrationState"] == "NotRegistered"
    assert arm.call("POST", f"{path}/register").status_code == 200
    made = arm.call("PUT", identity("id3"), {"location": "westeurope"})
    assert made.status_code == 201

    free = f"{SUB}/providers/Microsoft.Authorization"
    assert arm.get(free)["registrationPolicy"] == "RegistrationFree"
    assert error(arm.call("POST", f"{free}/unregister")) == (400, "UnsupportedBySandbox")


def test_a_cloud_is_registered_from_its_endpoints(arm: Arm) -> None:
    """Anybody may read them, in the form of the version asked for."""
    url = "https://management.azure.com/metadata/endpoints?api-version="
    old = arm.session.get(url + "2015-01-01").json()
    (listed,) = arm.session.get(url + "2019-05-01").json()
    new = arm.session.get(url + "2022-09-01").json()

    assert old["authentication"]["loginEndpoint"] == "https://management.azure.com"
    assert new == listed
    assert new["resourceManager"] == "https://management.azure.com"
    assert new["authentication"]["audiences"] == old["authentication"]["audiences"]
