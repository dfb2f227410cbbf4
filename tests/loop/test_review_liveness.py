"""Nothing is lost, and nothing goes on for ever: messages that come again, copies, lagging lists.

A message is completed after what it led to is in the queue. So whatever the process remembers of
an answer, the same message may come again because nothing of that answer got there.
"""

from datetime import timedelta

import pytest

from reconciler import messages
from reconciler.changes import Status
from reconciler.ids import ResourceId
from reconciler.model import USER_ASSIGNED_IDENTITY, Request, Sight, Sighting
from tests.loop.cloud import Cloud
from tests.loop.lab import (
    APPS,
    ASSIGNMENTS,
    SHARED,
    VM,
    Content,
    guardrails,
    policy,
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


def test_a_swept_identity_asks_nobody_who_carries_it(steady: Cloud) -> None:
    """The same sweep has looked at everybody's entries; each question would list them all."""
    swept = steady.app.sweep()
    (request,) = [one for one in swept.requests if one.id.is_type(USER_ASSIGNED_IDENTITY)]
    steady.wire.calls.clear()

    steady.drive(request)

    assert not [call for call in steady.wire.calls if GRAPH in call.path]


def test_a_dead_entry_is_found_by_the_sweep_itself(steady: Cloud) -> None:
    """Nobody told that the identity was recreated."""
    steady.recreate_identity()

    steady.sweep()

    entry = steady.resource().users[SHARED.lower()]
    assert entry.principal.alive


def test_unwanted_rights_are_named_in_messages_that_the_queue_takes(cloud: Cloud) -> None:
    """An identity may lose hundreds at once; one message too many would fail the whole sweep."""
    groups = [f"{APPS}-of-a-team-with-a-rather-long-name-{number:03}" for number in range(250)]
    for group in groups:
        body = {"location": "westeurope"}
        cloud.operator.call("PUT", group, body, version="2021-04-01")
        cloud.granted_by_us(group, SHARED)
    limits = {"maxRemovals": {"count": 1000, "percent": 100}}
    cloud.deploy(policy(), guardrails(**limits))

    requests = cloud.app.sweep().requests

    assert all(len(messages.encode(one).encode()) <= STORAGE_TAKES for one in requests)
    cloud.drive(*(messages.decode(messages.encode(one)) for one in requests))
    assert cloud.rights(cloud.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}
