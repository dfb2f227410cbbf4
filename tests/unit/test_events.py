"""From event to requests: the rules one by one."""

import json
from dataclasses import replace

import pytest

from reconciler.events import Watch
from reconciler.ids import ResourceId
from reconciler.model import MOVED, Request
from reconciler.policy.language import System
from tests.unit.builders import APP, DATA, NOON, SECOND, SUB, VM, below
from tests.unit.watches import OURS, VAULT, WATCH, asked, event, policy_for

ASSIGNMENT = "providers/Microsoft.Authorization/roleAssignments"


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(VM, id="itself"),
        pytest.param(ResourceId.parse(VM.text.upper()), id="in capitals"),
        pytest.param(below(VM, "extensions/agent"), id="an extension"),
        pytest.param(below(VM, "providers/Microsoft.Resources/tags/default"), id="its tags"),
    ],
)
@pytest.mark.parametrize("what", ["WriteSuccess", "DeleteSuccess", "ActionSuccess"])
def test_a_governed_resource_and_its_children_ask_for_the_resource(
    place: ResourceId, what: str
) -> None:
    """A delete is asked for too: a machine may live there again."""
    assert asked(event(place, what)) == [VM]


@pytest.mark.parametrize("what", ["WriteFailure", "WriteCancel", "DeleteFailure", "ActionCancel"])
def test_what_failed_or_was_cancelled_asks_for_nothing(what: str) -> None:
    """Nothing changed by it that its own success would not announce."""
    assert asked(event(VM, what)) == []


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(VM.text.replace("1111", "2222"), id="another subscription"),
        pytest.param(VM.text.replace("virtualMachines", "disks"), id="another type"),
        pytest.param(SECOND, id="an identity that policy does not name"),
        pytest.param(f"{SUB}2", id="a subscription whose id begins alike"),
        pytest.param(below(SUB, f"{ASSIGNMENT}/a"), id="an assignment above the guardrails"),
        pytest.param("/", id="the tenant"),
        pytest.param("", id="nothing"),
        pytest.param(f"{VM}/../vm-2", id="dot segments"),
    ],
)
def test_what_is_not_ours_asks_for_nothing(place: ResourceId | str) -> None:
    """Nothing but watched resources, policy's identities, and where policy may grant."""
    assert asked(event(place)) == []


def test_an_identity_of_policy_asks_for_itself() -> None:
    """The worker then asks for the resources that should carry it."""
    assert asked(event(ResourceId.parse(APP.text.lower()))) == [APP]


@pytest.mark.parametrize("what", ["WriteSuccess", "DeleteSuccess"])
@pytest.mark.parametrize("place", [DATA, SUB], ids=["group", "subscription"])
def test_a_scope_that_came_or_went_is_swept(place: ResourceId, what: str) -> None:
    """What was granted at it or below it is gone when it comes again."""
    assert asked(event(place, what)) == [place]


@pytest.mark.parametrize("types", [(), ("Microsoft.Web/sites",)], ids=["governed", "not"])
@pytest.mark.parametrize("place", [VM, SECOND, VAULT], ids=["machine", "identity", "vault"])
def test_the_group_of_a_resource_that_is_a_scope_is_swept(
    place: ResourceId, types: tuple[str, ...]
) -> None:
    """A request for a machine reconciles it, which tells nothing of those who are granted there."""
    watch = Watch(policy_for(*types, scope=place, guarded=SUB), (SUB,), OURS)

    assert asked(event(place), watch)[0] == place.group_id


@pytest.mark.parametrize("place", [VAULT, DATA], ids=["resource", "group"])
def test_what_holds_a_scope_is_swept_wherever_it_lies(place: ResourceId) -> None:
    """Rights are granted where guardrails allow it, be it in no watched subscription."""
    watch = Watch(policy_for(guarded=VAULT), (), OURS)

    assert asked(event(place), watch) == [DATA]
    assert asked(event(place), replace(watch, policy=policy_for(guarded=SECOND))) == []


@pytest.mark.parametrize("known", [(SUB,), None], ids=["known", "not known"])
def test_no_event_has_everything_swept(known: tuple[ResourceId, ...] | None) -> None:
    """Azure tells of no change of the tenant itself."""
    assert asked(event("/"), replace(WATCH, subscriptions=known)) == []


