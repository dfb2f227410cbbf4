"""The tenant, its subscriptions as far as the caller sees them, and where clients start from.

``az`` reads all of it while it signs in. The application also asks here, before a write, whether
the subscription is registered for the namespace.
"""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.world import World

routes = Routes()
open_routes = Routes(arm=False)


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


def _show(call: Call, subscription: str) -> Json:
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
        _show(call, subscription)
        for subscription in call.world.subscriptions
        if call.may(action, f"/subscriptions/{subscription}")
    ]
    return Reply(200, {"value": visible, "count": {"type": "Total", "value": len(visible)}})


@routes.route(
    "GET",
    "/subscriptions/<subscription>",
    Evidence.DOCUMENTED,
    "REST: Subscriptions - Get",
)
def get_subscription(call: Call) -> Reply:
    """Return one subscription."""
    return Reply(200, _show(call, call.args["subscription"]))


def refuse_unregistered(world: World, method: str, target: ids.ArmId) -> None:
    """Raise 409 for a write in a group to a namespace that is not registered (recorded).

    A seed names such namespaces; all others are registered.
    """
    namespace = target.type.partition("/")[0]
    missing = (target.subscription.lower(), namespace.lower()) in world.unregistered
    if not missing or not target.group or method not in ("PUT", "PATCH", "POST"):
        return
    message = (
        f"The subscription is not registered to use namespace '{namespace}'. See "
        "https://aka.ms/rps-not-found for how to register subscriptions."
    )
    code = "MissingSubscriptionRegistration"
    detail = {"code": code, "target": namespace, "message": message}
    raise errors.AzureError(409, code, message, details=[detail], gateway=True)


@open_routes.route(
    "GET", "/metadata/endpoints", Evidence.DOCUMENTED, "az cloud register, go-azure-sdk"
)
def endpoints(call: Call) -> Reply:
    """Return where everything is, which is here; needs no token.

    Version 2015-01-01, which ``az`` asks for, has a form of its own.
    """
    here = call.origin
    login: Json = {
        "loginEndpoint": here,
        "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
    }
    body: Json = {
        "galleryEndpoint": here,
        "graphEndpoint": here,
        "portalEndpoint": here,
        "authentication": login,
    }
    if call.query.get("api-version", "") > "2015-01-01":
        login |= {"tenant": call.world.tenant, "identityProvider": "AAD"}
        body = {
            "name": "Sandbox",
            "portal": here,
            "resourceManager": here,
            "authentication": login,
            "graph": here,
            "graphAudience": here,
            "microsoftGraphResourceId": here,
            "suffixes": {"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
        }
    return Reply(200, body)
