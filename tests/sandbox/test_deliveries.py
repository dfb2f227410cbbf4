"""Deliveries in threads of their own, and their end."""

import dataclasses
import datetime as dt
import threading

from werkzeug.wrappers import Response

from sandbox.eventgrid.delivery import Deliveries
from sandbox.eventgrid.sending import Outlets
from sandbox.host import http
from tests.sandbox.grid import QUEUE, SUBSCRIPTIONS
from tests.world.arm import STORE, Arm, identity


@dataclasses.dataclass
class Hanging(Outlets):
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


def test_a_queue_takes_no_more_than_a_real_one() -> None:
    """64 KB with base64 (documented); what is larger is dropped or a dead letter."""
    storage = Outlets()

    assert storage.enqueue(STORE, "events", "x" * 64 * 1024) == 201
    assert storage.enqueue(STORE, "events", "x" * (64 * 1024 + 1)) == 413


def test_an_answer_comes_with_how_long_it_took() -> None:
    """Deliveries need it, since a late answer is none."""
    with http.serving(Response("well", 200)) as port:
        call = Outlets().call
        answer = call("POST", f"http://127.0.0.1:{port}/", {}, b"", dt.timedelta(minutes=1))

    assert (answer.status, answer.body) == (200, b"well")
    assert dt.timedelta() < answer.took
