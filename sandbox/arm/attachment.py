"""The identity block of a resource: how it is shown, and what a PUT or PATCH makes of it.

Used by every service whose resources carry identities; types differ in the traits of their row in
``sandbox.resources.types`` (facts: Machines and Identity by type).
"""

import dataclasses
from typing import Any, Literal

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Json
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTraits:
    """How a resource type shows its identity block."""

    joint: str = "SystemAssigned, UserAssigned"
    """How the types of both identities are spelled together; one alone is spelled as it is here."""
    none: Literal["absent", "once sent", "always"] = "once sent"
    """When ``{"type": "None"}`` stands for no identity: never, once a block was sent, always."""
    nulls: bool = False
    """Whether members without a value are shown as null."""
    group_literal: str = ""
    """How the keys of the identity map spell their group segment; empty: as they were sent."""
    entry: tuple[tuple[str, str], ...] = (("principalId", "principal"), ("clientId", "client"))
    """What an entry of the identity map shows: its members, and whose id each has."""
    late_entries: Literal["none", "new", "all"] = "none"
    """Which entries are empty until the operation of an identity's write has ended (facts: Scale
    sets)."""
    tenant: bool = False
    """Whether the tenant is shown beside user-assigned identities, too."""
    zeros: bool = False
    """Whether principal and tenant are shown as zeros beside user-assigned identities."""


def show(world: World, resource: Resource, traits: IdentityTraits) -> Json:
    """Return ``{"identity": {...}}`` as the type shows it, or an empty dict."""
    nulls = dict.fromkeys(_MEMBERS) if traits.nulls else {}
    if not (resource.system or resource.users):
        once_sent = traits.none == "once sent" and resource.identity_written
        shown = once_sent or traits.none == "always"
        return {"identity": {"type": "None", **nulls}} if shown else {}
    name = traits.joint
    if not (resource.system and resource.users):
        name = name.split(",")[0 if resource.system else 1].strip()
    block: Json = {"type": name, **nulls}
    if resource.system:
        block["principalId"] = resource.system.oid
    elif traits.zeros:
        block |= {"principalId": _NOBODY, "tenantId": _NOBODY}
    if resource.system or traits.tenant:
        block["tenantId"] = world.tenant
    if resource.users:
        settled = world.now() >= resource.ready_at or traits.late_entries == "none"
        literal = traits.group_literal
        block["userAssignedIdentities"] = {
            ids.respell(attached.id, literal) if literal else attached.id: _entry(
                world, attached, traits, settled=settled
            )
            for attached in resource.users.values()
        }
    return {"identity": block}


def _entry(world: World, attached: Attached, traits: IdentityTraits, *, settled: bool) -> Json:
    """Return one identity: empty while it is being attached, null once that incarnation is gone.

    The empty entry is recorded (facts: Machines). The dead one is known from issues, and so is that
    it may show its ids for a while (facts: Dead entries).
    """
    principal = attached.principal
    if not principal.alive:
        delay = world.injector.delay(world.faults.dead_entry_delay, attached.id)
        if world.now() >= principal.ended + delay:
            return {name: None for name, _ in traits.entry}
    if not settled and attached.fresh:
        return {}
    values = {"principal": principal.oid, "client": principal.app_id, "tenant": world.tenant}
    return {name: values[whose] for name, whose in traits.entry}


def write(
    call: Call, resource: Resource, block: Json | None, traits: IdentityTraits, *, merge: bool
) -> None:
    """Apply the identity block of a request; everything is checked before anything changes.

    An absent block leaves the identities as they are. A PATCH merges the map of user-assigned
    identities, null removes one (facts: Machines, recorded); a PUT replaces it (documented).

    Args:
        call: the request, for the caller's rights.
        resource: the resource to change.
        block: the ``identity`` member of the body.
        traits: how the resource's type shows identities.
        merge: whether unlisted identities stay.

    Raises:
        AzureError: a refusal of facts: Errors.
    """
    if block is None:
        return
    types = _types(block)
    entries = _entries(block, types)
    users: dict[str, Attached] = {}
    if _USER in types:
        users = _users(call, resource, entries, traits, merge=merge)
    costs = ["create"] if _SYSTEM in types and resource.system is None else []
    costs += ["assign"] if users.keys() - resource.users.keys() else []
    throttling.identity(call, resource.location, *costs)
    resource.users = users
    resource.identity_written = True
    if _SYSTEM in types and resource.system is None:
        # Off and on again is another principal (facts: Machines, recorded).
        resource.system = call.world.new_principal(resource.id.name, resource_id=resource.id.text)
    elif _SYSTEM not in types and resource.system is not None:
        resource.system.end(call.world.now())
        resource.system = None


