"""The rows of Resource Graph's tables (facts: Errors)."""

import datetime as dt

from sandbox.arm import ids, regions
from sandbox.arm.routing import Json
from sandbox.graph.kqlexpressions import Row
from sandbox.identity import attachment
from sandbox.resources.kinds import kind
from sandbox.world.events import stamp
from sandbox.world.state import Assignment, Resource
from sandbox.world.world import World

_DYNAMIC = ("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation")
_NAMES = (
    "id",
    "name",
    "type",
    "tenantId",
    "kind",
    "location",
    "resourceGroup",
    "subscriptionId",
    "managedBy",
    "sku",
    "plan",
    "properties",
    "tags",
    "identity",
    "zones",
    "extendedLocation",
)
COLUMNS = tuple((name, name not in _DYNAMIC) for name in _NAMES)
"""The columns of every table, and whether each holds text."""
_BLANK = {name: "" if text else None for name, text in COLUMNS}


def seen(world: World) -> dt.datetime:
    """Return the time as of which the index knows things."""
    return world.now() - dt.timedelta(seconds=world.faults.graph_delay)


def resource(world: World, found: Resource) -> Row:
    """Return a resource as the index knows it."""
    # Types and groups are in lower case (facts: Errors, recorded).
    extra = found.extra
    state = {"provisioningState": found.provisioning_state(seen(world))}
    own: Json = {}
    if found.principal:
        own = {"principalId": found.principal.oid, "clientId": found.principal.app_id}
        own["tenantId"] = world.tenant
        state = {}
    shown = attachment.show(world, found, kind(found.type))
    return {
        "id": found.id.text,
        "name": found.id.name,
        "type": found.type.lower(),
        "tenantId": world.tenant,
        "kind": extra.get("kind", ""),
        "location": regions.plain(found.location),
        "resourceGroup": found.id.group.lower(),
        "subscriptionId": found.id.subscription,
        "managedBy": extra.get("managedBy", ""),
        "sku": extra.get("sku"),
        "plan": extra.get("plan"),
        "properties": {**found.properties, **state, **own},
        "tags": found.tags,
        "identity": shown.get("identity"),
        "zones": extra.get("zones"),
        "extendedLocation": extra.get("extendedLocation"),
    }


def assignment(world: World, found: Assignment) -> Row:
    """Return a role assignment as the index knows it."""
    return {
        **_BLANK,
        "id": found.id,
        "name": found.name,
        "type": "microsoft.authorization/roleassignments",
        "tenantId": world.tenant,
        "location": "global",
        "subscriptionId": ids.parse(found.scope).subscription,
        "properties": {
            "principalId": found.principal,
            "principalType": found.principal_type,
            # Without a subscription, unlike ARM (assumed from the published sample queries).
            "roleDefinitionId": (
                f"/providers/Microsoft.Authorization/RoleDefinitions/{found.role}"
            ),
            "scope": found.scope,
            "description": found.description,
            "condition": found.condition,
            "conditionVersion": found.condition_version,
            "createdOn": stamp(found.created),
            "createdBy": found.created_by,
            "updatedOn": stamp(found.updated),
            "updatedBy": found.updated_by,
        },
    }


def subscription(world: World, found: str) -> Row:
    """Return a subscription, with the management groups above it, nearest first.

    See facts: Visibility.
    """
    over = world.hierarchy.over(found)
    chain = [over, *reversed(world.hierarchy.path(over))]
    return {
        **_BLANK,
        "id": f"/subscriptions/{found}",
        "name": world.subscriptions[found],
        "type": "microsoft.resources/subscriptions",
        "tenantId": world.tenant,
        "subscriptionId": found,
        "tags": world.subscription_tags.get(found, {}),
        "properties": {
            "state": "Enabled",
            "managedByTenants": [],
            "managementGroupAncestorsChain": [
                {"name": each.name, "displayName": each.display_name} for each in chain
            ],
        },
    }


def group(world: World, found: Resource) -> Row:
    """Return a resource group."""
    return {
        **_BLANK,
        "id": ids.respell(found.id.text, "resourceGroups"),
        "name": found.id.name,
        "type": "microsoft.resources/subscriptions/resourcegroups",
        "tenantId": world.tenant,
        "location": regions.plain(found.location),
        "resourceGroup": found.id.group.lower(),
        "subscriptionId": found.id.subscription,
        "managedBy": found.extra.get("managedBy", ""),
        "tags": found.tags,
        "properties": {"provisioningState": found.provisioning_state(world.now())},
    }
