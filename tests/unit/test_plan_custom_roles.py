"""Custom roles: how far one reaches is read at every plan, and decides with the guardrails."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler.changes import Hold, Plan
from reconciler.plan import plan
from reconciler.policy.model import Guardrails
from tests.world.builders import CONTEXT, DATA, LOOK, granted, machine, observed

CUSTOM = "11111111-2222-3333-4444-555555555555"
DEFINITION = f"/providers/Microsoft.Authorization/roleDefinitions/{CUSTOM}"


def planned(read: Mapping[str, bool | None], *, privileged: bool = False) -> Plan:
    """Return the plan of a right with the custom role, which the guardrails name."""
    entry = {"scope": str(DATA), "roles": [DEFINITION], "privileged": privileged}
    rails = Guardrails.model_validate({"version": 1, "grants": [entry]})
    context = replace(CONTEXT, guardrails=rails)
    return plan(granted(CUSTOM), observed(machine(), roles=read), LOOK, context)


@pytest.mark.parametrize(
    ("reaches_far", "allowed", "hold"),
    [
        (False, False, None),
        (False, True, None),
        (True, True, None),
        (True, False, Hold.GUARDRAILS),
        (None, True, Hold.ROLE_UNREAD),
        (None, False, Hold.ROLE_UNREAD),
    ],
)
def test_a_custom_role_is_granted_as_far_as_it_reaches_today(
    reaches_far: bool | None,  # noqa: FBT001 (a row of the table)
    allowed: bool,  # noqa: FBT001 (a row of the table)
    hold: Hold | None,
) -> None:
    """What was harmless when it was reviewed may not be so now; what is unknown is not granted."""
    found = planned({CUSTOM: reaches_far}, privileged=allowed)

    assert bool(found.changes) is (hold is None)
    assert [one.hold for one in found.withheld] == ([hold] if hold else [])


def test_a_custom_role_that_was_not_read_is_not_granted() -> None:
    """There is no default by which a role could slip through."""
    assert [one.hold for one in planned({}, privileged=True).withheld] == [Hold.ROLE_UNREAD]
