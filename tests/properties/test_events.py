"""No event, be it malformed or forged, raises or asks for what is not ours."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler import events, messages
from reconciler.events import Event
from reconciler.ids import ResourceId
from reconciler.model import ROLE_ASSIGNMENT
from tests import strategies
from tests.unit.routing import ROUTER, VAULT
from tests.world.builders import APP, DATA, SUB, VM
from tests.world.ids import NOON

WEEK = timedelta(days=7)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near = st.sampled_from(
    [
        *(str(place) for place in (VM, APP, VAULT, DATA, SUB)),
        f"{VM}/restart",
        f"{VM}/extensions/agent",
        *(f"{place}/providers/Microsoft.Authorization/locks/l" for place in (VM, DATA)),
        "/providers/Microsoft.Authorization/locks/l",
        f"{VAULT}/providers/{ROLE_ASSIGNMENT}/51bd7322f16e4dc98fa3d9648a75288b",
    ]
)
texts = near | strategies.id_texts | st.text()
kinds = st.builds(
    "Microsoft.Resources.Resource{}{}".format,
    st.sampled_from(("Write", "Delete", "Action")),
    st.sampled_from(("Success", "Failure", "Cancel")),
)
NAMES = ("resourceUri", "claims", "authorization", "httpRequest", "operationName")
data = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, texts | json_values))
bodies = json_values | st.fixed_dictionaries(
    {},
    optional={
        "eventType": kinds | json_values,
        "type": kinds | json_values,
        "subject": texts | json_values,
        "eventTime": st.datetimes().map(datetime.isoformat) | json_values,
        "time": json_values,
        "data": data | json_values,
    },
)


@given(bodies)
def test_no_body_raises_and_times_are_bounded(body: object) -> None:
    """An exception would take the other events of a delivery down with it."""
    decoded = events.decode(body)

    if decoded:
        for request in ROUTER.requests(decoded, NOON):
            assert request.since
            assert NOON - WEEK <= request.since <= NOON


@given(kinds, texts, st.none() | st.datetimes(timezones=st.just(UTC)), data)
def test_every_request_is_of_our_concern_and_can_be_queued(
    kind: str, subject: str, time: datetime | None, content: dict[str, object]
) -> None:
    """Watched resources, policy's identities and places where policy may grant; nothing else."""
    for request in ROUTER.requests(Event(kind, subject, time, content), NOON):
        assert _is_ours(request.id)
        assert request.removals is None
        assert messages.decode(messages.encode(request)) == request


def _is_ours(place: ResourceId) -> bool:
    if place.is_type(ROLE_ASSIGNMENT):
        return DATA.contains(place.scope)
    return SUB.contains(place) or DATA.contains(place)
