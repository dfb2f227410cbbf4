"""Which answers of an endpoint are tried again, when and how often (facts: Delivery)."""

import pytest

from tests.sandbox.grid import DAY, QUEUE, SCHEDULE, Grid, moments


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_success_is_200_to_204(grid: Grid, status: int) -> None:
    """Such an answer ends the delivery."""
    grid.deliver(status, DAY)

    assert grid.attempts == [0]


@pytest.mark.parametrize("status", [205, 206, 302, 409, 418, 500, 599])
def test_all_else_is_tried_again(grid: Grid, status: int) -> None:
    """Other successes as well."""
    grid.deliver(status, 15)

    assert grid.attempts == [0, 10]


def test_the_schedule_backs_off_for_a_day(grid: Grid) -> None:
    """10 s, 30 s, 1 m, 5 m, 10 m, 30 m, 1 h, 3 h, 6 h and every 12 h, until the event expires."""
    grid.deliver(500, 2 * DAY)

    assert grid.attempts == moments([*SCHEDULE, 43200])
    assert len(grid.delivery.dropped) == 1


def test_an_endpoint_that_is_back_gets_the_event(grid: Grid) -> None:
    """The count of earlier deliveries is told."""
    grid.deliver(500, 20)
    grid.status = 200
    grid.turn(DAY)

    assert [call[2]["aeg-delivery-count"] for call in grid.calls] == ["0", "1", "2"]
    assert grid.delivery.dropped == []


@pytest.mark.parametrize(("status", "least"), [(408, 120), (503, 30), (404, 300), (500, 10)])
def test_some_answers_ask_for_a_longer_wait(grid: Grid, status: int, least: int) -> None:
    """At least so long, even where the schedule would come earlier."""
    grid.deliver(status, least + 1)

    assert grid.attempts == [0, least]


def test_an_unauthorized_azure_resource_is_asked_again(grid: Grid) -> None:
    """401 of a queue waits five minutes; of a webhook it is final."""
    grid.deliver(401, 301, destination=QUEUE)

    assert grid.attempts == [0, 300]


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_webhooks_refusals_are_final(grid: Grid, status: int) -> None:
    """Without dead letters the event is dropped at once."""
    grid.deliver(status, DAY)

    assert grid.attempts == [0]
    assert len(grid.delivery.dropped) == 1


@pytest.mark.parametrize("status", [400, 403, 413])
def test_an_azure_resources_refusals_are_final(grid: Grid, status: int) -> None:
    """The same without 401."""
    grid.deliver(status, DAY, destination=QUEUE)

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
    grid.deliver(500, DAY, retryPolicy={"maxDeliveryAttempts": 3})

    assert grid.attempts == [0, 10, 40]
    assert len(grid.delivery.dropped) == 1


def test_half_an_hour_has_room_for_six_attempts(grid: Grid) -> None:
    """Then the event's time is over."""
    grid.deliver(500, 30 * 60 - 1, retryPolicy={"eventTimeToLiveInMinutes": 30})
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
