"""Faults: requests that are refused, cut off, or accepted and failing late."""

import json
from pathlib import Path
from typing import Literal

import pytest
import requests

from sandbox import seed
from sandbox.identity import tokens
from sandbox.server import Server
from sandbox.world.faults import Answer, Faults, RequestFault
from tests.world.arm import GROUP, MACHINE, SEED, STORE, Arm, error

NEW = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/new"


def hit(arm: Arm, *faults: RequestFault) -> None:
    """Let requests meet faults from now on."""
    arm.world.faults = Faults(requests=list(faults))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "ConflictingConcurrentWriteNotAllowed"),
        (412, "PreconditionFailed"),
        (429, "TooManyRequests"),
        (500, "InternalServerError"),
        (502, "BadGatewayConnection"),
        (503, "ServerTimeout"),
        (504, "GatewayTimeout"),
        (418, "Refused"),
    ],
)
def test_a_refused_request_has_the_usual_code(arm: Arm, status: int, code: str) -> None:
    """The envelope is ARM's, and nothing was done."""
    hit(arm, RequestFault(method="DELETE", status=status))

    assert error(arm.call("DELETE", STORE)) == (status, code)
    assert arm.call("GET", STORE).status_code == 200


@pytest.mark.parametrize(
    ("status", "cause"),
    [(409, None), (500, "gateway"), (502, "service"), (503, "gateway"), (504, "service")],
)
def test_a_fault_says_whose_it_is(arm: Arm, status: int, cause: str | None) -> None:
    """The gateway's own, or that of the service behind it (recorded)."""
    hit(arm, RequestFault(status=status))

    assert arm.call("GET", STORE).headers.get("x-ms-failure-cause") == cause


def test_a_fault_strikes_what_it_names(arm: Arm) -> None:
    """Method and path, after some requests, for some times, with a code and a wait."""
    fault = RequestFault(
        method="GET",
        path="/virtualmachines/vm$",
        status=409,
        code="ScopeLocked",
        retry_after=7,
        after=1,
        times=2,
    )
    hit(arm, fault)
    answers = [arm.call("GET", MACHINE) for _ in range(4)]

    assert [each.status_code for each in answers] == [200, 409, 409, 200]
    assert error(answers[1]) == (409, "ScopeLocked")
    assert answers[1].headers["Retry-After"] == "7"
    assert arm.call("GET", STORE).status_code == 200


def test_of_several_faults_the_first_decides(arm: Arm) -> None:
    """Once it is spent the next one does."""
    hit(arm, RequestFault(status=500, times=1), RequestFault(status=503, times=1))

    assert [arm.call("GET", STORE).status_code for _ in range(3)] == [500, 503, 200]


def test_faults_by_chance_are_the_same_for_the_same_seed() -> None:
    """About as many as their probability says."""

    def play(number: int) -> list[int]:
        arm = Arm(seed=number)
        hit(arm, RequestFault(status=503, probability=0.3))
        return [arm.call("GET", STORE).status_code for _ in range(200)]

    first = play(1)
    assert 30 < first.count(503) < 90
    assert first == play(1) != play(2)


@pytest.mark.parametrize("status", [None, 504])
def test_a_request_may_be_done_though_its_answer_is_lost(arm: Arm, status: int | None) -> None:
    """Dropped or refused by the gateway, while the provider did what was asked."""
    hit(arm, RequestFault(method="DELETE", status=status, drop=status is None, done=True, times=1))
    if status:
        assert arm.call("DELETE", STORE).status_code == status
    else:
        with pytest.raises(requests.ConnectionError):
            arm.call("DELETE", STORE)

    assert arm.call("GET", STORE).status_code == 404


def test_a_dropped_request_is_not_done(arm: Arm) -> None:
    """The client cannot tell the two apart; the request log has no status for it."""
    hit(arm, RequestFault(drop=True, times=1))
    with pytest.raises(requests.ConnectionError):
        arm.call("DELETE", STORE)

    assert arm.call("GET", STORE).status_code == 200
    assert [each.status for each in arm.world.requests] == [0, 200]


def test_a_dropped_request_ends_the_connection_of_a_served_client(tmp_path: Path) -> None:
    """Over HTTPS the server hangs up."""
    world = seed.load(SEED | {"faults": {"requests": [{"drop": True, "times": 1}]}})
    token = tokens.mint(world, world.operator, "https://management.azure.com")
    headers = {"Authorization": f"Bearer {token}"}
    with Server(world, tmp_path) as served, requests.Session() as session:
        session.trust_env = False
        session.verify = str(tmp_path / "ca.pem")
        url = f"{served.url}{STORE}?api-version=2024-01-01"
        with pytest.raises(requests.ConnectionError):
            session.get(url, headers=headers)

        assert session.get(url, headers=headers).status_code == 200


