"""Requests as queue messages: plain JSON that a person can read, write and put back by hand."""

import json
from datetime import datetime

from reconciler.errors import MessageError, ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import Request

_KEYS = frozenset({"id", "since", "removals", "first", "seen"})


def encode(request: Request) -> str:
    """Return a request as JSON; keys without a value are left out."""
    content = {
        "id": str(request.id),
        "since": request.since.isoformat() if request.since else None,
        "removals": request.removals,
        "first": request.first.isoformat() if request.first else None,
        "seen": list(request.seen),
    }
    return json.dumps({key: value for key, value in content.items() if value})


def decode(text: str) -> Request:
    """Read a message back; raises `MessageError` naming what is wrong with it."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise MessageError("the message is not a JSON object with an `id`")
    unknown = sorted(set(content) - _KEYS)
    if unknown:
        raise MessageError(f"the message has an unknown key {unknown[0]!r}")
    seen = content.get("seen", [])
    removals = content.get("removals")
    if not isinstance(seen, list) or not all(isinstance(sight, str) for sight in seen):
        raise MessageError("`seen` in the message is not a list of texts")
    if removals is not None and not isinstance(removals, str):
        raise MessageError("`removals` in the message is not a policy digest")
    return Request(
        id=_id(content.get("id")),
        since=_time(content, "since"),
        removals=removals,
        first=_time(content, "first"),
        seen=tuple(seen),
    )


def _id(text: object) -> ResourceId:
    if not isinstance(text, str):
        raise MessageError("the message has no `id`")
    try:
        return ResourceId.parse(text)
    except ResourceIdError as error:
        raise MessageError(f"`id` in the message: {error}") from error


def _time(content: dict[str, object], key: str) -> datetime | None:
    text = content.get(key)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise MessageError(f"{key!r} in the message is {text!r}, which is not a time") from error
    if time.tzinfo is None:
        raise MessageError(f"{key!r} in the message is {text!r}, which has no time zone")
    return time
