"""A management group that cannot be read, in part or at all, leaves nothing half watched."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.errors import Again, ArmError, Blocked
from reconciler.ids import ResourceId
from tests.world.cloud import Cloud, blocked
from tests.world.hierarchy import (
    CORP,
    DESCENDANTS,
    HOUR,
    SECOND,
    leave,
    refused,
    resolutions,
    start,
    watched,
)
from tests.world.ids import SUB, SUBSCRIPTION, VM


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_a_page_that_cannot_be_read_leaves_nothing_watched(corp: Cloud, status: int) -> None:
    """Half a list would take what is on the other half for unwatched."""
    link = f"https://management.azure.com{CORP}/descendants?api-version=2020-05-01&$skiptoken=2"
    body = {"value": [{"id": SUB, "type": "/subscriptions"}], "nextLink": link}
    corp.wire.answer("GET", DESCENDANTS, 200, body=body)
    corp.wire.answer("GET", DESCENDANTS, status, "Refused")
    corp.look(VM)

    assert corp.wire.writes == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AuthorizationFailed", Blocked),
        (400, "BadRequest", Blocked),
        (404, "NotFound", Blocked),
        (429, "TooManyRequests", Again),
        (503, "Unavailable", Again),
    ],
)
def test_a_group_that_cannot_be_read_is_an_error_that_names_it(
    corp: Cloud, status: int, code: str, kind: type[ArmError]
) -> None:
    """Setting and group are in the text; passing failures stay passing."""
    corp.wire.answer("GET", DESCENDANTS, status, code)
    with pytest.raises(kind, match=r"\ARECONCILER_MANAGEMENT_GROUPS: the management group corp "):
        corp.app.refusal(ResourceId.parse(VM))


def test_requests_wait_until_the_group_can_be_read(corp: Cloud) -> None:
    """Nothing is done before, and nothing is lost."""
    corp.wire.answer("GET", DESCENDANTS, 503, "Unavailable", times=3)
    results = corp.drive(VM)

    assert results[0].again_after is not None
    assert not results[0].plans
    assert corp.attached(VM) == {"system"}


@pytest.mark.parametrize("status", [403, 503])
def test_a_failure_speaks_for_all_that_ask_at_the_time(corp: Cloud, status: int) -> None:
    """One after the other they would wait for a call each, longer than a function may take."""
    corp.wire.answer("GET", DESCENDANTS, status, "Refused")
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: corp.look(VM), range(32)))

    assert len({one.detail for result in results for one in result.outcomes}) == 1
    assert resolutions(corp) == 1
    corp.pass_time(5)
    assert watched(corp) == [SUBSCRIPTION, SECOND]


@pytest.mark.parametrize("name", ["lab", "absent"])
def test_a_group_without_a_subscription_is_an_error(corp: Cloud, name: str) -> None:
    """Also beside others that hold some: whoever named it meant something."""
    corp.wire.answer("GET", f"/{name}/descendants", 200, body={"value": []})
    start(corp, RECONCILER_MANAGEMENT_GROUPS=f"corp,{name}")
    (outcome,) = corp.look(VM).outcomes

    assert outcome.code == "EmptyManagementGroup"
    assert outcome.detail.startswith(
        f"RECONCILER_MANAGEMENT_GROUPS: the management group {name} does not exist or holds no"
    )


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_refresh_that_fails_keeps_what_was_known(
    corp: Cloud, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and is repeated after five minutes."""
    assert watched(corp) == [SUBSCRIPTION, SECOND]
    leave(corp, SUBSCRIPTION)
    corp.pass_time(HOUR)
    corp.wire.answer("GET", DESCENDANTS, status, "Refused")
    with caplog.at_level(logging.WARNING):
        assert watched(corp) == [SUBSCRIPTION, SECOND]
        assert watched(corp) == [SUBSCRIPTION, SECOND]

    (message,) = [
        one.getMessage() for one in caplog.records if one.name == "reconciler.azure.memory"
    ]
    assert message.startswith("RECONCILER_MANAGEMENT_GROUPS: the management group corp cannot be")
    assert "stays watched" in message
    corp.pass_time(300)
    assert watched(corp) == [SUBSCRIPTION]


def test_a_group_that_lost_its_last_subscription_leaves_nothing_watched(corp: Cloud) -> None:
    """That is no failure to read it: what left must not be touched."""
    corp.drive(VM)
    leave(corp)
    corp.pass_time(HOUR)

    assert refused(corp, VM) == ["EmptyManagementGroup"]
    leave(corp, SUBSCRIPTION)
    corp.pass_time(5)
    assert blocked(corp.drive(VM)) == []
