"""Requests in the queue: what was put in comes out, and what cannot be one says why."""

import json
import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import messages
from reconciler.errors import MessageError
from reconciler.model import MOST_SIGHTINGS, Removals, Request, Sight, Sighting
from tests import strategies
from tests.world.builders import APP, SECOND, VM
from tests.world.ids import NOON

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)

# Azure and we write offsets; times in a zone's own gaps and folds equal nothing, by Python's rules.
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=offsets)
times = st.none() | moments
requests = st.builds(
    Request,
    id=strategies.ids,
    since=times,
    expected=st.booleans(),
    removals=st.none()
    | st.builds(Removals, st.text(), st.frozensets(strategies.ids, max_size=2), st.just(False)),  # noqa: FBT003 (a field)
    first=times,
    sightings=st.lists(
        st.builds(Sighting, moments, st.sampled_from(Sight), st.text()), max_size=3
    ).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | moments.map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(requests)
def test_a_request_survives_the_queue(request: Request) -> None:
    """A copy is the same request, to the microsecond."""
    assert messages.decode(messages.encode(request)) == request


def test_a_message_needs_no_key_but_its_id() -> None:
    """A person can write one by hand; a key without a value is left out."""
    assert json.loads(messages.encode(Request(VM))) == {"id": str(VM)}
    assert messages.decode(json.dumps({"id": str(VM)})) == Request(VM)


def test_the_keys_of_a_message_are_fixed() -> None:
    """The next version reads what this one put into the queue."""
    request = Request(
        VM,
        since=NOON,
        expected=True,
        removals=Removals("d", frozenset({SECOND, APP})),
        first=NOON - HOUR,
        sightings=(Sighting(NOON, Sight.GONE), Sighting(NOON, Sight.REFUSED, "A: b")),
    )

    assert json.loads(messages.encode(request)) == {
        "id": str(VM),
        "since": "2026-03-01T12:00:00+00:00",
        "expected": True,
        "removals": {"digest": "d", "ids": [str(APP), str(SECOND)]},
        "first": "2026-03-01T11:00:00+00:00",
        "sightings": [
            {"at": "2026-03-01T12:00:00+00:00", "what": "gone"},
            {"at": "2026-03-01T12:00:00+00:00", "what": "refused: A: b"},
        ],
    }


def test_the_spelling_of_an_id_survives() -> None:
    """It is shown to people as Azure spelled it."""
    assert str(messages.decode(messages.encode(Request(VM))).id) == str(VM)


@pytest.mark.parametrize("removals", [Removals("d", None), Removals("d", None, at_once=True)])
def test_removals_without_ids_are_queued_as_removing_nothing(removals: Removals) -> None:
    """Only a plan that is shown or counted asks for everything, and that is never queued."""
    again = messages.decode(messages.encode(Request(VM, removals=removals))).removals

    assert again == Removals("d", frozenset())


def test_a_message_of_the_version_before_is_read_and_allows_nothing() -> None:
    """Its `removals` was a digest and named nothing; its `seen` was of another kind."""
    before = {
        "id": str(VM),
        "since": "2026-03-01T12:00:00+00:00",
        "removals": "digest",
        "first": "2026-03-01T12:00:00+00:00",
        "seen": ["gone", f"{APP.key}=a>b"],
    }

    assert messages.decode(json.dumps(before)) == Request(VM, since=NOON, first=NOON)


@pytest.mark.parametrize("seen", ["gone", [1], None, {}, 7])
def test_the_seen_key_of_the_version_before_is_dropped_whatever_it_holds(seen: object) -> None:
    """Nothing is decided by it any more."""
    assert messages.decode(json.dumps({"id": str(VM), "seen": seen})) == Request(VM)


def test_unknown_keys_and_sightings_are_logged_and_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A message of the next version does not end among the poison."""
    caplog.set_level(logging.WARNING)
    at = NOON.isoformat()
    next_version = {
        "id": str(VM),
        "claims": {"a": 1},
        "sightings": [{"at": at, "what": "vanished: x"}, {"at": at, "what": "gone", "more": 1}],
    }

    assert messages.decode(json.dumps(next_version)) == Request(
        VM, sightings=(Sighting(NOON, Sight.GONE),)
    )
    assert [one.getMessage() for one in caplog.records] == [
        "a queue message has the unknown key 'claims', which is ignored",
        "a queue message has the unknown sighting 'vanished', which is ignored",
    ]


def test_an_unknown_key_of_any_length_is_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever can write to the queue cannot fill the log."""
    caplog.set_level(logging.WARNING)
    messages.decode(json.dumps({"id": "/", "k\n" * 9_000: 1}))

    (record,) = caplog.records
    assert len(record.getMessage()) < 120
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("7" * 10_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("{}", "has no `id`"),
        ('{"id": 7}', "has no `id`"),
        ('{"id": "vm"}', "`id` in the message"),
        ('{"id": "/subscriptions/s/../t"}', "`id` in the message"),
        ('{"id": "/", "since": "noon"}', "`since` in the message is 'noon', which is not a time"),
        ('{"id": "/", "since": {}}', "`since`.*not a time"),
        ('{"id": "/", "since": NaN}', "`since`.*not a time"),
        ('{"id": "/", "first": "2026-03-01T12:00:00"}', "`first`.*no time zone"),
        ('{"id": "/", "since": 20260301}', "`since`.*no time zone"),
        ('{"id": "/", "expected": "yes"}', "`expected`"),
        ('{"id": "/", "expected": 1}', "`expected`"),
        ('{"id": "/", "expected": null}', "`expected`"),
        ('{"id": "/", "removals": true}', "`removals`"),
        ('{"id": "/", "removals": []}', "`removals`"),
        ('{"id": "/", "removals": {}}', "`removals`.*digest"),
        ('{"id": "/", "removals": {"digest": 7}}', "`removals`.*digest"),
        ('{"id": "/", "removals": {"digest": "d", "ids": "/"}}', "`removals`.*list"),
        ('{"id": "/", "removals": {"digest": "d", "ids": ["vm"]}}', "`removals.ids`"),
        ('{"id": "/", "removals": {"digest": "d", "ids": [7]}}', "`removals.ids`"),
        ('{"id": "/", "sightings": "gone"}', "`sightings`"),
        ('{"id": "/", "sightings": null}', "`sightings`"),
        ('{"id": "/", "sightings": [1]}', "a sighting"),
        ('{"id": "/", "sightings": [{"what": "gone"}]}', "a sighting.*`at`"),
        ('{"id": "/", "sightings": [{"at": "2026-03-01T12:00:00Z"}]}', "a sighting.*`what`"),
        ('{"id": "/", "sightings": [{"at": "noon", "what": "gone"}]}', "`sightings.at`"),
    ],
)
def test_a_malformed_message_is_refused_with_what_is_wrong(text: str, complaint: str) -> None:
    """A person reads it in the poison queue, and must see why."""
    with pytest.raises(MessageError, match=complaint):
        messages.decode(text)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_text_raises_anything_but_a_message_error(text: str) -> None:
    """Whatever lies there is no request, and only `MessageError` comes out."""
    with pytest.raises(MessageError):
        messages.decode(text)


