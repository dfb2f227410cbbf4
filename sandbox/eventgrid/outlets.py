"""What a delivery reaches the outside with: addresses, queues and containers.

Tests give functions of their own, the HTTPS entrance those of ``sandbox.outlets``.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Names are in lower case."""
    took: dt.timedelta = dt.timedelta()
    """How long one waited for it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outlets:
    """Three ways out. Each raises ``TimeoutError`` in the end, or another ``OSError``."""

    call: Callable[[str, str, Mapping[str, str], bytes, dt.timedelta], Answer]
    """Send a request: method, URL, headers, body, and how long to wait for the answer."""
    enqueue: Callable[[str, str, str], int]
    """Put a text into a queue: storage account's id, queue, text; returns a status."""
    store: Callable[[str, str, str, bytes], int]
    """Write a blob: storage account's id, container, name, content; returns a status."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt."""

    status: int
    took: dt.timedelta = dt.timedelta()
