"""The identity block of a resource: how it is shown, and what a PUT or PATCH makes of it.

Used by every service whose resources carry identities; the differences between types are rows of
``kinds`` (facts: Machines and Identity by type).
"""

import dataclasses
from typing import Any

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Json
from sandbox.resources import kinds
from sandbox.resources.traits import Kind
from sandbox.world import throttling
from sandbox.world.state import Attached, Resource
from sandbox.world.world import World

ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"

_SYSTEM = "systemassigned"
_USER = "userassigned"
_MEMBERS = ("principalId", "tenantId", "userAssignedIdentities")
_KNOWN = {"none", _SYSTEM, _USER}
_NOBODY = "00000000-0000-0000-0000-000000000000"
_IDENTITY_TYPE = "microsoft.managedidentity/userassignedidentities"


def show(world: World, resource: Resource, kind: Kind) -> Json:
    """Return ``{"identity": {...}}`` as the type shows it, or an empty dict."""
    if not (resource.system or resource.users):
        shown = kind.shows_none == "always" or (
            kind.shows_none == "written" and resource.identity_written
        )
        nulls = dict.fromkeys(_MEMBERS) if kind.nulls_none else {}
        return {"identity": {"type": "None", **nulls}} if shown else {}
    name = kind.joint
    if not (resource.system and resource.users):
        name = "SystemAssigned" if resource.system else "UserAssigned"
        name = name[0].lower() + name[1:] if kind.camel else name
    block: Json = {"type": name}
    if resource.system:
        block["principalId"] = resource.system.oid
    elif kind.zeros:
        block |= {"principalId": _NOBODY, "tenantId": _NOBODY}
    if resource.system or kind.tenant:
        block["tenantId"] = world.tenant
    if kind.nulls_none:
        block = dict.fromkeys(_MEMBERS) | block
    if resource.users:
        settled = world.now() >= resource.ready_at or kind.late_entries == "none"
        block["userAssignedIdentities"] = {
            _key(attached, kind): _entry(world, attached, kind, settled=settled)
            for attached in resource.users.values()
        }
    return {"identity": block}


def _key(attached: Attached, kind: Kind) -> str:
    literal = kind.group_literal
    return ids.respell(attached.id, literal) if literal else attached.id


def _entry(world: World, attached: Attached, kind: Kind, *, settled: bool) -> Json:
    """Show one identity: empty while it is being attached, null once that incarnation is gone.

    The empty entry is recorded (facts: Machines), the dead one is known from issues (facts: Dead
    entries), and that it may show its ids for a while (facts: Visibility).
    """
    principal = attached.principal
    if not principal.alive and world.now() >= principal.ended + world.injector.delay(
        world.faults.dead_entry_delay, attached.id
    ):
        return {name: None for name, _ in kind.entry}
    if not settled and attached.fresh:
        return {}
    found = {"principal": principal.oid, "client": principal.app_id, "tenant": world.tenant}
    return {name: found[whose] for name, whose in kind.entry}


def _types(block: Json) -> set[str]:
    if not isinstance(block.get("type"), str):
        raise errors.bad_content("Required property 'type' not found in JSON. Path 'identity'.'.")
    found = {part.strip().lower() for part in block["type"].split(",")}
    if not found <= _KNOWN or (len(found) > 1 and "none" in found):
        raise errors.AzureError(
            400,
            "InvalidParameter",
            f"The value '{block['type']}' of parameter 'identity.type' is not allowed.",
            target="identity.type",
        )
    return found


def _entries(block: Json, types: set[str]) -> dict[str, Any]:
    entries = block.get("userAssignedIdentities") or {}
    if not isinstance(entries, dict):
        raise errors.bad_content("an object is required. Path 'identity.userAssignedIdentities'")
    if entries and _USER not in types:
        raise errors.AzureError(
            400,
            "InvalidParameter",
            "ResourceIdentity identityIds should not be provided if the type is "
            f'"{block["type"]}".',
            target="resourceIdentity.identityIds",
        )
    seen: set[str] = set()
    for text, value in entries.items():
        if text.lower() in seen:
            raise errors.AzureError(
                400,
                "InvalidParameter",
                f"ResourceIdentity identityId '{text}' cannot be duplicated in the provided "
                "identityIds list.",
                target="resourceIdentity.identityIds",
            )
        seen.add(text.lower())
        parsed = ids.parse(text)
        if parsed.type.lower() != _IDENTITY_TYPE or not parsed.name:
            raise errors.AzureError(
                400,
                "LinkedInvalidPropertyId",
                f"Property id '{text}' at path 'identity.userAssignedIdentities' is invalid.",
                gateway=True,
            )
        if value is not None and not _accepted(value):
            raise errors.AzureError(
                400,
                "InvalidIdentityValues",
                f"Invalid value for the identities '{text}'. The 'UserAssignedIdentities' property "
                "keys should only be empty json objects, null or the resource existing property.",
            )
    return entries


