"""The access probe: would a data-plane call of a principal succeed now?

Not an Azure endpoint. Workloads in tests and demo use it in place of storage and key vault.
"""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.authorization import access
from sandbox.identity import tokens

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
    target = ids.parse(call.id.text.removeprefix("/dataplane"))
    provider = target.type.partition("/")[0].lower()
    audience = _AUDIENCES.get(provider)
    if audience is None or not call.query.get("action"):
        raise errors.unsupported(f"a probe of {target.text} for {call.query.get('action')!r}")
    principal = tokens.check(
        call.world, call.headers.get("authorization", ""), audience, call.origin
    )
    if not any(each in call.world.resources for each in ids.ancestors(target.key)):
        raise errors.resource_not_found(target)
    if (
        access.right(call.world, principal.oid, call.query["action"], target.text, data=True)
        is None
    ):
        raise errors.AzureError(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
            headers={"x-ms-error-code": "AuthorizationPermissionMismatch"},
        )
    return Reply(200, {"principalId": principal.oid, "action": call.query["action"]})
