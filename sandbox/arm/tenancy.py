"""The tenant and its subscriptions, as far as the caller may see them."""

from sandbox.arm import regions
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes

routes = Routes()

_SUBSCRIPTION = "/subscriptions/<subscription>"


@routes.route("GET", "/tenants", Evidence.DOCUMENTED, "REST: Tenants - List", action="")
def list_tenants(call: Call) -> Reply:
    """List the one tenant."""
    tenant = call.world.tenant
    shown = {
        "id": f"/tenants/{tenant}",
        "tenantId": tenant,
        "countryCode": "NL",
        "displayName": "Sandbox",
        "domains": ["sandbox.onmicrosoft.com"],
        "tenantCategory": "Home",
        "defaultDomain": "sandbox.onmicrosoft.com",
        "tenantType": "AAD",
    }
    return Reply(200, {"value": [shown]})


def _subscription(call: Call, subscription: str) -> Json:
    return {
        "id": f"/subscriptions/{subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription,
        "tenantId": call.world.tenant,
        "displayName": call.world.subscriptions[subscription],
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


@routes.route("GET", "/subscriptions", Evidence.DOCUMENTED, "REST: Subscriptions - List", action="")
def list_subscriptions(call: Call) -> Reply:
    """List the subscriptions that the caller may read."""
    action = "Microsoft.Resources/subscriptions/read"
    visible = [
        _subscription(call, each)
        for each in call.world.subscriptions
        if call.may(action, f"/subscriptions/{each}")
    ]
    return Reply(200, {"value": visible, "count": {"type": "Total", "value": len(visible)}})


@routes.route("GET", _SUBSCRIPTION, Evidence.DOCUMENTED, "REST: Subscriptions - Get")
def get_subscription(call: Call) -> Reply:
    """Return one subscription."""
    return Reply(200, _subscription(call, call.args["subscription"]))


@routes.route(
    "GET",
    f"{_SUBSCRIPTION}/locations",
    Evidence.RECORDED,
    "azure-cli test_functionapp_vnet_integration_consumption_plan, but for the geography",
    action="Microsoft.Resources/subscriptions/locations/read",
)
def list_locations(call: Call) -> Reply:
    """List the regions by their names; where on earth they are is left out."""
    found = [
        {
            "id": f"/subscriptions/{call.id.subscription}/locations/{name}",
            "name": name,
            "displayName": shown,
            "metadata": {"regionType": "Physical"},
        }
        for name, shown in regions.everywhere().items()
    ]
    return Reply(200, {"value": found})