def test_actions_on_a_scope_leave_it_as_it_is_except_moves() -> None:
    """Listing keys is frequent and changes nothing; a move takes resources elsewhere."""
    prefix = "Microsoft.Resources/subscriptions/resourceGroups"
    move = f"{prefix}/moveResources/action"
    export = f"{prefix}/exportTemplate/action"

    assert asked(event(VAULT, "ActionSuccess")) == []
    assert asked(event(DATA, "ActionSuccess", operationName=export)) == []
    assert asked(event(DATA, "ActionSuccess", operationName=move)) == [DATA]


def test_a_request_tells_a_move_from_other_changes_of_a_group() -> None:
    """It is swept once more: a move is told when it begins."""
    operation = "Microsoft.Resources/subscriptions/resourceGroups/{}/action"
    move, ask = (operation.format(one) for one in ("MoveResources", "validateMoveResources"))
    told = event(DATA, "ActionSuccess", operationName=move)

    assert WATCH.requests(told) == (Request(DATA, since=NOON, seen=(MOVED,)),)
    assert WATCH.requests(event(DATA)) == (Request(DATA, since=NOON),)
    assert asked(event(DATA, "ActionSuccess", operationName=ask)) == []


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"appid": OURS}, id="object"),
        pytest.param({"appid": OURS.upper()}, id="capitals"),
        pytest.param(json.dumps({"appid": OURS}), id="JSON in a string"),
    ],
)
def test_our_own_assignments_ask_for_nothing(claims: object) -> None:
    """Everything else that we write is announced with what it changed, so it is looked at."""
    made = below(VAULT, f"{ASSIGNMENT}/a")

    assert asked(event(made, claims=claims)) == []
    assert asked(event(made, "DeleteSuccess", claims=claims)) == []
    assert asked(event(VM, claims=claims)) == [VM]


@pytest.mark.parametrize(
    "claims",
    ["{claims}", "[" * 100_000, "null", None, [], {"appid": None}, {"appid": "another"}, {}],
    ids=["placeholder", "deep", "null", "none", "list", "no app", "another app", "empty"],
)
def test_anybody_else_s_assignments_are_looked_at(claims: object) -> None:
    """Claims that cannot be read are not ours."""
    made = below(VAULT, f"{ASSIGNMENT}/a")

    assert asked(event(made, claims=claims)) == [made]


def test_without_a_known_client_no_write_is_taken_for_ours() -> None:
    """An event without `appid` must not equal a setting that is not there."""
    made = below(VAULT, f"{ASSIGNMENT}/a")

    assert asked(event(made, claims={}), replace(WATCH, own_client=None)) == [made]


def test_a_request_s_time_has_a_zone_even_where_the_event_s_has_none() -> None:
    """The trigger's own decoder hands over such times, and a message without zone is refused."""
    told = replace(event(VM), time=NOON.replace(tzinfo=None))

    assert [request.since for request in WATCH.requests(told)] == [NOON]


def test_a_scope_that_only_an_identity_is_granted_at_is_one_too() -> None:
    """Rules and identities alike lose what was granted there."""
    watch = replace(WATCH, policy=replace(WATCH.policy, rules=()))

    assert asked(event(VAULT), watch) == [DATA]
    assert asked(event(below(DATA, "providers/Microsoft.KeyVault/vaults/kv2")), watch) == []


def test_a_scope_that_a_map_names_is_swept() -> None:
    """Its values are known, whichever of them a resource picks."""
    mapped = policy_for()
    grants = ({"role": "Reader", "scope": "{maps.vault[tags.env]}"},)
    rule = mapped.rules[0].model_copy(update={"system": System.model_validate({"grants": grants})})
    maps = {"vault": {"dev": VAULT}}
    mapped = replace(mapped, rules=(rule,), identities={}, maps=maps)

    assert asked(event(VAULT), Watch(mapped, (), OURS)) == [DATA]
    assert asked(event(VAULT), Watch(replace(mapped, maps={}), (), OURS)) == []
