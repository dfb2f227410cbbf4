"""Who asks how much: the token buckets of ARM, Compute and Resource Graph (facts: Throttling).

Usually every bucket is shown full and nobody is refused. With ``throttling`` on, each
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
"""All principals together have so many times what one has (facts: Throttling)."""
_ONE = 1 - 1e-6
"""A whole token, as far as a sum of fractions can tell."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket."""

    key: tuple[str, ...]
    """Names it, and whom it counts."""
    size: int
    refill: float
    """Tokens a second, or a window's if there is one."""
    window: float = 0.0
    """Seconds from the first token on, after which it is full again at once."""


class Buckets:
    """How full each bucket is; one that nobody took from is full."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        """Start with full buckets."""
        self._now = now
        self._left: dict[Bucket, tuple[float, dt.datetime]] = {}
        """What was left at a time; of a window, since when it is open."""
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
            lacking = next((each for each, found in left.items() if found[0] < _ONE), None)
            if lacking:
                wait = self._wait(lacking, *left[lacking], now)
                return [int(tokens) for tokens, _ in left.values()], lacking, max(1, wait)
            self._left |= {bucket: (tokens - 1, at) for bucket, (tokens, at) in left.items()}
            return [int(tokens - 1) for tokens, _ in left.values()], None, 0

    def _tokens(self, bucket: Bucket, now: dt.datetime) -> tuple[float, dt.datetime]:
        """Return what is left in a bucket, and since when."""
        tokens, at = self._left.get(bucket, (float(bucket.size), now))
        passed = (now - at).total_seconds()
        if bucket.window:
            return (tokens, at) if passed < bucket.window else (float(bucket.size), now)
        return min(float(bucket.size), tokens + passed * bucket.refill), now

    @staticmethod
    def _wait(bucket: Bucket, tokens: float, at: dt.datetime, now: dt.datetime) -> int:
        if bucket.window:
            return math.ceil(bucket.window - (now - at).total_seconds())
        return math.ceil((_ONE - tokens) / bucket.refill)


def kind_of(method: str) -> str:
    """Return as what ARM counts a request: read, write or delete."""
    return _VERBS.get(method, "write")


def arm(subscription: str, principal: str, method: str) -> dict[str, Bucket]:
    """Return the buckets of a call to ARM, by the names of their headers' ends.

    Sizes are documented and, but for deletes, recorded (facts: Errors and Throttling). The tenant
    has one a principal only.
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
