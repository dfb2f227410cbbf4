"""What `host.json` says; `triggers` obeys it, and `routes` as to web requests."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

# Documented: no more messages can be had at once.
MOST = 32
# How long a taken message stays hidden (documented) unless this lease is renewed.
LEASE = timedelta(minutes=10)
# How often queues and timers are looked at, in seconds of real time: an injected clock may jump.
POLL = 0.05
_ENCODINGS = {"base64": True, "none": False}


def section(app_dir: Path, name: str) -> Mapping[str, Any]:
    """Return a section of `extensions` in the app's `host.json`; what is missing is empty.

    Raises:
        ValueError: the file is not JSON, or of another form.
    """
    file = app_dir / "host.json"
    found = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for key in ("extensions", name):
        found = found.get(key, {}) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise ValueError(f"host.json: extensions.{name} is not an object")  # noqa: TRY004 - of the file
    return found


@dataclass(frozen=True)
class QueueOptions:
    """The section `extensions.queues`, with the defaults of version 2 (documented: host.json)."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta()
    base64: bool = True

    @classmethod
    def read(cls, app_dir: Path) -> Self:
        """Read the app's `host.json`; the defaults hold where it or a key is missing.

        Raises:
            ValueError: the file is not JSON, or a value is of the wrong form.
        """
        found = section(app_dir, "queues")
        batch_size = _number(found, "batchSize", cls.batch_size, 1, MOST)
        encoding = found.get("messageEncoding", "base64")
        if encoding not in _ENCODINGS:
            raise ValueError(f"host.json: messageEncoding is base64 or none, not {encoding!r}")
        return cls(
            batch_size=batch_size,
            new_batch_threshold=_number(found, "newBatchThreshold", batch_size // 2, 0),
            max_dequeue_count=_number(found, "maxDequeueCount", cls.max_dequeue_count, 1),
            visibility_timeout=_span(found.get("visibilityTimeout", "00:00:00")),
            base64=_ENCODINGS[encoding],
        )


def _number(
    found: Mapping[str, Any], name: str, default: int, least: int, most: int | None = None
) -> int:
    value = found.get(name, default)
    if type(value) is not int or value < least or (most is not None and value > most):
        limits = f"from {least}" + (f" to {most}" if most else "")
        raise ValueError(f"host.json: {name} is a number {limits}, not {value!r}")
    return value


def _span(text: object) -> timedelta:
    match = re.fullmatch(r"(\d\d):([0-5]\d):([0-5]\d)", str(text))
    if match is None:
        raise ValueError(f"host.json: visibilityTimeout is hh:mm:ss, not {text!r}")
    hours, minutes, seconds = map(int, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
