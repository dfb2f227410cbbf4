"""Azure's JSON turned into the domain's types, the same for ARM answers and Resource Graph rows.

`azure.client` and `azure.graph` read every answer here. Casing and gaps vary between providers,
api-versions and Resource Graph (facts: Identity by type). What cannot be read raises `Unreadable`,
because a plan is never made from half a read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from reconciler import resource_types
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
)
from reconciler.resource_types import is_passing
from reconciler.wording import printable

type Json = Mapping[str, Any]

_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_KNOWN_TYPES = frozenset({"systemassigned", "userassigned", "none"})
_LONGEST = 300
"""Characters of an answer that a message quotes."""
_YEARS = (1970, 3000)
"""Azure means no time outside these years; at the end of time no delay could be added to one."""


def resource(body: Json, etag: str | None = None) -> Resource:
    """Read a resource as the row of its type says; `etag` is the header's, where there is one."""
    with _reading("a resource", body):
        place = ResourceId.parse(body["id"])
        row = resource_types.find(place.type)
        children = _member(body, row.children) or ()
        states = (_text(_member(child, row.state)) or "" for child in children)
        return Resource(
            id=place,
            location=_text(body.get("location")) or "",
            tags={name: _text(value) or "" for name, value in (body.get("tags") or {}).items()},
            identities=identity_block(body.get("identity") or {}),
            state=_text(_member(body, row.state)) or "Succeeded",
            deploying=any(map(is_passing, states)),
            incarnation=_text(_member(body, row.incarnation)),
            created=_moment(_member(body, row.created)),
            etag=etag or _text(body.get("etag")),
            managed_by=_text(_member(body, row.parent)),
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
        principal = _text((entry or {}).get("principalId"), lower=True)
        # An identity that we cannot name must not keep us from the rest of the machine.
        try:
            identity = ResourceId.parse(key)
        except ResourceIdError:
            unknown.append(key)
            continue
        alone = identity.group is not None and len(identity.blocks) == 1
        if alone and identity.is_type(USER_ASSIGNED_IDENTITY):
            attached.append(AttachedIdentity(identity, principal))
        else:
            unknown.append(key)
    system = "systemassigned" in types
    principal = _text(block.get("principalId"), lower=True)
    return IdentityBlock(
        system=system,
        # MySQL shows one of zeros beside user-assigned ones (facts: Identity by type).
        principal=principal if system else None,
        attached=tuple(sorted(attached, key=lambda entry: entry.id.key)),
        raw_type=None if types <= _KNOWN_TYPES else raw,
        unknown=tuple(sorted(unknown)),
    )


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
            created_by=_text(properties.get("createdBy"), lower=True),
            created=_moment(properties.get("createdOn")),
            updated_by=_text(properties.get("updatedBy"), lower=True),
        )


def id_of(row: Json) -> ResourceId:
    """Read no more than the id of a listed row."""
    with _reading("a row with an id", row):
        return ResourceId.parse(row["id"])


def written(entry: Json) -> Written:
    """Read an entry of the activity log; of its claims no more is read than the object id."""
    with _reading("an entry of the activity log", entry):
        at = _moment(entry["eventTimestamp"])
        if at is None:
            raise ValueError("it has no time")
        return Written(
            operation=_text(entry["operationName"]["value"]) or "",
            caller=_text(entry.get("caller")) or "somebody whom the log does not name",
            principal=_text((entry.get("claims") or {}).get(_OBJECT_ID)),
            at=at,
            succeeded=fold(entry["status"]["value"]) == "succeeded",
        )


def management_groups(row: Json) -> frozenset[str]:
    """Read the names of all management groups above a subscription, out of its row."""
    with _reading("a subscription", row):
        chain = (row.get("properties") or {}).get("managementGroupAncestorsChain") or ()
        return frozenset(fold(group["name"]) for group in chain)


def permissions(body: Json) -> tuple[Permission, ...]:
    """Read what a role definition allows; a list that is missing or null is empty."""
    kinds = ("actions", "notActions", "dataActions", "notDataActions")
    allowed: list[Permission] = []
    with _reading("a role definition", body):
        for entry in body["properties"]["permissions"]:
            lists = {kind: entry.get(kind) or [] for kind in kinds}
            for kind, texts in lists.items():
                if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
                    raise TypeError(f"{kind} is no list of texts")
            allowed.append(Permission(*map(tuple, lists.values())))
    return tuple(allowed)


@contextmanager
def _reading(what: str, body: Json) -> Iterator[None]:
    """Raise `Unreadable`, which quotes little of the body, for whatever reading it raises."""
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


def _member(body: Json, path: str) -> Any:  # noqa: ANN401 (JSON)
    """Return what lies at a path of a row of `resource_types`; none for an empty path."""
    if not path:
        return None
    first, *rest = path.split(".")
    value = body.get(first)
    for key in rest:
        value = (value or {}).get(key)
    return value


def _text(value: object, *, lower: bool = False) -> str | None:
    """Return a text, none for an empty one; anything else is not what was asked for."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"a value of type {type(value).__name__} is not a text")
    return (fold(value) if lower else value) if value else None


def _moment(value: object) -> datetime | None:
    """Return a time as UTC; one without a zone is that already, as Azure's own are (assumed)."""
    text = _text(value)
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    if not _YEARS[0] <= time.year < _YEARS[1]:
        raise ValueError(f"the year {time.year} is no time of Azure's")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
