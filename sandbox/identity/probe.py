"""The access probe: would a data-plane call of a principal succeed now?

Not an Azure endpoint. Workloads in tests and demo use it in place of storage and key vault.
"""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Reply, Routes

routes = Routes(arm=False)

_AUDIENCES = {
    "microsoft.storage": "https://storage.azure.com",
    "microsoft.keyvault": "https://vault.azure.net",
}


@routes.route(
    "GET",
    "/dataplane/<path:resource>",
    Evidence.ASSUMED,
    "facts: Rights: assignments decide at once",
)
def probe(call: Call) -> Reply:
    """Answer 200 or 403 for ``?action=`` on the resource, 404 when that is not there."""
    target, action = ids.parse(call.id.text.removeprefix("/dataplane")), call.query.get("action")
    audience = _AUDIENCES.get(target.type.partition("/")[0].lower())
    if audience is None or not action:
        raise errors.unsupported(f"a probe of {target.text} for {action!r}")
    principal = call.authenticated(audience)
    if not any(key in call.world.resources for key in ids.ancestors(target.key)):
        raise errors.resource_not_found(target)
    if not call.may(action, target.text, principal=principal, data=True):
        raise errors.AzureError(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
            headers={"x-ms-error-code": "AuthorizationPermissionMismatch"},
        )
    return Reply(200, {"principalId": principal.oid, "action": action})
