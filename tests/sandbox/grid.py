"""Event Grid over a small world, with endpoints that answer as the test says."""

import base64
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import requests

from sandbox.eventgrid.delivery import Delivery
from sandbox.eventgrid.sending import Answer, Outlets
from tests.world.arm import STORE, Arm, identity
from tests.world.ids import SUB

HOOK = "https://hook.example/events?code=secret"
SUBSCRIPTIONS = f"{SUB}/providers/Microsoft.EventGrid/eventSubscriptions"
DAY = 86400
SCHEDULE = [10, 30, 60, 300, 600, 1800, 3600, 10800, 21600]
"""Seconds between the attempts to deliver an event without faults."""

type Content = dict[str, Any]


class Grid:
    """The world, its deliveries, and what the endpoints got; one answer for every delivery."""

    def __init__(self) -> None:
        self.arm = Arm()
        self.world = self.arm.world
        self.status = 200
        self.fault: OSError | None = None
        """Raised in place of an answer."""
        self.took = dt.timedelta()
        """How long a webhook thinks about its answer to a delivery."""
        self.consents = True
        self.container = 201
        """How the storage answers dead letters; 0 is not at all."""
        self.calls: list[tuple[str, str, Mapping[str, str], Any]] = []
        self.attempts: list[float] = []
        """Seconds after the start at which deliveries were tried."""
        self.queued: list[tuple[str, str, str]] = []
        self.blobs: dict[str, Any] = {}
        self.delivery = Delivery(self.world, _Endpoints(self))
        self._start = self.world.now()

    def answer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        patience: dt.timedelta,
    ) -> Answer:
        """Answer a call of Event Grid's."""
        content: Any = json.loads(body) if body else None
        self.calls.append((method, url, headers, content))
        asked = method == "OPTIONS" or headers["aeg-event-type"] == "SubscriptionValidation"
        if asked and self.fault:
            raise self.fault
        if method == "OPTIONS":
            allowed = {"webhook-allowed-origin": "*"} if self.consents else {}
            return Answer(200, headers=allowed)
        if asked:
            code = content[0]["data"]["validationCode"] if self.consents else "?"
            return Answer(200, json.dumps({"validationResponse": code}).encode())
        status = self._tried()
        if self.took > patience:
            raise TimeoutError
        return Answer(status, took=self.took)

    def _tried(self) -> int:
        self.attempts.append((self.world.now() - self._start).total_seconds())
        if self.fault:
            raise self.fault
        return self.status

    def enqueue(self, account: str, queue: str, text: str) -> int:
        """Take a queue message."""
        self.queued.append((account, queue, text))
        return self._tried()

    def store(self, account: str, container: str, name: str, body: bytes) -> int:
        """Take a dead letter."""
        if not self.container:
            raise ConnectionRefusedError
        if self.container < 300:
            self.blobs[f"{account.rpartition('/')[2]}/{container}/{name}"] = json.loads(body)
        return self.container

    # What the test does.

    def put(
        self,
        name: str = "hook",
        *,
        at: str = SUBSCRIPTIONS,
        **properties: Any,  # noqa: ANN401 - JSON
    ) -> requests.Response:
        """Send an event subscription, to the webhook unless told otherwise."""
        body = {"properties": {"destination": hook(), **properties}}
        return self.arm.call("PUT", f"{at}/{name}", body, version="2022-06-15")

    def subscribe(self, name: str = "hook", **properties: Any) -> str:  # noqa: ANN401 - JSON
        """Create an event subscription that has all it needs; returns its id."""
        answer = self.put(name, **properties)
        assert answer.status_code == 201, answer.text
        self.turn(1)
        # Its own creation is the first event that it gets.
        for each in (self.calls, self.attempts, self.queued):
            each.clear()
        self._start = self.world.now()
        return str(answer.json()["id"])

    def write(self, name: str = "new") -> None:
        """Let the operator create an identity; that is one event."""
        assert self.arm.call("PUT", identity(name), {"location": "westus"}).status_code in {
            200,
            201,
        }

    def turn(self, seconds: float) -> None:
        """Let time pass, stopping wherever something is due."""
        clock = self.arm.clock
        end = clock.moment + dt.timedelta(seconds=seconds)
        while (due := self.delivery.due()) and due <= end:
            clock.moment = max(clock.moment, due)
            self.delivery.run_until(clock.moment)
        clock.moment = end

    def deliver(self, status: int, seconds: float, **properties: Any) -> None:  # noqa: ANN401 - JSON
        """Subscribe an endpoint that answers so, and try to deliver one event for some time."""
        self.subscribe(**properties)
        self.status = status
        self.write()
        self.turn(seconds)

    # What is there.

    def state(self, name: str = "hook") -> str:
        """Return the provisioning state of an event subscription."""
        found = self.arm.get(f"{SUBSCRIPTIONS}/{name}")
        return str(found["properties"]["provisioningState"])

    def delivered(self) -> list[Any]:
        """Return the bodies that endpoints got."""
        return [call[3] for call in self.calls]

    def messages(self) -> list[Any]:
        """Return what the queue got, decoded."""
        return [json.loads(base64.b64decode(text)) for _, _, text in self.queued]


class _Endpoints(Outlets):
    """What the grid's deliveries reach."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.call = grid.answer  # type: ignore[method-assign]
        self.enqueue = grid.enqueue  # type: ignore[method-assign]
        self.store = grid.store  # type: ignore[method-assign]


def to(kind: str, **properties: Any) -> Content:  # noqa: ANN401 - JSON
    """Return a destination."""
    return {"endpointType": kind, "properties": properties}


def hook(**properties: int) -> Content:
    """Return the webhook as a destination with some settings."""
    return to("WebHook", endpointUrl=HOOK, **properties)


QUEUE = to("StorageQueue", resourceId=STORE, queueName="events")
DEAD_LETTERS = to("StorageBlob", resourceId=STORE, blobContainerName="dead")


def moments(steps: list[int]) -> list[float]:
    """Return the times of the attempts that lie so many seconds apart."""
    return [float(sum(steps[:number])) for number in range(len(steps) + 1)]
