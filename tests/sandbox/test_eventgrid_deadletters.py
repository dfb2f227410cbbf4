"""What becomes of events that were given up, by facts: Delivery."""

import pytest

from tests.sandbox.grid import DEAD_LETTERS, QUEUE, Grid

HOUR = 3600


def test_a_dead_letter_is_the_event_and_why(grid: Grid) -> None:
    """Written five minutes after the last attempt, under the subscription's name and the hour."""
    grid.deliver(
        404, 599, deadLetterDestination=DEAD_LETTERS, retryPolicy={"maxDeliveryAttempts": 2}
    )
    assert grid.blobs == {}
    grid.turn(2)

    ((name, records),) = grid.blobs.items()
    assert name.startswith("store/dead/HOOK/2026/3/1/12/")
    assert name.endswith(".json")
    (record,) = records
    assert record["eventType"] == "Microsoft.Resources.ResourceWriteSuccess"
    assert record["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
    assert record["deliveryAttempts"] == 2
    assert record["lastDeliveryOutcome"] == "NotFound"
    assert record["publishTime"] == "2026-03-01T12:00:01.0000000Z"
    assert record["lastDeliveryAttemptTime"] == "2026-03-01T12:05:01.0000000Z"


def test_in_cloud_events_the_names_are_in_lower_case(grid: Grid) -> None:
    """The documented sample has no time of the last attempt, and another version's name."""
    grid.subscribe(
        deadLetterDestination=DEAD_LETTERS,
        eventDeliverySchema="CloudEventSchemaV1_0",
        retryPolicy={"maxDeliveryAttempts": 1},
    )
    grid.status = 500
    grid.write()
    grid.turn(HOUR)

    ((record,),) = grid.blobs.values()
    assert record["deadletterreason"] == "MaxDeliveryAttemptsExceeded"
    assert record["deliveryattempts"] == 1
    assert record["lastdeliveryoutcome"] == "InternalServerError"
    assert "publishtime" in record
    assert "dataversion" in record
    assert "specversion" not in record
    assert "lastdeliveryattempttime" not in record


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, "BadRequest"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (413, "RequestEntityTooLarge"),
    ],
)
def test_a_hopeless_event_goes_there_after_one_attempt(
    grid: Grid, status: int, outcome: str
) -> None:
    """The reason names the answer."""
    grid.deliver(status, 301, deadLetterDestination=DEAD_LETTERS)

    ((record,),) = grid.blobs.values()
    assert record["deadLetterReason"] == f"UndeliverableDueToHttp{outcome}"
    assert record["deliveryAttempts"] == 1


def test_an_event_whose_time_is_over_goes_there(grid: Grid) -> None:
    """The reason is its age."""
    grid.subscribe(
        destination=QUEUE,
        deadLetterDestination=DEAD_LETTERS,
        retryPolicy={"eventTimeToLiveInMinutes": 1},
    )
    grid.fault = TimeoutError()
    grid.write()
    grid.turn(HOUR)

    ((record,),) = grid.blobs.values()
    assert record["deadLetterReason"] == "TimeToLiveExceeded"
    assert record["lastDeliveryOutcome"] == "TimedOut"


def test_dead_letters_are_off_by_default(grid: Grid) -> None:
    """Then the event is gone."""
    grid.deliver(400, HOUR)

    assert grid.blobs == {}
    assert len(grid.delivery.dropped) == 1


@pytest.mark.parametrize("container", [404, 0])
def test_a_dead_letter_waits_for_its_container(grid: Grid, container: int) -> None:
    """It is written once the container is there again, or the storage answers."""
    grid.subscribe(deadLetterDestination=DEAD_LETTERS)
    grid.status, grid.container = 400, container
    grid.write()
    grid.turn(3 * HOUR)
    grid.container = 201
    grid.turn(HOUR)

    assert len(grid.blobs) == 1
    assert grid.delivery.dropped == []


def test_after_four_hours_it_is_dropped(grid: Grid) -> None:
    """No container is waited for any longer."""
    grid.subscribe(deadLetterDestination=DEAD_LETTERS)
    grid.status, grid.container = 400, 404
    grid.write()
    grid.turn(5 * HOUR)
    grid.container = 201
    grid.turn(HOUR)

    assert grid.blobs == {}
    assert len(grid.delivery.dropped) == 1
