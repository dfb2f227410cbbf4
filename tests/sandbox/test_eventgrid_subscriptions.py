"""Event subscriptions and system topics as ARM resources, and a webhook's consent."""

from typing import Any

import pytest

from sandbox.eventgrid.retry import TIMEOUT
from sandbox.eventgrid.sending import Outlets
from tests.sandbox.grid import HOOK, QUEUE, SUBSCRIPTIONS, Grid, hook, to
from tests.world.arm import GROUP, MACHINE, STORE, error, identity
from tests.world.ids import SUB

TOPICS = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics"
SITE = f"{GROUP}/providers/Microsoft.Web/sites/app"
WHOLE = {"source": SUB, "topicType": "Microsoft.Resources.Subscriptions"}
SYSTEM_TOPIC = {"location": "global", "properties": WHOLE}


def test_it_shows_what_was_sent_with_its_defaults(grid: Grid) -> None:
    """Reads leave out the query of a webhook's address, which may hold a secret."""
    grid.subscribe(filter={"subjectBeginsWith": "/subscriptions"})
    found = grid.arm.get(f"{SUBSCRIPTIONS}/hook")

    assert found["type"] == "Microsoft.EventGrid/eventSubscriptions"
    assert found["id"] == f"{SUBSCRIPTIONS}/hook"
    assert found["properties"] == {
        "destination": {
            "endpointType": "WebHook",
            "properties": {"endpointBaseUrl": "https://hook.example/events"},
        },
        "filter": {
            "subjectBeginsWith": "/subscriptions",
            "subjectEndsWith": "",
            "isSubjectCaseSensitive": False,
        },
        "labels": None,
        "eventDeliverySchema": "EventGridSchema",
        "retryPolicy": {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440},
        "provisioningState": "Succeeded",
        "topic": SUB,
    }


def test_a_webhook_is_asked_for_its_consent(grid: Grid) -> None:
    """The operation runs until the validation code came back."""
    answer = grid.put()
    assert answer.json()["properties"]["provisioningState"] == "Creating"
    assert grid.state() == "Creating"
    grid.turn(1)

    method, url, headers, body = grid.calls[0]
    assert (method, url) == ("POST", HOOK)
    assert headers["aeg-event-type"] == "SubscriptionValidation"
    assert body[0]["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    status = grid.arm.session.get(
        answer.headers["azure-asyncoperation"], headers=answer.request.headers
    ).json()
    assert status["status"] == "Succeeded"
    assert grid.state() == "Succeeded"


def test_a_webhook_of_cloud_events_is_asked_by_options(grid: Grid) -> None:
    """Its answer must allow the origin."""
    grid.put(eventDeliverySchema="CloudEventSchemaV1_0")
    grid.turn(1)

    method, url, headers, _ = grid.calls[0]
    assert (method, url) == ("OPTIONS", HOOK)
    assert headers["WebHook-Request-Origin"] == "eventgrid.azure.net"
    assert grid.state() == "Succeeded"


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_without_consent_the_operation_fails(grid: Grid, schema: str) -> None:
    """The error names the address without its secret; nothing is delivered there."""
    grid.consents = False
    answer = grid.put(eventDeliverySchema=schema)
    grid.turn(1)
    status = grid.arm.session.get(
        answer.headers["azure-asyncoperation"], headers=answer.request.headers
    ).json()
    grid.calls.clear()
    grid.write()
    grid.turn(60)

    assert status["status"] == "Failed"
    assert status["error"]["code"] == "Url validation"
    assert "https://hook.example/events." in status["error"]["message"]
    assert grid.state() == "Failed"
    assert grid.calls == []


@pytest.mark.parametrize(
    ("fault", "why"),
    [(TimeoutError(), "no answer within 30 seconds"), (ConnectionRefusedError(), "Unknown")],
)
def test_a_webhook_must_answer(grid: Grid, fault: OSError, why: str) -> None:
    """In thirty seconds."""
    grid.fault = fault
    grid.put()
    grid.turn(1)
    (operation,) = grid.world.operations.values()

    assert grid.state() == "Failed"
    assert why in (operation.error or {})["message"]


def test_a_host_name_that_is_none_is_not_reached() -> None:
    """Whoever delivers goes on to the next, as after any other failure."""
    with pytest.raises(OSError, match="label empty"):
        Outlets().call("POST", "https://a..b/", {}, b"", TIMEOUT)


def test_a_fast_clock_leaves_a_webhook_its_time(grid: Grid) -> None:
    """It is asked by the wall; until it has answered there is no success."""
    grid.world.clock.speed = 600
    grid.put()
    grid.arm.clock.forward(60)

    assert grid.state() == "Creating"


def test_a_queue_is_not_asked(grid: Grid) -> None:
    """Azure answers for its own."""
    grid.subscribe(destination=QUEUE)

    assert grid.calls == []
    assert grid.state() == "Succeeded"


def test_it_is_listed_changed_and_deleted(grid: Grid) -> None:
    """An update's body has the settings without ``properties``."""
    grid.subscribe()
    path = f"{SUBSCRIPTIONS}/hook"
    changed = grid.arm.call("PATCH", path, {"labels": ["mine"]})
    listed = grid.arm.get(SUBSCRIPTIONS)["value"]

    assert changed.status_code == 201
    assert [each["properties"]["labels"] for each in listed] == [["mine"]]
    assert grid.arm.call("DELETE", path).status_code == 200
    assert grid.arm.call("DELETE", path).status_code == 204
    assert grid.arm.call("GET", path).status_code == 404


