"""From event to requests: every recorded and documented event, and the rules one by one."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler import events
from reconciler.errors import MessageError
from reconciler.events import Event, Watch
from reconciler.ids import ResourceId
from reconciler.model import MOVED, Request
from reconciler.policy.language import Guardrails, Identity, Policy, Rule, System
from tests.unit.builders import APP, DATA, NOON, SECOND, SUB, TERMS, VM, below

OURS = "00000000-0000-4000-8000-0000000000aa"
VAULT = below(DATA, "providers/Microsoft.KeyVault/vaults/kv")
ASSIGNMENT = "providers/Microsoft.Authorization/roleAssignments"


def policy_for(*types: str, scope: ResourceId = VAULT, guarded: ResourceId = DATA) -> Policy:
    """Return a policy with one rule over some types and one identity, both granted at a scope."""
    grants = [{"role": "Reader", "scope": str(scope)}]
    rule = Rule.model_validate(
        {
            "name": "r",
            "within": [str(SUB)],
            "match": {"type": types or ["Microsoft.Compute/virtualMachines"]},
            "system": {"grants": grants},
        }
    )
    rails = {"version": 1, "grants": [{"scope": str(guarded), "roles": ["Reader"]}]}
    return Policy(
        identities={"app": Identity.model_validate({"id": str(APP), "grants": grants})},
        rules=(rule,),
        guardrails=Guardrails.model_validate(rails),
        digest=TERMS.digest,
    )


WATCH = Watch(policy_for(), (SUB,), OURS)


def event(place: ResourceId | str, what: str = "WriteSuccess", **data: object) -> Event:
    """Return an event about a place."""
    return Event(
        f"Microsoft.Resources.Resource{what}", str(place), NOON, {"resourceUri": str(place), **data}
    )


def asked(told: Event | None, watch: Watch = WATCH) -> list[ResourceId]:
    """Return what would be looked at."""
    assert told is not None
    return [request.id for request in watch.requests(told)]


# What each file must lead to, were the type of its resource in a rule and its subscription watched.
SUBSCRIPTION = "/subscriptions/{subscription-id}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{{resource-group}}"
STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{{storage-name}}"
HUB = f"{GROUP}/providers/Microsoft.EventHub/namespaces/{{namespace}}"
LOGIC = (
    "{}/providers/Microsoft.EventGrid/eventSubscriptions/"
    "LogicAppdd584bdf-8347-49c9-b9a9-d1f980783501"
)
PLAIN_LOGIC = LOGIC.format("/subscriptions/subscription-id/resourceGroups/resource-group")
STOPPED = (
    "/subscriptions/12345678-1234-1234-1234-123456789abc/resourceGroups/my-rg"
    "/providers/Microsoft.Compute/virtualMachines/my-vm-01"
)
BLOG = "/subscriptions/xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
FILES = {
    "blog_subscription_validation_eventgrid_no_url.json": None,
    "blog_vm_write_success_eventgrid.json": (
        f"{BLOG}/resourceGroups/resource-group/providers/Microsoft.Compute/virtualMachines/vmName"
    ),
    "docs_2017_write_success_authorization_is_string_eventgrid.json": LOGIC.format(GROUP),
    "docs_arn_health_annotation_vm_deallocated_cloudevents.json": None,
    "docs_arn_resource_createdorupdated_eventgrid_trimmed.json": None,
    "docs_cloudevents_validation_options_handshake.json": None,
    "docs_resourcegroup_action_success_cloudevents.json": HUB,
    "docs_resourcegroup_action_success_eventgrid.json": HUB,
    "docs_resourcegroup_delete_success_cloudevents.json": STORAGE,
    "docs_resourcegroup_delete_success_eventgrid.json": STORAGE,
    "docs_resourcegroup_write_success_cloudevents.json": STORAGE,
    "docs_resourcegroup_write_success_eventgrid.json": STORAGE,
    "docs_subscription_action_success_cloudevents.json": HUB,
    "docs_subscription_action_success_eventgrid.json": HUB,
    "docs_subscription_delete_success_cloudevents.json": STORAGE,
    "docs_subscription_delete_success_eventgrid.json": STORAGE,
    "docs_subscription_validation_eventgrid.json": None,
    "docs_subscription_write_success_cloudevents.json": STORAGE,
    "docs_subscription_write_success_cloudevents_as_published_malformed.json": STORAGE,
    "docs_subscription_write_success_eventgrid.json": STORAGE,
    "sdkgo_resource_action_cancel_eventgrid.json": None,
    "sdkgo_resource_action_failure_eventgrid.json": None,
    "sdkgo_resource_action_success_eventgrid.json": PLAIN_LOGIC,
    "sdkgo_resource_write_failure_eventgrid.json": None,
    "sdkgo_resource_write_success_eventgrid.json": PLAIN_LOGIC,
    "superplane_vm_restarted_eventgrid.json": STOPPED,
    "superplane_vm_started_eventgrid.json": STOPPED,
    "superplane_vm_stopped_eventgrid.json": STOPPED,
}
EVERYTHING = policy_for(
    "Microsoft.Compute/virtualMachines",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.EventHub/namespaces",
    "Microsoft.EventGrid/eventSubscriptions",
)
# These hold no event as it is delivered: a list of sources, activity log records, a base64 text.
OTHER_FILES = {
    "PROVENANCE.json",
    "activitylog_role_assignments_recorded.json",
    "c7n_storagequeue_message_base64.json",
}


def test_every_file_of_events_is_expected(shared: Path) -> None:
    """A sample that is added needs a row in the table."""
    assert {file.name for file in (shared / "events").iterdir()} == FILES.keys() | OTHER_FILES


@pytest.mark.parametrize(("name", "expected"), FILES.items(), ids=list(FILES))
def test_a_sample_leads_to_the_request_that_it_should(
    shared: Path, name: str, expected: str | None
) -> None:
    """Both schemas, all ages of documentation and third parties' samples; never an exception."""
    content = json.loads((shared / "events" / name).read_text("utf-8"))
    bodies = content if isinstance(content, list) else [content]
    watched = ResourceId.parse(expected or SUBSCRIPTION).subscription_id
    assert watched is not None
    watch = Watch(EVERYTHING, (watched,), OURS)
    decoded = [told for told in map(events.decode, bodies) if told]

    found = [one for told in decoded for one in asked(told, watch)]

    assert found == ([ResourceId.parse(expected)] if expected else [])


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe{", b"[" * 100_000, b"null", b"[]", b'"text"', b"{}", b'{"type": 7}'],
    ids=lambda text: repr(text[:9]),
)
def test_a_message_that_is_no_event_is_refused(text: bytes) -> None:
    """It is kept in the poison queue, where it can be looked at."""
    with pytest.raises(MessageError, match="the message is no"):
        events.read(text)


def test_an_event_in_a_message_is_read_in_either_schema() -> None:
    """As from the Event Grid trigger; a byte order mark does no harm."""
    old = {"eventType": "x", "subject": "s", "eventTime": "2026-03-01T12:00:00Z", "data": {}}
    new = {"type": "x", "subject": "s", "time": "2026-03-01T12:00:00Z", "data": {}}

    for body in (old, new):
        text = json.dumps(body)
        assert events.read(text.encode()) == events.read(text.encode("utf-8-sig"))
        assert events.read(text.encode()) == Event("x", "s", NOON, {})


def test_a_group_s_event_from_a_storage_queue_asks_for_its_sweep(shared: Path) -> None:
    """Queue messages are base64; this one's JSON has a comma too many, which is mended here."""
    path = shared / "events" / "c7n_storagequeue_message_base64.json"
    packed = json.loads(path.read_text("utf-8"))["queue_message_content_base64"]
    text = base64.b64decode(packed).decode().replace('"Succeeded",', '"Succeeded"')
    told = events.decode(json.loads(text))

    assert told is not None
    group = ResourceId.parse(told.subject)
    assert group.subscription_id is not None
    assert asked(told, replace(WATCH, subscriptions=(group.subscription_id,))) == [group]


def recorded_assignments(shared: Path) -> list[Mapping[str, Any]]:
    """Return activity log records of role assignments, real ones."""
    path = shared / "events" / "activitylog_role_assignments_recorded.json"
    records: list[Mapping[str, Any]] = json.loads(path.read_text("utf-8"))["value"]
    return [record for record in records if record["status"]["value"] == "Succeeded"]


def as_event(record: Mapping[str, Any]) -> Event:
    """Put a record's content into an event, as Event Grid does."""
    kind = record["operationName"]["value"].rpartition("/")[2].capitalize()
    told = events.decode(
        {
            "eventType": f"Microsoft.Resources.Resource{kind}Success",
            "subject": record["resourceId"],
            "eventTime": record["eventTimestamp"],
            "data": {
                "authorization": record["authorization"],
                "claims": record["claims"],
                "resourceUri": record["resourceId"],
                "operationName": record["operationName"]["value"],
            },
        }
    )
    assert told is not None
    return told


def test_an_activity_log_record_is_no_event(shared: Path) -> None:
    """It has neither schema, so it is nothing."""
    assert not any(map(events.decode, recorded_assignments(shared)))


def test_recorded_writes_and_deletes_of_role_assignments_are_looked_at(shared: Path) -> None:
    """Also the cascade of a deleted group: names without dashes, another authorization.action."""
    records = recorded_assignments(shared)
    places = [ResourceId.parse(record["resourceId"]) for record in records]
    assert any("-" not in place.name for place in places)

    for record, place in zip(records, places, strict=True):
        watch = Watch(policy_for(guarded=place.scope), (), OURS)
        theirs = replace(watch, own_client=record["claims"]["appid"])
        assert asked(as_event(record), watch) == [place]
        assert asked(as_event(record), theirs) == []
        assert asked(as_event(record)) == []


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


def test_authorization_is_never_read() -> None:
    """Its keys are spelled in two ways, and a cascade names another action than its own."""
    spelled = {"Scope": "/subscriptions/x", "Action": "Microsoft.Resources/x/delete"}

    assert asked(event(VM, authorization=spelled)) == [VM]


def test_the_action_at_the_end_of_a_subject_is_dropped() -> None:
    """A POST's subject ends in its action (facts A1); without `resourceUri` it is all there is."""
    told = Event("Microsoft.Resources.ResourceActionSuccess", f"{VM}/restart")

    assert asked(told) == [VM]


def test_cloud_events_say_the_same_as_event_grid_events() -> None:
    """Only the names on the envelope differ."""
    data = {"resourceUri": str(VM)}
    kind = "Microsoft.Resources.ResourceWriteSuccess"
    time = "2026-03-01T12:00:00.0000000Z"
    old = {"eventType": kind, "subject": str(VM), "eventTime": time, "data": data}
    new = {"specversion": "1.0", "type": kind, "subject": str(VM), "time": time, "data": data}

    assert events.decode(old) == events.decode(new) == Event(kind, str(VM), NOON, data)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2018-07-19T18:38:04.6117357Z", datetime(2018, 7, 19, 18, 38, 4, 611735, UTC)),
        ("2018-07-19T19:24:12.763881Z", datetime(2018, 7, 19, 19, 24, 12, 763881, UTC)),
        ("2018-07-19T18:38:04", datetime(2018, 7, 19, 18, 38, 4, tzinfo=UTC)),
        ("2018-08-55T12:32:29.5458618Z", None),
        (7, None),
        (None, None),
    ],
)
def test_times_are_read_where_they_can_be(text: object, time: datetime | None) -> None:
    """Digits beyond the microsecond are dropped; a wrong time is none."""
    told = events.decode({"eventType": "x", "eventTime": text})

    assert told is not None
    assert told.time == time


def test_a_request_s_time_has_a_zone_even_where_the_event_s_has_none() -> None:
    """The trigger's own decoder hands over such times, and a message without zone is refused."""
    told = replace(event(VM), time=NOON.replace(tzinfo=None))

    assert [request.since for request in WATCH.requests(told)] == [NOON]


@pytest.mark.parametrize("body", [None, [], "text", 7, {}, {"type": 7}, {"eventType": None}])
def test_what_has_neither_schema_is_no_event(body: object) -> None:
    """A handshake, a list, a stray text."""
    assert events.decode(body) is None


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
