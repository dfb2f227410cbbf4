"""Rights that no policy asks for, what replaces them, and those that guardrails forbid by now.

A right of a live principal goes only by name, and not before what takes its place is there.
"""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler.changes import Change, CreateAssignment, Hold, Reason
from reconciler.ids import ResourceId
from reconciler.model import Desired, Removals, Request, RoleAssignment
from reconciler.plan import plan
from reconciler.policy.model import Exemption
from tests.unit.plan_cases import AUDIT, CONDITION, Case, check, create, delete, update
from tests.world.builders import (
    APP,
    CONTEXT,
    DATA,
    HOME,
    LAB,
    LOOK,
    NEW,
    NOTHING,
    OF_APP,
    OTHER_VM,
    OWNERSHIP,
    STRANGER,
    SUB,
    VM,
    WITH_REMOVALS,
    assignment,
    below,
    both,
    foreign,
    granted,
    machine,
    observed,
    removing,
    unresolved,
    user_identity,
)
from tests.world.ids import BLOB_READER, CONTRIBUTOR, READER

VAULT = below(DATA, "providers/Microsoft.KeyVault/vaults/kv")
NEAR = below(DATA, "providers/Microsoft.KeyVault/vaults/kv-2")
GROUP = below(SUB, "resourceGroups/rg-app")
CUSTOM = "11111111-2222-3333-4444-555555555555"
ABOVE = ResourceId.parse("/providers/Microsoft.Management/managementGroups/corp")
TENANT = ResourceId.parse("/")

AT_VAULT = assignment(scope=VAULT)
FORBIDDEN = (READER, GROUP)
"""A right that no guardrail of the tests names."""

