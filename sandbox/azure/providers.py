"""What this Azure is made of: resource providers, and the endpoints that clients start from."""

import itertools

from sandbox.azure import errors
from sandbox.azure.kinds import KINDS
from sandbox.azure.routing import Call, Evidence, Json, Reply, Routes

routes = Routes()
open_routes = Routes(arm=False)

_ALL = "/subscriptions/<subscription>/providers"
_ONE = f"{_ALL}/<namespace>"
_READ = "Microsoft.Resources/subscriptions/providers/read"
# Types with a service of their own, beside those of the table of kinds.
_SERVICES = (
    "Microsoft.Authorization/locks",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Authorization/roleDefinitions",
    "Microsoft.EventGrid/eventSubscriptions",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
    "Microsoft.ResourceGraph/resources",
    "Microsoft.Resources/subscriptions/resourceGroups",
)
# Any version is served; clients that look one up take the newest here (assumed).
_VERSIONS = {
    "microsoft.authorization": "2022-04-01",
    "microsoft.eventgrid": "2022-06-15",
    "microsoft.managedidentity": "2023-01-31",
    "microsoft.resourcegraph": "2022-10-01",
    "microsoft.resources": "2022-09-01",
}
_USUAL_VERSION = "2024-07-01"


def _provider(namespace: str, types: list[str], subscription: str) -> Json:
    versions = [_VERSIONS.get(namespace.lower(), _USUAL_VERSION)]
    return {
        "id": f"/subscriptions/{subscription}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered",
        "resourceTypes": [
            {
                "resourceType": each.partition("/")[2],
                "locations": [],
                "apiVersions": versions,
                "capabilities": "None",
            }
            for each in types
        ],
    }


def _providers(call: Call) -> dict[str, Json]:
    """Return the providers by lower-case namespace."""
    types = sorted({*_SERVICES, *(each.type for each in KINDS)})
    return {
        namespace.lower(): _provider(namespace, list(members), call.id.subscription)
        for namespace, members in itertools.groupby(types, lambda each: each.partition("/")[0])
    }


@routes.route("GET", _ALL, Evidence.DOCUMENTED, "REST: Providers - List", action=_READ)
def list_providers(call: Call) -> Reply:
    """List the providers that the sandbox knows; all are registered."""
    return Reply(200, {"value": list(_providers(call).values())})


@routes.route("GET", _ONE, Evidence.DOCUMENTED, "REST: Providers - Get", action=_READ)
def get_provider(call: Call) -> Reply:
    """Return one provider."""
    found = _providers(call).get(call.args["namespace"])
    if found is None:
        raise errors.AzureError(
            404,
            "InvalidResourceNamespace",
            f"The resource namespace '{call.args['namespace']}' is invalid.",
            gateway=True,
        )
    return Reply(200, found)


routes.route(
    "POST", f"{_ONE}/register", Evidence.DOCUMENTED, "REST: Providers - Register; nothing to do"
)(get_provider)


@open_routes.route(
    "GET", "/metadata/endpoints", Evidence.DOCUMENTED, "az cloud register, go-azure-sdk"
)
def endpoints(call: Call) -> Reply:
    """Tell where everything is: here. Needs no token.

    Version 2015-01-01 has a form of its own; the next ones list clouds, 2022-09-01 tells one.
    """
    version = call.query.get("api-version", "")
    here, tenant = call.origin, call.world.tenant
    audiences = ["https://management.core.windows.net/", "https://management.azure.com/"]
    login = {"loginEndpoint": here, "audiences": audiences}
    if version == "2015-01-01":
        body = {
            "galleryEndpoint": here,
            "graphEndpoint": here,
            "portalEndpoint": here,
            "authentication": login,
        }
        return Reply(200, body)
    cloud = {
        "name": "Sandbox",
        "portal": here,
        "resourceManager": here,
        "authentication": {**login, "tenant": tenant, "identityProvider": "AAD"},
        "graph": here,
        "graphAudience": here,
        "microsoftGraphResourceId": here,
        "suffixes": {"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
    }
    return Reply(200, cloud if version >= "2022-09-01" else [cloud])
