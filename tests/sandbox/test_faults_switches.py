"""Setting the faults: by seed, over HTTPS, and never by mistake."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from sandbox import seed
from sandbox.identity import tokens
from sandbox.world.faults import Faults, FaultsError, RequestFault, read
from sandbox.world.state import Principal
from tests.world.arm import SEED, STORE, Arm

PAGE = Path(__file__).parent.parent.parent / "docs" / "faults.md"
FAULTS = "/sandbox/faults"
CLOCK = "/sandbox/clock"


def ask(arm: Arm, method: str, path: str, body: Any = None) -> tuple[int, Any]:  # noqa: ANN401 - JSON
    """Call a control route, which wants no api-version; returns status and body."""
    token = tokens.mint(arm.world, arm.caller, "https://management.azure.com")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"https://management.azure.com{path}"
    answer = arm.session.request(method, url, json=body, headers=headers)
    return answer.status_code, answer.json()


def test_the_documented_example_is_a_seed_with_every_switch() -> None:
    """The page names each switch in its table and sets it in its example."""
    text = PAGE.read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    world = seed.load(example)
    switches = Faults().to_json()

    assert world.faults != Faults()
    assert set(yaml.safe_load(example)["faults"]) == set(switches)
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {
        *switches,
        *RequestFault(drop=True).model_dump(by_alias=True),
    }


def test_a_seed_sets_switches_and_the_others_are_off() -> None:
    """They are spelled as everything else in a seed."""
    switches = {"replicationDelay": 30, "requests": [{"status": 503, "retryAfter": 5}]}
    world = seed.load({**SEED, "faults": switches}, operation_delay=3, replication_delay=9)

    assert world.faults == Faults(
        replication_delay=30, operation_delay=3, requests=[RequestFault(status=503, retry_after=5)]
    )


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"replicationDelays": 3}, "replicationDelays: there is no such switch"),
        ({"replication_delay": 3}, "replication_delay: there is no such switch"),
        ({"requests": [3]}, "requests.0: Input should be a mapping"),
        ({"requests": [{"drop": True, "times": 0}]}, "requests.0.times: Input should be greater"),
        ({"authorizationLimit": 0}, "authorizationLimit: Input should be greater"),
        ({"graphMissing": 1.5}, "graphMissing: Input should be less than or equal to 1"),
        ({"graphDelay": -1}, "graphDelay: Input should be greater than or equal to 0"),
        ({"graphDelay": "1"}, "graphDelay: Input should be a valid number"),
        *(
            ({"logDelay": span}, "logDelay: must be seconds, at most")
            for span in (-1, "1", True, None, math.nan, 1e300, [], [1], [2, 1], [1, 2, 3], {"a": 1})
        ),
        ({"operationDelay": math.inf}, "operationDelay: Input should be less than or equal to"),
        ({"eventsLateBy": 1e300}, "eventsLateBy: Input should be less than or equal to"),
        ({"throttling": 1}, "throttling: Input should be a valid boolean"),
        ({"requests": [{"statsu": 503}]}, r"requests.0.statsu: there is no such switch"),
        ({"requests": [{"status": 200}]}, "requests.0.status: Input should be greater than"),
        ({"requests": [{"drop": True, "path": "("}]}, "requests.0.path: not a regular expression"),
        ({"requests": [{}]}, "requests.0: one of 'status', 'answer', 'alter', 'without', 'drop'"),
        ({"requests": [{"drop": True, "status": 503}]}, "requests.0: one of"),
        ({"requests": [{"drop": True, "alter": "torn"}]}, "requests.0: one of"),
        ({"requests": [{"answer": {"status": 100}}]}, "requests.0.answer.status: Input should be"),
        (
            {"requests": [{"status": 429, "retryAfter": 10**9}]},
            "requests.0.retryAfter: Input should",
        ),
        ({"requests": [{"late": True, "done": True}]}, "requests.0: 'late' goes with neither"),
    ],
)
def test_a_wrong_switch_is_named(switches: dict[str, Any], message: str) -> None:
    """In a seed and wherever else switches are read."""
    with pytest.raises(FaultsError, match=message):
        read(switches)
    with pytest.raises(seed.SeedError, match=f"faults: {message}"):
        seed.load({**SEED, "faults": switches})


def test_a_span_is_a_time_or_two() -> None:
    """It is shown as it was set; in Python as a pair."""
    assert read({"logDelay": [180, 1200]}) == Faults(log_delay=(180, 1200))
    assert read({"logDelay": [180, 1200]}).to_json()["logDelay"] == [180, 1200]
    assert read({"logDelay": [60, 60]}) == read({"logDelay": 60}) == Faults(log_delay=60)
    assert Faults().changed({"log_delay": (1, 2)}).changed({}) == Faults(log_delay=(1, 2))


@pytest.mark.parametrize("faults", [["none"], [], "none", 0, False])
def test_faults_in_a_seed_must_be_a_mapping(faults: object) -> None:
    """A list of switches is none, be it empty."""
    with pytest.raises(seed.SeedError, match="faults: must be a mapping"):
        seed.load({**SEED, "faults": faults})


def test_the_operator_changes_the_faults(arm: Arm) -> None:
    """PATCH sets some switches, PUT all; GET shows them as a seed spells them."""
    assert ask(arm, "GET", FAULTS) == (200, Faults().to_json())
    ask(arm, "PATCH", FAULTS, {"graphDelay": 60})
    status, shown = ask(arm, "PATCH", FAULTS, {"throttling": True})

    assert status == 200
    assert arm.world.faults == Faults(graph_delay=60, throttling=True)
    assert read(shown) == arm.world.faults
    assert ask(arm, "PUT", FAULTS, {"graphMissing": 0.5})[0] == 200
    assert arm.world.faults == Faults(graph_missing=0.5)


def test_a_wrong_switch_changes_nothing(arm: Arm) -> None:
    """It is refused by name."""
    status, body = ask(arm, "PUT", FAULTS, {"graphDelay": 1, "wind": 3})

    assert (status, body["error"]["code"]) == (400, "InvalidFaults")
    assert body["error"]["message"] == "wind: there is no such switch"
    assert arm.world.faults == Faults()


def test_the_operator_turns_the_clock(arm: Arm) -> None:
    """It jumps, or changes its speed."""
    before = arm.clock()
    status, shown = ask(arm, "PATCH", CLOCK, {"forward": 600})

    assert (status, shown["speed"]) == (200, 0)
    assert (arm.clock() - before).total_seconds() == 600
    assert ask(arm, "PATCH", CLOCK, {"speed": 60})[1]["speed"] == 60
    assert ask(arm, "GET", CLOCK)[1]["now"] > shown["now"]


@pytest.mark.parametrize(
    "body",
    [
        {"back": 1},
        {"speed": -1},
        {"speed": 86401},
        {"forward": "1"},
        {"forward": 367 * 86400},
        {"speed": True},
    ],
)
def test_a_clock_cannot_be_turned_otherwise(arm: Arm, body: dict[str, Any]) -> None:
    """What it has not is refused by name."""
    status, shown = ask(arm, "PATCH", CLOCK, body)

    assert (status, shown["error"]["code"]) == (400, "InvalidClock")
    assert next(iter(body)) in shown["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [(m, p) for m in ("GET", "PATCH") for p in (FAULTS, CLOCK)] + [("PUT", FAULTS)],
)
def test_nobody_else_changes_anything(arm: Arm, method: str, path: str) -> None:
    """The application is no operator, and who has no token is nobody."""
    who: Principal = arm.world.app
    assert ask(arm.called_by(who), method, path, {})[0] == 403
    url = f"https://management.azure.com{path}"
    anonymous: requests.Response = arm.session.request(method, url, json={})
    assert anonymous.status_code == 401
    assert arm.world.faults == Faults()


def test_the_operator_is_always_heard(arm: Arm) -> None:
    """Faults and limits do not concern the control routes, and the request log omits them."""
    arm.world.faults = Faults(throttling=True, requests=[RequestFault(drop=True)])

    assert ask(arm, "PUT", FAULTS, {})[0] == 200
    assert arm.call("GET", STORE).status_code == 200
    assert [each.path for each in arm.world.requests] == [STORE]
