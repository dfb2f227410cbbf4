"""How much Azure still lets us ask, remembered for the whole process.

ARM counts calls by subscription and kind, Compute by machine or set and by region, Resource Graph
by principal (facts: Throttling), and each answer's headers show what is left. A call that would be
refused is not sent: it would only be answered 429. Whoever is refused here is told when his turn
is, one after the other as the bucket fills, so that what waits does not come back all at once.

`Wire` asks before each call, hands on each refusal and says when it is done; `policy` reads the
headers of every answer.
"""

import contextlib
import logging
import random
import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy

from reconciler.errors import Again
from reconciler.ids import ResourceId, fold

_log = logging.getLogger(__name__)

DEFERRED: Final = "Throttled"
"""The code of a call that was not sent; the bucket's log line tells of it, once for all."""
TENANT: Final = "tenant"

_ENTRIES: Final = 10_000
_SECOND: Final = timedelta(seconds=1)
_DEFAULT: Final = timedelta(seconds=10)
_LONGEST: Final = timedelta(hours=1)
_MINUTE: Final = 60
_TOO_MANY: Final = 429
# Calls a second (facts: Throttling, documented): of ARM and Resource Graph by kind, of Compute by
# what it counts. Where nothing is documented, one.
_REFILL: Final = {"read": 25.0, "write": 10.0, "delete": 10.0, "graph": 3.0}
_REFILL_OF_REGION: Final = 5.0
_REFILL_OF_MACHINE: Final = {"read": 12 / _MINUTE, "write": 4 / _MINUTE}
# Who is refused comes back with a whole look: two passes of a few reads.
_TO_COME: Final = {"read": 6}
# From here on calls are counted. Of so few queries all are.
_LOW: Final = {"read": 100, "write": 100, "delete": 100, "graph": 15}
# What is left to those of other processes, which draw on the same.
_CUSHION: Final = {"read": 10, "write": 10, "delete": 10}
# By how much a process takes its share for smaller or larger than it did, and the least share.
_LESS, _MORE, _LEAST_SHARE = 0.9, 1.05, 1 / 32
# What a machine must have left: others write to it too, and a deployment needs the last one.
_LEAST_OF_MACHINE: Final = {"write": 1}

_LEFT: Final = "x-ms-ratelimit-remaining-"
_COMPUTE: Final = re.compile(r"Microsoft\.Compute/(\w{1,100});([0-9]{1,9})(?![0-9])")
_TARGET: Final = re.compile(r'"target"\s*:\s*"(\w{1,100})"')
_OWN: Final = "Resource"
_REGION: Final = "SubscriptionMaximum"
_QUOTA: Final = "x-ms-user-quota-remaining"
_RESETS: Final = "x-ms-user-quota-resets-after"
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})")

type _Key = tuple[str, ...]


class Bucket(NamedTuple):
    """What a call draws on: that of a subscription, or of the tenant, for a kind of call.

    `machine` and `region` are set where Compute answers. `leave` is for whom it may not take all.
    """

    place: str
    kind: str
    machine: str = ""
    region: str = ""
    leave: int = 0

    @property
    def key(self) -> _Key:
        """What ARM or Resource Graph counts."""
        return (self.place, self.kind)

    @property
    def region_key(self) -> _Key:
        """What Compute counts by subscription and region."""
        return (self.place, self.kind, "region", self.region)

    @property
    def machine_key(self) -> _Key:
        """What Compute counts by machine or scale set."""
        return (self.machine, self.kind)

    @property
    def keys(self) -> tuple[_Key, ...]:
        """All that a call is counted in."""
        own = (self.region_key, self.machine_key) if self.machine else ()
        return (self.key, *own)

    def __str__(self) -> str:
        """Name it in a message."""
        return f"{self.kind} calls in {self.place}"


GRAPH: Final = Bucket(TENANT, "graph")


def bucket_of(place: ResourceId, kind: str) -> Bucket:
    """Return the bucket that a call to a place draws on: read, write, delete, activity log."""
    return Bucket(fold(place.subscription or TENANT), kind)


def resource_bucket(resource: ResourceId, kind: str, region: str = "") -> Bucket:
    """Return the bucket of a call that the resource's own provider answers."""
    own = fold(str(resource)) if fold(resource.type).startswith("microsoft.compute/") else ""
    return bucket_of(resource, kind)._replace(machine=own, region=fold(region))


