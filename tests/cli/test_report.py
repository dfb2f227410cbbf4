"""How changes, holds and outcomes are said."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler import report
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
from reconciler.model import Desired, Grant, Mode, Observed, Resource, RoleAssignment, Wanted
from reconciler.policy.language import Guardrails, Policy
from reconciler.report import Finding
from tests.cli.desk import APP_GROUP, BLOB_READER, READER, SHARED, STRANGER, machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VM = ResourceId.parse(machine("vm"))
SCOPE = ResourceId.parse(APP_GROUP)
IDENTITY = ResourceId.parse(SHARED)
POLICY = Policy({}, (), Guardrails(version=1), "", {"rule a": "a.yaml:3", "rule b": "b.yaml:4"})
CUSTOM = "12345678-0000-0000-0000-000000000000"
ASSIGNMENT = RoleAssignment(
    ResourceId.parse(f"{APP_GROUP}/providers/Microsoft.Authorization/roleAssignments/a"),
    STRANGER,
    "ServicePrincipal",
    READER,
    SCOPE,
)


def said(*steps: Change | Withheld) -> list[str]:
    """Return the lines about a machine, without its heading and the blank line after it."""
    plan = Plan(
        VM,
        NOON,
        changes=tuple(step for step in steps if not isinstance(step, Withheld)),
        withheld=tuple(step for step in steps if isinstance(step, Withheld)),
    )
    finding = Finding(Observed(VM, NOON, Resource(VM)), Desired(), plan)
    heading, nobody, *lines, blank = report.subject_lines([finding], POLICY)
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
        "once    nobody else changes the resource (Updating)",
        f"~ detach and attach again identity shared in 5 s: {Reason.IDENTITY_RECREATED}",
        "once    a second look finds the entry as dead",
        "- remove Reader in 5 s: its resource is gone",
        f"at      {APP_GROUP}",
        "once    it is certain that the machine is gone",
    ]


def test_audit_says_who_asks_for_it_and_where() -> None:
    """Of several rules all must say repair, or one that does not is looked for in vain."""
    grant = Grant(READER, SCOPE)
    desired = Desired(
        attach=(Wanted(IDENTITY, Mode.AUDIT, ("rule b", "rule a")),),
        system=Wanted(None, Mode.AUDIT, ("rule a",)),
        grants=(Wanted(grant, Mode.AUDIT, ("rule a",)),),
        unresolved=((Wanted(BLOB_READER, Mode.AUDIT, ("rule b",)), "{location}"),),
    )
    held = [
        Withheld(AttachIdentity(VM, None), Hold.AUDIT),
        Withheld(AttachIdentity(VM, IDENTITY), Hold.AUDIT),
        Withheld(CreateAssignment(grant, None, ""), Hold.AUDIT),
        Withheld(DeleteAssignment(ASSIGNMENT, Reason.PRINCIPAL_REPLACED), Hold.AUDIT),
        Withheld(CreateAssignment(Grant(BLOB_READER, VM), None, ""), Hold.AUDIT, "{location}"),
    ]
    finding = Finding(Observed(VM, NOON, Resource(VM)), desired, Plan(VM, NOON))

    assert [report.because(each, finding, POLICY) for each in held] == [
        "policy says audit: rule a (a.yaml:3)",
        "policy says audit: rule a (a.yaml:3), rule b (b.yaml:4)",
        "policy says audit: rule a (a.yaml:3)",
        "policy says audit: rule a (a.yaml:3)",
        "policy says audit: rule b (b.yaml:4): {location}",
    ]


def test_an_id_of_which_nothing_is_left_is_told() -> None:
    """Most often it was mistyped."""
    finding = Finding(Observed(VM, NOON, None), Desired(), Plan(VM, NOON))

    assert "  does not exist (nothing of ours is left of it)" in list(
        report.subject_lines([finding], POLICY)
    )


def test_a_scope_without_value_is_shown_as_policy_wrote_it() -> None:
    """There is no other name for it."""
    create = CreateAssignment(Grant(READER, VM), STRANGER, "")

    lines = said(Withheld(create, Hold.UNRESOLVED, "{location}"))

    assert lines[1:] == [
        f"      to      {STRANGER}",
        "      because its scope cannot be named for this resource: {location}",
    ]


def test_an_outcome_is_one_line() -> None:
    """What, where, to whom, and what Azure said."""
    delete = DeleteAssignment(ASSIGNMENT, Reason.UNWANTED)

    attach = AttachIdentity(VM, IDENTITY)
    detach = DetachIdentity(VM, IDENTITY, Reason.IDENTITY_RECREATED)
    create = CreateAssignment(Grant(READER, SCOPE), STRANGER, "")

    assert [
        report.outcome_line(outcome, VM)
        for outcome in (
            Outcome(delete, Status.BLOCKED, "locked"),
            Outcome(None, Status.BLOCKED, "no right"),
            Outcome(AttachIdentity(VM, None), Status.DONE),
            Outcome(attach, Status.DONE),
            Outcome(detach, Status.DONE),
            Outcome(create, Status.DONE),
        )
    ] == [
        f"blocked: remove Reader at rg-app from {STRANGER}: locked",
        "blocked: no right",
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

    assert report.summary([plan]) == line
    assert report.todo([plan]) == question


@pytest.mark.parametrize("sign", ["\x1b", "\n", "\r", "\u202e", "\u2066", "\u200b", "\x9b"])
def test_control_and_bidirectional_characters_are_replaced(sign: str) -> None:
    """A terminal would obey them."""
    assert report.printable(f"é{sign}ß") == "é\N{REPLACEMENT CHARACTER}ß"
