"""Recorded exchanges with ARM as values; the replay and the error tests read them from here."""

import contextlib
import dataclasses
import datetime as dt
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

type Json = dict[str, Any]

TRIMMED = "__trimmed_from"
"""Marks a list that the recording shows only in part."""


@dataclasses.dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer."""

    method: str
    url: str
    request: Any
    status: int
    headers: Mapping[str, str]
    body: Any
    follows: bool
    """Whether nothing was cut out between the exchange before and this one."""

    @property
    def path(self) -> str:
        """The path of the request."""
        return urlsplit(self.url).path

    @property
    def code(self) -> str:
        """The code of an error answer, or nothing."""
        error = (self.body.get("error") if isinstance(self.body, dict) else None) or {}
        return str(error.get("code", ""))


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """What one client did, in order."""

    name: str
    exchanges: tuple[Exchange, ...]


def exchange(record: Json, *, follows: bool = False) -> Exchange:
    """Return one exchange; older files hold the request as text."""
    request = record["request_body"]
    if isinstance(request, str):
        request = None if request == "None" else _mend(request)
    headers = {name.lower(): str(value) for name, value in record["headers"].items()}
    url, status = record["url"], record["status"]
    body = _named(url, record["body"])
    return Exchange(record["method"], url, request, status, headers, body, follows)


def _mend(text: str) -> Any:  # noqa: ANN401 - JSON
    """Parse a request that was perhaps cut: as many of its members as are whole."""
    ends = [len(text), *(found.start() for found in re.finditer(",", text))]
    for end in sorted(ends, reverse=True):
        with contextlib.suppress(ValueError):
            return json.loads(text[:end] + _closing(text[:end]))
    return {}


def _closing(text: str) -> str:
    """Return the brackets that are still open, outermost last."""
    opened: list[str] = []
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if mark in "[{":
            opened.append("]" if mark == "[" else "}")
        elif mark in "]}" and opened:
            opened.pop()
    return "".join(reversed(opened))


def _named(url: str, body: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace a random name as the recorder did; it missed those shown in lower case."""
    asked = urlsplit(url).path.rpartition("/")[2]
    shown = str(body.get("id", "")).rpartition("/")[2] if isinstance(body, dict) else ""
    stem = re.sub(r"\d{6}$", "", asked).lower()
    if stem == asked.lower() or not shown.startswith(stem):
        return body
    return json.loads(json.dumps(body).replace(shown, asked.lower()))


def recordings(folder: Path) -> Iterator[Recording]:
    """Yield the recordings of a folder; a file may hold parts of several."""
    for path in sorted(folder.glob("*.json")):
        records: list[Json] = json.loads(path.read_text("utf-8"))["interactions"]
        for client, group in itertools.groupby(records, _client):
            name = f"{path.stem}-{client}" if client else path.stem
            yield Recording(name, tuple(_exchanges(list(group))))


def _client(record: Json) -> str:
    found = re.search(r"(\w+)\.yaml #\d+$", record.get("source", ""))
    return found[1] if found else ""


def _exchanges(records: list[Json]) -> Iterator[Exchange]:
    numbers = [each.get("n", int(each.get("source", "#0").rpartition("#")[2])) for each in records]
    for before, number, record in zip([None, *numbers], numbers, records, strict=False):
        yield exchange(record, follows=before is not None and number == before + 1)


def moment(text: str | None) -> dt.datetime | None:
    """Read a recorded time."""
    if text is None:
        return None
    # ARM writes seven digits of a second, Python reads six.
    return dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d", r"\1", text))
