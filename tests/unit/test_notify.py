"""Which results are news, and of what kind."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from reconciler.changes import (
    CONTENDED,
    NOT_WATCHED,
    AttachIdentity,
    Hold,
    Outcome,
    Plan,
    Result,
    Status,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.notify import Kind, Topic, audience, kind_of
from tests.conftest import ROOT
from tests.world.ids import NOON

PAGE = (ROOT / "docs" / "outcomes.md").read_text("utf-8")
VM = ResourceId.parse(
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg/providers"
    "/Microsoft.Compute/virtualMachines/vm"
)
CHANGE = AttachIdentity(VM, None)
IDLE = Plan(VM, NOON)
BUSY = Plan(VM, NOON, changes=(CHANGE,))
DONE = Outcome(CHANGE, Status.DONE)
BLOCKED = Outcome(CHANGE, Status.BLOCKED, "no right", "AuthorizationFailed")
QUARREL = Outcome(CHANGE, Status.BLOCKED, "undone", CONTENDED)
AGAIN = Outcome(None, Status.AGAIN, "throttled")


def withheld(hold: Hold) -> Plan:
    """Return a plan that withholds its change."""
    return Plan(VM, NOON, withheld=(Withheld(CHANGE, hold),))


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (Result(), None),
        (Result(plans=(IDLE,)), None),
        (Result(plans=(BUSY,), outcomes=(AGAIN,)), None),
        (Result(plans=(BUSY,), outcomes=(Outcome(CHANGE, Status.PRESENT),)), None),
        (Result(plans=(withheld(Hold.GUARDRAILS),)), None),
        (Result(outcomes=(Outcome(None, Status.BLOCKED, "elsewhere", NOT_WATCHED),)), None),
        (Result(plans=(BUSY, IDLE), outcomes=(DONE,)), Kind.CHANGED),
        (Result(plans=(BUSY,), outcomes=(DONE, AGAIN)), Kind.CHANGED),
        (Result(plans=(BUSY, withheld(Hold.AUDIT)), outcomes=(DONE,)), Kind.CHANGED),
        (Result(outcomes=(replace(BLOCKED, change=None),)), Kind.BLOCKED),
        (Result(plans=(BUSY,), outcomes=(DONE, BLOCKED)), Kind.BLOCKED),
        (Result(plans=(BUSY,), outcomes=(QUARREL, BLOCKED)), Kind.BLOCKED),
        (Result(plans=(BUSY,), outcomes=(DONE, QUARREL)), Kind.CONTENDED),
        (Result(plans=(withheld(Hold.AUDIT),)), Kind.WOULD_CHANGE),
        (Result(plans=(withheld(Hold.AUDIT),), again_after=timedelta(10)), None),
    ],
)
def test_a_result_is_news_of_one_kind_or_none(result: Result, kind: Kind | None) -> None:
    """What needs a person counts most, then what was done, then what audit keeps from it."""
    assert kind_of(result, Mode.REPAIR) is kind


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (IDLE, None),
        (BUSY, Kind.WOULD_CHANGE),
        (withheld(Hold.SETTLING), Kind.WOULD_CHANGE),
        (withheld(Hold.AUDIT), Kind.WOULD_CHANGE),
        (withheld(Hold.PROTECTED), None),
    ],
)
def test_the_audit_setting_tells_what_it_keeps_from_being_done(
    plan: Plan, kind: Kind | None
) -> None:
    """Now or once a wait is over; what is withheld for another reason is no news."""
    assert kind_of(Result(plans=(plan,)), Mode.AUDIT) is kind


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("t.westeurope-1.eventgrid.azure.net", "eventgrid.azure.net"),
        ("t.usgovvirginia-1.eventgrid.azure.us", "eventgrid.azure.us"),
        ("T.USGovVirginia-1.EventGrid.Azure.US:443", "eventgrid.azure.us"),
        ("t.chinaeast2-1.eventgrid.azure.cn", "eventgrid.azure.cn"),
        ("t.eventgrid.azure.us.example", "eventgrid.azure.net"),
        ("127.0.0.1:8443", "eventgrid.azure.net"),
    ],
)
def test_a_topic_is_signed_in_to_for_its_cloud_s_audience(host: str, asked: str) -> None:
    """Event Grid refuses a token for another cloud's."""
    assert audience(f"https://{host}/api/events") == f"https://{asked}/.default"


def test_the_publisher_asks_for_no_other_audience() -> None:
    """It knows the public cloud's only, and hands on what Azure challenges for."""
    scopes: list[str] = []

    class Nobody:
        def get_token(self, *asked: str, **_: object) -> AccessToken:
            scopes.extend(asked)
            raise ClientAuthenticationError("no")

    endpoint = "https://t.usgovvirginia-1.eventgrid.azure.us/api/events"
    topic = Topic(endpoint, Nobody(), "prod", "digest", Mode.REPAIR, lambda: NOON)
    topic.publish(VM, Result(outcomes=(BLOCKED,)))

    assert scopes == ["https://eventgrid.azure.us/.default"]


def test_the_documentation_names_the_kinds() -> None:
    """And no other."""
    documented = re.findall(r"^\| `(IdentityReconciler\.\w+)` \|", PAGE, re.MULTILINE)

    assert documented == [kind.value for kind in Kind]
