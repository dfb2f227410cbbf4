"""What Azure asked us to wait for, remembered for the whole process.

ARM throttles per subscription and kind of call (facts B3). Once it said 429, further calls of
that kind are not even sent before the time is over: they would only use up the bucket.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from reconciler.errors import Again
from reconciler.ids import ResourceId

_DEFAULT: Final = timedelta(seconds=10)

type Bucket = tuple[str, str]
"""Subscription (or "tenant") and kind of call: read, write, delete, graph."""


def bucket_of(place: ResourceId, kind: str) -> Bucket:
    """Return the bucket that a call to a place draws on."""
    return (place.subscription or "tenant", kind)


@dataclass(slots=True)
class Throttle:
    """Remembers until when which bucket is closed; safe to share between threads."""

    now: Callable[[], datetime]
    _closed: dict[Bucket, datetime] = field(default_factory=dict)

    def check(self, bucket: Bucket) -> None:
        """Raise `Again` while the bucket is closed."""
        wait = self._closed.get(bucket, self.now()) - self.now()
        if wait > timedelta():
            where, kind = bucket
            error = Again(f"{kind} calls in {where} are throttled", status=429, code="Throttled")
            error.retry_after = wait
            raise error

    def close(self, bucket: Bucket, wait: timedelta | None) -> None:
        """Close a bucket for as long as Azure asked, or ten seconds where it did not say."""
        self._closed[bucket] = self.now() + (wait or _DEFAULT)
