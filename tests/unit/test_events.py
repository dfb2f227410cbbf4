"""From event to requests: the rules one by one."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.events import EventRouter, decode
from reconciler.ids import ResourceId
from reconciler.model import Request, Sight, Sighting
from reconciler.policy.model import System
from tests.unit.builders import (
    APP,
    DATA,
    FAR_VM,
    NOON,
    SECOND,
    SETTLE,
    STRANGER,
    SUB,
    VM,
    below,
)
from tests.unit.watches import OURS, VAULT, WATCH, asked, event, policy_for

MINUTE = timedelta(minutes=1)
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


FAILED = [f"{what}{how}" for what in ("Write", "Delete", "Action") for how in ("Failure", "Cancel")]


@pytest.mark.parametrize("what", FAILED)
def test_what_failed_or_was_cancelled_asks_for_nothing(what: str) -> None:
    """Nothing changed by it that its own success would not announce."""
    assert asked(event(VM, what)) == []
    assert asked(event(VM, what, claims={"appid": STRANGER})) == []


@pytest.mark.parametrize("what", FAILED)
def test_our_own_write_that_failed_asks_for_a_look(what: str) -> None:
    """What of an operation fails after its answer, only the event tells."""
    ours = {"appid": OURS}

    assert asked(event(VM, what, claims=ours)) == [VM]
    assert asked(event(APP, what, claims=ours)) == [APP]
    assert asked(event(below(VM, "extensions/agent"), what, claims=ours)) == []
    assert asked(event(below(VAULT, f"{ASSIGNMENT}/a"), what, claims=ours)) == []
    assert asked(event(DATA, what, claims=ours)) == []
    assert asked(event(FAR_VM, what, claims=ours)) == []


@pytest.mark.parametrize(
    ("place", "what", "request_"),
    [
        pytest.param(VM, "WriteSuccess", Request(VM, NOON, expected=True), id="written"),
        pytest.param(
            below(VM, "extensions/agent"),
            "WriteSuccess",
            Request(VM, NOON, expected=True),
            id="a child written",
        ),
        pytest.param(APP, "WriteSuccess", Request(APP, NOON, expected=True), id="an identity"),
        pytest.param(VM, "ActionSuccess", Request(VM, NOON), id="acted on"),
        pytest.param(VM, "DeleteSuccess", Request(VM, NOON + SETTLE), id="deleted"),
        pytest.param(APP, "DeleteSuccess", Request(APP, NOON + SETTLE), id="identity deleted"),
        pytest.param(
            below(VM, "extensions/agent"), "DeleteSuccess", Request(VM, NOON), id="a child deleted"
        ),
        pytest.param(DATA, "DeleteSuccess", Request(DATA, NOON), id="a scope deleted"),
        pytest.param(
            below(VAULT, f"{ASSIGNMENT}/a"),
            "DeleteSuccess",
            Request(below(VAULT, f"{ASSIGNMENT}/a"), NOON),
            id="an assignment deleted",
        ),
        pytest.param(
            below(VAULT, f"{ASSIGNMENT}/a"),
            "WriteSuccess",
            Request(below(VAULT, f"{ASSIGNMENT}/a"), NOON),
            id="an assignment written",
        ),
    ],
)
def test_a_request_says_when_it_is_due_and_whether_its_id_must_be_there(
    place: ResourceId, what: str, request_: Request
) -> None:
    """A 404 after a write means "not yet"; a deletion waits for the look of the rebuild."""
    watch = replace(WATCH, settle=SETTLE)

    assert watch.requests(event(place, what), NOON + MINUTE) == (request_,)


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
    watch = EventRouter(policy_for(*types, scope=place, guarded=SUB), (SUB,), OURS)

    assert asked(event(place), watch)[0] == place.group_id


@pytest.mark.parametrize("place", [VAULT, DATA], ids=["resource", "group"])
def test_what_holds_a_scope_is_swept_wherever_it_lies(place: ResourceId) -> None:
    """Rights are granted where guardrails allow it, be it in no watched subscription."""
    watch = EventRouter(policy_for(guarded=VAULT), (), OURS)

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

    moved = (Sighting(NOON, Sight.MOVED),)
    assert WATCH.requests(told, NOON) == (Request(DATA, since=NOON, sightings=moved),)
    assert WATCH.requests(event(DATA), NOON) == (Request(DATA, since=NOON),)
    assert asked(event(DATA, "ActionSuccess", operationName=ask)) == []


@pytest.mark.parametrize(
    ("locked", "swept"),
    [
        pytest.param(VM, VM.group_id, id="machine"),
        pytest.param(APP, APP.group_id, id="identity"),
        pytest.param(below(VM, "extensions/agent"), VM.group_id, id="a child"),
        pytest.param(VAULT, DATA, id="scope"),
        pytest.param(DATA, DATA, id="group"),
        pytest.param(SUB, SUB, id="subscription"),
        pytest.param(FAR_VM, None, id="what is not watched"),
        pytest.param(ResourceId.parse("/"), None, id="the tenant"),
    ],
)
def test_a_lock_that_is_deleted_lets_go_on_what_it_held_back(
    locked: ResourceId, swept: ResourceId | None
) -> None:
    """Wherever the lock was, the rights and resources in its group are looked at again."""
    lock = below(locked, "providers/Microsoft.Authorization/locks/l")

    assert asked(event(lock, "DeleteSuccess")) == ([swept] if swept else [])
    unknown = asked(event(lock, "DeleteSuccess"), replace(WATCH, subscriptions=None))
    assert ResourceId.parse("/") not in unknown


def test_a_lock_outside_what_is_watched_counts_where_policy_may_grant() -> None:
    """Rights there can be held back, too."""
    lock = below(VAULT, "providers/Microsoft.Authorization/locks/l")

    assert asked(event(lock, "DeleteSuccess"), replace(WATCH, subscriptions=())) == [DATA]


@pytest.mark.parametrize("what", ["WriteSuccess", "DeleteSuccess", "ActionSuccess"])
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"appid": OURS}, id="object"),
        pytest.param({"appid": OURS.upper()}, id="capitals"),
        pytest.param(json.dumps({"appid": OURS}), id="JSON in a string"),
    ],
)
@pytest.mark.parametrize(
    "place", [below(VAULT, f"{ASSIGNMENT}/a"), VM, APP, DATA], ids=["right", "vm", "app", "group"]
)
def test_our_own_writes_ask_for_nothing(place: ResourceId, claims: object, what: str) -> None:
    """The look that followed the write answers its echo, whatever it was about."""
    assert asked(event(place, what, claims=claims)) == []


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


WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("time", "since"),
    [
        (NOON, NOON),
        (None, NOON + MINUTE),
        (NOON - WEEK, NOON + MINUTE - WEEK),
        (datetime.min.replace(tzinfo=UTC), NOON + MINUTE - WEEK),
        (NOON + MINUTE, NOON + MINUTE),
        (NOON + 2 * MINUTE, NOON + MINUTE),
        (datetime.max.replace(tzinfo=UTC), NOON + MINUTE),
    ],
)
def test_a_request_s_time_lies_between_a_week_ago_and_now(
    time: datetime | None, since: datetime
) -> None:
    """An event may say anything; what lies ahead would be put back for ever."""
    told = replace(event(VM), time=time)

    assert [one.since for one in WATCH.requests(told, NOON + MINUTE)] == [since]


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "noon", "", 7, [], None]
)
def test_a_time_that_is_none_counts_as_now(text: object) -> None:
    """Neither what is malformed nor what no calendar holds."""
    told = decode(
        {
            "eventType": "Microsoft.Resources.ResourceWriteSuccess",
            "subject": str(VM),
            "eventTime": text,
        }
    )

    assert told is not None
    assert [one.since for one in WATCH.requests(told, NOON)] == [NOON]


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

    assert asked(event(VAULT), EventRouter(mapped, (), OURS)) == [DATA]
    assert asked(event(VAULT), EventRouter(replace(mapped, maps={}), (), OURS)) == []
