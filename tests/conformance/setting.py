"""Where and by whom a recording was made, as far as its answers tell."""

from collections.abc import Iterator
from http.client import CREATED
from typing import Any

from tests.conformance.recordings import Json, Recording

_ASSIGNMENT = "/providers/microsoft.authorization/roleassignments/"
_GROUP = "/providers/Microsoft.Management/managementGroups/"


def caller(recording: Recording) -> str | None:
    """Return the object id of the client: role assignments name who writes them."""
    written = (
        each.body["properties"]["updatedBy"]
        for each in recording.exchanges
        if each.method == "PUT" and each.status == CREATED and _ASSIGNMENT in each.path.lower()
    )
    return next(written, None)


def tenant(recording: Recording) -> str | None:
    """Return the tenant that management groups, if there are any, name."""
    groups = [each for each in recording.exchanges if _GROUP.lower() in each.path.lower()]
    return next((found["tenantId"] for found in _objects(groups) if "tenantId" in found), None)


def root(recording: Recording) -> str | None:
    """Return the name by which the tenant's root management group is shown."""
    wanted = f"{_GROUP}{tenant(recording)}"
    named = (
        found["displayName"]
        for found in _objects(recording.exchanges)
        if found.get("id") == wanted and "displayName" in found
    )
    return next(named, None)


def versions(recording: Recording) -> dict[str, int]:
    """Return the versions of management groups when they are first shown, by name."""
    found: dict[str, int] = {}
    for each in _objects(recording.exchanges):
        details = (each.get("properties") or {}).get("details") if "name" in each else None
        if isinstance(details, dict) and details.get("version"):
            found.setdefault(each["name"], details["version"])
    return found


def _objects(value: Any) -> Iterator[Json]:  # noqa: ANN401 - exchanges and JSON
    """Yield every object in the answers, at any depth."""
    if isinstance(value, dict):
        yield value
        yield from _objects(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _objects(getattr(each, "body", each))
