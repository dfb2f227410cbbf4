"""Requests as queue messages: plain JSON that a person can read, write and put back by hand.

`function_app` encodes and decodes; `Request.bounded` bounds what came in. Messages of the version
before are read, too: its `removals` was a text that named nothing, so it allows nothing now, and
its `seen` is dropped. An unknown key is logged and ignored, so that a message of the next version
does not end among the poison.
"""

import json
import logging
from datetime import datetime
from typing import Final

from reconciler.errors import MessageError, ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import MOST_SIGHTINGS, Removals, Request, Sight, Sighting
from reconciler.wording import printable

_log = logging.getLogger(__name__)

_KEYS: Final = frozenset({"id", "since", "expected", "removals", "first", "sightings"})
_DROPPED_KEYS: Final = frozenset({"seen"})
"""What the version before wrote and this one has no use for."""

_MOST_ID_BYTES: Final = 24_000
"""Bytes of the ids that one message may name: a queue message holds 64 KB, in base64."""


def encode(request: Request) -> str:
    """Return a request as JSON; keys without a value are left out."""
    # A message that Azure refuses for its size would keep a sweep's others back as well. What is
    # not named is not removed; the next sweep names it again.
    named: list[str] = []
    room = _MOST_ID_BYTES
    removals = request.removals
    for text in sorted(map(str, (removals.ids or ()) if removals else ())):
        room -= len(json.dumps(text)) + 2
        if room < 0:
            break
        named.append(text)
    content = {
        "id": str(request.id),
        "since": request.since and request.since.isoformat(),
        "expected": request.expected,
        "removals": removals and {"digest": removals.digest, "ids": named},
        "first": request.first and request.first.isoformat(),
        "sightings": [
            {
                "at": sighting.at.isoformat(),
                "what": sighting.what + (f": {sighting.about}" if sighting.about else ""),
            }
            for sighting in request.sightings
        ],
    }
    return json.dumps({key: value for key, value in content.items() if value})


def decode(text: str) -> Request:
    """Return the request of a message; raise `MessageError` naming what is wrong with it."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise MessageError("the message is not a JSON object with an `id`")
    for key in sorted(set(content) - _KEYS - _DROPPED_KEYS):
        _log.warning(
            "a queue message has the unknown key %s, which is ignored", printable(repr(key)[:40])
        )
    expected = content.get("expected", False)
    if not isinstance(expected, bool):
        raise MessageError("`expected` in the message is neither true nor false")
    removals = content.get("removals")
    if removals is None or isinstance(removals, str):
        # The version before wrote a text.
        removals = None
    elif isinstance(removals, dict):
        digest, ids = removals.get("digest"), removals.get("ids", [])
        if not isinstance(digest, str) or not isinstance(ids, list):
            raise MessageError("`removals` in the message lacks a text `digest` or a list `ids`")
        removals = Removals(digest, frozenset(_id(text, "`removals.ids`") for text in ids))
    else:
        raise MessageError("`removals` in the message is not an object with `digest` and `ids`")
    return Request(
        id=_id(content.get("id"), "`id`"),
        since=_time(content.get("since"), "`since`"),
        expected=expected,
        removals=removals,
        first=_time(content.get("first"), "`first`"),
        sightings=_sightings(content.get("sightings", [])),
    )


def _id(text: object, key: str) -> ResourceId:
    if not isinstance(text, str):
        raise MessageError(f"the message has no {key} that is a text")
    try:
        return ResourceId.parse(text)
    except ResourceIdError as error:
        raise MessageError(f"{key} in the message: {error}") from error


def _time(text: object, key: str) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise MessageError(f"{key} in the message is {text!r}, which is not a time") from error
    if time.tzinfo is None:
        raise MessageError(f"{key} in the message is {text!r}, which has no time zone")
    return time


def _sightings(content: object) -> tuple[Sighting, ...]:
    if not isinstance(content, list):
        raise MessageError("`sightings` in the message is not a list")
    sightings: list[Sighting] = []
    for entry in content[-MOST_SIGHTINGS:]:
        what = entry.get("what") if isinstance(entry, dict) else None
        at = _time(entry.get("at"), "`sightings.at`") if isinstance(entry, dict) else None
        if not isinstance(what, str) or at is None:
            raise MessageError("a sighting in the message lacks its time `at` or its text `what`")
        kind, _, about = what.partition(": ")
        try:
            sightings.append(Sighting(at, Sight(kind), about))
        except ValueError:
            _log.warning(
                "a queue message has the unknown sighting %s, which is ignored",
                printable(repr(kind)[:40]),
            )
    return tuple(sightings)
