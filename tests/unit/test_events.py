"""From event to requests: the rules one by one."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.events import EventRouter, decode
from reconciler.ids import ResourceId
from reconciler.model import Request, Sight, Sighting
from reconciler.policy.model import System
from tests.unit.routing import OURS, ROUTER, VAULT, event, policy_for, requested_ids
from tests.world.builders import APP, DATA, FAR_VM, SECOND, SETTLE, STRANGER, SUB, VM, below
from tests.world.ids import NOON

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
def test_an_event_of_a_governed_resource_or_its_child_requests_the_resource(
    place: ResourceId, what: str
) -> None:
    """A deletion too: a machine may live there again."""
    assert requested_ids(event(place, what)) == [VM]


FAILED = [f"{what}{how}" for what in ("Write", "Delete", "Action") for how in ("Failure", "Cancel")]


@pytest.mark.parametrize("what", FAILED)
def test_a_failure_of_others_requests_nothing(what: str) -> None:
    """Nothing changed by it that its own success would not announce."""
    assert requested_ids(event(VM, what)) == []
    assert requested_ids(event(VM, what, claims={"appid": STRANGER})) == []


@pytest.mark.parametrize("what", FAILED)
def test_a_failure_of_our_own_write_requests_its_resource_or_identity(what: str) -> None:
    """Only the event shows what of an operation fails after its answer."""
    ours = {"appid": OURS}

    assert requested_ids(event(VM, what, claims=ours)) == [VM]
    assert requested_ids(event(APP, what, claims=ours)) == [APP]
    assert requested_ids(event(below(VM, "extensions/agent"), what, claims=ours)) == []
    assert requested_ids(event(below(VAULT, f"{ASSIGNMENT}/a"), what, claims=ours)) == []
    assert requested_ids(event(DATA, what, claims=ours)) == []
    assert requested_ids(event(FAR_VM, what, claims=ours)) == []


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
def test_a_write_expects_its_id_and_a_deletion_is_due_after_settling(
    place: ResourceId, what: str, request_: Request
) -> None:
    """A 404 after a write means "not yet"; the look of a rebuild covers its deletion."""
    router = replace(ROUTER, settle=SETTLE)

    assert router.requests(event(place, what), NOON + MINUTE) == (request_,)


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
def test_an_event_of_no_concern_requests_nothing(place: ResourceId | str) -> None:
    """Nothing but watched resources, policy's identities, and where policy may grant."""
    assert requested_ids(event(place)) == []


def test_an_event_of_an_identity_in_policy_requests_the_identity() -> None:
    """The worker then requests the resources that should carry it."""
    assert requested_ids(event(ResourceId.parse(APP.text.lower()))) == [APP]


@pytest.mark.parametrize("what", ["WriteSuccess", "DeleteSuccess"])
@pytest.mark.parametrize("place", [DATA, SUB], ids=["group", "subscription"])
def test_a_written_or_deleted_scope_is_swept(place: ResourceId, what: str) -> None:
    """What was granted at it or below it is gone when it is made anew."""
    assert requested_ids(event(place, what)) == [place]


@pytest.mark.parametrize("types", [(), ("Microsoft.Web/sites",)], ids=["governed", "not"])
@pytest.mark.parametrize("place", [VM, SECOND, VAULT], ids=["machine", "identity", "vault"])
def test_a_resource_at_which_policy_grants_has_its_group_swept(
    place: ResourceId, types: tuple[str, ...]
) -> None:
    """A request for the machine itself would miss those who are granted something there."""
    router = EventRouter(policy_for(*types, scope=place, guarded=SUB), (SUB,), OURS)

    assert requested_ids(event(place), router)[0] == place.group_id


@pytest.mark.parametrize("place", [VAULT, DATA], ids=["resource", "group"])
def test_a_scope_of_a_grant_is_swept_in_a_subscription_that_is_not_watched(
    place: ResourceId,
) -> None:
    """Rights are granted where guardrails allow it."""
    router = EventRouter(policy_for(guarded=VAULT), (), OURS)

    assert requested_ids(event(place), router) == [DATA]
    assert requested_ids(event(place), replace(router, policy=policy_for(guarded=SECOND))) == []


@pytest.mark.parametrize("known", [(SUB,), None], ids=["known", "not known"])
def test_no_event_has_the_whole_tenant_swept(known: tuple[ResourceId, ...] | None) -> None:
    """Tenant-level scopes have no events."""
    assert requested_ids(event("/"), replace(ROUTER, subscriptions=known)) == []


