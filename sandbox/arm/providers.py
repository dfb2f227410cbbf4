"""What this Azure is made of: resource providers, and the endpoints that clients start from."""

import itertools

from sandbox.arm import errors, ids, registrations
from sandbox.arm.registrations import Registration
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.resources.kinds import KINDS

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
    "Microsoft.Management/getEntities",
    "Microsoft.Management/managementGroups",
    "Microsoft.Management/managementGroups/subscriptions",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
    "Microsoft.ResourceGraph/resources",
    ids.GROUP_TYPE,
    "Microsoft.Resources/tags",
)
# Any version is served; clients that look one up take the newest here (assumed).
_VERSIONS = {
    "microsoft.authorization": "2022-04-01",
    "microsoft.eventgrid": "2022-06-15",
    "microsoft.management": "2023-04-01",
    "microsoft.managedidentity": "2023-01-31",
    "microsoft.resourcegraph": "2022-10-01",
    "microsoft.resources": "2022-09-01",
}
_USUAL_VERSION = "2024-07-01"


def _provider(call: Call, namespace: str, types: list[str]) -> Json:
    versions = [_VERSIONS.get(namespace.lower(), _USUAL_VERSION)]
    free = namespace.lower() in registrations.FREE
    world, subscription = call.world, call.id.subscription
    return {
        "id": f"/subscriptions/{subscription}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationFree" if free else "RegistrationRequired",
        "registrationState": world.registrations.state(subscription, namespace, world.now()),
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
    found = {
        namespace: list(members)
        for namespace, members in itertools.groupby(types, lambda each: each.partition("/")[0])
    }
    known = {each.lower() for each in found}
    for each in call.world.registrations.namespaces(call.id.subscription.lower()):
        if each.lower() not in known:
            found[each] = []
    return {each.lower(): _provider(call, each, members) for each, members in found.items()}


@routes.route("GET", _ALL, Evidence.DOCUMENTED, "REST: Providers - List", action=_READ)
def list_providers(call: Call) -> Reply:
    """List the providers that the sandbox knows."""
    return Reply(200, {"value": list(_providers(call).values())})


@routes.route(
    "GET", _ONE, Evidence.RECORDED, "azure-cli test_provider_registration_rpaas", action=_READ
)
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


@routes.route("POST", f"{_ONE}/register", Evidence.RECORDED, "azure-cli test_provider_registration")
def register(call: Call) -> Reply:
    """Register a subscription for a namespace: ``Registering`` at first, if it was not before."""
    namespace = get_provider(call).body["namespace"]
    _register(call, call.id.subscription, namespace)
    return get_provider(call)


def _register(call: Call, subscription: str, namespace: str) -> None:
    world = call.world
    if world.registrations.state(subscription, namespace, world.now()) != "Registered":
        ends = world.now() + world.injector.operation_time()
        made = Registration(namespace, "Registered", "Registering", ends)
        world.registrations.put(subscription, made)


@routes.route(
    "POST",
    "/providers/microsoft.management/managementgroups/<name>/providers/<namespace>/register",
    Evidence.RECORDED,
    "azure-cli test_provider_registration_mg",
)
def register_below(call: Call) -> Reply:
    """Register the subscriptions below a management group."""
    world = call.world
    namespace = call.id.type.partition("/")[0]
    for each in world.hierarchy.beneath(call.args["name"], world.subscriptions):
        _register(call, each, namespace)
    return Reply(200)


@routes.route(
    "POST", f"{_ONE}/unregister", Evidence.RECORDED, "azure-cli test_provider_registration"
)
def unregister(call: Call) -> Reply:
    """End a registration: ``Unregistering`` at first, then ``Unregistered``."""
    namespace = get_provider(call).body["namespace"]
    if namespace.lower() in registrations.FREE:
        raise errors.unsupported(f"to unregister '{namespace}'")
    ends = call.world.now() + call.world.injector.operation_time()
    gone = Registration(namespace, "Unregistered", "Unregistering", ends)
    call.world.registrations.put(call.id.subscription, gone)
    return get_provider(call)


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