def _types(block: Json) -> set[str]:
    """Return the identity types that a block names, in lower case; raises ``AzureError`` 400."""
    if not isinstance(block.get("type"), str):
        raise errors.bad_content("Required property 'type' not found in JSON. Path 'identity'.'.")
    types = {part.strip().lower() for part in block["type"].split(",")}
    if not types <= _KNOWN or (len(types) > 1 and "none" in types):
        raise errors.AzureError(
            400,
            "InvalidParameter",
            f"The value '{block['type']}' of parameter 'identity.type' is not allowed.",
            target="identity.type",
        )
    return types


def _entries(block: Json, types: set[str]) -> dict[str, Any]:
    """Return the map of user-assigned identities as it was sent; raises ``AzureError`` 400."""
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
        accepted = isinstance(value, dict) and set(value) <= {"principalId", "clientId"}
        if value is not None and not accepted:
            raise errors.AzureError(
                400,
                "InvalidIdentityValues",
                f"Invalid value for the identities '{text}'. The 'UserAssignedIdentities' property "
                "keys should only be empty json objects, null or the resource existing property.",
            )
    return entries


def _users(
    call: Call,
    resource: Resource,
    entries: dict[str, Any],
    traits: IdentityTraits,
    *,
    merge: bool,
) -> dict[str, Attached]:
    """Return the user-assigned identities that a write leaves; raises ``AzureError`` 400 or 403."""
    world = call.world
    listed = {text.lower(): (text, value) for text, value in entries.items()}
    users = {
        key: attached
        for key, attached in resource.users.items()
        if (key not in listed and merge) or (key in listed and listed[key][1] is not None)
    }
    if traits.late_entries == "all":
        users = {key: dataclasses.replace(each, fresh=True) for key, each in users.items()}
    elif world.now() >= resource.ready_at:
        users = {key: attached.aged() for key, attached in users.items()}
    added = {
        key: text
        for key, (text, value) in listed.items()
        if value is not None and key not in resource.users
    }
    for text in added.values():
        _require_right(call, resource, text)
    if added:
        # One identity that is gone makes every further attach fail (facts: Dead entries, issues).
        for key, attached in users.items():
            if key not in world.resources:
                raise _missing(resource, attached.id)
    for key, text in added.items():
        identity = world.resources.get(key)
        if identity is None or identity.principal is None:
            raise _missing(resource, text)
        users[key] = Attached(text, identity.principal, fresh=True)
    if not users:
        raise errors.AzureError(
            400,
            "MissingIdentityIds",
            "The identity ids must not be null or empty for 'UserAssigned' identity type.",
        )
    return users


def _require_right(call: Call, resource: Resource, text: str) -> None:
    """Raise ``AzureError`` 403 unless the caller may attach the identity of an id."""
    subscription = ids.parse(text).subscription
    client, oid = (call.caller.client, call.caller.oid) if call.caller else ("", "")
    message = (
        f"The client '{client}' with object id '{oid}' has permission to perform action "
        f"'{resource.type}/write' on scope '{resource.id.text}'; however, it does not have "
        f"permission to perform action '{ASSIGN}' on the linked scope(s) '{text}' or the "
        "linked scope(s) are invalid."
    )
    if subscription.lower() not in call.world.subscriptions:
        # Of another tenant or of none (recorded, 403_LinkedAuthorizationFailed).
        message = (
            f"The client has permission to perform action '{ASSIGN}' on scope "
            f"'{resource.id.text}', however the current tenant '{call.world.tenant}' is not "
            f"authorized to access linked subscription '{subscription}'."
        )
    elif call.may(ASSIGN, text):
        return
    raise errors.AzureError(403, "LinkedAuthorizationFailed", message, gateway=True)


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
