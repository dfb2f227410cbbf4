"""Outcome events: what became of a reconcile is told on a topic, and nothing hangs on it."""

import json
import logging
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler import events
from reconciler.app import App
from reconciler.changes import Outcome, Status
from reconciler.render.json import outcome as as_json
from sandbox.server import Server
from sandbox.world.faults import Faults, RequestFault
from tests.conftest import ROOT
from tests.world.cloud import Cloud
from tests.world.ids import DATA, VM
from tests.world.policies import Content, policy, rule

TOPIC = f"{DATA}/providers/Microsoft.EventGrid/topics/outcomes"
SENDER = "d5a91429-5739-47e2-a06b-3470a27159e7"
OWN = {("Reader", "rg-app")}
GRAPH = "/providers/microsoft.resourcegraph/resources"


@dataclass(frozen=True)
class Told:
    """A steady world, a topic in it, and the app that tells there."""

    cloud: Cloud
    url: str

    def deploy(self, content: Content | None = None, endpoint: str = "", **told: str) -> App:
        """Start a new process of the app that tells what it does."""
        told["RECONCILER_TOPIC_ENDPOINT"] = endpoint or f"{self.url}/eventgrid{TOPIC}/api/events"
        return self.cloud.deploy(content, None, None, **told)

    @property
    def events(self) -> list[Content]:
        """What the topic took."""
        return self.cloud.world.feed.published.get(TOPIC.lower(), [])

    @property
    def kinds(self) -> list[str]:
        """The types of these, without what they all begin with."""
        return [one["eventType"].removeprefix("IdentityReconciler.") for one in self.events]


@pytest.fixture
def told(steady: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Told]:
    """The publisher cannot be given a transport, so its topic is served."""
    assert steady.operator.call("PUT", TOPIC, {"location": "westus"}).status_code == 201
    steady.grant(steady.world.app.oid, role=SENDER, scope=TOPIC)
    steady.pass_time()
    with Server(steady.world, tmp_path / "served") as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.environment()["REQUESTS_CA_BUNDLE"])
        found = Told(steady, server.url)
        found.deploy()
        yield found


def lose_right(cloud: Cloud) -> None:
    """Delete the machine's right."""
    for right in list(cloud.world.assignments_of([cloud.principal()])):
        cloud.world.remove_assignment(right)
    cloud.pass_time()


def test_a_repair_is_published_as_changed(told: Told) -> None:
    """What is done and what still waits, in the words of the command line's JSON."""
    told.cloud.build(system=False)
    results = told.cloud.drive(VM)

    first, second = told.events
    data = second["data"]
    last = results[-1].plans[-1]
    assert (second["subject"], second["eventType"]) == (VM, "IdentityReconciler.Changed")
    assert first["data"]["outcomes"] == [as_json(one) for one in results[0].outcomes]
    assert [one["change"]["kind"] for one in first["data"]["outcomes"]] == [
        "AttachIdentity",
        "AttachIdentity",
        "CreateAssignment",
    ]
    assert [one["hold"] for one in first["data"]["plan"]["withheld"]] == ["BUSY"]
    assert [one["change"]["kind"] for one in data["outcomes"]] == ["DeleteAssignment"]
    assert last.compliant
    assert data["plan"] == {
        "id": VM,
        "fingerprint": last.fingerprint,
        "changes": [],
        "withheld": [],
    }
    assert (data["owner"], data["mode"]) == ("prod", "repair")
    assert data["digest"] == told.cloud.app.policy.digest


def test_a_look_that_finds_nothing_publishes_nothing(told: Told) -> None:
    """Nor does a sweep."""
    told.cloud.drive(VM)
    told.cloud.sweep()

    assert told.events == []


def test_without_the_setting_nothing_is_published(told: Told) -> None:
    """The default."""
    told.cloud.deploy()
    lose_right(told.cloud)
    told.cloud.drive(VM)

    assert told.cloud.rights(told.cloud.principal()) == OWN
    assert told.events == []