def _accepted(value: object) -> bool:
    return isinstance(value, dict) and set(value) <= {"principalId", "clientId"}


def _require_right(call: Call, resource: Resource, text: str) -> None:
    subscription = ids.parse(text).subscription
    if subscription.lower() not in call.world.subscriptions:
        # Of another tenant or of none (recorded, 403_LinkedAuthorizationFailed).
        raise errors.AzureError(
            403,
            "LinkedAuthorizationFailed",
            f"The client has permission to perform action '{ASSIGN}' on scope "
            f"'{resource.id.text}', however the current tenant '{call.world.tenant}' is not "
            f"authorized to access linked subscription '{subscription}'.",
            gateway=True,
        )
    if not call.may(ASSIGN, text):
        caller = call.caller
        name, oid = (caller.client, caller.oid) if caller else ("", "")
        raise errors.AzureError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{name}' with object id '{oid}' has permission to perform action "
            f"'{resource.type}/write' on scope '{resource.id.text}'; however, it does not have "
            f"permission to perform action '{ASSIGN}' on the linked scope(s) '{text}' or the "
            "linked scope(s) are invalid.",
            gateway=True,
        )


def _missing(resource: Resource, text: str) -> errors.AzureError:
    inner = ids.respell(text, "resourcegroups")
    return errors.AzureError(
        400,
        "FailedIdentityOperation",
        f"Identity operation for resource '{resource.id.text}' failed with error 'Failed to "
        'perform resource identity operation. Status: \'BadRequest\'. Response: \'{"error":{"code":'
        f'"BadRequest","message":"Resource \'{inner}\' was not found."}}}}\'.\'.',
        gateway=True,
    )


def write(call: Call, resource: Resource, block: Json | None, *, merge: bool) -> bool:
    """Apply the identity block of a request; everything is checked before anything changes.

    Tells whether it adds an identity.

    An absent block leaves the identities as they are. A PATCH merges the map of user-assigned
    identities, null removes one (facts: Machines, recorded); a PUT replaces it (documented).

    Args:
        call: the request, for the caller's rights.
        resource: the resource to change.
        block: the ``identity`` member of the body.
        merge: whether unlisted identities stay.

    Raises:
        AzureError: as facts: Errors list them.
    """
    if block is None:
        return False
    types = _types(block)
    entries = _entries(block, types)
    wanted: dict[str, Attached] = {}
    if _USER in types:
        wanted = _users(call, resource, entries, merge=merge)
    costs = ["create"] if _SYSTEM in types and resource.system is None else []
    costs += ["assign"] if wanted.keys() - resource.users.keys() else []
    throttling.identity(call, resource.location, *costs)
    resource.users = wanted
    resource.identity_written = True
    if _SYSTEM in types and resource.system is None:
        # Off and on again is another principal (facts: Machines, recorded).
        resource.system = call.world.new_principal(resource.id.name, resource_id=resource.id.text)
    elif _SYSTEM not in types and resource.system is not None:
        resource.system.end(call.world.now())
        resource.system = None
    return bool(costs)


def _users(
    call: Call, resource: Resource, entries: dict[str, Any], *, merge: bool
) -> dict[str, Attached]:
    listed = {text.lower(): (text, value) for text, value in entries.items()}
    wanted = {
        key: attached
        for key, attached in resource.users.items()
        if (key not in listed and merge) or (key in listed and listed[key][1] is not None)
    }
    if kinds.kind(resource.type).late_entries == "all":
        wanted = {key: dataclasses.replace(each, fresh=True) for key, each in wanted.items()}
    elif call.world.now() >= resource.ready_at:
        wanted = {key: attached.aged() for key, attached in wanted.items()}
    added = {
        key: text
        for key, (text, value) in listed.items()
        if value is not None and key not in resource.users
    }
    for text in added.values():
        _require_right(call, resource, text)
    if added:
        # One identity that is gone makes every further attach fail (facts: Dead entries, issues).
        for key, attached in wanted.items():
            if key not in call.world.resources:
                raise _missing(resource, attached.id)
    for key, text in added.items():
        identity = call.world.resources.get(key)
        if identity is None or identity.principal is None:
            raise _missing(resource, text)
        wanted[key] = Attached(text, identity.principal, fresh=True)
    if not wanted:
        raise errors.AzureError(
            400,
            "MissingIdentityIds",
            "The identity ids must not be null or empty for 'UserAssigned' identity type.",
        )
    return wanted
