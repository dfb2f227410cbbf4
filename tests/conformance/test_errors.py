"""Errors that were recorded, provoked here: status, code and the shape of the body agree."""

import dataclasses
import json
from pathlib import Path

import pytest

from tests.conformance.player import Player
from tests.conformance.recordings import Exchange, Recording, exchange
from tests.conftest import ROOT

FOLDER = ROOT.parent / "shared" / "data" / "arm" / "errors" / "recorded"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json")) or ["none"]

_OTHER = "a rule of a provider that has no service here"
_ACTION = "an action of Compute that has no route here"
UNPROVOKED = {
    "400_InvalidParameter_1": _ACTION,
    "400_InvalidRequestPropertyValue_1": _OTHER,
    "400_InvalidTemplateDeployment_1": "template deployments are not served",
    "400_LocationNotAvailableForResourceType_1": "every type exists in every region here",
    "400_MsiInvalidForRenewal_1": _OTHER,
    "400_NicInUse_1": _OTHER,
    "400_NoRegisteredProviderFound_1": "every type has every api-version here",
    "400_OperationNotAllowed_1": _OTHER,
    "400_ServicePrincipalNotFound_1": _OTHER,
    "403_AuthorizationFailed_4": "data boundaries of a tenant are not served",
    "403_LinkedAuthorizationFailed_1": "the recording cuts the request before its identities",
    "404_InvalidResourceType_1": _OTHER,
    "404_NotFound_1": _OTHER,
    "404_ResourceTypeNotSupported_1": "policy definitions are not served",
    "405_MethodNotAllowed_1": _OTHER,
    "409_OperationNotAllowed_1": _ACTION,
    "409_OperationNotAllowed_3": "disks are not tied to machines here",
    "412_PreconditionFailed_1": _OTHER,
    "412_PreconditionFailed_2": _OTHER,
    "429_NamespaceInTransition_1": _OTHER,
    "429_RetryableError_1": _OTHER,
    "429_RetryableError_2": _OTHER,
    "429_nocode_1": _OTHER,
    "500_MultipleErrorsOccurred_1": "a fault makes one error at a time",
}
"""Errors that the local Azure cannot be brought to, each with the reason."""

INJECTED = (
    "429_ResourceRequestsThrottled_1",
    "429_SubscriptionRequestsThrottled_1",
    "500_InternalServerError_1",
    "502_BadGatewayConnection_1",
    "503_ServerTimeout_1",
    "504_GatewayTimeout_1",
)
"""Faults of Azure's: a switch brings them about, with a text of its own."""

OF_THE_WORLD = [each for each in NAMES if each not in {*UNPROVOKED, *INJECTED}]


def recorded_error(shared: Path, name: str) -> Exchange:
    """Return one recorded error."""
    path = shared / "arm" / "errors" / "recorded" / f"{name}.json"
    return exchange(json.loads(path.read_text("utf-8")))


def differences(shared: Path, name: str) -> list[tuple[str, str]]:
    """Play one recorded error and return where the answer differs."""
    return Player(Recording(name, (recorded_error(shared, name),))).play()


@pytest.mark.parametrize("name", INJECTED)
def test_a_recorded_fault_has_the_same_form_here(name: str, shared: Path) -> None:
    """Status, code, headers and the body's keys are Azure's; the text is the sandbox's."""
    error = recorded_error(shared, name)
    # Operations are polled elsewhere here, and a fault may strike any request.
    error = dataclasses.replace(error, url=error.url.replace("operationstatuses", "operations"))
    player = Player(Recording(name, (error,)))
    fault = {"status": error.status, "code": error.code, "times": 1}
    player.arm.world.faults = player.arm.world.faults.changed({"requests": [fault]})

    assert [place for place, _ in player.play()] == ["#0 body.error.message"]


@pytest.mark.parametrize("name", OF_THE_WORLD)
def test_a_recorded_error_is_given_here_too(name: str, shared: Path) -> None:
    """The request that failed there fails here in the same way."""
    assert differences(shared, name) == []


@pytest.mark.parametrize("name", sorted(UNPROVOKED))
def test_what_cannot_be_provoked_still_cannot(name: str, shared: Path) -> None:
    """An error that can be provoked by now does not stand in the table."""
    assert differences(shared, name) != []