@dataclass(slots=True)
class _Level:
    """How much is left of something that Azure counts; `at` lies ahead while nothing is."""

    what: str
    refill: float
    most: float
    """With as much nothing has to be counted."""
    cushion: int
    """What is left to calls of other processes."""
    tokens: float
    at: datetime
    following: datetime
    """The first turn that nobody has been given."""
    share: float = 1.0
    """What part of what comes in is ours: other processes take from the same."""
    told: bool = False

    def saw(self, left: int, under_way: int) -> None:
        """Take note of what an answer shows to be left, which other calls are about to take."""
        others = left < self.tokens - 1
        self.share = max(_LEAST_SHARE, min(1.0, self.share * (_LESS if others else _MORE)))
        self.tokens = min(max(self.tokens, left - under_way), left)

    def fill(self, now: datetime) -> None:
        """Add what came in since it was last looked at."""
        if now > self.at:
            gained = (now - self.at).total_seconds() * self.refill * self.share
            self.tokens, self.at = min(self.most, self.tokens + gained), now

    def ready(self, leave: int) -> datetime:
        """Return when a call may be made that leaves so many, should nobody else make any."""
        lacking = max(0.0, 1 + max(leave, self.cushion) - self.tokens)
        return self.at + timedelta(seconds=lacking / self.refill / self.share)

    def tell(self, wait: timedelta) -> None:
        """Write the one log line of all that is put off, once; a 429 itself is its request's."""
        if not self.told:
            self.told = True
            _log.warning("%s are throttled for %.0f s or more", self.what, wait.total_seconds())

    def turn(self, leave: int, calls: int) -> tuple[datetime, timedelta]:
        """Give out the next turn, and by how much the one after it is later."""
        spacing = timedelta(seconds=calls / self.refill / self.share)
        found = max(self.ready(leave), self.following)
        self.following = found + spacing
        return found, spacing


class _Calling(threading.local):
    """What a thread is about: its call, and what Compute's refusal of that is about."""

    def __init__(self) -> None:
        self.bucket: Bucket | None = None
        self.lacking: set[str] = set()


