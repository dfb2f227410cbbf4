"""Nothing is lost, and nothing goes on for ever: messages that come again, copies, lagging lists.

A message is completed after what it led to is in the queue. So whatever the process remembers of
an answer, the same message may come again because nothing of that answer got there.
"""

from datetime import timedelta

import pytest

from reconciler.changes import Status
from reconciler.ids import ResourceId
from reconciler.model import Request, Sight, Sighting
from tests.loop.cloud import Cloud
from tests.loop.lab import (
    APPS,
    ASSIGNMENTS,
    VM,
    Content,
    rule,
)
from tests.loop.sweeps import GRAPH

REDELIVERED = 30
"""Seconds after which the host hands out a message again (host.json)."""
STORAGE_TAKES = 64 * 1024 * 3 // 4
"""Bytes of a queue message, which is base64."""


def event(cloud: Cloud, place: str, *, ago: float = 0, written: bool = False) -> Request:
    """Return what an event asks for that happened some seconds ago."""
    return Request(
        ResourceId.parse(place), cloud.clock() - timedelta(seconds=ago), expected=written
    )


def without_system() -> Content:
    """Return the usual rule without a system-assigned identity."""
    return {key: value for key, value in rule().items() if key != "system"}


def deleted(cloud: Cloud, place: str = VM, scope: str = APPS) -> Request:
    """Take our right away, and return what its deletion asks for."""
    right = cloud.right(cloud.principal(place))
    found = f"{scope}{ASSIGNMENTS}/{right.name}"
    assert cloud.operator.call("DELETE", found, version="2022-04-01").status_code == 200
    return event(cloud, found)


@pytest.mark.parametrize("part", ["/microsoft.resourcegraph/", "/eventtypes/"])
@pytest.mark.parametrize("code", ["ResourceNotFound", "NotFound", ""])
def test_a_question_that_is_not_found_is_asked_again(cloud: Cloud, part: str, code: str) -> None:
    """A 404 of the index or the log says nothing about what was asked for; nothing is raised."""
    cloud.build()
    cloud.sweep()
    cloud.delete(VM)
    cloud.pass_time(1200)
    method = "POST" if "graph" in part else "GET"
    cloud.wire.answer(method, part, 404, code, times=1)
    first = (Sighting(cloud.clock() - timedelta(minutes=11), Sight.GONE),)

    result = cloud.look(Request(ResourceId.parse(VM), sightings=first))

    assert [one.status for one in result.outcomes] == [Status.AGAIN]
    cloud.follow(result)
    assert all("vm1" not in (one.description or "") for one in cloud.world.assignments)


def test_a_sweep_whose_question_is_not_found_is_asked_again(cloud: Cloud) -> None:
    """It would fail in the timer, and come to nothing until the next."""
    cloud.wire.answer("POST", GRAPH, 404, "ResourceNotFound")

    result = cloud.app.sweep()

    assert [one.status for one in result.outcomes] == [Status.AGAIN]
    cloud.follow(result)
    assert cloud.attached() == {"system", "shared"}
