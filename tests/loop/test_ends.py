"""Which entries of the activity log tell of an end, and of whose."""

import pytest

from reconciler.changes import Hold
from tests.loop.test_gone import ALWAYS, LOG
from tests.world.cloud import Cloud, holds, last
from tests.world.ids import VM
from tests.world.policies import Content
from tests.world.sweeps import OWN

RESOURCES = "Microsoft.Resources/subscriptions/resourceGroups"
DELETE = "Microsoft.Compute/virtualMachines/delete"


def row(operation: str, minute: int, status: str = "Succeeded") -> Content:
    """Return an entry of the log, some minutes after noon; the right is made in the second."""
    return {
        "caller": "somebody@example.org",
        "claims": {},
        "operationName": {"value": operation},
        "status": {"value": status},
        "eventTimestamp": f"2026-03-01T12:{minute:02}:30.1234567Z",
    }


WRITE = "Microsoft.Compute/virtualMachines/write"
EVICT = "Microsoft.Compute/virtualMachines/evictSpotVM/action"
MOVE = f"{RESOURCES}/moveResources/action"
ENDS_IT: dict[str, tuple[list[Content], list[Content]]] = {
    "a deletion": ([row(DELETE, 5)], []),
    "in another spelling": ([row(DELETE.upper(), 5)], []),
    "an eviction": ([row(EVICT, 5)], []),
    "a write before it": ([row(WRITE, 4), row(DELETE, 5)], []),
    "a move after it": ([row(DELETE, 5)], [row(MOVE, 6)]),
    "a move before the right": ([row(DELETE, 5)], [row(MOVE, 0)]),
}
ENDS_ANOTHER: dict[str, tuple[list[Content], list[Content]]] = {
    "before the right": ([row(DELETE, 0)], []),
    "a move before it": ([row(DELETE, 5)], [row(MOVE, 4)]),
    "a move among others": ([row(DELETE, 5)], [row(MOVE, 0), row(MOVE, 3), row(MOVE, 9)]),
}
ENDS_NOTHING: dict[str, list[object]] = {
    "nothing": [],
    "begun": [row(DELETE, 5, "Started")],
    "failed": [row(DELETE, 5, "Failed")],
    "an extension": [row("Microsoft.Compute/virtualMachines/extensions/delete", 5)],
    "a deallocation": [row("Microsoft.Compute/virtualMachines/deallocate/action", 5)],
    "a write after it": [row(DELETE, 5), row(WRITE, 6)],
    "no time": [row(DELETE, 5) | {"eventTimestamp": "?"}],
    "no entries": [7, None],
}


def told(cloud: Cloud, about_machine: list[Content], about_group: list[Content]) -> str:
    """Let the log tell of the gone machine and of its group; returns who held its right."""
    old = cloud.principal()
    cloud.pass_time(600)
    cloud.delete(VM)
    for _ in range(9):
        for rows in (about_machine, about_group):
            cloud.wire.answer("GET", LOG, 200, body={"value": rows})
    cloud.drive(VM)
    return old


@pytest.mark.parametrize("rows", ENDS_IT.values(), ids=ENDS_IT)
def test_an_end_after_all_that_was_made_is_one(
    steady: Cloud, rows: tuple[list[Content], list[Content]]
) -> None:
    """What came before it, or before the right, says nothing against it."""
    assert steady.rights(told(steady, *rows)) == set()


@pytest.mark.parametrize("rows", ENDS_ANOTHER.values(), ids=ENDS_ANOTHER)
def test_an_end_that_may_be_anothers_is_none(
    steady: Cloud, rows: tuple[list[Content], list[Content]]
) -> None:
    """What the right was made for may have been moved out before."""
    assert steady.rights(told(steady, *rows)) == OWN


@pytest.mark.parametrize("rows", ENDS_NOTHING.values(), ids=ENDS_NOTHING)
def test_what_is_no_end_in_the_log_proves_nothing(steady: Cloud, rows: list[object]) -> None:
    """Only a successful deletion or eviction of the very id, and no write after it."""
    old = steady.principal()
    steady.pass_time(600)
    steady.delete(VM)
    steady.wire.answer("GET", LOG, 200, body={"value": rows}, times=ALWAYS)
    steady.drive(VM)

    assert steady.rights(old) == OWN


def test_a_log_of_too_many_pages_proves_nothing(steady: Cloud) -> None:
    """What was not read may be a write or a move."""
    old = steady.principal()
    steady.delete(VM)
    link = f"https://management.azure.com{LOG}?$skiptoken=x"
    body = {"value": [row(DELETE, 5)], "nextLink": link}
    steady.wire.answer("GET", LOG, 200, body=body, times=ALWAYS)
    results = steady.drive(VM)

    assert steady.rights(old) == OWN
    assert holds(last(results)) == {Hold.GONE_UNPROVED}
