"""How many calls Azure still allows, remembered for the whole process.

ARM counts calls by subscription and kind, Compute by machine or set and by region, Resource Graph
by principal (facts: Throttling), and each answer's headers show what is left. A call that would be
answered 429 is not sent. Its caller gets a turn of its own instead, and the turns are spread over
the time in which the bucket fills, so that the callers do not all come back at once.

`Pipeline` calls `check` before each call, `close` after each 429 and `done` at each call's end. As
a policy of that pipeline, `Throttle` also reads the headers of every answer.
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
"""The code of a call that was not sent. One log line for the bucket stands for all such calls."""
TENANT: Final = "tenant"

_ENTRIES: Final = 10_000
_SECOND: Final = timedelta(seconds=1)
_DEFAULT: Final = timedelta(seconds=10)
_LONGEST: Final = timedelta(hours=1)
_MINUTE: Final = 60
_TOO_MANY: Final = 429
# Calls that a bucket regains each second (facts: Throttling, documented): of ARM and Resource Graph
# by kind, of Compute by what it counts. Where nothing is documented, one.
_REFILL: Final = {"read": 25.0, "write": 10.0, "delete": 10.0, "graph": 3.0}
_REFILL_OF_REGION: Final = 5.0
_REFILL_OF_MACHINE: Final = {"read": 12 / _MINUTE, "write": 4 / _MINUTE}
# Calls that a caller makes at its turn, by which turns are spaced: it reads its request anew, in
# two passes.
_CALLS_OF_A_TURN: Final = {"read": 6}
# A bucket's calls are counted once an answer shows that no more than this many are left. Resource
# Graph never allows more, so its calls are always counted.
_LOW: Final = {"read": 100, "write": 100, "delete": 100, "graph": 15}
# Calls that are left to other processes, which draw on the same bucket.
_CUSHION: Final = {"read": 10, "write": 10, "delete": 10}
# The factors by which a process corrects its share of a bucket, and the least share.
_LESS, _MORE, _LEAST_SHARE = 0.9, 1.05, 1 / 32
# Calls that a machine must have left: others write to it too, and a deployment needs the last one.
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
    """The bucket that a call draws on: of a subscription, or of the tenant, for a kind of call.

    `machine` is set where Compute answers, `region` where any provider does. `leave` is how many
    calls must be left to others.
    """

    place: str
    kind: str
    machine: str = ""
    region: str = ""
    leave: int = 0

    @property
    def keys(self) -> tuple[_Key, ...]:
        """The counts that the call is part of: ARM's or Graph's, then Compute's two, if any.

        Compute counts by region and by machine.
        """
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
    """The calls left in a bucket: `tokens` at the time `at`, which lies ahead while none is left.

    Only a bucket that is nearly empty has a level.
    """

    what: str
    refill: float
    most: float
    """A level that has refilled to this is dropped: nothing has to be counted."""
    cushion: int
    """Calls that are left to other processes."""
    tokens: float
    at: datetime
    following: datetime
    """The first time that is not yet given to a caller as its turn."""
    share: float = 1.0
    """Our share of the refill, from 0 to 1: other processes take from the same bucket."""
    logged: bool = False

    def ready(self, leave: int) -> datetime:
        """Return when the next call may be made, so that `leave` calls are left after it."""
        lacking = max(0.0, 1 + max(leave, self.cushion) - self.tokens)
        return self.at + timedelta(seconds=lacking / self.refill / self.share)

    def take_turn(self, leave: int, calls: int) -> tuple[datetime, timedelta]:
        """Give out the next turn; return it, and the time between it and the turn after it."""
        spacing = timedelta(seconds=calls / self.refill / self.share)
        turn = max(self.ready(leave), self.following)
        self.following = turn + spacing
        return turn, spacing


class _ThreadCall(threading.local):
    """The call that a thread is making, and the counts of Compute that its 429 named, if any."""

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
        """Count one call, or raise `Again` with the caller's turn where the bucket is used up."""
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
                # One line stands for all calls that are put off; a request logs its own 429.
                if not scarcest.logged:
                    scarcest.logged = True
                    seconds = error.retry_after.total_seconds()
                    _log.warning("%s are throttled for %.0f s or more", scarcest.what, seconds)
                raise error
            for level in levels:
                level.tokens -= 1
            self._under_way[bucket.keys[0]] += 1

    def done(self, bucket: Bucket) -> None:
        """Note that a call which `check` counted has ended, with any result."""
        self._call.bucket = None
        key = bucket.keys[0]
        with self._lock:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def close(self, bucket: Bucket, wait: timedelta | None) -> timedelta:
        """Empty the buckets that a 429 was about; return how long its caller has to wait.

        The call is the one that this thread checked last. The wait is at least what Azure asked for
        (an hour at most), or ten seconds where it gave no time.
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
        """Take over how many calls an answer shows to be left; `refusal` is the text of a 429."""
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
                    # If less is left than we counted, another process draws on the bucket, and our
                    # share is smaller.
                    correction = _LESS if left < level.tokens - 1 else _MORE
                    level.share = max(_LEAST_SHARE, min(1.0, level.share * correction))
                    # The answer may not count the calls under way beside this one. So there are
                    # between `left` less those and `left`, and our own count is kept within that.
                    level.tokens = min(max(level.tokens, left - (self._under_way[key] - 1)), left)
                elif left <= _LOW[shown.kind]:
                    self._add(key, shown, now).tokens = left
            resets = _CLOCK.fullmatch(headers.get(_RESETS, ""))
            if resets and re.fullmatch("0+", headers.get(_QUOTA, "")):
                # Resource Graph's quota does not refill bit by bit: it is whole when it resets.
                hours, minutes, seconds = map(int, resets.groups())
                wait = min(timedelta(hours=hours, minutes=minutes, seconds=seconds), _LONGEST)
                self._empty(GRAPH.keys[0], GRAPH, wait, tokens=_LOW["graph"])
            if bucket.machine:
                self._note_compute(bucket, headers, refusal)

    def _note_compute(
        self, bucket: Bucket, headers: Mapping[str, str], refusal: str | None
    ) -> None:
        """Note the counts that Compute's header shows as used up, and those that a 429 names."""
        _, region, machine = bucket.keys
        counts = _COMPUTE.findall(headers.get(f"{_LEFT}resource", ""))
        for name, text in counts:
            if name.endswith(_OF_MACHINE) and int(text) <= _LEAST_OF_MACHINE.get(bucket.kind, 0):
                one_call = timedelta(seconds=1 / _REFILL_OF_MACHINE.get(bucket.kind, 1.0))
                self._empty(machine, bucket, one_call)
            elif name.endswith(_OF_REGION) and not int(text):
                self._empty(region, bucket, _SECOND)
        # Where ARM itself ("gateway") refused, none of Compute's counts is used up.
        if refusal is not None and headers.get("x-ms-failure-cause", "") != "gateway":
            ends = (_OF_MACHINE, _OF_REGION)
            names = {name for name, text in counts if not int(text) and name.endswith(ends)}
            names |= set(_TARGET.findall(refusal))
            self._call.exhausted = frozenset(names or {_OF_REGION})

    def _low(self, keys: Iterable[_Key], now: datetime) -> Iterator[_Level]:
        """Yield the levels of the buckets that are low, refilled up to now; drop full ones."""
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
        """Set a bucket to be empty for `wait`, and to have `tokens` then; return its level."""
        until = self.now() + wait
        level = self._levels.get(key) or self._add(key, bucket, until)
        if level.at <= until:
            # Where Azure does not show how much there will be, it is what one second brings, and
            # one call above the cushion at least.
            brought = max(level.refill, 1.0 + level.cushion)
            level.at, level.tokens = until, brought if tokens is None else tokens
            level.following = max(level.following, until)
        return level

    def _add(self, key: _Key, bucket: Bucket, at: datetime) -> _Level:
        """Return a new level for a bucket; the oldest level makes room for it."""
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
