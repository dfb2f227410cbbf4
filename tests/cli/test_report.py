"""How changes, holds and outcomes are said."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Outcome,
    Plan,
    Reason,
    Status,
    UpdateAssignment,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import (
    Desired,
    Grant,
    Mode,
    Observed,
    Resource,
    RoleAssignment,
    Unresolved,
    Wanted,
)
from reconciler.policy import Policy
from reconciler.policy.model import Guardrails
from reconciler.render import json
from reconciler.render import text as render
from reconciler.render.text import Finding
from tests.cli.desk import APP_GROUP, BLOB_READER, READER, SHARED, STRANGER, machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VM = ResourceId.parse(machine("vm"))
SCOPE = ResourceId.parse(APP_GROUP)
IDENTITY = ResourceId.parse(SHARED)
POLICY = Policy({}, (), Guardrails(version=1), "", {"rule a": "a.yaml:3", "rule b": "b.yaml:4"})
MEND = "mend what the message names; the next event or sweep tries again"
CUSTOM = "12345678-0000-0000-0000-000000000000"
ASSIGNMENT = RoleAssignment(
    ResourceId.parse(f"{APP_GROUP}/providers/Microsoft.Authorization/roleAssignments/a"),
    STRANGER,
    "ServicePrincipal",
    READER,
    SCOPE,
)


def nowhere(template: str) -> Grant:
    """Return a grant whose scope has no name."""
    return Grant(BLOB_READER, Unresolved(template, "no tag"))


def said(*steps: Change | Withheld) -> list[str]:
    """Return the lines about a machine, without its heading and the blank line after it."""
    plan = Plan(
        VM,
        NOON,
        changes=tuple(step for step in steps if not isinstance(step, Withheld)),
        withheld=tuple(step for step in steps if isinstance(step, Withheld)),
    )
    finding = Finding(Observed(VM, NOON, Resource(VM)), Desired(), plan)
    heading, nobody, *lines, blank = render.subject_lines([finding], POLICY)
    assert (heading, blank) == (str(VM), "")
    assert nobody == "  no rule or identity in policy asks anything for it"
    return lines


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            AttachIdentity(VM, None),
            ["  + switch on the system-assigned identity: identity missing"],
        ),
        (
            AttachIdentity(VM, IDENTITY),
            ["  + attach identity shared: identity missing", f"      id      {SHARED}"],
        ),
        (
            DetachIdentity(VM, IDENTITY, Reason.IDENTITY_GONE),
            [
                "  - detach identity shared: identity is gone, its entry is dead",
                f"      id      {SHARED}",
            ],
        ),
        (
            DetachIdentity(VM, IDENTITY, Reason.IDENTITY_RECREATED),
            [
                f"  ~ detach and attach again identity shared: {Reason.IDENTITY_RECREATED}",
                f"      id      {SHARED}",
            ],
        ),
        (
            CreateAssignment(Grant(CUSTOM, SCOPE, "@x"), None, ""),
            [
                f"  + grant role {CUSTOM}: role assignment missing",
                f"      at      {APP_GROUP}",
                "      to      its identity, once that is there",
                "      if      @x",
            ],
        ),
        (
            UpdateAssignment(ASSIGNMENT, Grant(READER, SCOPE), "", Reason.MARKER_DIFFERS),
            [
                "  ~ update Reader: marker differs",
                f"      at      {APP_GROUP}",
                f"      to      {STRANGER}",
                f"      id      {ASSIGNMENT.id}",
            ],
        ),
        (
            DeleteAssignment(ASSIGNMENT, Reason.UNWANTED),
            [
                "  - remove Reader: no policy asks for it",
                f"      at      {APP_GROUP}",
                f"      from    {STRANGER}",
                f"      id      {ASSIGNMENT.id}",
            ],
        ),
    ],
)
def test_a_change_is_said_with_role_names_scope_principal_and_reason(
    change: Change, lines: list[str]
) -> None:
    """Only a custom role shows its GUID; the machine is in the heading."""
    assert said(change) == lines


def test_what_waits_is_said_as_what_will_be_done_and_when() -> None:
    """Only what a person must decide about is withheld to a reader."""
    heal = DetachIdentity(VM, IDENTITY, Reason.IDENTITY_RECREATED)
    remove = DeleteAssignment(ASSIGNMENT, Reason.RESOURCE_GONE)
    later = NOON + timedelta(seconds=4.2)

    lines = said(
        Withheld(AttachIdentity(VM, None), Hold.BUSY, "Updating"),
        Withheld(heal, Hold.SETTLING, until=later),
        Withheld(remove, Hold.UNCONFIRMED, until=later),
    )

    assert [line.strip() for line in lines if " id " not in line and " from " not in line] == [
        "+ switch on the system-assigned identity later: identity missing",
        "once    the change to the resource that is under way has ended (Updating)",
        "next    wait; where that never ends, look at the resource's provisioning state",
        f"~ detach and attach again identity shared in 5 s: {Reason.IDENTITY_RECREATED}",
        "once    the resource is built",
        "next    wait; it goes on by itself",
        "- remove Reader in 5 s: its resource is gone",
        f"at      {APP_GROUP}",
        "once    it is proved that its resource is gone",
        "next    wait; it is looked at again by itself",
    ]


@pytest.mark.parametrize(
    ("held", "awaited"),
    [
        (
            Withheld(
                DetachIdentity(VM, IDENTITY, Reason.IDENTITY_RECREATED),
                Hold.UNCONFIRMED,
                "a second look finds the entry as dead",
            ),
            "a second look finds the entry as dead",
        ),
        (
            Withheld(DetachIdentity(VM, IDENTITY, Reason.IDENTITY_GONE), Hold.UNCONFIRMED),
            "it is proved that shared is gone",
        ),
        (
            Withheld(AttachIdentity(VM, IDENTITY), Hold.UNCONFIRMED),
            "a dead entry beside it is proved dead, and gone",
        ),
        (
            Withheld(DeleteAssignment(ASSIGNMENT, Reason.PRINCIPAL_REPLACED), Hold.UNCONFIRMED),
            "it is proved that its principal is gone",
        ),
        (
            Withheld(DeleteAssignment(ASSIGNMENT, Reason.UNWANTED), Hold.REPLACING),
            "what replaces it is there",
        ),
        (
            Withheld(AttachIdentity(VM, None), Hold.SETTLING, "an extension is being provisioned"),
            "the resource is built (an extension is being provisioned)",
        ),
    ],
)
def test_each_wait_says_what_it_is_for(held: Withheld, awaited: str) -> None:
    """Only what is being built is once built; whatever else it is, its own words say so."""
    assert render.once(held) == awaited


@pytest.mark.parametrize("hold", Hold)
def test_every_hold_says_the_next_step_everywhere(hold: Hold) -> None:
    """In the text, in the log, and in JSON, which outcome events carry as well."""
    held = Withheld(DeleteAssignment(ASSIGNMENT, Reason.UNWANTED), hold)
    plan = Plan(VM, NOON, withheld=(held,))

    assert hold.next_step
    assert f"      next    {hold.next_step}" in said(held)
    (logged,) = render.log_lines(plan)
    assert logged.endswith(f", next {hold.next_step}")
    assert json.look(plan)["withheld"][0]["nextStep"] == hold.next_step


@pytest.mark.parametrize("code", ["", "Contended", "NotWatched", "Stuck", "SomethingNew"])
def test_every_blocked_outcome_says_the_next_step(code: str) -> None:
    """Its own, or one for its code; what is not blocked needs none."""
    blocked = Outcome(None, Status.BLOCKED, "refused", code)
    own = Outcome(None, Status.BLOCKED, "refused", code, next_step="ask")

    step = json.outcome(blocked)["nextStep"]
    assert step
    assert render.outcome_line(blocked, VM) == f"blocked: refused; next: {step}"
    assert json.outcome(own)["nextStep"] == "ask"
    assert json.outcome(Outcome(None, Status.AGAIN, "throttled", code))["nextStep"] == ""


def test_audit_says_who_asks_for_it_and_where() -> None:
    """Of several rules all must say repair, or one that does not is looked for in vain."""
    grant = Grant(READER, SCOPE)
    desired = Desired(
        attach=(Wanted(IDENTITY, Mode.AUDIT, ("rule b", "rule a")),),
        system=Wanted(None, Mode.AUDIT, ("rule a",)),
        grants=(Wanted(grant, Mode.AUDIT, ("rule a",)),),
        unresolved=(
            Wanted(nowhere("{location}"), Mode.AUDIT, ("rule b",)),
            Wanted(nowhere("{maps.m[tags.env]}"), Mode.AUDIT, ("rule a",)),
        ),
    )
    held = [
        Withheld(AttachIdentity(VM, None), Hold.AUDIT),
        Withheld(AttachIdentity(VM, IDENTITY), Hold.AUDIT),
        Withheld(CreateAssignment(grant, None, ""), Hold.AUDIT),
        Withheld(DeleteAssignment(ASSIGNMENT, Reason.PRINCIPAL_REPLACED), Hold.AUDIT),
        Withheld(CreateAssignment(nowhere("{location}"), None, ""), Hold.AUDIT),
    ]
    finding = Finding(Observed(VM, NOON, Resource(VM)), desired, Plan(VM, NOON))

    assert [render.because(each, finding, POLICY) for each in held] == [
        "policy says audit: rule a (a.yaml:3)",
        "policy says audit: rule a (a.yaml:3), rule b (b.yaml:4)",
        "policy says audit: rule a (a.yaml:3)",
        "policy says audit: rule a (a.yaml:3)",
        "policy says audit: rule b (b.yaml:4)",
    ]


def test_an_id_of_which_nothing_is_left_is_told() -> None:
    """Most often it was mistyped."""
    finding = Finding(Observed(VM, NOON, None), Desired(), Plan(VM, NOON))

    assert "  does not exist (nothing of ours is left of it)" in list(
        render.subject_lines([finding], POLICY)
    )


@pytest.mark.parametrize("hold", [Hold.UNRESOLVED, Hold.EXEMPT, Hold.ROLLOUT, Hold.AUDIT])
def test_a_grant_without_scope_shows_its_template_and_no_scope(hold: Hold) -> None:
    """There is no other name for it, whatever else keeps it back."""
    create = CreateAssignment(nowhere("{maps.m[tags.env]}"), STRANGER, "")
    detail = "{maps.m[tags.env]}: no tag" if hold is Hold.UNRESOLVED else ""
    held = Withheld(create, hold, detail)
    plan = Plan(VM, NOON, withheld=(held,))

    (logged,) = render.log_lines(plan)
    described = json.look(plan)["withheld"][0]["change"]

    assert sum("{maps.m[tags.env]}" in line for line in said(held)) == 1
    assert logged.count("{maps.m[tags.env]}") == 1
    assert not any(str(VM) in line for line in [*said(held), logged])
    assert (described["scope"], described["template"]) == (None, "{maps.m[tags.env]}")


def test_two_grants_without_scope_are_told_apart() -> None:
    """The fingerprint counts the template."""
    plans = [
        Plan(VM, NOON, withheld=(Withheld(CreateAssignment(nowhere(text), None, ""), Hold.AUDIT),))
        for text in ("{maps.m[tags.env]}", "{maps.n[tags.env]}")
    ]

    assert plans[0].fingerprint != plans[1].fingerprint


def test_an_outcome_is_one_line() -> None:
    """What, where, to whom, and what Azure said."""
    delete = DeleteAssignment(ASSIGNMENT, Reason.UNWANTED)

    attach = AttachIdentity(VM, IDENTITY)
    detach = DetachIdentity(VM, IDENTITY, Reason.IDENTITY_RECREATED)
    create = CreateAssignment(Grant(READER, SCOPE), STRANGER, "")

    assert [
        render.outcome_line(outcome, VM)
        for outcome in (
            Outcome(delete, Status.BLOCKED, "locked", next_step="take it off"),
            Outcome(None, Status.BLOCKED, "no right"),
            Outcome(AttachIdentity(VM, None), Status.DONE),
            Outcome(attach, Status.DONE),
            Outcome(detach, Status.DONE),
            Outcome(create, Status.DONE),
        )
    ] == [
        f"blocked: remove Reader at rg-app from {STRANGER}: locked; next: take it off",
        "blocked: no right; next: mend what the message names; the next event or sweep tries again",
        "done: switch on the system-assigned identity of vm",
        "done: attach identity shared to vm",
        "done: detach identity shared from vm",
        "done: grant Reader at rg-app to vm",
    ]


@pytest.mark.parametrize(
    ("now", "holds", "line", "question"),
    [
        (0, [], "nothing to change", ""),
        (0, [Hold.AUDIT, Hold.AUDIT], "nothing to change, 2 withheld", ""),
        (1, [], "1 to attach", "Attach 1"),
        (0, [Hold.BUSY], "1 to attach later", "Attach 1 later"),
        (
            2,
            [Hold.BUSY, Hold.AUDIT],
            "2 to attach, 1 to attach later, 1 withheld",
            "Attach 2, attach 1 later",
        ),
    ],
)
def test_the_summary_counts(now: int, holds: list[Hold], line: str, question: str) -> None:
    """The last line of a plan, and what is asked before it is carried out."""
    attach = AttachIdentity(VM, None)
    plan = Plan(VM, NOON, None, (attach,) * now, tuple(Withheld(attach, hold) for hold in holds))

    assert render.summary([plan]) == line
    assert render.todo([plan]) == question


HOSTILE = ("##vso[task.complete]", "##[set-env name=X]y", "\u202e::add-mask::x", "\n::error::x")


@pytest.mark.parametrize("text", HOSTILE)
def test_the_log_obeys_nothing_that_others_wrote(text: str) -> None:
    """Conditions, templates, reasons of exemptions, and Azure's own words."""
    change = CreateAssignment(Grant(READER, SCOPE, text), None, "")
    unresolved = CreateAssignment(nowhere(f"{{maps.{text}}}"), None, "")
    plan = Plan(
        VM,
        NOON,
        changes=(change,),
        withheld=(Withheld(change, Hold.EXEMPT, text), Withheld(unresolved, Hold.AUDIT, text)),
    )

    for line in render.log_lines(plan):
        assert line.isprintable()
        assert "##" not in line
        assert not line.startswith("::")