def test_audit_publishes_what_would_be_done(told: Told) -> None:
    """By the setting the change is in the plan, by policy it is withheld; nothing is done."""
    lose_right(told.cloud)
    told.deploy(RECONCILER_MODE="audit")
    told.cloud.drive(VM)
    told.deploy(policy(rule(mode="audit")))
    told.cloud.drive(VM)

    by_setting, by_policy = told.events
    assert told.kinds == ["WouldChange", "WouldChange"]
    assert by_setting["data"]["mode"] == "audit"
    assert [one["kind"] for one in by_setting["data"]["plan"]["changes"]] == ["CreateAssignment"]
    assert by_policy["data"]["mode"] == "repair"
    assert [one["hold"] for one in by_policy["data"]["plan"]["withheld"]] == ["AUDIT"]
    assert by_policy["data"]["outcomes"] == []
    assert told.cloud.wire.writes == []


def test_a_refusal_that_needs_a_person_is_published_as_blocked(told: Told) -> None:
    """With Azure's own code, beside what was done."""
    told.cloud.build()
    told.cloud.wire.answer("DELETE", "/roleassignments/", 409, "ScopeLocked")
    told.cloud.look(VM)

    (event,) = told.events
    found = {one["status"]: one["code"] for one in event["data"]["outcomes"]}
    assert event["eventType"] == "IdentityReconciler.Blocked"
    assert found == {"BLOCKED": "ScopeLocked", "DONE": ""}


def test_contention_is_published_as_contended(told: Told) -> None:
    """Once the app gives in."""
    for _ in range(4):
        lose_right(told.cloud)
        told.cloud.drive(VM)

    assert told.kinds == ["Changed", "Changed", "Changed", "Contended"]


def test_a_blocked_sweep_is_published_about_the_tenant(told: Told) -> None:
    """There is no plan, and the outcome has no change."""
    told.cloud.wire.answer("POST", GRAPH, 403, "AuthorizationFailed")
    told.cloud.app.sweep()

    (event,) = told.events
    (outcome,) = event["data"]["outcomes"]
    assert event["subject"] == "/"
    assert (outcome["change"], outcome["code"]) == (None, "AuthorizationFailed")
    assert event["data"]["plan"] is None


def refuse(status: int) -> Callable[[Told], None]:
    """Let the topic answer so, once: whoever tries again is heard."""

    def act(told: Told) -> None:
        fault = RequestFault(path="/eventgrid/", status=status, times=1)
        told.cloud.world.faults = Faults(requests=[fault])

    return act


def drop(told: Told) -> None:
    """Let the topic hang up, once."""
    told.cloud.world.faults = Faults(
        requests=[RequestFault(path="/eventgrid/", drop=True, times=1)]
    )


def disown(told: Told) -> None:
    """Take the right to publish away."""
    for right in list(told.cloud.world.assignments_of([told.cloud.world.app.oid])):
        if right.scope == TOPIC:
            told.cloud.world.remove_assignment(right)


def close(told: Told) -> None:
    """Name a port where nobody listens."""
    told.deploy(endpoint="https://127.0.0.1:1/api/events")


def misname(told: Told) -> None:
    """Name a topic that is not there."""
    told.deploy(endpoint=f"{told.url}/eventgrid{TOPIC}-2/api/events")


def misfit(told: Told) -> None:
    """Let the topic take another schema."""
    body = {"location": "westus", "properties": {"inputSchema": "CloudEventSchemaV1_0"}}
    assert told.cloud.operator.call("PUT", TOPIC, body).status_code in {200, 201}


