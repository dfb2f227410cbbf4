"""Azure's JSON turned into the domain's types, the same for ARM answers and Resource Graph rows.

Casing and gaps vary between providers, api-versions and Resource Graph (facts: Identity by type);
what cannot be read raises `Unreadable`, because a plan is never made from half a read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import ResourceIdError, Unreadable
from reconciler.ids import ResourceId, fold
from reconciler.model import (
    USER_ASSIGNED_IDENTITY,
    AttachedIdentity,
    IdentityBlock,
    Permission,
    Resource,
    RoleAssignment,
    UserIdentity,
    Written,
    is_passing,
)
from reconciler.printable import printable

type Json = Mapping[str, Any]

_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_KNOWN_TYPES = frozenset({"systemassigned", "userassigned", "none"})
_LONGEST = 300
"""Characters of an answer that a message quotes."""
_YEARS = (1970, 3000)


def resource(body: Json, etag: str | None = None) -> Resource:
    """Read a resource with its identity block; `etag` is the header's, where there is one."""
    with _reading("a resource", body):
        properties = body.get("properties") or {}
        return Resource(
            id=ResourceId.parse(body["id"]),
            location=_text(body.get("location")) or "",
            tags={name: _text(value) or "" for name, value in (body.get("tags") or {}).items()},
            identities=identity_block(body.get("identity") or {}),
            state=_text(properties.get("provisioningState")) or "Succeeded",
            deploying=any(_in_flight(child) for child in body.get("resources") or ()),
            incarnation=_text(properties.get("vmId")),
            created=_moment(created) if (created := _text(properties.get("timeCreated"))) else None,
            etag=etag or _text(body.get("etag")),
            managed_by=_text(body.get("managedBy")),
            kind=_text(body.get("kind")) or "",
        )


def identity_block(block: Json) -> IdentityBlock:
    """Read an identity block.

    A type string that we do not know is kept, so that nothing is written; entries whose key is no
    user-assigned identity's id are kept as unknown, so that the others can be written.
    """
    # A block that shows something without a type is none that we know (none is recorded).
    raw = block.get("type") or ("missing" if any(block.values()) else "None")
    types = {fold(part.strip()) for part in raw.split(",")}
    attached: list[AttachedIdentity] = []
    unknown: list[str] = []
    for key, entry in (block.get("userAssignedIdentities") or {}).items():
        principal = _guid((entry or {}).get("principalId"))
        # Whoever attached one that we cannot name must not keep us from the rest of the machine.
        identity = _identity(key)
        if identity:
            attached.append(AttachedIdentity(identity, principal))
        else:
            unknown.append(key)
    system, principal = "systemassigned" in types, _guid(block.get("principalId"))
    return IdentityBlock(
        system=system,
        # MySQL shows one of zeros beside user-assigned ones (facts: Identity by type).
        principal=principal if system else None,
        attached=tuple(sorted(attached, key=lambda entry: entry.id.key)),
        raw_type=None if types <= _KNOWN_TYPES else raw,
        unknown=tuple(sorted(unknown)),
    )


def _identity(key: str) -> ResourceId | None:
    """Return the id of a user-assigned identity, none where the text is no such id."""
    try:
        found = ResourceId.parse(key)
    except ResourceIdError:
        return None
    alone = found.group is not None and len(found.blocks) == 1
    return found if alone and found.is_type(USER_ASSIGNED_IDENTITY) else None


def user_identity(body: Json) -> UserIdentity:
    """Read a user-assigned identity; without a principal it is not yet there to be used."""
    with _reading("a user-assigned identity", body):
        properties = body["properties"]
        return UserIdentity(
            id=ResourceId.parse(body["id"]),
            principal=fold(properties["principalId"]),
            client=fold(properties.get("clientId") or ""),
            location=_text(body.get("location")) or "",
        )


def role_assignment(body: Json) -> RoleAssignment:
    """Read a role assignment; the role is the last segment of its definition id.

    See facts: Role assignments.
    """
    with _reading("a role assignment", body):
        properties = body["properties"]
        return RoleAssignment(
            id=ResourceId.parse(body["id"]),
            principal=fold(properties["principalId"]),
            principal_type=_text(properties.get("principalType")) or "",
            role=fold(properties["roleDefinitionId"].rsplit("/", 1)[-1]),
            scope=ResourceId.parse(properties["scope"]),
            condition=_text(properties.get("condition")),
            description=_text(properties.get("description")),
            created_by=_guid(properties.get("createdBy")),
            created=_moment(made) if (made := _text(properties.get("createdOn"))) else None,
            updated_by=_guid(properties.get("updatedBy")),
        )


def id_of(row: Json) -> ResourceId:
    """Read no more than the id of a listed row."""
    with _reading("a row with an id", row):
        return ResourceId.parse(row["id"])


def written(entry: Json) -> Written:
    """Read an entry of the activity log; of its claims no more is read than the object id."""
    with _reading("an entry of the activity log", entry):
        return Written(
            operation=_text(entry["operationName"]["value"]) or "",
            caller=_text(entry.get("caller")) or "somebody whom the log does not name",
            principal=_text((entry.get("claims") or {}).get(_OBJECT_ID)),
            at=_moment(entry["eventTimestamp"]),
            succeeded=fold(entry["status"]["value"]) == "succeeded",
        )


def management_groups(row: Json) -> frozenset[str]:
    """Read the names of all management groups above a subscription, out of its row."""
    with _reading("a subscription", row):
        chain = (row.get("properties") or {}).get("managementGroupAncestorsChain") or ()
        return frozenset(fold(one["name"]) for one in chain)


def permissions(body: Json) -> tuple[Permission, ...]:
    """Read what a role definition allows."""
    with _reading("a role definition", body):
        return tuple(
            Permission(
                actions=_texts(one, "actions"),
                not_actions=_texts(one, "notActions"),
                data_actions=_texts(one, "dataActions"),
                not_data_actions=_texts(one, "notDataActions"),
            )
            for one in body["properties"]["permissions"]
        )


def _texts(body: Json, key: str) -> tuple[str, ...]:
    """Return a list of texts; one that is missing or null is empty."""
    found = body.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TypeError(f"{key} is no list of texts")
    return tuple(found)


@contextmanager
def _reading(what: str, body: Json) -> Iterator[None]:
    try:
        yield
    except (
        *(AttributeError, KeyError, TypeError, ValueError, ResourceIdError),
        *(OverflowError, RecursionError),
    ) as error:
        name = body.get("id") if isinstance(body, Mapping) else None
        shown = name if isinstance(name, str) and name.isprintable() else ""
        text = f"Azure's answer for {shown[:_LONGEST] or what} is not {what}: {error!r}"
        raise Unreadable(printable(text[: 2 * _LONGEST])) from error


def _text(value: object) -> str | None:
    """Return a text, none for an empty one; anything else is not what was asked for."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"a value of type {type(value).__name__} is not a text")
    return value or None


def _guid(value: object) -> str | None:
    text = _text(value)
    return fold(text) if text else None


def _moment(text: str) -> datetime:
    """Read a time as UTC; one without a zone is that already, as Azure's own are (assumed).

    One that is no time, or of no year in which Azure could have meant it, raises what `_reading`
    catches: whoever adds days to it must not fail later.
    """
    time = datetime.fromisoformat(text)
    if not _YEARS[0] <= time.year < _YEARS[1]:
        raise ValueError(f"the year {time.year} is no time of Azure's")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _in_flight(child: Json) -> bool:
    return is_passing((child.get("properties") or {}).get("provisioningState") or "")
