"""What is read of an event, in either schema and however it comes."""

import json
import logging
from datetime import UTC, datetime

import pytest

from reconciler import events
from reconciler.errors import MessageError
from reconciler.events import Event
from tests.unit.routing import event, requested_ids
from tests.world.builders import VM
from tests.world.ids import NOON


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"\xff\xfe{", b"[" * 100_000, b"null", b"[]", b'"text"', b"{}"),
        *(b'{"type": 7}', b"[null]", b'[[{"type": "x"}]]', b"7" * 10_000, b"[{}, {}]"),
    ],
    ids=lambda text: repr(text[:9]),
)
def test_a_message_that_is_no_event_is_refused(text: bytes) -> None:
    """It ends in the poison queue, where it can be looked at."""
    with pytest.raises(MessageError, match="the message is no"):
        events.decode_message(text)


def test_an_event_in_a_message_is_read_in_either_schema() -> None:
    """As from the Event Grid trigger; a byte order mark does no harm."""
    old = {"eventType": "x", "subject": "s", "eventTime": "2026-03-01T12:00:00Z", "data": {}}
    new = {"type": "x", "subject": "s", "time": "2026-03-01T12:00:00Z", "data": {}}

    for body in (old, new):
        text = json.dumps(body)
        assert events.decode_message(text.encode()) == events.decode_message(
            text.encode("utf-8-sig")
        )
        assert events.decode_message(text.encode()) == (Event("x", "s", NOON, {}),)


def test_an_array_in_a_message_is_decoded_event_by_event(caplog: pytest.LogCaptureFixture) -> None:
    """In either schema; what cannot be read is one line of the log, never a lost batch."""
    caplog.set_level(logging.WARNING)
    bodies = [{"eventType": "x"}, None, {"type": "y"}, [{"type": "z"}], {}, 7]

    assert events.decode_message(json.dumps(bodies).encode()) == (Event("x", ""), Event("y", ""))
    assert [one.getMessage() for one in caplog.records] == [
        "4 of 6 events in a message cannot be read"
    ]


def test_authorization_is_never_read() -> None:
    """Its keys are spelled in two ways, and a cascade names another action than its own."""
    spelled = {"Scope": "/subscriptions/x", "Action": "Microsoft.Resources/x/delete"}

    assert requested_ids(event(VM, authorization=spelled)) == [VM]


def test_the_action_at_the_end_of_a_subject_is_dropped() -> None:
    """A POST's subject ends in its action; without `resourceUri` it is all there is."""
    delivered = Event("Microsoft.Resources.ResourceActionSuccess", f"{VM}/restart")

    assert requested_ids(delivered) == [VM]


def test_a_cloud_event_decodes_as_the_event_grid_event_does() -> None:
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
def test_a_time_without_a_zone_is_utc_and_a_wrong_one_is_none(
    text: object, time: datetime | None
) -> None:
    """Digits beyond the microsecond are dropped."""
    delivered = events.decode({"eventType": "x", "eventTime": text})

    assert delivered is not None
    assert delivered.time == time


@pytest.mark.parametrize("body", [None, [], "text", 7, {}, {"type": 7}, {"eventType": None}])
def test_a_body_in_neither_schema_is_no_event(body: object) -> None:
    """A handshake, a list, a stray text."""
    assert events.decode(body) is None
