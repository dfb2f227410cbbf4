"""How events are delivered and tried again, row by row of facts B2."""

import datetime as dt
import itertools

import pytest

from sandbox.azure.weather import Weather
from tests.sandbox.arm import GROUP
from tests.sandbox.grid import HOOK, QUEUE, SUBSCRIPTIONS, Grid, hook, to

SCHEDULE = [10, 30, 60, 300, 600, 1800, 3600, 10800, 21600]
SITE = f"{GROUP}/providers/Microsoft.Web/sites/app"
DAY = 86400


def moments(steps: list[int]) -> list[float]:
    """Return the times of the attempts that lie so many seconds apart."""
    return [float(sum(steps[:number])) for number in range(len(steps) + 1)]


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


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_success_is_200_to_204(grid: Grid, status: int) -> None:
    """Such an answer ends the delivery."""
    grid.subscribe()
    grid.status = status
    grid.write()
    grid.turn(DAY)

    assert grid.attempts == [0]


@pytest.mark.parametrize("status", [205, 206, 302, 409, 418, 500, 599])
def test_all_else_is_tried_again(grid: Grid, status: int) -> None:
    """Other successes as well."""
    grid.subscribe()
    grid.status = status
    grid.write()
    grid.turn(15)

    assert grid.attempts == [0, 10]


def test_the_schedule_backs_off_for_a_day(grid: Grid) -> None:
    """10 s, 30 s, 1 m, 5 m, 10 m, 30 m, 1 h, 3 h, 6 h and every 12 h, until the event expires."""
    grid.subscribe()
    grid.status = 500
    grid.write()
    grid.turn(2 * DAY)

    assert grid.attempts == moments([*SCHEDULE, 43200])
    assert len(grid.delivery.dropped) == 1


def test_an_endpoint_that_is_back_gets_the_event(grid: Grid) -> None:
    """The count of earlier deliveries is told."""
    grid.subscribe()
    grid.status = 500
    grid.write()
    grid.turn(20)
    grid.status = 200
    grid.turn(DAY)

    assert [call[2]["aeg-delivery-count"] for call in grid.calls] == ["0", "1", "2"]
    assert grid.delivery.dropped == []


@pytest.mark.parametrize(("status", "least"), [(408, 120), (503, 30), (404, 300), (500, 10)])
def test_some_answers_ask_for_a_longer_wait(grid: Grid, status: int, least: int) -> None:
    """At least so long, even where the schedule would come earlier."""
    grid.subscribe()
    grid.status = status
    grid.write()
    grid.turn(least + 1)

    assert grid.attempts == [0, least]


def test_an_unauthorized_azure_resource_is_asked_again(grid: Grid) -> None:
    """401 of a queue waits five minutes; of a webhook it is final."""
    grid.subscribe(destination=QUEUE)
    grid.status = 401
    grid.write()
    grid.turn(301)

    assert grid.attempts == [0, 300]


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_webhooks_refusals_are_final(grid: Grid, status: int) -> None:
    """Without dead letters the event is dropped at once."""
    grid.subscribe()
    grid.status = status
    grid.write()
    grid.turn(DAY)

    assert grid.attempts == [0]
    assert len(grid.delivery.dropped) == 1


@pytest.mark.parametrize("status", [400, 403, 413])
def test_an_azure_resources_refusals_are_final(grid: Grid, status: int) -> None:
    """The same without 401."""
    grid.subscribe(destination=QUEUE)
    grid.status = status
    grid.write()
    grid.turn(DAY)

    assert grid.attempts == [0]
    assert len(grid.delivery.dropped) == 1


def test_no_answer_within_thirty_seconds_is_a_failure(grid: Grid) -> None:
    """Whoever took the event and answered late gets it again."""
    grid.subscribe()
    grid.fault = TimeoutError()
    grid.write()
    grid.turn(1)
    grid.fault = None
    grid.turn(DAY)

    assert grid.attempts == [0, 150]
    assert grid.delivered()[0] == grid.delivered()[1]


def test_an_endpoint_without_connection_is_tried_again(grid: Grid) -> None:
    """As after any other failure."""
    grid.subscribe()
    grid.fault = ConnectionRefusedError()
    grid.write()
    grid.turn(15)

    assert grid.attempts == [0, 10]


def test_attempts_may_be_limited(grid: Grid) -> None:
    """After the last one the event is dropped."""
    grid.subscribe(retryPolicy={"maxDeliveryAttempts": 3})
    grid.status = 500
    grid.write()
    grid.turn(DAY)

    assert grid.attempts == [0, 10, 40]
    assert len(grid.delivery.dropped) == 1


def test_half_an_hour_has_room_for_six_attempts(grid: Grid) -> None:
    """Then the event's time is over."""
    grid.subscribe(retryPolicy={"eventTimeToLiveInMinutes": 30})
    grid.status = 500
    grid.write()
    grid.turn(30 * 60 - 1)
    assert grid.delivery.dropped == []
    grid.turn(DAY)

    assert len(grid.attempts) == 6
    assert len(grid.delivery.dropped) == 1


