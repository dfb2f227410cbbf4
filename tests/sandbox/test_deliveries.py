"""Deliveries in threads of their own, and their end."""

import dataclasses
import threading

from sandbox.deliveries import Deliveries
from sandbox.outlets import MemoryStorage
from tests.sandbox.arm import Arm, identity
from tests.sandbox.grid import QUEUE, SUBSCRIPTIONS


@dataclasses.dataclass
class Hanging(MemoryStorage):
    """Does not answer until it is let go."""

    asked: threading.Event = dataclasses.field(default_factory=threading.Event)
    released: threading.Event = dataclasses.field(default_factory=threading.Event)

    def enqueue(self, account: str, queue: str, text: str) -> int:
        """Hang."""
        self.asked.set()
        self.released.wait()
        return super().enqueue(account, queue, text)


def test_who_does_not_answer_does_not_keep_all_from_stopping(arm: Arm) -> None:
    """The attempt is left alone; were it waited for, this would never end."""
    storage, before = Hanging(), set(threading.enumerate())
    with Deliveries(arm.world, storage):
        body = {"properties": {"destination": QUEUE}}
        assert arm.call("PUT", f"{SUBSCRIPTIONS}/app", body).status_code == 201
        arm.clock.forward(1)
        assert arm.call("PUT", identity("new"), {"location": "westus"}).status_code == 201
        storage.asked.wait()

    storage.released.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert storage.queues
