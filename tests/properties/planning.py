"""All that a plan is made of, drawn at once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import strategies as st

from reconciler.changes import Plan
from reconciler.ids import ResourceId
from reconciler.model import Desired, Observed, Removals, Request, Sight, Sighting
from reconciler.plan import PlanContext, plan
from reconciler.policy.model import Exemption
from tests.properties.looks import observed
from tests.properties.samples import RAILS
from tests.properties.wanted import wants
from tests.world.builders import (
    APP,
    CONTEXT,
    DATA,
    IDS,
    LONG_AGO,
    NEW,
    OF_APP,
    OLD,
    SECOND,
    SUB,
    UNWATCHED,
    VM,
    assignment,
)
from tests.world.ids import BLOB_READER, NOON, READER

_exempt = st.builds(
    lambda scope, expires: Exemption(scope=scope, reason="why", expires=expires),
    st.sampled_from((VM, APP, IDS, DATA, SUB, UNWATCHED)),
    st.sampled_from((NOON.date(), (NOON - timedelta(days=1)).date())),
)
_contexts = st.lists(_exempt, max_size=2).map(
    lambda some: replace(CONTEXT, guardrails=RAILS, exemptions=tuple(some))
)

_sightings = (
    Sighting(NOON - timedelta(minutes=10), Sight.GONE),
    Sighting(LONG_AGO, Sight.GONE),
    Sighting(LONG_AGO, Sight.GONE, APP.key),
    Sighting(LONG_AGO, Sight.DEAD_ENTRY, f"{APP.key}={OLD}>{OF_APP}"),
    Sighting(NOON, Sight.DEAD_ENTRY, f"{APP.key}=->{OF_APP}"),
)
_named = st.frozensets(
    st.sampled_from(
        [
            APP,
            SECOND,
            *(
                assignment(principal, role, DATA).id
                for principal in (NEW, OF_APP)
                for role in (READER, BLOB_READER)
            ),
        ]
    )
)
requests = st.builds(
    Request,
    st.just(VM),
    removals=st.none()
    | st.builds(
        Removals,
        st.sampled_from(("another", CONTEXT.digest, CONTEXT.digest, CONTEXT.digest)),
        st.none() | _named,
        st.booleans(),
    ),
    first=st.sampled_from((None, LONG_AGO, NOON)),
    sightings=st.lists(st.sampled_from(_sightings), max_size=2, unique=True).map(tuple),
)


@dataclass(frozen=True)
class Case:
    """All that a plan is made of; what is wanted hangs on what is found, as it does by policy."""

    wants: Callable[[Observed], Desired]
    found: Observed
    request: Request
    context: PlanContext

    @property
    def wanted(self) -> Desired:
        """What is wanted of what is found."""
        return self.wants(self.found)

    @property
    def plan(self) -> Plan:
        """The plan of it all."""
        return plan(self.wanted, self.found, self.request, self.context)

    def allows(self, unwanted: ResourceId) -> bool:
        """Return whether the request names this assignment or entry under today's policy."""
        removals = self.request.removals
        if removals is None or removals.digest != self.context.digest:
            return False
        return removals.ids is None or unwanted in removals.ids

    def exempt(self, place: ResourceId | None) -> bool:
        """Return whether an exemption of a place is in force."""
        return place is not None and self.context.exemption(place, self.found.at) is not None


cases = st.builds(Case, wants(), observed(), requests, _contexts)
"""What a planner may be given, forged or not."""
