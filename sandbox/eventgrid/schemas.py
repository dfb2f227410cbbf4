"""The two schemas that events come in, and one turned into the other.

See facts: Resource events, documented.

Inside, every event has Event Grid's schema: filters are applied to it, deliveries made from it.
"""

import datetime as dt

from sandbox.world.events import Event, stamp

_TO_CLOUD = {
    "id": "id",
    "topic": "source",
    "subject": "subject",
    "eventType": "type",
    "eventTime": "time",
    "data": "data",
}


def is_cloud(event: Event) -> bool:
    """Tell whether an event is a CloudEvent."""
    return "specversion" in event


def to_cloud(event: Event) -> Event:
    """Return an event of Event Grid's schema as a CloudEvent 1.0."""
    found = {theirs: event[ours] for ours, theirs in _TO_CLOUD.items() if ours in event}
    return {**found, "specversion": "1.0"}


def from_cloud(event: Event) -> Event:
    """Return a CloudEvent in Event Grid's schema, as filters see it."""
    found = {ours: event[theirs] for ours, theirs in _TO_CLOUD.items() if theirs in event}
    return {"subject": "", "data": None, **found, "dataVersion": "", "metadataVersion": "1"}


def dead_letter(  # noqa: PLR0913 - what the record tells
    event: Event,
    *,
    reason: str,
    attempts: int,
    outcome: str,
    published: dt.datetime,
    attempted: dt.datetime | None,
) -> Event:
    """Return the record of an event that was given up (facts: Delivery, documented).

    In CloudEvents the added names are in lower case; the documented sample has no time of the last
    attempt there, and shows ``dataversion`` in place of ``specversion``.
    """
    told = {
        "deadLetterReason": reason,
        "deliveryAttempts": attempts,
        "lastDeliveryOutcome": outcome,
        "publishTime": stamp(published),
    }
    if not is_cloud(event):
        last = {"lastDeliveryAttemptTime": stamp(attempted)} if attempted else {}
        return {**event, **told, **last}
    kept = {name: value for name, value in event.items() if name != "specversion"}
    return {**kept, "dataversion": "", **{name.lower(): value for name, value in told.items()}}


def validation(topic: str, code: str, event_id: str, now: dt.datetime) -> Event:
    """Return the event that asks a webhook for its consent (facts: Resource events, documented)."""
    return {
        "id": event_id,
        "topic": topic,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": stamp(now),
        "metadataVersion": "1",
        "dataVersion": "2",
    }
