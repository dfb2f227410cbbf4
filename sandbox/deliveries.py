"""Event Grid on the world's own clock: a few threads that do what a delivery has due."""

import threading
import time
from typing import Self

from sandbox.eventgrid.delivery import Delivery
from sandbox.outlets import MemoryStorage, Storage, outlets
from sandbox.world.world import World

_THREADS = 4
"""So that an endpoint that does not answer holds up no other."""
_POLL = 0.02
"""Seconds between two looks at what is due."""
_GRACE = 2.0
"""Seconds that attempts under way have when all is to stop; who does not answer is left alone."""


class Deliveries:
    """Delivers a world's events while the context lasts."""

    def __init__(self, world: World, storage: Storage | None = None) -> None:
        """Prepare the deliveries; without a storage, queues and blobs are kept in memory."""
        self._world = world
        self._delivery = Delivery(world, outlets(storage or MemoryStorage()))
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"event-grid-{number}", daemon=True)
            for number in range(_THREADS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the attempts that are under way and end soon; what is still due is lost."""
        self._stopped.set()
        end = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while not self._stopped.wait(_POLL):
            self._delivery.run_until(self._world.now())