def test_of_actions_on_a_scope_only_a_move_has_it_swept() -> None:
    """Listing keys is frequent and changes nothing."""
    prefix = "Microsoft.Resources/subscriptions/resourceGroups"
    move = f"{prefix}/moveResources/action"
    export = f"{prefix}/exportTemplate/action"

    assert requested_ids(event(VAULT, "ActionSuccess")) == []
    assert requested_ids(event(DATA, "ActionSuccess", operationName=export)) == []
    assert requested_ids(event(DATA, "ActionSuccess", operationName=move)) == [DATA]


def test_a_move_s_request_has_a_sighting_of_it() -> None:
    """Its group is swept once more: a move is announced when it begins."""
    operation = "Microsoft.Resources/subscriptions/resourceGroups/{}/action"
    move, ask = (operation.format(one) for one in ("MoveResources", "validateMoveResources"))
    delivered = event(DATA, "ActionSuccess", operationName=move)

    moved = (Sighting(NOON, Sight.MOVED),)
    assert ROUTER.requests(delivered, NOON) == (Request(DATA, since=NOON, sightings=moved),)
    assert ROUTER.requests(event(DATA), NOON) == (Request(DATA, since=NOON),)
    assert requested_ids(event(DATA, "ActionSuccess", operationName=ask)) == []


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
def test_a_deleted_lock_has_the_locked_scope_swept(
    locked: ResourceId, swept: ResourceId | None
) -> None:
    """What it held back may go on, wherever in the group the lock was."""
    lock = below(locked, "providers/Microsoft.Authorization/locks/l")

    assert requested_ids(event(lock, "DeleteSuccess")) == ([swept] if swept else [])
    unknown = requested_ids(event(lock, "DeleteSuccess"), replace(ROUTER, subscriptions=None))
    assert ResourceId.parse("/") not in unknown


def test_a_deleted_lock_has_its_scope_swept_where_policy_may_grant() -> None:
    """Also in a subscription that is not watched: it may have held rights back."""
    lock = below(VAULT, "providers/Microsoft.Authorization/locks/l")

    assert requested_ids(event(lock, "DeleteSuccess"), replace(ROUTER, subscriptions=())) == [DATA]


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
def test_a_success_of_our_own_requests_nothing(
    place: ResourceId, claims: object, what: str
) -> None:
    """The look that followed the write covers it, whatever it was about."""
    assert requested_ids(event(place, what, claims=claims)) == []


@pytest.mark.parametrize(
    "claims",
    ["{claims}", "[" * 100_000, "null", None, [], {"appid": None}, {"appid": "another"}, {}],
    ids=["placeholder", "deep", "null", "none", "list", "no app", "another app", "empty"],
)
def test_an_assignment_written_by_another_is_requested(claims: object) -> None:
    """Claims that cannot be read are not ours."""
    made = below(VAULT, f"{ASSIGNMENT}/a")

    assert requested_ids(event(made, claims=claims)) == [made]


def test_without_a_known_client_no_event_counts_as_our_own() -> None:
    """An event without `appid` must not equal a setting that is not there."""
    made = below(VAULT, f"{ASSIGNMENT}/a")

    assert requested_ids(event(made, claims={}), replace(ROUTER, own_client=None)) == [made]


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
    """An event may hold any time; one far ahead would be put back for ever."""
    delivered = replace(event(VM), time=time)

    assert [one.since for one in ROUTER.requests(delivered, NOON + MINUTE)] == [since]


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "noon", "", 7, [], None]
)
def test_a_time_that_cannot_be_read_counts_as_now(text: object) -> None:
    """Neither what is malformed nor what no calendar holds."""
    delivered = decode(
        {
            "eventType": "Microsoft.Resources.ResourceWriteSuccess",
            "subject": str(VM),
            "eventTime": text,
        }
    )

    assert delivered is not None
    assert [one.since for one in ROUTER.requests(delivered, NOON)] == [NOON]


def test_a_scope_at_which_only_an_identity_is_granted_is_swept() -> None:
    """Rules and identities alike lose what was granted there."""
    router = replace(ROUTER, policy=replace(ROUTER.policy, rules=()))

    assert requested_ids(event(VAULT), router) == [DATA]
    assert (
        requested_ids(event(below(DATA, "providers/Microsoft.KeyVault/vaults/kv2")), router) == []
    )


def test_a_scope_that_a_map_names_is_swept() -> None:
    """Its values are known, whichever of them a resource picks."""
    mapped = policy_for()
    grants = ({"role": "Reader", "scope": "{maps.vault[tags.env]}"},)
    rule = mapped.rules[0].model_copy(update={"system": System.model_validate({"grants": grants})})
    maps = {"vault": {"dev": VAULT}}
    mapped = replace(mapped, rules=(rule,), identities={}, maps=maps)

    assert requested_ids(event(VAULT), EventRouter(mapped, (), OURS)) == [DATA]
    assert requested_ids(event(VAULT), EventRouter(replace(mapped, maps={}), (), OURS)) == []