REPLACEMENTS = {
    "the same role elsewhere is made first": Case(
        granted(scope=NEAR),
        observed(machine(), AT_VAULT),
        (create(scope=NEAR),),
        ((delete(AT_VAULT), Hold.REPLACING),),
    ),
    "another role at the same scope is made first": Case(
        granted(BLOB_READER, VAULT),
        observed(machine(), AT_VAULT),
        (create(BLOB_READER, VAULT),),
        ((delete(AT_VAULT), Hold.REPLACING),),
    ),
    "another role elsewhere is no replacement": Case(
        granted(BLOB_READER, NEAR),
        observed(machine(), AT_VAULT),
        (create(BLOB_READER, NEAR), delete(AT_VAULT)),
    ),
    "what is there already replaces at once": Case(
        granted(scope=NEAR),
        observed(machine(), AT_VAULT, assignment(scope=NEAR)),
        (delete(AT_VAULT),),
    ),
    "another's right that satisfies policy replaces it, too": Case(
        granted(), observed(machine(), AT_VAULT, foreign()), (delete(AT_VAULT),)
    ),
    "a replacement that guardrails refuse keeps it": Case(
        granted(*FORBIDDEN),
        observed(machine(), AT_VAULT),
        withheld=(
            (create(*FORBIDDEN), Hold.GUARDRAILS),
            (delete(AT_VAULT), Hold.REPLACEMENT),
        ),
    ),
    "a replacement that would reach this app keeps it": Case(
        granted(scope=HOME),
        observed(machine(), AT_VAULT),
        withheld=((create(scope=HOME), Hold.HOME), (delete(AT_VAULT), Hold.REPLACEMENT)),
    ),
    "a replacement whose scope is not there keeps it": Case(
        granted(scope=NEAR),
        observed(machine(), AT_VAULT, absent={NEAR: ()}),
        withheld=(
            (create(scope=NEAR), Hold.SCOPE_ABSENT),
            (delete(AT_VAULT), Hold.REPLACEMENT),
        ),
    ),
    "a replacement whose role cannot be read keeps it": Case(
        granted(CUSTOM, VAULT),
        observed(machine(), AT_VAULT, roles={CUSTOM: None}),
        withheld=(
            (create(CUSTOM, VAULT), Hold.ROLE_UNREAD),
            (delete(AT_VAULT), Hold.REPLACEMENT),
        ),
    ),
    "a replacement under two conditions keeps it": Case(
        both(granted(scope=NEAR), granted(scope=NEAR, condition=CONDITION)),
        observed(machine(), AT_VAULT),
        withheld=(
            (create(scope=NEAR), Hold.CONFLICTING),
            (delete(AT_VAULT), Hold.REPLACEMENT),
        ),
    ),
    "what audit only tells replaces nothing": Case(
        granted(scope=NEAR, mode=AUDIT),
        observed(machine(), AT_VAULT),
        (delete(AT_VAULT),),
        ((create(scope=NEAR), Hold.AUDIT),),
    ),
    "what waits for a rollout replaces nothing": Case(
        granted(scope=NEAR, mode=AUDIT, rollout=True),
        observed(machine(), AT_VAULT),
        (delete(AT_VAULT),),
        ((create(scope=NEAR), Hold.ROLLOUT),),
    ),
    "what the resource chose among the entries of a map is not waited for": Case(
        granted(scope=NEAR, choices=frozenset({NEAR, VAULT})),
        observed(machine(), AT_VAULT),
        (create(scope=NEAR), delete(AT_VAULT)),
    ),
    "what the resource chose and cannot have is not waited for either": Case(
        granted(*FORBIDDEN, choices=frozenset({GROUP, VAULT})),
        observed(machine(), AT_VAULT),
        (delete(AT_VAULT),),
        ((create(*FORBIDDEN), Hold.GUARDRAILS),),
    ),
    "what is no entry of the map any more is waited for": Case(
        granted(scope=NEAR, choices=frozenset({NEAR, DATA})),
        observed(machine(), AT_VAULT),
        (create(scope=NEAR),),
        ((delete(AT_VAULT), Hold.REPLACING),),
    ),
    "of two grants that replace it the one that can be made counts": Case(
        both(granted(*FORBIDDEN), granted(BLOB_READER, VAULT)),
        observed(machine(), AT_VAULT),
        (create(BLOB_READER, VAULT),),
        (
            (create(*FORBIDDEN), Hold.GUARDRAILS),
            (delete(AT_VAULT), Hold.REPLACING),
        ),
    ),
    "where the subscription is full it makes the room": Case(
        granted(scope=NEAR),
        observed(machine(), AT_VAULT, limit_reached=True),
        (create(scope=NEAR), delete(AT_VAULT)),
    ),
    "a user-assigned identity's is kept alike": Case(
        granted(scope=NEAR),
        observed(user_identity(), own := assignment(OF_APP, scope=VAULT, resource=APP)),
        (create(scope=NEAR, principal=OF_APP, resource=APP),),
        ((delete(own), Hold.REPLACING),),
        request=Request(APP, removals=removing()),
    ),
}


@pytest.mark.parametrize("case", REPLACEMENTS.values(), ids=list(REPLACEMENTS))
def test_an_unwanted_right_stays_until_what_replaces_it_is_there(case: Case) -> None:
    """One wrong letter in a scope must not take the right that it was meant to move."""
    request = case.request if case.request.removals else WITH_REMOVALS

    check(replace(case, request=request))


def test_a_kept_right_names_the_grant_that_it_waits_for() -> None:
    """A person sees which grant it waits for, and every plan counts it."""
    planned = plan(
        granted(scope=NEAR),
        observed(machine(), AT_VAULT, absent={NEAR: ()}),
        WITH_REMOVALS,
        CONTEXT,
    )

    (kept,) = planned.kept
    assert kept.change == delete(AT_VAULT)
    assert str(Hold.SCOPE_ABSENT) in kept.detail
    assert str(NEAR) in kept.detail


@pytest.mark.parametrize(
    ("removals", "hold"),
    [
        pytest.param(removing(AT_VAULT.id), Hold.REPLACEMENT, id="named"),
        pytest.param(removing(), Hold.REPLACEMENT, id="all"),
        pytest.param(removing(AT_VAULT.id, at_once=True), None, id="named and agreed"),
        pytest.param(removing(NEAR, at_once=True), Hold.REPLACEMENT, id="another agreed"),
        pytest.param(
            Removals("other", frozenset({AT_VAULT.id}), at_once=True),
            Hold.REMOVALS,
            id="agreed under another policy",
        ),
    ],
)
def test_an_unwanted_right_goes_before_its_replacement_only_where_a_person_agreed(
    removals: Removals, hold: Hold | None
) -> None:
    """Asked once more, for this very right and policy."""
    planned = plan(
        granted(*FORBIDDEN),
        observed(machine(), AT_VAULT),
        Request(VM, removals=removals),
        CONTEXT,
    )
    holds = {held.change: held.hold for held in planned.withheld}

    assert holds.get(delete(AT_VAULT)) is hold
    assert (planned.changes == (delete(AT_VAULT),)) is (hold is None)


