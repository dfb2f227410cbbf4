"""Who asks how much: the token buckets of ARM, Compute and Resource Graph (facts B3).

In fair weather every bucket is shown full and nobody is refused. With ``throttling`` on, each
request takes a token from several buckets at once, or from none and is answered 429.
"""

import dataclasses
import datetime as dt
import math
import threading
from collections.abc import Callable, Iterable

_READ = "read"
_VERBS = {"GET": _READ, "HEAD": _READ, "DELETE": "delete"}
_SHARE = 15
"""All principals together have so many times what one has (facts B3)."""
_ONE = 1 - 1e-6
"""A whole token, as far as a sum of fractions can tell."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket."""

    key: tuple[str, ...]
    """Names it, and whom it counts."""
    size: int
    refill: float
    """Tokens a second."""


class Buckets:
    """How full each bucket is; one that nobody took from is full."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        """Start with full buckets."""
        self._now = now
        self._left: dict[Bucket, tuple[float, dt.datetime]] = {}
        self._lock = threading.Lock()

    def take(self, wanted: Iterable[Bucket]) -> tuple[list[int], Bucket | None, int]:
        """Take one token from each bucket, or from none when one of them is empty.

        Returns:
            What is left in each; the bucket that was empty, if any; and the seconds until it
            has a token again.
        """
        now = self._now()
        with self._lock:
            left = {bucket: self._tokens(bucket, now) for bucket in wanted}
            lacking = next((each for each, tokens in left.items() if tokens < _ONE), None)
            if lacking:
                wait = math.ceil((_ONE - left[lacking]) / lacking.refill)
                return [int(tokens) for tokens in left.values()], lacking, max(1, wait)
            for bucket, tokens in left.items():
                self._left[bucket] = (tokens - 1, now)
            return [int(tokens - 1) for tokens in left.values()], None, 0

    def _tokens(self, bucket: Bucket, now: dt.datetime) -> float:
        tokens, at = self._left.get(bucket, (float(bucket.size), now))
        return min(float(bucket.size), tokens + (now - at).total_seconds() * bucket.refill)


def kind_of(method: str) -> str:
    """Return as what ARM counts a request: read, write or delete."""
    return _VERBS.get(method, "write")


def arm(subscription: str, principal: str, method: str) -> dict[str, Bucket]:
    """Return the buckets of a call to ARM, by the names of their headers' ends.

    Sizes are documented and, but for deletes, recorded (facts A2.6, B3). The tenant has one a
    principal only.
    """
    kind = kind_of(method)
    size, refill = (250, 25.0) if kind == _READ else (200, 10.0)
    if not subscription:
        return {f"tenant-{kind}s": Bucket(("tenant", kind, principal), size, refill)}
    key = (subscription.lower(), kind)
    return {
        f"subscription-{kind}s": Bucket((*key, principal), size, refill),
        f"subscription-global-{kind}s": Bucket(key, size * _SHARE, refill * _SHARE),
    }
