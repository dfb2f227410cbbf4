"""What the tests put between the app and the local Azure: answers of their own, and lost ones."""

import pytest
import requests

from sandbox import transport
from tests.world.arm import GROUP, MACHINE, STORE, Arm
from tests.world.wire import RESET, Wire


@pytest.fixture
def wire(arm: Arm) -> Wire:
    """A wire in front of the world, through which its client calls."""
    made = Wire(arm.app, arm.clock)
    arm.session = transport.session(made)
    return made


def test_an_answer_may_be_any_bytes(arm: Arm, wire: Wire) -> None:
    """Torn JSON, none at all, or another type; each as often as it is asked for."""
    html = {"Content-Type": "text/html"}
    wire.answer("GET", "/virtualMachines/", 200, body=b'{"id": "/sub', times=2)
    wire.answer("GET", "/virtualMachines/", 302, body=b"", headers=html | {"Location": "https://x"})
    answers = [arm.session.get(f"https://x{MACHINE}", allow_redirects=False) for _ in range(3)]

    assert [(each.status_code, each.content) for each in answers] == [
        (200, b'{"id": "/sub'),
        (200, b'{"id": "/sub'),
        (302, b""),
    ]
    assert answers[2].headers["Content-Type"] == "text/html"
    assert arm.call("GET", MACHINE).status_code == 200


@pytest.mark.parametrize("status", [RESET, 503])
def test_only_an_answer_may_be_lost(arm: Arm, wire: Wire, status: int) -> None:
    """Azure has done it all the same, or not."""
    for store, done in ((f"{STORE}1", True), (f"{STORE}2", False)):
        wire.answer("PUT", store, status, "Busy", done=done)
        body = {"location": "westus"}
        if status == RESET:
            with pytest.raises(requests.ConnectionError):
                arm.call("PUT", store, body)
        else:
            assert arm.call("PUT", store, body).status_code == status
        assert (store.lower() in arm.world.resources) is done
    assert len(wire.writes) == 2
    assert arm.call("GET", GROUP).status_code == 200
