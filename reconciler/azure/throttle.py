"""How many calls Azure still allows, remembered for the whole process.

ARM counts calls by subscription and kind, Compute by machine or set and by region, Resource Graph
by principal (facts: Throttling), and each answer's headers show what is left. A call that would be
refused is not sent: it would only be answered 429. Each caller that is put off gets a turn of its
own, spread over the time in which the bucket fills, so that what waits does not come back at once.

`Pipeline` asks before each call, reports each 429 and each call's end; as a policy of that pipeline
`Throttle` reads the headers of every answer.
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
"""The code of a call that was not sent. One log line a bucket stands for all of them."""
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
# Calls that a caller makes once its turn has come: a request is read anew, in two passes.
_CALLS_OF_A_TURN: Final = {"read": 6}
# Below this many calls are counted; Resource Graph never allows more than these.
_LOW: Final = {"read": 100, "write": 100, "delete": 100, "graph": 15}
# Calls that are left to other processes, which draw on the same bucket.
_CUSHION: Final = {"read": 10, "write": 10, "delete": 10}
# By which factor a process corrects its share of a bucket, and its least share.
_LESS, _MORE, _LEAST_SHARE = 0.9, 1.05, 1 / 32
# What a machine must have left: others write to it too, and a deployment needs the last one.
_LEAST_OF_MACHINE: Final = {"write": 1}

_LEFT: Final = "x-ms-ratelimit-remaining-"
_COMPUTE: Final = re.compile(r"Microsoft\.Compute/(\w{1,100});([0-9]{1,9})(?![0-9])")
_TARGET: Final = re.compile(r'"target"\s*:\s*"(\w{1,100})"')
# How Compute's names end: of what it counts by machine or set, and by subscription and region.
_OF_MACHINE: Final = "Resource"
_OF_REGION: Final = "SubscriptionMaximum"
_QUOTA: Final = "x-ms-user-quota-remaining"
_RESETS: Final = "x-ms-user-quota-resets-after"
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})")

type _Key = tuple[str, ...]


class Bucket(NamedTuple):
    """What a call draws on: that of a subscription, or of the tenant, for a kind of call.

    `machine` and `region` are set where Compute answers. `leave` is how many calls must be left to
    others.
    """

    place: str
    kind: str
    machine: str = ""
    region: str = ""
    leave: int = 0

    @property
    def keys(self) -> tuple[_Key, ...]:
        """What the call is counted in: by ARM or Graph, then by Compute's region and machine."""
        by_arm = (self.place, self.kind)
        if not self.machine:
            return (by_arm,)
        return by_arm, (self.place, self.kind, "region", self.region), (self.machine, self.kind)


GRAPH: Final = Bucket(TENANT, "graph")


def bucket_of(place: ResourceId, kind: str, region: str | None = None) -> Bucket:
    """Return the bucket of a call to a place; kinds are read, write, delete and activity log.

    `region` is given, and may be empty, where the resource's own provider answers.
    """
    subscription = fold(place.subscription or TENANT)
    if region is None or not fold(place.type).startswith("microsoft.compute/"):
        return Bucket(subscription, kind, region=fold(region or ""))
    return Bucket(subscription, kind, fold(str(place)), fold(region))


@dataclass(slots=True)
class _Level:
    """How much is left in a bucket; `at` lies ahead while nothing is."""

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
    """What part of what comes in is ours: other processes take from the same bucket."""
    logged: bool = False

    def ready(self, leave: int) -> datetime:
        """Return when a call may be made that leaves so many, if no other call is made before."""
        lacking = max(0.0, 1 + max(leave, self.cushion) - self.tokens)
        return self.at + timedelta(seconds=lacking / self.refill / self.share)

    def take_turn(self, leave: int, calls: int) -> tuple[datetime, timedelta]:
        """Give out the next turn; return it, and how much later the one after it is."""
        spacing = timedelta(seconds=calls / self.refill / self.share)
        turn = max(self.ready(leave), self.following)
        self.following = turn + spacing
        return turn, spacing


