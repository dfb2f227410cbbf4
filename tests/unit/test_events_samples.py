"""Every recorded and documented event leads to the request that it should."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler import events
from reconciler.events import Event, EventRouter
from reconciler.ids import ResourceId
from tests.unit.routing import OURS, ROUTER, policy_for, requested_ids

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


def test_every_sample_file_has_a_row_in_the_table(shared: Path) -> None:
    """A sample that is added needs a row in the table."""
    assert {file.name for file in (shared / "events").iterdir()} == FILES.keys() | OTHER_FILES


@pytest.mark.parametrize(("name", "expected"), FILES.items(), ids=list(FILES))
def test_a_sample_requests_the_id_of_its_row(shared: Path, name: str, expected: str | None) -> None:
    """Both schemas, documentation of all ages and third parties' samples; none raises."""
    content = json.loads((shared / "events" / name).read_text("utf-8"))
    bodies = content if isinstance(content, list) else [content]
    watched = ResourceId.parse(expected or SUBSCRIPTION).subscription_id
    assert watched is not None
    router = EventRouter(EVERYTHING, (watched,), OURS)
    decoded = [delivered for delivered in map(events.decode, bodies) if delivered]

    found = [one for delivered in decoded for one in requested_ids(delivered, router)]

    assert found == ([ResourceId.parse(expected)] if expected else [])


def test_a_group_s_event_from_a_storage_queue_has_the_group_swept(shared: Path) -> None:
    """Queue messages are base64; this one's JSON has a comma too many, which is removed here."""
    path = shared / "events" / "c7n_storagequeue_message_base64.json"
    packed = json.loads(path.read_text("utf-8"))["queue_message_content_base64"]
    text = base64.b64decode(packed).decode().replace('"Succeeded",', '"Succeeded"')
    delivered = events.decode(json.loads(text))

    assert delivered is not None
    group = ResourceId.parse(delivered.subject)
    assert group.subscription_id is not None
    assert requested_ids(delivered, replace(ROUTER, subscriptions=(group.subscription_id,))) == [
        group
    ]


def recorded_assignments(shared: Path) -> list[Mapping[str, Any]]:
    """Return activity log records of role assignments, real ones."""
    path = shared / "events" / "activitylog_role_assignments_recorded.json"
    records: list[Mapping[str, Any]] = json.loads(path.read_text("utf-8"))["value"]
    return [record for record in records if record["status"]["value"] == "Succeeded"]


def as_event(record: Mapping[str, Any]) -> Event:
    """Put a record's content into an event, as Event Grid does."""
    kind = record["operationName"]["value"].rpartition("/")[2].capitalize()
    delivered = events.decode(
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
    assert delivered is not None
    return delivered


def test_an_activity_log_record_is_no_event(shared: Path) -> None:
    """It has neither schema."""
    assert not any(map(events.decode, recorded_assignments(shared)))


def test_recorded_events_of_role_assignments_request_the_assignment(shared: Path) -> None:
    """Also the cascade of a deleted group: names without dashes, another authorization.action."""
    records = recorded_assignments(shared)
    places = [ResourceId.parse(record["resourceId"]) for record in records]
    assert any("-" not in place.name for place in places)

    for record, place in zip(records, places, strict=True):
        router = EventRouter(policy_for(guarded=place.scope), (), OURS)
        theirs = replace(router, own_client=record["claims"]["appid"])
        assert requested_ids(as_event(record), router) == [place]
        assert requested_ids(as_event(record), theirs) == []
        assert requested_ids(as_event(record)) == []