@pytest.mark.parametrize(
    ("trouble", "step"),
    [
        (refuse(429), "if this goes on, look at RECONCILER_TOPIC_ENDPOINT"),
        (refuse(500), "if this goes on, look at RECONCILER_TOPIC_ENDPOINT"),
        (refuse(503), "if this goes on, look at RECONCILER_TOPIC_ENDPOINT"),
        (refuse(403), "let the app through the topic's firewall"),
        (drop, "if this goes on, look at RECONCILER_TOPIC_ENDPOINT"),
        (disown, "the app needs the role EventGrid Data Sender on the topic"),
        (misname, "name a topic that exists in RECONCILER_TOPIC_ENDPOINT"),
        (misfit, "the input schema of the topic must be Event Grid's"),
        (close, "if this goes on, look at RECONCILER_TOPIC_ENDPOINT"),
    ],
    ids=["429", "500", "503", "403", "dropped", "no right", "no topic", "schema", "refused"],
)
def test_a_topic_that_refuses_events_changes_nothing_else(
    told: Told,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[Told], None],
    step: str,
) -> None:
    """The world is right, nothing comes again, and the log says once what to do."""
    lose_right(told.cloud)
    trouble(told)
    with caplog.at_level(logging.INFO, "reconciler"):
        (result,) = told.cloud.drive(VM)

    (warning,) = [one for one in caplog.records if one.levelno > logging.INFO]
    assert [one.status for one in result.outcomes] == [Status.DONE]
    assert told.cloud.rights(told.cloud.principal()) == OWN
    assert told.events == []
    assert f"{VM}: publishing the outcome event: " in warning.getMessage()
    assert step in warning.getMessage()
    assert "Bearer" not in caplog.text


def test_an_outcome_event_that_comes_back_requests_nothing(told: Told) -> None:
    """Whoever subscribes the app to its own topic gets no loop, in either schema."""
    told.cloud.build(system=False)
    told.cloud.drive(VM)
    lose_right(told.cloud)
    told.deploy(RECONCILER_MODE="audit")
    told.cloud.drive(VM)

    assert told.kinds == ["Changed", "Changed", "WouldChange"]
    for event in told.events:
        cloud = {"type": event["eventType"], "time": event["eventTime"], "specversion": "1.0"}
        for body in (event, cloud | {"subject": event["subject"], "data": event["data"]}):
            decoded = events.decode(body)
            assert decoded is not None
            assert decoded.subject == VM
            assert told.cloud.app.requests(decoded) == ()


def test_the_documentation_names_every_key(told: Told) -> None:
    """Of the data, its plan and its outcomes, and no other."""
    page = (ROOT / "docs" / "outcomes.md").read_text("utf-8").partition("## What\n")[2]
    told.deploy(policy(rule(mode="audit")))
    lose_right(told.cloud)
    told.cloud.drive(VM)
    (event,) = told.events
    data = event["data"]
    plan = data["plan"]

    keys = {*data, *(f"plan.{key}" for key in plan)}
    keys |= {f"outcomes[].{key}" for key in as_json(Outcome(None, Status.DONE))}
    documented = re.findall(r"^\| `([\w.\[\]]+)` \| (.*) \|$", page, re.MULTILINE)
    named = dict(documented)
    assert {key.removesuffix("[]") for key in named} == keys - {"outcomes"}
    assert set(re.findall(r"`(\w+)`", named["plan.withheld[]"])) == set(plan["withheld"][0])
    assert set(Status.__members__) == set(re.findall(r"`(\w+)`", named["outcomes[].status"]))


def test_the_example_in_the_documentation_has_the_right_keys(told: Told) -> None:
    """Whoever copies it finds what it shows."""
    page = (ROOT / "docs" / "outcomes.md").read_text("utf-8")
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    lose_right(told.cloud)
    told.cloud.drive(VM)
    (event,) = told.events

    assert example.keys() <= event.keys()
    assert example["data"].keys() == event["data"].keys()
    assert example["data"]["plan"].keys() == event["data"]["plan"].keys()
    (shown,), (outcome,) = example["data"]["outcomes"], event["data"]["outcomes"]
    assert shown.keys() == outcome.keys()
    assert shown["change"].keys() == outcome["change"].keys()