def test_an_endpoint_that_keeps_failing_is_spared(grid: Grid) -> None:
    """Old and new events are held; when it answers again, all come."""
    grid.subscribe()
    grid.status = 503
    for number in range(12):
        grid.write(f"id-{number}")
        grid.turn(0)
    tried = len(grid.attempts)
    grid.write("held")
    grid.turn(1)
    assert len(grid.attempts) == tried == 10
    grid.status = 200
    grid.turn(DAY)

    last = {body[0]["subject"].rpartition("/")[2] for body in grid.delivered()[tried:]}
    assert last == {*(f"id-{number}" for number in range(12)), "held"}


@pytest.mark.parametrize(("status", "held"), [(503, 10), (404, 300)])
def test_how_long_it_is_spared_depends_on_its_answers(grid: Grid, status: int, held: int) -> None:
    """Busy ten seconds, not found five minutes."""
    grid.subscribe()
    grid.status = status
    for number in range(10):
        grid.write(f"id-{number}")
        grid.turn(0)
    grid.write("new")
    grid.status = 200
    grid.turn(held - 1)
    assert len(grid.attempts) == 10
    grid.turn(1)

    assert grid.attempts[10] == held


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


def test_events_come_in_batches_where_that_is_asked_for(grid: Grid) -> None:
    """All or none: a batch that is not taken comes again as a whole."""
    grid.subscribe(destination=hook(maxEventsPerBatch=3))
    grid.status = 500
    for number in range(4):
        grid.write(f"id-{number}")
    grid.turn(1)
    grid.status = 200
    grid.turn(60)

    assert [len(body) for body in grid.delivered()] == [3, 1, 3, 1]


def test_a_batch_has_a_size(grid: Grid) -> None:
    """More than fits comes in the next one; a large event comes alone."""
    destination = hook(maxEventsPerBatch=5000, preferredBatchSizeInKilobytes=4)
    grid.subscribe(destination=destination)
    for number in range(5):
        grid.write(f"id-{number}")
    grid.turn(1)

    sizes = [len(body) for body in grid.delivered()]
    assert sum(sizes) == 5
    assert max(sizes) < 5


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
    grid.subscribe()
    grid.status = 500
    grid.write()
    grid.turn(1)
    grid.arm.call("DELETE", f"{SUBSCRIPTIONS}/hook")
    grid.turn(DAY)

    assert grid.attempts == [0]


def test_an_event_may_come_twice(grid: Grid) -> None:
    """At least once is all that is promised."""
    grid.world.weather = grid.world.weather.changed({"events_duplicate": 1.0})
    grid.subscribe()
    grid.write()
    grid.turn(1)

    first, second = grid.delivered()
    assert first == second


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


def test_retries_jitter_if_told_so(grid: Grid) -> None:
    """Each comes later by up to a part of its wait; by how much, the seed says."""
    grid.subscribe()
    grid.world.weather = Weather(delivery_jitter=0.5)
    grid.status = 500
    grid.write()
    grid.turn(DAY / 4)
    steps = [after - before for before, after in itertools.pairwise(grid.attempts)]

    assert len(steps) > 5
    assert all(exact < step < 1.5 * exact for exact, step in zip(SCHEDULE, steps, strict=False))


def test_retries_are_left_out_if_told_so(grid: Grid) -> None:
    """Then the step after it is waited for as well."""
    grid.subscribe()
    grid.world.weather = Weather(delivery_skips=1)
    grid.status = 500
    grid.write()
    grid.turn(DAY / 4)
    steps = [sum(each) for each in itertools.pairwise(SCHEDULE)]

    assert grid.attempts == moments(steps)[: len(grid.attempts)]
    assert len(grid.attempts) > 5


@pytest.mark.parametrize(("took", "tries"), [(20, 1), (45, 1), (149, 1), (151, 2), (400, 2)])
def test_a_late_answer_may_still_count(grid: Grid, took: float, tries: int) -> None:
    """Until the event is sent again, two minutes after the half minute that it had."""
    grid.subscribe()
    grid.world.weather = Weather(delivery_late_counts=1)
    grid.took = dt.timedelta(seconds=took)
    grid.write()
    grid.turn(60)
    grid.took = dt.timedelta()
    grid.turn(DAY)

    assert len(grid.attempts) == tries
    assert grid.delivery.dropped == []


def test_a_late_answer_does_not_count_in_fair_weather(grid: Grid) -> None:
    """Nor does a late refusal say how to go on: it took too long."""
    grid.subscribe()
    grid.took = dt.timedelta(seconds=31)
    grid.write()
    grid.turn(1)
    grid.world.weather = Weather(delivery_late_counts=1)
    grid.status = 400
    grid.turn(150)
    grid.took, grid.status = dt.timedelta(), 200
    grid.turn(DAY)

    assert grid.attempts == [0, 150, 300]
    assert grid.delivery.dropped == []