def test_an_operation_may_fail_late(arm: Arm) -> None:
    """The request is accepted; at its end the operation has failed, and the resource shows it.

    What was written stays (assumed).
    """
    hit(arm, RequestFault(method="PATCH", late=True, code="OperationPreempted", times=1))
    answer = arm.attach("id1")
    operation = answer.headers["azure-asyncoperation"]
    path = operation.removeprefix("https://management.azure.com").partition("?")[0]

    assert (answer.status_code, arm.get(path)["status"]) == (200, "InProgress")
    arm.clock.forward(1)
    assert arm.get(path)["status"] == "Failed"
    assert arm.get(path)["error"]["code"] == "OperationPreempted"
    shown = arm.get(MACHINE)
    assert shown["properties"]["provisioningState"] == "Failed"
    assert shown["identity"]["type"] == "UserAssigned"

    arm.attach("id1")
    arm.clock.forward(1)
    assert arm.get(MACHINE)["properties"]["provisioningState"] == "Succeeded"


def test_a_machine_whose_deletion_fails_late_stays(arm: Arm) -> None:
    """Its final location says so with an error (the status is assumed)."""
    told: list[str] = []
    arm.world.feed.subscribe(lambda event: told.append(event["eventType"]))
    hit(arm, RequestFault(method="DELETE", late=True))
    answer = arm.call("DELETE", MACHINE)
    path = answer.headers["location"].removeprefix("https://management.azure.com")
    arm.clock.forward(1)

    assert answer.status_code == 202
    assert error(arm.call("GET", path)) == (409, "InternalExecutionError")
    assert arm.get(MACHINE)["properties"]["provisioningState"] == "Failed"
    assert told == ["Microsoft.Resources.ResourceDeleteFailure"]


def test_a_machine_whose_creation_fails_late_is_there(arm: Arm) -> None:
    """It shows its state and can be deleted."""
    hit(arm, RequestFault(method="PUT", late=True))
    assert arm.call("PUT", NEW, {"location": "westus"}).status_code == 201
    arm.clock.forward(1)

    assert arm.get(NEW)["properties"]["provisioningState"] == "Failed"
    assert arm.call("DELETE", NEW).status_code == 202


def test_what_starts_no_operation_cannot_fail_late(arm: Arm) -> None:
    """A role assignment is written at once."""
    hit(arm, RequestFault(late=True))

    assert arm.assign(GROUP, arm.principal("stranger").oid).status_code == 201


def test_a_whole_answer_may_come_from_elsewhere(arm: Arm) -> None:
    """A proxy's page, say: what was asked is not done unless that is set, too."""
    page = Answer(status=502, body="<html>", headers={"Content-Type": "text/html"})
    hit(arm, RequestFault(answer=page, times=1), RequestFault(answer=page, done=True, times=1))
    first, second = (arm.call("DELETE", STORE) for _ in range(2))

    assert (first.status_code, first.text, first.headers["Content-Type"]) == (
        502,
        "<html>",
        "text/html",
    )
    assert second.text == "<html>"
    assert arm.call("GET", STORE).status_code == 404


@pytest.mark.parametrize(("alter", "rows"), [("half", 2), ("empty", 0)])
def test_a_list_may_be_cut(arm: Arm, alter: Literal["half", "empty"], rows: int) -> None:
    """The answer does not say so."""
    path = f"{GROUP}/resources"
    whole = arm.get(path)["value"]
    hit(arm, RequestFault(alter=alter))

    assert arm.get(path) == {"value": whole[:rows]}
    assert len(arm.query("resources").json()["data"]) == rows


def test_a_true_answer_may_be_torn_renamed_or_lack_members(arm: Arm) -> None:
    """What was asked is done all the same; a refusal is altered like any other answer."""
    whole = arm.call("GET", STORE).text
    hit(
        arm,
        RequestFault(alter="torn", times=1),
        RequestFault(alter="renamed", times=1),
        RequestFault(without=["location", "nothing"], times=1),
        RequestFault(method="DELETE", without=["name"], times=1),
        RequestFault(alter="torn", times=1),
    )
    torn, renamed, without = (arm.call("GET", STORE) for _ in range(3))

    assert torn.text == whole[: len(whole) // 2]
    assert renamed.json() == json.loads(whole) | {"type": "Microsoft.Web/sites", "id": f"{STORE}x"}
    assert without.json().keys() == json.loads(whole).keys() - {"location"}
    assert arm.call("DELETE", STORE).status_code == 200
    missing = arm.call("GET", STORE)
    assert (missing.status_code, missing.text[:1]) == (404, "{")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        missing.json()
