"""Finding what a call names: a resource, or a list with its filter, pages and next link."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Json, Reply
from sandbox.world.state import Resource

PAGE = 1000

_TERM = re.compile(r"(\w+)\s+eq\s+'([^']*)'", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_FIELDS: dict[str, Callable[[Resource], str]] = {
    "resourcetype": lambda resource: resource.type,
    "name": lambda resource: resource.id.name,
    "location": lambda resource: ids.region(resource.location),
    "resourcegroup": lambda resource: resource.id.group,
}


def existing(call: Call, text: str | None = None) -> Resource:
    """Return the resource of the call, or of another id; raises ``AzureError`` 404.

    A read finds none that ARM's index does not show yet.
    """
    wanted = ids.parse(text) if text else call.id
    call.world.group(call.id)
    found = call.world.resources.get(wanted.key)
    if found is None and wanted.key in call.world.vanished:
        raise errors.gone()
    if found is None or (call.method == "GET" and not call.world.indexed(found)):
        raise errors.resource_not_found(wanted)
    return found


def expanded(call: Call, *allowed: str) -> frozenset[str]:
    """Return what ``$expand`` asks for, in lower case; raises ``AzureError`` 400 for all else."""
    asked = frozenset(each.strip().lower() for each in call.query.get("$expand", "").split(","))
    if asked - {"", *allowed}:
        raise errors.unsupported(f"the option $expand={call.query['$expand']}")
    return asked - {""}


def matching(call: Call, resources: Iterable[Resource]) -> list[Resource]:
    """Return what ``$filter`` selects: ``a eq 'x' and b eq 'y'``, compared in any case.

    Raises ``AzureError`` 400 for any other filter.
    """
    text = call.query.get("$filter", "").strip()
    wanted: dict[str, str] = {}
    for part in _AND.split(text) if text else ():
        term = _TERM.fullmatch(part.strip())
        if term is None or term[1].lower() not in _FIELDS or term[1].lower() in wanted:
            raise errors.unsupported(f'the filter "{part}"')
        wanted[term[1].lower()] = term[2].lower()
    return [
        resource
        for resource in resources
        if all(_FIELDS[name](resource).lower() == value for name, value in wanted.items())
    ]


def refuse_options(call: Call) -> None:
    """Raise ``AzureError`` 400 for options of a list that are not served."""
    for name in sorted(set(call.query) - {"api-version", "$top", "$skiptoken"}):
        raise errors.unsupported(f"the option {name}={call.query[name]}")


def within(call: Call) -> list[Resource]:
    """Return the resources in the group or subscription of the call; raises 404 for neither."""
    world = call.world
    if call.id.group:
        return list(world.members[world.group(call.id).id.key].values())
    prefix = f"/subscriptions/{call.id.subscription}/".lower()
    return [each for key, each in world.resources.items() if key.startswith(prefix)]


def select(call: Call, resource_type: str) -> list[Resource]:
    """Return the resources of a type in the group or subscription of the call.

    Raises ``AzureError`` 400 for an option that would choose among them.
    """
    refuse_options(call)
    wanted = resource_type.lower()
    # In a group the path names the parent, too.
    prefix = call.id.key + "/" if call.id.group else ""
    return [
        resource
        for resource in within(call)
        if resource.type.lower() == wanted and resource.id.key.startswith(prefix)
    ]


def page[T](
    call: Call,
    items: list[T],
    show: Callable[[T], Json],
    headers: Mapping[str, str] | None = None,
    *,
    size: int = PAGE,
) -> Reply:
    """Return one page of a list, with ``nextLink`` when there is more (facts: Lists).

    The token holds how many rows and how many empty pages came before.
    """
    faults = call.world.faults
    top = min(_numbers(call, "$top", (size,))[0], faults.page_size)
    start, empty = _numbers(call, "$skiptoken", (0, 0))
    body: dict[str, Any] = {"value": []}
    if empty < faults.empty_pages:
        body["nextLink"] = _next(call, start, empty + 1)
        return Reply(200, body, headers or {})
    body["value"] = [show(item) for item in items[start : start + top]]
    if start + top < len(items):
        body["nextLink"] = _next(call, start + top, 0)
    return Reply(200, body, headers or {})


def _next(call: Call, start: int, empty: int) -> str:
    options = {name: value for name, value in call.query.items() if name != "$skiptoken"}
    options["$skiptoken"] = f"{start}.{empty}"
    # Blanks are plus signs there (recorded).
    return f"{call.origin}{call.id.text}?{urlencode(options)}"


def _numbers(call: Call, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    text = call.query.get(name)
    if text is None:
        return default
    parts = text.split(".")
    if len(parts) != len(default) or not all(part.isdecimal() for part in parts):
        raise errors.unsupported(f"the option {name}={text}")
    return tuple(int(part) for part in parts)
