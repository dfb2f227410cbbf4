"""How changes, holds and outcomes are said."""

from datetime import UTC, datetime

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
from reconciler.model import Desired, Grant, Observed, Resource, RoleAssignment
from reconciler.report import Finding
from tests.cli.desk import APP_GROUP, READER, SHARED, STRANGER, machine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VM = ResourceId.parse(machine("vm"))
SCOPE = ResourceId.parse(APP_GROUP)
IDENTITY = ResourceId.parse(SHARED)
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
    heading, nobody, *lines, blank = report.subject_lines([finding])
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
            ["  + attach identity shared: identity missing", f"      id {SHARED}"],
        ),
        (
            DetachIdentity(VM, IDENTITY, Reason.IDENTITY_GONE),
            [
                "  - detach identity shared: identity is gone, its entry is dead",
                f"      id {SHARED}",
            ],
        ),
        (
            CreateAssignment(Grant(CUSTOM, SCOPE, "@x"), None, ""),
            [
                f"  + grant role {CUSTOM}: role assignment missing",
                f"      at {APP_GROUP}",
                "      to its identity, once that is there",
                "      if @x",
            ],
        ),
        (
            UpdateAssignment(ASSIGNMENT, Grant(READER, SCOPE), "", Reason.MARKER_DIFFERS),
            [
                "  ~ update Reader: marker differs",
                f"      at {APP_GROUP}",
                f"      to {STRANGER}",
                f"      id {ASSIGNMENT.id}",
            ],
        ),
        (
            DeleteAssignment(ASSIGNMENT, Reason.UNWANTED),
            [
                "  - remove Reader: no policy asks for it",
                f"      at   {APP_GROUP}",
                f"      from {STRANGER}",
                f"      id   {ASSIGNMENT.id}",
            ],
        ),
    ],
)
def test_a_change_is_said_with_role_names_scope_principal_and_reason(
    change: Change, lines: list[str]
) -> None:
    """Only a custom role shows its GUID; the machine is in the heading."""
    assert said(change) == lines


def test_what_is_withheld_says_why_and_until_when() -> None:
    """The hold with its detail; an end only where time alone lifts it."""
    attach = AttachIdentity(VM, None)

    lines = said(
        Withheld(attach, Hold.SETTLING, until=NOON),
        Withheld(attach, Hold.BUSY, "Updating"),
    )

    assert [line.strip() for line in lines] == [
        "! withheld: switch on the system-assigned identity: identity missing",
        "because the resource is still being built, until 12:00:00 UTC",
        "! withheld: switch on the system-assigned identity: identity missing",
        "because the resource is being changed: Updating",
    ]


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

    assert report.outcome_line(Outcome(delete, Status.BLOCKED, "locked")) == (
        f"blocked: remove Reader at {APP_GROUP} from {STRANGER} id {ASSIGNMENT.id}: locked"
    )
    assert report.outcome_line(Outcome(None, Status.BLOCKED, "no right")) == "blocked: no right"


@pytest.mark.parametrize(
    ("changes", "withheld", "line"),
    [
        (0, 0, "nothing to change"),
        (0, 2, "nothing to change, 2 withheld"),
        (1, 0, "1 to attach, 0 to grant, 0 to remove, 0 withheld"),
    ],
)
def test_the_summary_counts(changes: int, withheld: int, line: str) -> None:
    """The last line of a plan."""
    attach = AttachIdentity(VM, None)
    held = (Withheld(attach, Hold.AUDIT),) * withheld

    assert report.summary([Plan(VM, NOON, None, (attach,) * changes, held)]) == line


@pytest.mark.parametrize("sign", ["\x1b", "\n", "\r", "\u202e", "\u2066", "\u200b", "\x9b"])
def test_control_and_bidirectional_characters_are_replaced(sign: str) -> None:
    """A terminal would obey them."""
    assert report.printable(f"é{sign}ß") == "é\N{REPLACEMENT CHARACTER}ß"