def test_a_group_has_subscriptions_of_its_own(grid: Grid) -> None:
    """They get the group's events only, with the group as topic; they go with it."""
    at = f"{GROUP}/providers/Microsoft.EventGrid/eventSubscriptions"
    grid.subscribe(at=at)
    grid.write()
    other = f"{SUB}/resourceGroups/other"
    grid.arm.call("PUT", other, {"location": "westus"})
    grid.turn(1)

    assert [body[0]["topic"] for body in grid.delivered()] == [GROUP]
    grid.arm.call("DELETE", GROUP)
    grid.turn(1)
    assert grid.world.event_subscriptions == {}


def test_a_system_topic_stands_for_its_source(grid: Grid) -> None:
    """Its event subscriptions are nested, and get the source's events."""
    made = grid.arm.call("PUT", f"{TOPICS}/all", SYSTEM_TOPIC)
    at = f"{TOPICS}/all/eventSubscriptions"
    path = grid.subscribe(at=at)
    grid.write()
    grid.turn(1)
    found = grid.arm.get(path)

    assert made.status_code == 200
    assert made.json()["properties"]["topicType"] == "Microsoft.Resources.Subscriptions"
    assert made.json()["properties"]["provisioningState"] == "Succeeded"
    assert found["type"] == "Microsoft.EventGrid/systemTopics/eventSubscriptions"
    assert found["properties"]["topic"] == f"{TOPICS}/all"
    assert [body[0]["topic"] for body in grid.delivered()] == [SUB]
    assert [each["name"] for each in grid.arm.get(at)["value"]] == ["hook"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"location": "westus"}, "InvalidRequest"),
        ({"properties": {**WHOLE, "source": MACHINE}}, "InvalidRequest"),
        ({"properties": {**WHOLE, "topicType": "Microsoft.KeyVault"}}, "UnsupportedBySandbox"),
    ],
)
def test_wrong_system_topics_are_refused(grid: Grid, change: dict[str, Any], code: str) -> None:
    """Place, source and type must fit; a source has one topic."""
    answer = grid.arm.call("PUT", f"{TOPICS}/all", {**SYSTEM_TOPIC, **change})

    assert error(answer) == (400, code)


def test_a_source_has_one_system_topic(grid: Grid) -> None:
    """A second one is refused, the first may be written again."""
    assert grid.arm.call("PUT", f"{TOPICS}/all", SYSTEM_TOPIC).status_code == 200
    assert grid.arm.call("PUT", f"{TOPICS}/all", SYSTEM_TOPIC).status_code == 200
    assert error(grid.arm.call("PUT", f"{TOPICS}/b", SYSTEM_TOPIC)) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"destination": to("EventHub")}, "EventHub"),
        ({"destination": {}}, "destination"),
        ({"destination": to("WebHook", endpointUrl="http://hook.example")}, "HTTPS"),
        ({"destination": to("WebHook", endpointUrl="https://[::1")}, "HTTPS"),
        ({"destination": to("AzureFunction", resourceId=STORE)}, "sites/functions"),
        ({"destination": to("AzureFunction", resourceId=f"{SITE}/functions/f")}, "does not exist"),
        ({"destination": to("StorageQueue", resourceId=STORE)}, "queueName"),
        ({"destination": hook(maxEventsPerBatch=2)}, "maxEventsPerBatch"),
        ({"destination": hook(preferredBatchSizeInKilobytes=1025)}, "preferredBatchSize"),
        ({"destination": hook(maxDelay=1)}, "maxDelay"),
        ({"retryPolicy": {"maxDeliveryAttempts": 31}}, "maxDeliveryAttempts"),
        ({"retryPolicy": {"eventTimeToLiveInMinutes": 0}}, "eventTimeToLiveInMinutes"),
        ({"retryPolicy": {"maxDeliveryAttempt": 3}}, "'maxDeliveryAttempt'"),
        ({"eventDeliverySchema": "CustomInputSchema"}, "CustomInputSchema"),
        ({"expirationTimeUtc": "2030-01-01"}, "expirationTimeUtc"),
        ({"deadLetterDestination": to("Disk")}, "StorageBlob"),
        ({"deadLetterDestination": to("StorageBlob", resourceId=STORE)}, "blobContainerName"),
    ],
)
def test_wrong_settings_are_refused(grid: Grid, properties: dict[str, Any], named: str) -> None:
    """400 names what is wrong, and nothing is made."""
    answer = grid.put(**properties)

    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]
    assert grid.world.event_subscriptions == {}


def test_only_known_sources_are_subscribed_to(grid: Grid) -> None:
    """A machine has no events of its own here."""
    at = f"{MACHINE}/providers/Microsoft.EventGrid/eventSubscriptions"

    assert error(grid.put(at=at)) == (400, "UnsupportedBySandbox")


def test_it_needs_the_right_to_write(grid: Grid) -> None:
    """Without a role an event subscription is refused."""
    grid.arm.called_by(grid.arm.principal("stranger"))

    assert error(grid.put()) == (403, "AuthorizationFailed")


def test_an_azure_function_is_reached_at_its_apps_webhook(grid: Grid) -> None:
    """The app's host name leads there; it is not asked for consent."""
    body = {"location": "westus", "properties": {"defaultHostName": "app.example"}}
    grid.arm.call("PUT", SITE, body)
    grid.subscribe(destination=to("AzureFunction", resourceId=f"{SITE}/functions/hear"))
    grid.arm.call("PUT", identity("new"), {"location": "westus"})
    grid.turn(1)

    address = "https://app.example/runtime/webhooks/eventgrid?functionName=hear"
    assert [call[1] for call in grid.calls] == [address]
