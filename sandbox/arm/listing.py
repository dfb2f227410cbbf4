"""Finding what a call names: a resource, or a list with its filter, pages and next link."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from sandbox.arm import errors, ids, regions
from sandbox.arm.routing import Call, Json, Reply
from sandbox.world.state import Resource

_TERM = re.compile(r"(\w+)\s+eq\s+'([^']*)'", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_OR = re.compile(r"\s+or\s+", re.IGNORECASE)

PAGE = 1000


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
    found = frozenset(each.strip().lower() for each in call.query.get("$expand", "").split(","))
    if found - {"", *allowed}:
        raise errors.unsupported(f"the option $expand={call.query['$expand']}")
    return found - {""}


def _choices(text: str, allowed: tuple[str, ...]) -> dict[str, set[str]]:
    """Parse ``a eq 'x' and (b eq 'y' or b eq 'z')``; raises ``AzureError`` 400 for anything else.

    Args:
        text: the filter, possibly empty.
        allowed: the names that may occur.
    """
    names = {each.lower(): each for each in allowed}
    found: dict[str, set[str]] = {}
    for part in _AND.split(text.strip()) if text.strip() else ():
        inner = part.strip()
        grouped = inner.startswith("(") and inner.endswith(")")
        each_of = _OR.split(inner[1:-1]) if grouped else [inner]
        context = [term for each in each_of if (term := _TERM.fullmatch(each.strip()))]
        (name, *more) = {names.get(term[1].lower(), "") for term in context} or {""}
        if more or not name or name in found or len(context) < len(each_of):
            raise errors.unsupported(f'the filter "{part}"')
        found[name] = {term[2] for term in context}
    return found


_FIELDS: dict[str, Callable[[Resource], str]] = {
    "resourceType": lambda each: each.type,
    "name": lambda each: each.id.name,
    "location": lambda each: regions.plain(each.location),
    "resourceGroup": lambda each: each.id.group,
}
_TAG = ("tagName", "tagValue")


def matching(
    call: Call, items: Iterable[Resource], fields: tuple[str, ...] = tuple(_FIELDS)
) -> list[Resource]:
    """Return what ``$filter`` selects: by fields or by one tag, not both (documented)."""
    text = call.query.get("$filter", "")
    wanted = _choices(text, (*fields, *_TAG))
    tags, values = (wanted.pop(name, set()) for name in _TAG)
    if ((tags or values) and wanted) or (values and not tags):
        raise errors.unsupported(f'the filter "{text}"')
    tests = {name: {each.lower() for each in values} for name, values in wanted.items()}
    return [
        each
        for each in items
        if all(_FIELDS[name](each).lower() in tests[name] for name in tests)
        and all(_tagged(each, tag, values) for tag in tags)
    ]


def _tagged(resource: Resource, tag: str, values: set[str]) -> bool:
    # Names of tags are compared without regard to case, values with it (documented).
    found = {name.lower(): each for name, each in resource.tags.items()}
    return tag.lower() in found and (not values or found[tag.lower()] in values)


def select(call: Call, resource_type: str) -> list[Resource]:
    """Return the resources of a type in the group or subscription of the call.

    Raises ``AzureError`` 400 for an option that would choose among them.
    """
    refuse_options(call)
    wanted = resource_type.lower()
    # In a group the path names the parent, too.
    prefix = call.id.key + "/" if call.id.group else ""
    return [
        each
        for each in within(call)
        if each.type.lower() == wanted and each.id.key.startswith(prefix)
    ]


def refuse_options(call: Call, *allowed: str) -> None:
    """Raise ``AzureError`` 400 for options of a list that are not served."""
    for name in sorted(set(call.query) - {"api-version", "$top", "$skiptoken", *allowed}):
        raise errors.unsupported(f"the option {name}={call.query[name]}")


def within(call: Call) -> list[Resource]:
    """Return the resources in the group or subscription of the call; raises 404 for neither."""
    world = call.world
    if call.id.group:
        return list(world.members[world.group(call.id).id.key].values())
    prefix = f"/subscriptions/{call.id.subscription}/".lower()
    return [each for key, each in world.resources.items() if key.startswith(prefix)]


def page[T](
    call: Call,
    items: list[T],
    show: Callable[[T], Json],
    headers: Mapping[str, str] | None = None,
    *,
    size: int = PAGE,
) -> Reply:
    """Return one page of a list, with ``nextLink`` when there is more.

    See facts: Role assignments, recorded.

    The token says how many rows and how many empty pages came before.
    """
    faults = call.world.faults
    top = min(_numbers(call, "$top", (size,))[0], faults.page_size)
    start, empty = _numbers(call, "$skiptoken", (0, 0))
    if empty < faults.empty_pages:
        return Reply(200, {"value": [], "nextLink": _next(call, start, empty + 1)}, headers or {})
    body: dict[str, Any] = {"value": [show(each) for each in items[start : start + top]]}
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
