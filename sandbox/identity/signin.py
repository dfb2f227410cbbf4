"""Where tokens come from: App Service identity, machine metadata (IMDS), Entra sign-in."""

import base64
import secrets

from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.identity import tokens
from sandbox.world import throttling
from sandbox.world.state import Principal

routes = Routes(arm=False)

_SELECTORS = ("client_id", "principal_id", "object_id", "mi_res_id", "msi_res_id")


def _names_one(call: Call) -> bool:
    """Return whether the caller names an identity."""
    return any(call.query.get(selector) for selector in _SELECTORS)


def _chosen(call: Call, candidates: list[Principal]) -> list[Principal]:
    """Return the identities that the caller means; all of them where it names none."""
    for selector in _SELECTORS:
        if value := call.query.get(selector, "").lower():
            return [
                principal
                for principal in candidates
                if value
                == {
                    "client_id": principal.app_id,
                    "principal_id": principal.oid,
                    "object_id": principal.oid,
                }.get(selector, principal.resource_id or "").lower()
            ]
    return candidates


def _token(call: Call, principal: Principal, resource: str) -> Reply:
    issued = int(call.world.now().timestamp())
    body = {
        "access_token": tokens.mint(call.world, principal, resource),
        "client_id": principal.app_id,
        "expires_in": str(tokens.LIFETIME - 1),
        "expires_on": str(issued + tokens.LIFETIME),
        "ext_expires_in": str(tokens.LIFETIME - 1),
        "not_before": str(issued),
        "resource": resource,
        "token_type": "Bearer",
    }
    return Reply(200, body)


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
    refused = call.world.faults.client_id_required and not _names_one(call)
    chosen = [] if refused else _chosen(call, [call.world.app])
    resource = call.query.get("resource")
    if not resource or not chosen:
        message = "No User Assigned or Delegated Managed Identity found for specified parameters."
        return Reply(400, {"statusCode": 400, "message": message if resource else "No resource."})
    return _token(call, chosen[0], resource)


@routes.route(
    "GET",
    "/imds/<path:machine>/metadata/identity/oauth2/token",
    Evidence.DOCUMENTED,
    "facts: Metadata service; Entra: acquire tokens on a VM",
)
def imds(call: Call) -> Reply:
    """Return a token of an identity that this machine carries; the system's own comes first."""
    if call.headers.get("metadata", "").lower() != "true":
        return _refused(400, "invalid_request", "Required metadata header not specified")
    if refusal := throttling.token(call.world, call.args["machine"]):
        return refusal
    machine = call.world.resources.get("/" + call.args["machine"])
    resource = call.query.get("resource")
    message = "Identity not found" if resource else "Required resource not specified"
    if machine is not None and resource:
        if machine.system and not _names_one(call):
            return _token(call, machine.system, resource)
        users = [each.principal for each in machine.users.values() if each.principal.alive]
        chosen = _chosen(call, users + ([machine.system] if machine.system else []))
        if len(chosen) == 1:
            return _token(call, chosen[0], resource)
        if chosen:
            message = (
                "Multiple user assigned identities exist, please specify the clientId / resourceId "
                "of the identity in the token request"
            )
    return _refused(400, "invalid_request", message)


def _refused(status: int, error: str, description: str) -> Reply:
    return Reply(status, {"error": error, "error_description": description})


@routes.route(
    "POST",
    "/<tenant>/oauth2/v2.0/token",
    Evidence.DOCUMENTED,
    "Entra: OAuth 2.0 client credentials flow",
)
def client_credentials(call: Call) -> Reply:
    """Return a token for a client id and secret, in the form or by basic authentication."""
    form: Json = call.body if isinstance(call.body, dict) else {}
    if form.get("grant_type") != "client_credentials":
        return _refused(400, "unsupported_grant_type", "AADSTS70003: unsupported grant type.")
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(value).decode().partition(":")
        except ValueError:
            client = secret = ""
    principals = call.world.principals.values()
    matching = (each for each in principals if each.app_id == client and each.secret)
    principal = next((each for each in matching if each.alive), None)
    if principal is None:
        return _refused(400, "unauthorized_client", f"AADSTS700016: no application '{client}'.")
    if principal.secret != secret:
        return _refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
    body = {
        "token_type": "Bearer",
        "expires_in": tokens.LIFETIME - 1,
        "ext_expires_in": tokens.LIFETIME - 1,
        "access_token": tokens.mint(call.world, principal, form.get("scope", "").split(" ")[0]),
    }
    return Reply(200, body)


@routes.route(
    "GET",
    "/<tenant>/v2.0/.well-known/openid-configuration",
    Evidence.DOCUMENTED,
    "Entra: OpenID Connect metadata",
)
def openid_configuration(call: Call) -> Reply:
    """Return the metadata that sign-in libraries read first."""
    base = f"{call.origin}/{call.args['tenant']}"
    body = {
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
    }
    return Reply(200, body)


@routes.route("GET", "/common/discovery/instance", Evidence.DOCUMENTED, "Entra: instance discovery")
def instance_discovery(call: Call) -> Reply:
    """Return that this host is an authority of its own."""
    host = call.origin.removeprefix("https://")
    configuration = f"{call.origin}/{call.world.tenant}/v2.0/.well-known/openid-configuration"
    body = {
        "tenant_discovery_endpoint": configuration,
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }
    return Reply(200, body)