@dataclass(slots=True)
class Throttle:
    """Knows what is nearly used up; safe to share between threads."""

    now: Callable[[], datetime]
    chance: random.Random = field(default_factory=lambda: random.Random(random.random()))  # noqa: S311 (spreads calls)
    _levels: OrderedDict[_Key, _Level] = field(default_factory=OrderedDict)
    _under_way: Counter[_Key] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calling: _Calling = field(default_factory=_Calling)

    @property
    def policy(self) -> SansIOHTTPPolicy[Any, Any]:
        """The pipeline policy that shows every answer to `saw`."""
        return _Headers(self)

    def check(self, bucket: Bucket) -> None:
        """Take what one call costs; raises `Again`, with the caller's turn, where it is too much.

        Unless `leave` calls are left for others, it is.
        """
        self._calling.bucket, self._calling.lacking = bucket, set()
        with self._lock:
            now = self.now()
            levels = list(self._known(bucket.keys, now))
            scarce = max(levels, key=lambda level: level.ready(bucket.leave), default=None)
            if scarce and scarce.ready(bucket.leave) > now:
                turn, spacing = scarce.turn(bucket.leave, _TO_COME.get(bucket.kind, 1))
                error = Again(f"{scarce.what} are throttled", status=_TOO_MANY, code=DEFERRED)
                error.retry_after = turn + spacing * self.chance.random() - now
                scarce.tell(error.retry_after)
                raise error
            for level in levels:
                level.tokens -= 1
            self._under_way[bucket.key] += 1

    def done(self, bucket: Bucket) -> None:
        """Take note that a call that was checked has ended, whatever came of it."""
        self._calling.bucket = None
        with self._lock:
            self._under_way[bucket.key] -= 1
            if not self._under_way[bucket.key]:
                del self._under_way[bucket.key]

    def close(self, bucket: Bucket, wait: timedelta | None) -> timedelta:
        """Remember a 429 of the call that was checked last; return when it may come again.

        That is as long as Azure asked, or ten seconds where it did not say.
        """
        until = min(_DEFAULT if wait is None else max(wait, _SECOND), _LONGEST)
        names = self._calling.lacking if bucket.machine else set()
        keys = {bucket.machine_key if name.endswith(_OWN) else bucket.region_key for name in names}
        with self._lock:
            levels = [self._close(key, bucket, until) for key in keys or {bucket.key}]
            return max(level.turn(0, 1)[0] for level in levels) - self.now()

    def saw(self, headers: Mapping[str, str], refusal: str | None = None) -> None:
        """Read what an answer's headers show to be left, and what a 429 is about."""
        bucket = self._calling.bucket
        if bucket is None:
            return
        with self._lock:
            for kind in ("read", "write", "delete"):
                for place in ("subscription", TENANT):
                    left = _number(headers.get(f"{_LEFT}{place}-{kind}s"))
                    if left is not None:
                        where = bucket.place if place == "subscription" else TENANT
                        self._left(Bucket(where, kind), left)
            left = _number(headers.get(_QUOTA))
            if left is not None:
                self._left(GRAPH, left)
                resets = _CLOCK.fullmatch(headers.get(_RESETS, ""))
                if resets and not left:
                    hours, minutes, seconds = map(int, resets.groups())
                    wait = timedelta(hours=hours, minutes=minutes, seconds=seconds)
                    self._close(GRAPH.key, GRAPH, min(wait, _LONGEST), tokens=_LOW["graph"])
            if bucket.machine:
                self._saw_compute(bucket, headers, refusal)

    def _saw_compute(self, bucket: Bucket, headers: Mapping[str, str], refusal: str | None) -> None:
        shown = _COMPUTE.findall(headers.get(f"{_LEFT}resource", ""))
        for name, text in shown:
            if name.endswith(_OWN) and int(text) <= _LEAST_OF_MACHINE.get(bucket.kind, 0):
                self._close(bucket.machine_key, bucket, self._turn_of(bucket))
            elif name.endswith(_REGION) and not int(text):
                self._close(bucket.region_key, bucket, _SECOND)
        if refusal is not None:
            ends = (_OWN, _REGION)
            found = {name for name, text in shown if not int(text) and name.endswith(ends)}
            found |= set(_TARGET.findall(refusal))
            by_arm = headers.get("x-ms-failure-cause", "") == "gateway"
            self._calling.lacking = set() if by_arm else found or {_REGION}

    @staticmethod
    def _turn_of(bucket: Bucket) -> timedelta:
        return timedelta(seconds=1 / _REFILL_OF_MACHINE.get(bucket.kind, 1.0))

    def _left(self, bucket: Bucket, left: int) -> None:
        """Take note of what is left, once that is little."""
        low = _LOW[bucket.kind]
        for level in self._known((bucket.key,), self.now()):
            level.saw(left, self._under_way[bucket.key] - 1)
            return
        if left <= low:
            self._enter(bucket.key, bucket, self.now()).tokens = left

    def _close(
        self, key: _Key, bucket: Bucket, wait: timedelta, tokens: float | None = None
    ) -> _Level:
        until = self.now() + wait
        level = self._levels.get(key) or self._enter(key, bucket, until)
        if level.at <= until:
            # After a wait as much is there as a second brings.
            usual = max(level.refill, 1.0 + level.cushion)
            level.at, level.tokens = until, usual if tokens is None else tokens
            level.following = max(level.following, until)
        return level

    def _enter(self, key: _Key, bucket: Bucket, at: datetime) -> _Level:
        kind = bucket.kind
        what, refill, most = str(bucket), _REFILL.get(kind, 1.0), float(_LOW.get(kind, 2))
        cushion = _CUSHION.get(kind, 0)
        if key != bucket.key:
            most, cushion = 2.0, 0
            where = f"resources of {bucket.place} in {bucket.region or 'any region'}"
            refill = _REFILL_OF_REGION
            if key == bucket.machine_key:
                where, refill = bucket.machine, _REFILL_OF_MACHINE.get(kind, 1.0)
            what = f"{kind} calls to {where}"
        self._levels[key] = level = _Level(what, refill, most, cushion, 0.0, at, at)
        while len(self._levels) > _ENTRIES:
            self._levels.popitem(last=False)
        return level

    def _known(self, keys: Iterable[_Key], now: datetime) -> Iterator[_Level]:
        """Yield the levels that are low, filled up to now; drops those that no longer are."""
        for key in keys:
            level = self._levels.get(key)
            if level is None:
                continue
            level.fill(now)
            if level.tokens >= level.most and level.following <= now:
                del self._levels[key]
            else:
                yield level


class _Headers(SansIOHTTPPolicy[Any, Any]):
    """Shows each answer to the throttle, whichever client it is for."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    def on_response(
        self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]
    ) -> None:
        """Read the headers, and of a 429 the text."""
        del request
        answer = response.http_response
        refusal = None
        if answer.status_code == _TOO_MANY:
            refusal = ""
            with contextlib.suppress(LookupError, ValueError):  # Its encoding may be anything.
                refusal = answer.text()
        self._throttle.saw(answer.headers, refusal)


def _number(text: str | None) -> int | None:
    if text and text.isascii() and text.isdigit() and len(text) < len("1000000000"):
        return int(text)
    return None
