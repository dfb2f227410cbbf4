"""Where tokens come from: App Service identity, machine metadata (IMDS), Entra sign-in."""

import base64
import secrets

from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.identity import tokens
from sandbox.world import throttling
from sandbox.world.state import Principal
from sandbox.world.world import World

routes = Routes(arm=False)

_SELECTORS = ("client_id", "principal_id", "object_id", "mi_res_id", "msi_res_id")


def _is(principal: Principal, selector: str, value: str) -> bool:
    named = {
        "client_id": principal.app_id,
        "principal_id": principal.oid,
        "object_id": principal.oid,
    }
    return named.get(selector, principal.resource_id or "").lower() == value.lower()


def _asked(call: Call) -> bool:
    """Return whether the caller names an identity."""
    return any(call.query.get(selector) for selector in _SELECTORS)


def _chosen(call: Call, candidates: list[Principal]) -> list[Principal]:
    for selector in _SELECTORS:
        if value := call.query.get(selector):
            return [each for each in candidates if _is(each, selector, value)]
    return candidates


def _token(world: World, principal: Principal, resource: str) -> Json:
    issued = int(world.now().timestamp())
    return {
        "access_token": tokens.mint(world, principal, resource),
        "client_id": principal.app_id,
        "expires_in": str(tokens.LIFETIME - 1),
        "expires_on": str(issued + tokens.LIFETIME),
        "ext_expires_in": str(tokens.LIFETIME - 1),
        "not_before": str(issued),
        "resource": resource,
        "token_type": "Bearer",
    }


@routes.route(
    "GET", "/msi/token", Evidence.DOCUMENTED, "App Service: managed identity REST protocol"
)
def app_service(call: Call) -> Reply:
    """Return a token of the application's identity, also to who names none.

    Where only a user-assigned identity is there App Service answers 400 to that; a switch turns
    this on (facts: Functions, issues).
    """
    offered = call.headers.get("x-identity-header", "")
    if not secrets.compare_digest(offered, call.world.identity_secret):
        return Reply(401, {"statusCode": 401, "message": "Missing or invalid X-IDENTITY-HEADER."})
    refused = call.world.faults.client_id_required and not _asked(call)
    found = [] if refused else _chosen(call, [call.world.app])
    resource = call.query.get("resource")
    if not resource or not found:
        message = "No User Assigned or Delegated Managed Identity found for specified parameters."
        return Reply(400, {"statusCode": 400, "message": message if resource else "No resource."})
    return Reply(200, _token(call.world, found[0], resource))


def _invalid(description: str) -> Reply:
    return Reply(400, {"error": "invalid_request", "error_description": description})


@routes.route(
    "GET",
    "/imds/<path:machine>/metadata/identity/oauth2/token",
    Evidence.DOCUMENTED,
    "facts: Machines; Entra: acquire tokens on a VM",
)
def imds(call: Call) -> Reply:
    """Return a token of an identity that this machine carries; the system's own comes first."""
    if call.headers.get("metadata", "").lower() != "true":
        return _invalid("Required metadata header not specified")
    return throttling.token(call.world, call.args["machine"]) or _machine_token(call)


def _machine_token(call: Call) -> Reply:
    machine = call.world.resources.get("/" + call.args["machine"])
    resource = call.query.get("resource")
    if machine is None or not resource:
        return _invalid("Identity not found" if resource else "Required resource not specified")
    users = [each.principal for each in machine.users.values() if each.principal.alive]
    if machine.system and not _asked(call):
        return Reply(200, _token(call.world, machine.system, resource))
    found = _chosen(call, users + ([machine.system] if machine.system else []))
    if len(found) > 1:
        return _invalid(
            "Multiple user assigned identities exist, please specify the clientId / resourceId of "
            "the identity in the token request"
        )
    if not found:
        return _invalid("Identity not found")
    return Reply(200, _token(call.world, found[0], resource))


def _refuse(status: int, error: str, description: str) -> Reply:
    return Reply(status, {"error": error, "error_description": description})


@routes.route(
    "POST",
    "/<tenant>/oauth2/v2.0/token",
    Evidence.DOCUMENTED,
    "Entra: OAuth 2.0 client credentials flow",
)
def client_credentials(call: Call) -> Reply:
    """Return a token for a client id and secret."""
    form = call.body if isinstance(call.body, dict) else {}
    if form.get("grant_type") != "client_credentials":
        return _refuse(400, "unsupported_grant_type", "AADSTS70003: unsupported grant type.")
    client, secret = _client(call, form)
    found = [
        each
        for each in call.world.principals.values()
        if each.app_id == client and each.secret and each.alive
    ]
    if not found:
        return _refuse(400, "unauthorized_client", f"AADSTS700016: no application '{client}'.")
    if found[0].secret != secret:
        return _refuse(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
    return Reply(
        200,
        {
            "token_type": "Bearer",
            "expires_in": tokens.LIFETIME - 1,
            "ext_expires_in": tokens.LIFETIME - 1,
            "access_token": tokens.mint(call.world, found[0], form.get("scope", "").split(" ")[0]),
        },
    )


def _client(call: Call, form: Json) -> tuple[str, str]:
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(value).decode().partition(":")
        except ValueError:
            return "", ""
        return client, secret
    return form.get("client_id", ""), form.get("client_secret", "")


@routes.route(
    "GET",
    "/<tenant>/v2.0/.well-known/openid-configuration",
    Evidence.DOCUMENTED,
    "Entra: OpenID Connect metadata",
)
def openid_configuration(call: Call) -> Reply:
    """Return the metadata that sign-in libraries read first."""
    base = f"{call.origin}/{call.args['tenant']}"
    return Reply(
        200,
        {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
        },
    )


@routes.route("GET", "/common/discovery/instance", Evidence.DOCUMENTED, "Entra: instance discovery")
def instance_discovery(call: Call) -> Reply:
    """Say that this host is an authority of its own."""
    host = call.origin.removeprefix("https://")
    return Reply(
        200,
        {
            "tenant_discovery_endpoint": (
                f"{call.origin}/{call.world.tenant}/v2.0/.well-known/openid-configuration"
            ),
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        },
    )