class _ThreadCall(threading.local):
    """The call that a thread is making, and which of Compute's counts a 429 of it was about."""

    bucket: Bucket | None = None
    exhausted: frozenset[str] = frozenset()


@dataclass(slots=True)
class Throttle(SansIOHTTPPolicy[Any, Any]):
    """The buckets that are nearly empty; safe to share between threads."""

    now: Callable[[], datetime]
    chance: random.Random = field(default_factory=lambda: random.Random(random.random()))  # noqa: S311 (spreads calls)
    _levels: OrderedDict[_Key, _Level] = field(default_factory=OrderedDict)
    _under_way: Counter[_Key] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _call: _ThreadCall = field(default_factory=_ThreadCall)

    def check(self, bucket: Bucket) -> None:
        """Count one call; raise `Again`, with the caller's turn, where the bucket lacks it."""
        self._call.bucket, self._call.exhausted = bucket, frozenset()
        with self._lock:
            now = self.now()
            levels = list(self._low(bucket.keys, now))
            scarcest = max(levels, key=lambda level: level.ready(bucket.leave), default=None)
            if scarcest and scarcest.ready(bucket.leave) > now:
                calls = _CALLS_OF_A_TURN.get(bucket.kind, 1)
                turn, spacing = scarcest.take_turn(bucket.leave, calls)
                error = Again(f"{scarcest.what} are throttled", status=_TOO_MANY, code=DEFERRED)
                error.retry_after = turn + spacing * self.chance.random() - now
                # One line for all that is put off; a 429 itself is logged by its request.
                if not scarcest.logged:
                    scarcest.logged = True
                    seconds = error.retry_after.total_seconds()
                    _log.warning("%s are throttled for %.0f s or more", scarcest.what, seconds)
                raise error
            for level in levels:
                level.tokens -= 1
            self._under_way[bucket.keys[0]] += 1

    def done(self, bucket: Bucket) -> None:
        """Count a call that was checked as ended, whatever came of it."""
        self._call.bucket = None
        key = bucket.keys[0]
        with self._lock:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def close(self, bucket: Bucket, wait: timedelta | None) -> timedelta:
        """Remember a 429 of the call that was checked last; return when it may come again.

        That is as long as Azure asked, or ten seconds where it gave no time.
        """
        wait = min(_DEFAULT if wait is None else max(wait, _SECOND), _LONGEST)
        by_arm, *by_compute = bucket.keys
        keys = {by_arm}
        if by_compute and self._call.exhausted:
            region, machine = by_compute
            names = self._call.exhausted
            keys = {machine if name.endswith(_OF_MACHINE) else region for name in names}
        with self._lock:
            levels = [self._empty(key, bucket, wait) for key in keys]
            return max(level.take_turn(0, 1)[0] for level in levels) - self.now()

    def on_response(
        self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]
    ) -> None:
        """Read the headers of every answer, and the text of a 429."""
        del request
        answer = response.http_response
        refusal = None
        if answer.status_code == _TOO_MANY:
            refusal = ""
            with contextlib.suppress(LookupError, ValueError):  # Its encoding may be anything.
                refusal = answer.text()
        self.note(answer.headers, refusal)

    def note(self, headers: Mapping[str, str], refusal: str | None = None) -> None:
        """Note what an answer shows to be left; `refusal` is the text of a 429."""
        bucket = self._call.bucket
        if bucket is None:
            return
        buckets = {_QUOTA: GRAPH}
        for kind in ("read", "write", "delete"):
            buckets[f"{_LEFT}subscription-{kind}s"] = Bucket(bucket.place, kind)
            buckets[f"{_LEFT}tenant-{kind}s"] = Bucket(TENANT, kind)
        with self._lock:
            now = self.now()
            for header, shown in buckets.items():
                if not (number := _COUNT.fullmatch(headers.get(header, ""))):
                    continue
                left, key = int(number[0]), shown.keys[0]
                level = next(self._low((key,), now), None)
                if level:
                    # Less than we counted: another process draws on it, so our share is smaller.
                    correction = _LESS if left < level.tokens - 1 else _MORE
                    level.share = max(_LEAST_SHARE, min(1.0, level.share * correction))
                    # The answer does not count the calls that are under way beside this one.
                    level.tokens = min(max(level.tokens, left - (self._under_way[key] - 1)), left)
                elif left <= _LOW[shown.kind]:
                    self._add(key, shown, now).tokens = left
            resets = _CLOCK.fullmatch(headers.get(_RESETS, ""))
            if resets and re.fullmatch("0+", headers.get(_QUOTA, "")):
                # Resource Graph's quota is whole again when it resets.
                hours, minutes, seconds = map(int, resets.groups())
                wait = min(timedelta(hours=hours, minutes=minutes, seconds=seconds), _LONGEST)
                self._empty(GRAPH.keys[0], GRAPH, wait, tokens=_LOW["graph"])
            if bucket.machine:
                self._note_compute(bucket, headers, refusal)

    def _note_compute(
        self, bucket: Bucket, headers: Mapping[str, str], refusal: str | None
    ) -> None:
        """Note what Compute's own header shows to be used up, or its refusal names."""
        _, region, machine = bucket.keys
        counts = _COMPUTE.findall(headers.get(f"{_LEFT}resource", ""))
        for name, text in counts:
            if name.endswith(_OF_MACHINE) and int(text) <= _LEAST_OF_MACHINE.get(bucket.kind, 0):
                one_call = timedelta(seconds=1 / _REFILL_OF_MACHINE.get(bucket.kind, 1.0))
                self._empty(machine, bucket, one_call)
            elif name.endswith(_OF_REGION) and not int(text):
                self._empty(region, bucket, _SECOND)
        # A refusal by ARM itself is none of Compute's.
        if refusal is not None and headers.get("x-ms-failure-cause", "") != "gateway":
            ends = (_OF_MACHINE, _OF_REGION)
            names = {name for name, text in counts if not int(text) and name.endswith(ends)}
            names |= set(_TARGET.findall(refusal))
            self._call.exhausted = frozenset(names or {_OF_REGION})

    def _low(self, keys: Iterable[_Key], now: datetime) -> Iterator[_Level]:
        """Yield the levels that are low, filled up to now; drop those that no longer are."""
        for key in keys:
            level = self._levels.get(key)
            if level is None:
                continue
            if now > level.at:
                gained = (now - level.at).total_seconds() * level.refill * level.share
                level.tokens, level.at = min(level.most, level.tokens + gained), now
            if level.tokens >= level.most and level.following <= now:
                del self._levels[key]
            else:
                yield level

    def _empty(
        self, key: _Key, bucket: Bucket, wait: timedelta, tokens: float | None = None
    ) -> _Level:
        """Return the level of a bucket that stays empty for a while, and then has some tokens."""
        until = self.now() + wait
        level = self._levels.get(key) or self._add(key, bucket, until)
        if level.at <= until:
            # Unless it is known, after a wait as much is there as a second brings.
            brought = max(level.refill, 1.0 + level.cushion)
            level.at, level.tokens = until, brought if tokens is None else tokens
            level.following = max(level.following, until)
        return level

    def _add(self, key: _Key, bucket: Bucket, at: datetime) -> _Level:
        """Return the new level of a bucket; the oldest makes room for it."""
        kind, by_arm = bucket.kind, bucket.keys[0]
        if key == by_arm:
            what = f"{kind} calls in {bucket.place}"
            refill, most = _REFILL.get(kind, 1.0), float(_LOW.get(kind, 2))
            cushion = _CUSHION.get(kind, 0)
        else:
            most, cushion = 2.0, 0
            if key == bucket.keys[-1]:
                where, refill = bucket.machine, _REFILL_OF_MACHINE.get(kind, 1.0)
            else:
                where = f"resources of {bucket.place} in {bucket.region or 'any region'}"
                refill = _REFILL_OF_REGION
            what = f"{kind} calls to {where}"
        self._levels[key] = level = _Level(what, refill, most, cushion, 0.0, at, at)
        while len(self._levels) > _ENTRIES:
            self._levels.popitem(last=False)
        return level
