"""Requests as queue messages: plain JSON that a person can read, write and put back by hand.

What the version before wrote is read, too: its `removals` was a text and named nothing, so it
allows nothing now, and its `seen` is dropped. An unknown key is logged and ignored, so that a
message of the next version does not end among the poison.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from reconciler.errors import MessageError, ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import Removals, Request, Sight, Sighting
from reconciler.printable import printable

_log = logging.getLogger(__name__)

_KEYS: Final = frozenset({"id", "since", "expected", "removals", "first", "sightings"})
_BEFORE: Final = frozenset({"seen"})
MOST_SIGHTINGS: Final = 20
_MOST_NAMED: Final = 24_000
"""Bytes of the ids that one message may name: a queue message holds 64 KB, in base64."""
_OLDEST: Final = timedelta(days=7)
_AHEAD: Final = timedelta(hours=1)


def encode(request: Request) -> str:
    """Return a request as JSON; keys without a value are left out."""
    removals = request.removals
    content = {
        "id": str(request.id),
        "since": _text(request.since),
        "expected": request.expected,
        "removals": removals
        and {"digest": removals.digest, "ids": list(_named(removals.ids or ()))},
        "first": _text(request.first),
        "sightings": [
            {"at": _text(one.at), "what": f"{one.what}: {one.about}" if one.about else one.what}
            for one in request.sightings
        ],
    }
    return json.dumps({key: value for key, value in content.items() if value})


def _named(ids: Iterable[ResourceId]) -> Iterator[str]:
    """Yield as many ids as a message holds; what it does not name stays, and comes with the next.

    One that Azure refuses for its size would keep the sweep's others back as well.
    """
    room = _MOST_NAMED
    for text in sorted(map(str, ids)):
        room -= len(json.dumps(text)) + 2
        if room < 0:
            return
        yield text


def decode(text: str) -> Request:
    """Read a message back; raises `MessageError` naming what is wrong with it."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the message is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise MessageError("the message is not a JSON object with an `id`")
    for key in sorted(set(content) - _KEYS - _BEFORE):
        _log.warning(
            "a queue message has the unknown key %s, which is ignored", printable(repr(key)[:40])
        )
    expected = content.get("expected", False)
    if not isinstance(expected, bool):
        raise MessageError("`expected` in the message is neither true nor false")
    return Request(
        id=_id(content.get("id"), "`id`"),
        since=_time(content.get("since"), "`since`"),
        expected=expected,
        removals=_removals(content.get("removals")),
        first=_time(content.get("first"), "`first`"),
        sightings=_sightings(content.get("sightings", [])),
    )


def bounded(request: Request, now: datetime) -> Request:
    """Return a request whose times lie between a week ago and an hour ahead.

    A message may come from anybody who can write to the queue; a time far ahead would be put back
    for ever, and one of the year 1 cannot be reckoned with.
    """

    def within(time: datetime) -> datetime:
        return min(max(time, now - _OLDEST), now + _AHEAD)

    return Request(
        request.id,
        within(request.since) if request.since else None,
        request.expected,
        request.removals,
        within(request.first) if request.first else None,
        tuple(
            Sighting(within(one.at), one.what, one.about)
            for one in request.sightings[-MOST_SIGHTINGS:]
        ),
    )


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _id(text: object, where: str) -> ResourceId:
    if not isinstance(text, str):
        raise MessageError(f"the message has no {where} that is a text")
    try:
        return ResourceId.parse(text)
    except ResourceIdError as error:
        raise MessageError(f"{where} in the message: {error}") from error


def _time(text: object, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise MessageError(f"{where} in the message is {text!r}, which is not a time") from error
    if time.tzinfo is None:
        raise MessageError(f"{where} in the message is {text!r}, which has no time zone")
    return time


def _removals(content: object) -> Removals | None:
    if content is None or isinstance(content, str):
        return None
    if not isinstance(content, dict):
        raise MessageError("`removals` in the message is not an object with `digest` and `ids`")
    digest, ids = content.get("digest"), content.get("ids", [])
    if not isinstance(digest, str) or not isinstance(ids, list):
        raise MessageError("`removals` in the message lacks a text `digest` or a list `ids`")
    return Removals(digest, frozenset(_id(one, "`removals.ids`") for one in ids))


def _sightings(content: object) -> tuple[Sighting, ...]:
    if not isinstance(content, list):
        raise MessageError("`sightings` in the message is not a list")
    found: list[Sighting] = []
    for one in content[-MOST_SIGHTINGS:]:
        what = one.get("what") if isinstance(one, dict) else None
        at = _time(one.get("at"), "`sightings.at`") if isinstance(one, dict) else None
        if not isinstance(what, str) or at is None:
            raise MessageError("a sighting in the message lacks its time `at` or its text `what`")
        kind, _, about = what.partition(": ")
        try:
            found.append(Sighting(at, Sight(kind), about))
        except ValueError:
            _log.warning(
                "a queue message has the unknown sighting %s, which is ignored",
                printable(repr(kind)[:40]),
            )
    return tuple(found)