def test_a_replacement_that_is_being_made_is_waited_for_whatever_was_agreed() -> None:
    """It is there a moment later."""
    planned = plan(
        granted(scope=NEAR),
        observed(machine(), AT_VAULT),
        Request(VM, removals=removing(AT_VAULT.id, at_once=True)),
        CONTEXT,
    )

    assert [held.hold for held in planned.withheld] == [Hold.REPLACING]


@pytest.mark.parametrize(
    ("removals", "goes"),
    [
        pytest.param(None, False, id="none"),
        pytest.param(Removals(CONTEXT.digest), False, id="no names"),
        pytest.param(removing(NEAR, VM), False, id="other names"),
        pytest.param(removing(NEAR, AT_VAULT.id), True, id="its name"),
        pytest.param(
            removing(ResourceId.parse(AT_VAULT.id.text.upper())), True, id="its name in capitals"
        ),
        pytest.param(removing(), True, id="all"),
        pytest.param(Removals("", frozenset({AT_VAULT.id})), False, id="without digest"),
        pytest.param(Removals("other", frozenset({AT_VAULT.id})), False, id="another policy"),
        pytest.param(Removals("other", None), False, id="all of another policy"),
    ],
)
def test_an_unwanted_right_goes_only_by_its_name_under_this_policy(
    removals: Removals | None,
    goes: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """What was counted goes, and nothing that became unwanted since."""
    planned = plan(NOTHING, observed(machine(), AT_VAULT), Request(VM, removals=removals), CONTEXT)

    assert (planned.changes == (delete(AT_VAULT),)) is goes
    assert goes or [held.hold for held in planned.withheld] == [Hold.REMOVALS]


@pytest.mark.parametrize(
    ("found", "hold"),
    [
        pytest.param(assignment(scope=GROUP), None, id="where guardrails name nothing any more"),
        pytest.param(assignment(role=CONTRIBUTOR, scope=LAB), None, id="privileged"),
        pytest.param(assignment(role=CUSTOM), None, id="a role that nobody has read"),
        pytest.param(assignment(scope=SUB), None, id="above this app's home"),
        pytest.param(assignment(scope=ABOVE), None, id="at a management group"),
        pytest.param(assignment(scope=TENANT), None, id="at the tenant"),
        pytest.param(assignment(scope=HOME), Hold.HOME, id="in this app's home"),
        pytest.param(assignment(resource=OTHER_VM), None, id="of where it lived before"),
        pytest.param(assignment(condition=CONDITION), None, id="under a condition"),
    ],
)
def test_an_unwanted_right_goes_wherever_it_lies(found: RoleAssignment, hold: Hold | None) -> None:
    """What bears all our marks may be taken away, whatever guardrails say by now."""
    planned = plan(NOTHING, observed(machine(), found), WITH_REMOVALS, CONTEXT)

    assert [held.hold for held in planned.withheld] == ([hold] if hold else [])
    assert planned.changes == (() if hold else (delete(found),))


def test_a_managed_resource_loses_what_is_unwanted_and_is_given_nothing() -> None:
    """Who manages it does not know of what we granted."""
    found = assignment(role=BLOB_READER, scope=VAULT)

    check(
        Case(
            granted(),
            observed(machine(managed_by=str(OTHER_VM)), found),
            (delete(found),),
            ((create(), Hold.MANAGED),),
            WITH_REMOVALS,
        )
    )


def test_an_exempt_resource_keeps_what_is_unwanted() -> None:
    """Hands off means both ways."""
    exempt = Exemption.model_validate(
        {"scope": str(VM), "reason": "forensics", "expires": "2026-12-31"}
    )
    context = replace(CONTEXT, exemptions=(exempt,))
    found = observed(machine(), AT_VAULT)

    check(Case(NOTHING, found, (), ((delete(AT_VAULT), Hold.EXEMPT),), WITH_REMOVALS, context))


WIDE = assignment(scope=GROUP)
BECAME_WIDE = assignment(role=CUSTOM)
FORBIDDEN_RIGHTS = {
    "what guardrails allow no longer is shown and stays": Case(
        granted(scope=GROUP),
        observed(machine(), WIDE),
        withheld=((delete(WIDE, Reason.FORBIDDEN), Hold.GUARDRAILS),),
    ),
    "a privileged role where guardrails do not say so": Case(
        granted(CONTRIBUTOR, LAB),
        observed(machine(), strong := assignment(role=CONTRIBUTOR, scope=LAB)),
        withheld=((delete(strong, Reason.FORBIDDEN), Hold.GUARDRAILS),),
    ),
    "what would reach this app": Case(
        granted(scope=HOME),
        observed(machine(), inside := assignment(scope=HOME)),
        withheld=((delete(inside, Reason.FORBIDDEN), Hold.HOME),),
    ),
    "what also differs in its condition is only shown": Case(
        granted(scope=GROUP, condition=CONDITION),
        observed(machine(), WIDE),
        withheld=((delete(WIDE, Reason.FORBIDDEN), Hold.GUARDRAILS),),
    ),
    "what a rule only audits is no finding": Case(
        granted(scope=GROUP, mode=AUDIT), observed(machine(), WIDE)
    ),
    "another's right is theirs": Case(
        granted(scope=GROUP), observed(machine(), foreign(scope=GROUP))
    ),
    "what lost its marker is not written anew": Case(
        granted(scope=GROUP),
        observed(machine(), taken := assignment(scope=GROUP, updated_by=STRANGER)),
        withheld=((update(taken), Hold.GUARDRAILS),),
    ),
    "a custom role that nobody could read is no finding": Case(
        granted(CUSTOM), observed(machine(), BECAME_WIDE, roles={CUSTOM: None})
    ),
}


@pytest.mark.parametrize("case", FORBIDDEN_RIGHTS.values(), ids=list(FORBIDDEN_RIGHTS))
@pytest.mark.parametrize("removals", [None, removing(), removing(WIDE.id, at_once=True)])
def test_a_wanted_right_that_is_forbidden_is_shown_and_nobody_removes_it(
    case: Case, removals: Removals | None
) -> None:
    """While policy wants it, guardrails and policy have to agree first."""
    check(replace(case, request=replace(LOOK, removals=removals)))


@pytest.mark.parametrize(
    ("read", "shown"), [({CUSTOM: True}, True), ({CUSTOM: False}, False), ({}, False)]
)
def test_a_custom_role_that_became_privileged_is_shown(
    read: Mapping[str, bool | None],
    shown: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """Whoever may change a custom role changes what was granted with it."""
    rails = CONTEXT.guardrails.model_validate(
        {
            "version": 1,
            "grants": [
                {
                    "scope": str(DATA),
                    "roles": [f"/providers/Microsoft.Authorization/roleDefinitions/{CUSTOM}"],
                }
            ],
        }
    )
    planned = plan(
        granted(CUSTOM),
        observed(machine(), BECAME_WIDE, roles=read),
        LOOK,
        replace(CONTEXT, guardrails=rails),
    )
    changes: list[Change] = [held.change for held in planned.withheld]

    assert changes == ([delete(BECAME_WIDE, Reason.FORBIDDEN)] if shown else [])
    assert [held.hold for held in planned.withheld] == ([Hold.GUARDRAILS] if shown else [])


def test_an_unresolved_grant_replaces_nothing() -> None:
    """A tag that picks no entry takes away what it picked before."""
    wanted: Desired = unresolved()
    lost = CreateAssignment(wanted.unresolved[0].what, NEW, OWNERSHIP.marker_for(VM))

    check(
        Case(
            wanted,
            observed(machine(), AT_VAULT),
            (delete(AT_VAULT),),
            ((lost, Hold.UNRESOLVED),),
            WITH_REMOVALS,
        )
    )
