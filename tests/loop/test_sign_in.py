"""Signing in: while no token is to be had, no request is lost."""

from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from reconciler.changes import Status
from sandbox.azure import tokens
from tests.loop.cloud import APPS, VM, Cloud, as_request


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
