"""In which form and to whom events are delivered, row by row of facts: Delivery."""

import pytest

from tests.sandbox.grid import DAY, HOOK, QUEUE, SUBSCRIPTIONS, Grid, to
from tests.world.arm import GROUP

SITE = f"{GROUP}/providers/Microsoft.Web/sites/app"


def test_a_webhook_gets_an_array_of_one(grid: Grid) -> None:
    """In Event Grid's schema, with the headers of a notification."""
    grid.subscribe()
    grid.write()
    grid.turn(1)

    ((method, url, headers, body),) = grid.calls
    assert (method, url) == ("POST", HOOK)
    assert headers["aeg-event-type"] == "Notification"
    assert headers["aeg-subscription-name"] == "HOOK"
    assert headers["aeg-delivery-count"] == "0"
    assert [event["eventType"] for event in body] == ["Microsoft.Resources.ResourceWriteSuccess"]


def test_a_webhook_of_cloud_events_gets_one(grid: Grid) -> None:
    """With the members of CloudEvents 1.0 and none of the other schema."""
    grid.subscribe(eventDeliverySchema="CloudEventSchemaV1_0")
    grid.write()
    grid.turn(1)

    ((_, _, headers, body),) = grid.calls
    assert headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert set(body) == {"id", "source", "type", "subject", "time", "specversion", "data"}
    assert body["specversion"] == "1.0"
    assert body["source"] == SUBSCRIPTIONS.partition("/providers")[0]


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_a_queue_gets_one_object_in_base64(grid: Grid, schema: str) -> None:
    """In either schema."""
    grid.subscribe(destination=QUEUE, eventDeliverySchema=schema)
    grid.write()
    grid.turn(1)

    assert grid.queued[0][1] == "events"
    (message,) = grid.messages()
    assert message["data"]["operationName"].endswith("/write")


def test_a_function_that_does_not_exist_is_waited_for(grid: Grid) -> None:
    """Its app may be about to come; there is nobody to call meanwhile."""
    grid.arm.call("PUT", SITE, {"location": "westus"})
    target = to("AzureFunction", resourceId=f"{SITE}/functions/hear")
    grid.subscribe(destination=target)
    grid.write()
    grid.turn(1)
    assert grid.calls == []
    body = {"location": "westus", "properties": {"defaultHostName": "app.example"}}
    grid.arm.call("PUT", SITE, body)
    grid.turn(DAY)

    operations = {body[0]["data"]["operationName"] for body in grid.delivered()}
    assert "Microsoft.ManagedIdentity/userAssignedIdentities/write" in operations


def test_each_subscription_is_served_for_itself(grid: Grid) -> None:
    """One that fails does not hold up another."""
    grid.subscribe("queue", destination=QUEUE)
    grid.subscribe("hook")
    grid.queued.clear()
    grid.write()
    grid.turn(1)

    assert (len(grid.calls), len(grid.queued)) == (1, 1)


def test_a_deleted_subscription_gets_nothing_more(grid: Grid) -> None:
    """Not even what it was owed."""
    grid.deliver(500, 1)
    grid.arm.call("DELETE", f"{SUBSCRIPTIONS}/hook")
    grid.turn(DAY)

    assert grid.attempts == [0]


def test_order_is_not_promised(grid: Grid) -> None:
    """An event that waits for its next attempt is overtaken."""
    grid.subscribe()
    grid.status = 500
    grid.write("first")
    grid.turn(1)
    grid.status = 200
    grid.write("second")
    grid.turn(60)

    names = [body[0]["subject"].rpartition("/")[2] for body in grid.delivered()]
    assert names == ["first", "second", "first"]
