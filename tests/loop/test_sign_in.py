"""Signing in: while no token is to be had, no request is lost."""

from collections.abc import Mapping
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from reconciler.changes import Hold, Status
from sandbox.identity import tokens
from tests.world.cloud import Cloud, as_request, holds
from tests.world.ids import APPS, SUB, VM
from tests.world.policies import guardrails, policy, rule


class Endpoint:
    """A credential whose endpoint is down until it is mended."""

    def __init__(self, cloud: Cloud) -> None:
        self.down = True
        self._real = tokens.credential(cloud.world, cloud.world.app)

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401 (the protocol's)
        """Return a token, or say that there is none."""
        if self.down:
            raise ClientAuthenticationError(message="the identity endpoint does not answer")
        return self._real.get_token(*scopes, **options)


@pytest.mark.parametrize("place", [VM, APPS, f"{APPS}/providers/Microsoft.Storage/x/y"])
def test_a_request_outlives_an_identity_endpoint_that_is_down(cloud: Cloud, place: str) -> None:
    """Raising would send the message to the poison queue within minutes; a copy is due instead."""
    endpoint = Endpoint(cloud)
    cloud.deploy(credential=endpoint)

    result = cloud.look(place)

    assert result.outcomes[0].status is Status.BLOCKED
    assert "the identity endpoint does not answer" in result.outcomes[0].detail
    assert result.again is not None
    assert result.again.id == as_request(place).id

    endpoint.down = False
    cloud.drive(result.again)

    if place == VM:
        assert cloud.attached() == {"system", "shared"}


def test_after_an_hour_without_a_token_a_person_is_left_to_act(cloud: Cloud) -> None:
    """Then it stays blocked: the next sweep is the next chance."""
    cloud.deploy(credential=Endpoint(cloud))

    last = cloud.drive(VM)[-1]

    assert last.outcomes[0].status is Status.BLOCKED
    assert last.again is None


class Refusal:
    """What an identity endpoint answers instead of a token."""

    reason = "made up"
    request: object = None
    headers: Mapping[str, str] = {}

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code

    def text(self) -> str:
        """Return the body."""
        return '{"error": "invalid_request"}'


class Answering(Endpoint):
    """A credential whose endpoint answers, but with a refusal; what it sends is in the error."""

    def __init__(self, cloud: Cloud, status: int) -> None:
        super().__init__(cloud)
        self.status = status

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401 (the protocol's)
        """Return a token, or fail as the identity library does where a token is renewed."""
        if self.down:
            raise ClientAuthenticationError("no token", Refusal(self.status))
        return self._real.get_token(*scopes, **options)


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_the_identity_endpoints_status_says_nothing_about_what_was_asked(
    cloud: Cloud, status: int
) -> None:
    """A 404 without a token must not mean absent, nor a 400 that a call of ours is wrong."""
    endpoint = Answering(cloud, status)
    endpoint.down = False
    cloud.deploy(credential=endpoint)
    assert cloud.app.arm.caller.principal == cloud.world.app.oid
    endpoint.down = True

    result = cloud.look(VM)

    assert [one.code for one in result.outcomes] == ["SignIn"]
    assert result.plans == ()
    assert result.again is not None


@pytest.mark.parametrize("part", ["/virtualmachines/", "/userassignedidentities/"])
def test_a_token_that_azure_refuses_is_tried_again(cloud: Cloud, part: str) -> None:
    """It may have expired on its way; the request waits for the next one."""
    cloud.wire.answer("GET", part, 401, "ExpiredAuthenticationToken", text="it has expired")

    result, *_ = cloud.drive(VM)

    assert "it has expired" in result.outcomes[0].detail
    assert cloud.attached() == {"system", "shared"}


def test_the_apps_own_identity_is_not_attached_from_a_desk(cloud: Cloud) -> None:
    """The token is a person's there, so only the makers say who the app is."""
    own = cloud.world.app.resource_id
    assert own is not None
    entry = {"app": {"id": own, "mode": "repair", "grants": []}}
    cloud.deploy(
        policy(rule(attach=["app"]), identities=entry),
        guardrails(identities=[SUB]),
        credential=tokens.credential(cloud.world, cloud.world.operator),
        RECONCILER_MAKERS=cloud.world.app.oid,
    )
    cloud.drive(VM)

    assert cloud.attached() == {"system"}
    assert holds(cloud.replan()) == {Hold.OWN_IDENTITY}
