"""From a write in Azure to a subscriber of what became of it, through the real worker library."""

import base64
import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from sandbox.demo.fixtures import GROUP, STORE
from sandbox.eventgrid.delivery import Deliveries
from sandbox.eventgrid.sending import Outlets
from sandbox.host import http
from sandbox.host.queues import MemoryQueues
from sandbox.host.timers import now
from tests.conftest import ROOT
from tests.functions.conftest import EVENT_QUEUE, MACHINE, Cloud, deployed, healed, post
from tests.functions.test_triggers import calls
from tests.world.children import PATIENCE, until

TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/topics/outcomes"
SUBSCRIBED = f"{TOPIC}/providers/Microsoft.EventGrid/eventSubscriptions/chat"
SENDER = "d5a91429-5739-47e2-a06b-3470a27159e7"

type Content = dict[str, Any]


@pytest.fixture
def telling(cloud: Cloud, settings: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The settings of an app that tells what it does on a topic, and may."""
    topic = cloud.operator.put(TOPIC, {})
    cloud.operator.assign(TOPIC, SENDER, cloud.server.world.app.oid)
    settings.setenv("RECONCILER_TOPIC_ENDPOINT", topic["properties"]["endpoint"])
    return settings


@pytest.fixture
def storage(cloud: Cloud) -> Generator[Outlets]:
    """What the world's Event Grid delivers to, by the world's clock."""
    kept = Outlets()
    with Deliveries(cloud.server.world, kept):
        yield kept


def subscribe(cloud: Cloud, kind: str, **properties: object) -> None:
    """Subscribe somebody to the topic and wait until he receives."""
    destination = {"endpointType": kind, "properties": properties}
    cloud.operator.put(SUBSCRIBED, {"properties": {"destination": destination}})
    until(lambda: cloud.operator.get(SUBSCRIBED)["properties"]["provisioningState"] == "Succeeded")


@dataclass
class Chat:
    """A webhook that consents and keeps what it gets."""

    got: list[Content] = field(default_factory=list)

    def __call__(self, environ: Content, start_response: Any) -> Any:  # noqa: ANN401 - WSGI
        """Answer one post of Event Grid."""
        events = Request(environ).get_json()
        if Request(environ).headers["aeg-event-type"] == "SubscriptionValidation":
            code = events[0]["data"]["validationCode"]
            answer = Response(json.dumps({"validationResponse": code}))
        else:
            self.got += events
            answer = Response()
        return answer(environ, start_response)


def test_a_repair_is_published_to_a_queue(
    cloud: Cloud, telling: pytest.MonkeyPatch, storage: Outlets
) -> None:
    """A bare machine's event leads to its repair, and that to an outcome event.

    Which leads to nothing where it ends in the app's own queue.
    """
    subscribe(cloud, "StorageQueue", resourceId=STORE, queueName="outcomes")
    with deployed(telling, MemoryQueues(now)) as deployment:
        deployment.host.deliver(cloud.written(MACHINE))
        deployment.host.drain(PATIENCE)
        until(lambda: storage.queues)
        ((text, *_),) = storage.queues.values()
        before = calls(cloud)
        deployment.queues.put(EVENT_QUEUE, text)
        deployment.host.drain(PATIENCE)

    assert calls(cloud) == before
    assert deployment.queues.create(f"{EVENT_QUEUE}-poison"), "it was poisoned"
    event = json.loads(base64.b64decode(text))
    assert healed(cloud)
    assert event["eventType"] == "IdentityReconciler.Changed"
    assert event["subject"].lower() == MACHINE.lower()
    assert {one["status"] for one in event["data"]["outcomes"]} == {"DONE"}


@pytest.mark.usefixtures("storage")
def test_audit_is_published_to_a_webhook_and_leads_to_nothing(
    cloud: Cloud, telling: pytest.MonkeyPatch
) -> None:
    """Not even where somebody sends the outcome event back to the app."""
    telling.setenv("RECONCILER_MODE", "audit")
    chat = Chat()
    with http.serving(chat) as port, deployed(telling, MemoryQueues(now)) as deployment:
        subscribe(cloud, "WebHook", endpointUrl=f"http://{http.ADDRESS}:{port}/")
        deployment.host.deliver(cloud.written(MACHINE))
        deployment.host.drain(PATIENCE)
        until(lambda: chat.got)
        before = calls(cloud)
        answer = post(deployment.address, chat.got)
        deployment.host.drain(PATIENCE)

    assert {one["eventType"] for one in chat.got} == {"IdentityReconciler.WouldChange"}
    assert answer.status_code == 202
    assert calls(cloud) == before
    assert not healed(cloud)


def test_the_publisher_is_imported_only_when_something_is_published(cloud: Cloud) -> None:
    """It would lengthen every cold start, that of an app with a topic included."""
    code = "import function_app, sys; print('azure.eventgrid' in sys.modules)"
    told = {"RECONCILER_TOPIC_ENDPOINT": "https://topic.example/api/events"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=cloud.server.environment() | told,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout == "False\n"
