"""The app as it runs: every event of the world reaches it, and each copy comes when it is due."""

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from reconciler import events
from reconciler.changes import Result
from reconciler.model import Request
from tests.world.cloud import Cloud, as_request


class Live:
    """Hears every event that the world tells from now on, and answers by due time.

    `watch` is called before each answer, with the request that is to be answered.
    """

    def __init__(self, cloud: Cloud, *, late: float = 1, most: int = 5000) -> None:
        """Let events be heard so many seconds after they were told, in their order."""
        self.cloud = cloud
        self.watch: Callable[[Request], None] = lambda _: None
        self.results: list[tuple[Request, Result]] = []
        self._late = timedelta(seconds=late)
        self._most = most
        self._order = itertools.count()
        self._due: list[tuple[datetime, int, Request]] = []
        self._heard = len(cloud.events)

    def ask(self, *places: str | Request) -> None:
        """Put requests into the queue."""
        for place in places:
            self._put(as_request(place), self.cloud.clock())

    def run(self, seconds: float) -> None:
        """Let time pass and the app answer all that comes due in it."""
        clock, world = self.cloud.clock, self.cloud.world
        end = clock() + timedelta(seconds=seconds)
        while True:
            world.announce()
            self._hear()
            # Somebody may have acted on what was heard.
            told = world.announce()
            if len(self.cloud.events) > self._heard:
                continue
            first = self._due[0][0] if self._due else end
            moment = min(first, told or end)
            if moment > clock():
                if moment > end:
                    break
                clock.moment = moment
                continue
            if first <= clock() and self._due:
                self._answer(heapq.heappop(self._due)[2])
            elif clock() >= end:
                break
        clock.moment = max(clock.moment, end)
        world.announce()

    def _hear(self) -> None:
        for event in self.cloud.events[self._heard :]:
            decoded = events.decode(event)
            assert decoded is not None
            for request in self.cloud.app.requests(decoded):
                self._put(request, self.cloud.clock() + self._late)
        self._heard = len(self.cloud.events)

    def _answer(self, request: Request) -> None:
        self.watch(request)
        result = self.cloud.app.handle(request)
        self.results.append((request, result))
        assert len(self.results) <= self._most, f"no end of {request}: {result}"
        for found in result.requests:
            self._put(found, self.cloud.clock())
        if result.again and result.again_after:
            self._put(result.again, self.cloud.clock() + result.again_after)

    def _put(self, request: Request, moment: datetime) -> None:
        heapq.heappush(self._due, (moment, next(self._order), request))
