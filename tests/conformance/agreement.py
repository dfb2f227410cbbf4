"""Compares an answer with the recorded one: all that clients act on, and nothing else.

GUIDs that the server chooses are paired as they appear: the same one there must be the same one
here. Times agree in their form, links in path and options, everything else exactly.
"""

import dataclasses
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from tests.conformance.recordings import TRIMMED, Exchange, Json

_GUID = re.compile(r"([0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(Z|\+00:00)")
_OPERATION = re.compile(r"/(\w*operation\w*)/([^/?]+)", re.IGNORECASE)
_SAME = ("azure-asyncnotification", "x-ms-failure-cause")
_LINKS = ("azure-asyncoperation", "location")
_RATES = "x-ms-ratelimit-remaining-resource"
# Of a resource whose provider has no service here, all but this is the provider's own affair.
_COMMON = ("id", "name", "type", "location", "tags", "identity")
_SERVED = re.compile(
    r"microsoft\.(authorization|compute|managedidentity|resources|resourcegraph)/", re.IGNORECASE
)


def _key(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    options = sorted(f"{name}={value}" for name, value in parse_qsl(parts.query))
    return (parts.path.lower(), *options)


@dataclasses.dataclass
class Agreement:
    """What was found so far in one replay: the pairs of GUIDs and links, and the differences."""

    guids: dict[str, str] = dataclasses.field(default_factory=dict)
    """The recorded ones, lower case and without dashes, with ours."""
    links: dict[tuple[str, ...], str] = dataclasses.field(default_factory=dict)
    operations: dict[str, str] = dataclasses.field(default_factory=dict)
    """The recorded names of operations, which need not be GUIDs, with ours."""
    differences: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Place and what differs there."""
    made_here: frozenset[str] = frozenset()
    """Lower-case ids of what the replay itself needs; it is not in the recording."""

    def same(self, theirs: str, ours: str) -> None:
        """Pair a GUID of the recording with one of ours."""
        self.guids[_bare(theirs)] = ours

    def ours(self, text: str) -> str:
        """Return a text of the recording with our GUIDs."""

        def replace(found: re.Match[str]) -> str:
            known = self.guids.get(_bare(found[0]), found[0])
            return known if "-" in found[0] else _bare(known)

        return _GUID.sub(replace, text)

    def translated(self, exchange: Exchange) -> Exchange:
        """Return an exchange of the recording with our GUIDs."""
        request, body = (
            json.loads(self.ours(json.dumps(each))) for each in (exchange.request, exchange.body)
        )
        return dataclasses.replace(
            exchange, url=self.ours(exchange.url), request=request, body=body
        )

    def link(self, url: str) -> str:
        """Return the URL to call for a recorded one: what we were told, or the same with ours."""
        return self.links.get(_key(url)) or self.ours(url)

    def answer(self, exchange: Exchange, response: requests.Response) -> None:
        """Compare an answer with the recorded one."""
        self._exact("status", exchange.status, response.status_code)
        self._headers(exchange, response.headers)
        body = json.loads(response.content) if response.content else None
        self._value("body", exchange.body, body)

    def _differ(self, place: str, theirs: object, ours: object) -> None:
        self.differences.append((place, f"recorded {theirs!r}, here {ours!r}"))

    def _exact(self, place: str, theirs: object, ours: object) -> None:
        if theirs != ours:
            self._differ(place, theirs, ours)

    def _headers(self, exchange: Exchange, ours: Mapping[str, str]) -> None:
        theirs = exchange.headers
        for name in _SAME:
            self._exact(name, theirs.get(name), ours.get(name))
        for name in _LINKS:
            self._link(name, theirs.get(name, ""), ours.get(name, ""))
        self._exact(_RATES, _rates(theirs), _rates(ours))
        served = _SERVED.search(exchange.path)
        self._exact(
            "etag",
            theirs.get("etag") if served else "etag" in theirs,
            ours.get("etag") if served else "etag" in ours,
        )
        if theirs.get("content-length") == "0":
            self._exact("content-length", "0", ours.get("content-length"))
        for name in ("x-ms-user-quota-remaining", "x-ms-user-quota-resets-after"):
            self._exact(name, name in theirs, name in ours)

    def _link(self, place: str, theirs: str, ours: str) -> None:
        if theirs and ours:
            self.links[_key(theirs)] = ours
        names = _OPERATION.search(theirs), _OPERATION.search(ours)
        if names[0] and names[1]:
            self.operations[names[0][2]] = names[1][2]
        form = [_OPERATION.sub(r"/\1/<id>", self.ours(each)) for each in (theirs, ours)]
        paths = [urlsplit(each).path for each in form]
        options = [[name for name, _ in parse_qsl(urlsplit(each).query)] for each in form]
        self._exact(place, (paths[0], options[0]), (paths[1], options[1]))

    def _value(self, place: str, theirs: Any, ours: Any) -> None:  # noqa: ANN401 - JSON
        if isinstance(theirs, dict) and isinstance(ours, dict):
            self._object(place, theirs, ours)
        elif isinstance(theirs, list) and isinstance(ours, list):
            self._list(place, theirs, ours, whole=True)
        elif isinstance(theirs, str) and isinstance(ours, str):
            self._text(place, theirs, ours)
        elif theirs != ours or type(theirs) is not type(ours):
            self._differ(place, theirs, ours)

    def _object(self, place: str, theirs: Json, ours: Json) -> None:
        theirs, ours = _common(theirs), _common(ours)
        whole = TRIMMED not in theirs
        for name in sorted({*theirs, *ours} - {TRIMMED}):
            here = f"{place}.{name}"
            if name not in theirs or name not in ours:
                self._differ(here, theirs.get(name, "nothing"), ours.get(name, "nothing"))
            elif name in ("nextLink", "azureAsyncOperation"):
                self._link(here, theirs[name] or "", ours[name] or "")
            elif name == "message":
                self._message(here, theirs[name], ours[name])
            elif name == "userAssignedIdentities" and theirs[name]:
                self._map(here, theirs[name], ours[name] or {})
            elif name == "value" and isinstance(theirs[name], list):
                self._list(here, theirs[name], ours[name], whole=whole)
            else:
                self._value(here, theirs[name], ours[name])

    def _message(self, place: str, theirs: str, ours: str) -> None:
        """Compare texts for people: newer ones add a sentence."""
        length = min(len(theirs), len(ours)) or max(len(theirs), len(ours))
        self._text(place, theirs[:length], ours[:length])

    def _map(self, place: str, theirs: Json, ours: Json) -> None:
        """Compare maps whose keys are ids; their spelling counts, the order does not."""
        self._exact(place, sorted(map(self.ours, theirs)), sorted(ours))
        for name, value in theirs.items():
            self._value(f"{place}[]", value, ours.get(self.ours(name)))

    def _list(self, place: str, theirs: list[Any], ours: list[Any], *, whole: bool) -> None:
        here = [each for each in ours if not self._own(each)]
        if whole:
            self._exact(f"{place}.length", len(theirs), len(here))
        named = {
            each["id"].lower(): each for each in here if isinstance(each, dict) and "id" in each
        }
        for index, each in enumerate(theirs):
            if isinstance(each, dict) and "id" in each:
                found = named.get(self.ours(each["id"]).lower())
            else:
                found = here[index] if index < len(here) else None
            self._value(f"{place}[]", each, found)

    def _own(self, item: object) -> bool:
        return isinstance(item, dict) and str(item.get("id", "")).lower() in self.made_here

    def _text(self, place: str, theirs: str, ours: str) -> None:
        times = _TIME.fullmatch(theirs), _TIME.fullmatch(ours)
        if times[0] and times[1]:
            self._exact(place, times[0][1], times[1][1])
            return
        for name, own in self.operations.items():
            theirs = theirs.replace(name, own)
        left, right = _GUID.split(theirs), _GUID.split(ours)
        if left[::2] != right[::2]:
            self._differ(place, theirs, ours)
            return
        for one, other in zip(left[1::2], right[1::2], strict=True):
            known = self.guids.setdefault(_bare(one), str(uuid.UUID(other)))
            if _bare(known) != _bare(other):
                self._differ(place, theirs, ours)


def _bare(guid: str) -> str:
    return guid.lower().replace("-", "")


def _rates(headers: Mapping[str, str]) -> list[str]:
    return sorted(each.partition(";")[0] for each in headers.get(_RATES, "").split(",") if each)


def _common(value: Json) -> Json:
    """Return what is compared of an object; only a part of another provider's resource."""
    kind = value.get("type")
    if not isinstance(kind, str) or "id" not in value or _SERVED.match(kind):
        return value
    found = {name: value[name] for name in _COMMON if name in value}
    state = (value.get("properties") or {}).get("provisioningState")
    return found | ({"provisioningState": state} if state else {})