@given(
    st.fixed_dictionaries(
        {"id": strategies.id_texts},
        optional={
            "since": json_values,
            "expected": json_values,
            "removals": st.fixed_dictionaries({"digest": st.text(), "ids": json_values})
            | json_values,
            "first": json_values,
            "sightings": st.lists(
                st.fixed_dictionaries({"at": moments.map(str) | json_values, "what": json_values})
            )
            | json_values,
        },
    ),
    moments,
)
def test_a_bounded_request_stays_the_same_when_bounded_or_queued_again(
    content: object, now: datetime
) -> None:
    """Its times can be added to and compared, whatever the message held."""
    try:
        request = messages.decode(json.dumps(content))
    except MessageError:
        return
    # What is now lies within what Python can reckon with.
    bounded = request.bounded(now.replace(year=2026))

    assert bounded.bounded(now.replace(year=2026)) == bounded
    assert messages.decode(messages.encode(bounded)) == bounded


@pytest.mark.parametrize(
    ("time", "kept"),
    [
        (NOON - WEEK, NOON - WEEK),
        (NOON - WEEK - MOMENT, NOON - WEEK),
        (NOON + HOUR, NOON + HOUR),
        (NOON + HOUR + MOMENT, NOON + HOUR),
        (datetime.min.replace(tzinfo=UTC), NOON - WEEK),
        (datetime.min.replace(tzinfo=timezone(HOUR)), NOON - WEEK),
        (datetime.max.replace(tzinfo=timezone(-HOUR)), NOON + HOUR),
        (NOON.astimezone(timezone(-HOUR)), NOON),
    ],
)
def test_bounded_times_lie_between_a_week_ago_and_an_hour_ahead(
    time: datetime, kept: datetime
) -> None:
    """A time far ahead would be put back for ever; one near the year 1 overflows."""
    request = Request(VM, since=time, first=time, sightings=(Sighting(time, Sight.GONE, "about"),))

    assert request.bounded(NOON) == Request(
        VM, since=kept, first=kept, sightings=(Sighting(kept, Sight.GONE, "about"),)
    )


def test_bounding_keeps_everything_but_times_and_older_sightings() -> None:
    """Only times and the number of sightings are bounded."""
    request = Request(VM, expected=True, removals=Removals("d", frozenset({APP})))

    assert request.bounded(NOON) == request


def test_a_request_keeps_the_latest_twenty_sightings() -> None:
    """Whether they come in a message or from ourselves."""
    many = tuple(Sighting(NOON, Sight.GONE, str(number)) for number in range(1000))
    text = messages.encode(Request(VM, sightings=many))

    assert MOST_SIGHTINGS == 20
    assert messages.decode(text).sightings == many[-20:]
    assert Request(VM, sightings=many).bounded(NOON).sightings == many[-20:]
