"""Federated credentials of user-assigned identities (facts: Identities).

They are children of their identity, so they go with it.
"""

import datetime as dt

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.state import Resource

routes = Routes()

_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
_TYPE = f"{_IDENTITY}/federatedIdentityCredentials"
_LIST = (
    "/subscriptions/<subscription>/resourcegroups/<group>/providers/microsoft.managedidentity"
    "/userassignedidentities/<identity>/federatedidentitycredentials"
)
_ONE = f"{_LIST}/<name>"
_MEMBERS = ("issuer", "audiences")
# Whom it trusts: one subject, or by an expression (api-version 2025-01-31-preview, documented).
_SUBJECTS = ("subject", "claimsMatchingExpression")


def _show(credential: Resource) -> Json:
    return {
        # The group segment is in lower case (facts: Identities, recorded).
        "id": ids.respell(credential.id.text, "resourcegroups"),
        "name": credential.id.name,
        "type": _TYPE,
        "properties": credential.properties,
    }


def _identity(call: Call) -> Resource:
    """Return the identity that the call goes under; raises ``AzureError`` 404."""
    wanted = ids.parse(call.id.outer)
    call.world.group(wanted)
    identity = call.world.resources.get(wanted.key)
    if identity is None:
        raise errors.parent_not_found(wanted.name)
    return identity


def _take_turn(call: Call, identity: Resource) -> None:
    """Begin a write; only one may run under an identity (documented, workload identity page)."""
    now = call.world.now()
    if now < identity.ready_at:
        raise errors.AzureError(
            409,
            "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
            "Too many Federated Identity Credentials are written concurrently for the managed "
            f"identity '{identity.id.text}'. Concurrent Federated Identity Credentials writes "
            "under the same managed identity are not supported.",
        )
    identity.ready_at = now + dt.timedelta(seconds=call.world.faults.credential_write_time)


@routes.route("GET", _LIST, Evidence.RECORDED, "test_federated_identity_credential #4")
def list_of_identity(call: Call) -> Reply:
    """List an identity's credentials."""
    children = call.world.children.get(_identity(call).id.key, {})
    return Reply(200, {"value": [_show(each) for each in children.values()]})


@routes.route("GET", _ONE, Evidence.RECORDED, "test_federated_identity_credential #3")
def get(call: Call) -> Reply:
    """Return a credential."""
    _identity(call)
    credential = call.world.resources.get(call.id.key)
    if credential is None:
        raise errors.resource_not_found(call.id)
    return Reply(200, _show(credential))


@routes.route("PUT", _ONE, Evidence.RECORDED, "test_federated_identity_credential #1 #5")
def put(call: Call) -> Reply:
    """Create a credential (201, a relative location) or replace it (200)."""
    identity = _identity(call)
    properties = call.member("properties") or {}
    for required in _MEMBERS:
        if not properties.get(required):
            raise errors.bad_content(f"a value is required. Path 'properties.{required}'")
    subjects = [name for name in _SUBJECTS if properties.get(name)]
    if len(subjects) != 1:
        raise errors.bad_content("a value is required. Path 'properties.subject'")
    _take_turn(call, identity)
    now = call.world.now()
    known = call.world.resources.get(call.id.key)
    # Without a location it is no tracked resource: lists of resources leave it out.
    credential = known or Resource(call.id, _TYPE, "", now, now)
    credential.properties = {name: properties[name] for name in (*_MEMBERS, *subjects)}
    call.world.put(credential)
    shown = _show(credential)
    return Reply(200, shown) if known else Reply(201, shown, {"location": shown["id"]})


@routes.route("DELETE", _ONE, Evidence.RECORDED, "test_federated_identity_credential #6")
def delete(call: Call) -> Reply:
    """Delete a credential: 200 without a body, or 204 (documented) when there was none."""
    identity = _identity(call)
    credential = call.world.resources.get(call.id.key)
    if credential is None:
        return Reply(204)
    _take_turn(call, identity)
    call.world.remove(credential)
    return Reply(200)
