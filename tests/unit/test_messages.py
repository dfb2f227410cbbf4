"""Requests in the queue: what was put in comes out, and what cannot be one says why."""

import json
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import messages
from reconciler.errors import MessageError
from reconciler.model import Request
from tests import strategies
from tests.unit.builders import NOON, VM

# Azure and we write offsets; times in a zone's own gaps and folds equal nothing, by Python's rules.
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.none() | st.datetimes(timezones=offsets)
requests = st.builds(
    Request,
    id=strategies.ids,
    since=times,
    removals=st.none() | st.text(min_size=1),
    first=times,
    seen=st.lists(st.text(), max_size=3).map(tuple),
)


@given(requests)
def test_a_request_survives_the_queue(request: Request) -> None:
    """A copy is the same request, to the microsecond."""
    assert messages.decode(messages.encode(request)) == request


def test_a_message_is_json_that_a_person_can_write() -> None:
    """Only the id must be there, and what has no value is left out."""
    assert json.loads(messages.encode(Request(VM))) == {"id": str(VM)}
    assert messages.decode(json.dumps({"id": str(VM)})) == Request(VM)


def test_the_spelling_of_an_id_survives() -> None:
    """It is shown to people as Azure spelled it."""
    assert str(messages.decode(messages.encode(Request(VM))).id) == str(VM)


def test_times_keep_their_zone() -> None:
    """Processes in other zones read the same moment."""
    text = messages.encode(Request(VM, since=NOON))

    assert json.loads(text)["since"] == "2026-03-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("{}", "has no `id`"),
        ('{"id": 7}', "has no `id`"),
        ('{"id": "vm"}', "`id` in the message"),
        ('{"id": "/subscriptions/s/../t"}', "`id` in the message"),
        ('{"id": "/", "claims": {}}', "unknown key 'claims'"),
        ('{"id": "/", "since": "noon"}', "'since' in the message is 'noon', which is not a time"),
        ('{"id": "/", "first": "2026-03-01T12:00:00"}', "'first'.*no time zone"),
        ('{"id": "/", "since": 20260301}', "'since'.*no time zone"),
        ('{"id": "/", "seen": "gone"}', "`seen`"),
        ('{"id": "/", "seen": [1]}', "`seen`"),
        ('{"id": "/", "removals": true}', "`removals`"),
    ],
)
def test_what_is_no_request_is_refused_with_what_is_wrong(text: str, complaint: str) -> None:
    """A poisoned message is read by a person, who must see why."""
    with pytest.raises(MessageError, match=complaint):
        messages.decode(text)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_nothing_in_the_queue_raises_anything_else(text: str) -> None:
    """Whatever lies there is no request, and only `MessageError` comes out."""
    with pytest.raises(MessageError):
        messages.decode(text)
