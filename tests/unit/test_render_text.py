"""Changes, holds and outcomes as lines of text."""

from datetime import timedelta

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
from reconciler.model import (
    Desired,
    Grant,
    Mode,
    Unresolved,
    Wanted,
)
from reconciler.policy import Policy
from reconciler.policy.model import Guardrails
from reconciler.render import text
from reconciler.render.comparison import Comparison
from tests.world.builders import APP, DATA, STRANGER, VM, assignment, machine, observed
from tests.world.ids import BLOB_READER, NOON, READER

POLICY = Policy({}, (), Guardrails(version=1), "", {"rule a": "a.yaml:3", "rule b": "b.yaml:4"})
CUSTOM = "12345678-0000-0000-0000-000000000000"
ASSIGNMENT = assignment(STRANGER)


def nowhere(template: str) -> Grant:
    """Return a grant whose scope has no name."""
    return Grant(BLOB_READER, Unresolved(template, "no tag"))


def attaching(now: int, holds: list[Hold]) -> Plan:
    """Return a plan with some attaches, and one more under each hold."""
    attach = AttachIdentity(VM, None)
    return Plan(VM, NOON, None, (attach,) * now, tuple(Withheld(attach, hold) for hold in holds))


def step_lines(*steps: Change | Withheld) -> list[str]:
    """Return the lines about a machine, without its heading and the blank line after it."""
    plan = Plan(
        VM,
        NOON,
        changes=tuple(step for step in steps if not isinstance(step, Withheld)),
        withheld=tuple(step for step in steps if isinstance(step, Withheld)),
    )
    comparison = Comparison(observed(machine()), Desired(), plan)
    heading, nobody, *lines, blank = text.subject_lines([comparison], POLICY)
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
            AttachIdentity(VM, APP),
            ["  + attach identity shared: identity missing", f"      id      {APP}"],
        ),
        (
            DetachIdentity(VM, APP, Reason.IDENTITY_GONE),
            [
                "  - detach identity shared: identity is gone, its entry is dead",
                f"      id      {APP}",
            ],
        ),
        (
            DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED),
            [
                f"  ~ detach and attach again identity shared: {Reason.IDENTITY_RECREATED}",
                f"      id      {APP}",
            ],
        ),
        (
            CreateAssignment(Grant(CUSTOM, DATA, "@x"), None, ""),
            [
                f"  + grant role {CUSTOM}: role assignment missing",
                f"      at      {DATA}",
                "      to      its identity, once that is there",
                "      if      @x",
            ],
        ),
        (
            UpdateAssignment(ASSIGNMENT, Grant(READER, DATA), "", Reason.MARKER_DIFFERS),
            [
                "  ~ update Reader: marker differs",
                f"      at      {DATA}",
                f"      to      {STRANGER}",
                f"      id      {ASSIGNMENT.id}",
            ],
        ),
        (
            DeleteAssignment(ASSIGNMENT, Reason.UNWANTED),
            [
                "  - remove Reader: no policy asks for it",
                f"      at      {DATA}",
                f"      from    {STRANGER}",
                f"      id      {ASSIGNMENT.id}",
            ],
        ),
    ],
)
def test_a_change_shows_role_name_scope_principal_and_reason(
    change: Change, lines: list[str]
) -> None:
    """Only a custom role shows its GUID; the machine is in the heading."""
    assert step_lines(change) == lines


def test_a_waiting_change_shows_when_and_under_which_condition_it_is_made() -> None:
    """Only what a person must decide about is shown as withheld."""
    heal = DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED)
    remove = DeleteAssignment(ASSIGNMENT, Reason.RESOURCE_GONE)
    later = NOON + timedelta(seconds=4.2)

    lines = step_lines(
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
        f"at      {DATA}",
        "once    it is proved that its resource is gone",
        "next    wait; it is looked at again by itself",
    ]


@pytest.mark.parametrize(
    ("held", "awaited"),
    [
        (
            Withheld(
                DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED),
                Hold.UNCONFIRMED,
                "a second look finds the entry as dead",
            ),
            "a second look finds the entry as dead",
        ),
        (
            Withheld(DetachIdentity(VM, APP, Reason.IDENTITY_GONE), Hold.UNCONFIRMED),
            "it is proved that shared is gone",
        ),
        (
            Withheld(AttachIdentity(VM, APP), Hold.UNCONFIRMED),
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
def test_a_passing_hold_names_the_condition_that_lifts_it(held: Withheld, awaited: str) -> None:
    assert text.wait_condition(held) == awaited


@pytest.mark.parametrize("hold", Hold)
def test_every_hold_ends_in_its_next_step(hold: Hold) -> None:
    """In the plan and in the log."""
    held = Withheld(DeleteAssignment(ASSIGNMENT, Reason.UNWANTED), hold)
    plan = Plan(VM, NOON, withheld=(held,))

    assert hold.next_step
    assert f"      next    {hold.next_step}" in step_lines(held)
    (logged,) = text.log_lines(plan)
    assert logged.endswith(f", next {hold.next_step}")


def test_an_audit_hold_names_each_entry_that_asks_and_its_place() -> None:
    """Each of them must say repair before anything is done."""
    grant = Grant(READER, DATA)
    desired = Desired(
        attach=(Wanted(APP, Mode.AUDIT, ("rule b", "rule a")),),
        system=Wanted(None, Mode.AUDIT, ("rule a",)),
        grants=(Wanted(grant, Mode.AUDIT, ("rule a",)),),
        unresolved=(
            Wanted(nowhere("{location}"), Mode.AUDIT, ("rule b",)),
            Wanted(nowhere("{maps.m[tags.env]}"), Mode.AUDIT, ("rule a",)),
        ),
    )
    withheld = (
        Withheld(AttachIdentity(VM, None), Hold.AUDIT),
        Withheld(AttachIdentity(VM, APP), Hold.AUDIT),
        Withheld(CreateAssignment(grant, None, ""), Hold.AUDIT),
        Withheld(DeleteAssignment(ASSIGNMENT, Reason.PRINCIPAL_REPLACED), Hold.AUDIT),
        Withheld(CreateAssignment(nowhere("{location}"), None, ""), Hold.AUDIT),
        Withheld(AttachIdentity(VM, None), Hold.AUDIT, "of today"),
    )
    # The rules themselves, which the plan's last lines describe, are not needed here.
    plan = Plan(VM, NOON, withheld=withheld)
    lines = text.subject_lines([Comparison(observed(None), desired, plan)], POLICY)

    assert [line.strip() for line in lines if line.startswith("      because ")] == [
        "because policy says audit: rule a (a.yaml:3)",
        "because policy says audit: rule a (a.yaml:3), rule b (b.yaml:4)",
        "because policy says audit: rule a (a.yaml:3)",
        "because policy says audit: rule a (a.yaml:3)",
        "because policy says audit: rule b (b.yaml:4)",
        "because policy says audit: rule a (a.yaml:3): of today",
    ]


def test_a_missing_id_without_remains_is_shown_as_such() -> None:
    """Most often it was mistyped."""
    comparison = Comparison(observed(None), Desired(), Plan(VM, NOON))

    assert "  does not exist (nothing of ours is left of it)" in list(
        text.subject_lines([comparison], POLICY)
    )


@pytest.mark.parametrize("hold", [Hold.UNRESOLVED, Hold.EXEMPT, Hold.ROLLOUT, Hold.AUDIT])
def test_a_grant_without_scope_shows_its_template_once(hold: Hold) -> None:
    """There is no other name for it, whatever else keeps it back."""
    create = CreateAssignment(nowhere("{maps.m[tags.env]}"), STRANGER, "")
    detail = "{maps.m[tags.env]}: no tag" if hold is Hold.UNRESOLVED else ""
    held = Withheld(create, hold, detail)
    plan = Plan(VM, NOON, withheld=(held,))

    (logged,) = text.log_lines(plan)

    assert sum("{maps.m[tags.env]}" in line for line in step_lines(held)) == 1
    assert logged.count("{maps.m[tags.env]}") == 1
    assert not any(str(VM) in line for line in [*step_lines(held), logged])


def test_an_outcome_is_one_line_with_action_place_holder_and_answer() -> None:
    delete = DeleteAssignment(ASSIGNMENT, Reason.UNWANTED)

    attach = AttachIdentity(VM, APP)
    detach = DetachIdentity(VM, APP, Reason.IDENTITY_RECREATED)
    create = CreateAssignment(Grant(READER, DATA), STRANGER, "")

    assert [
        text.outcome_line(outcome, VM)
        for outcome in (
            Outcome(delete, Status.BLOCKED, "locked", next_step="take it off"),
            Outcome(None, Status.BLOCKED, "no right"),
            Outcome(AttachIdentity(VM, None), Status.DONE),
            Outcome(attach, Status.DONE),
            Outcome(detach, Status.DONE),
            Outcome(create, Status.DONE),
        )
    ] == [
        f"blocked: remove Reader at rg-data from {STRANGER}: locked; next: take it off",
        "blocked: no right; next: mend what the message names; the next event or sweep tries again",
        "done: switch on the system-assigned identity of vm1",
        "done: attach identity shared to vm1",
        "done: detach identity shared from vm1",
        "done: grant Reader at rg-data to vm1",
    ]


@pytest.mark.parametrize(
    ("now", "holds", "line", "question"),
    [
        (1, [], "1 to attach", "Attach 1?"),
        (0, [Hold.BUSY], "1 to attach later", "Attach 1 later?"),
        (
            2,
            [Hold.BUSY, Hold.AUDIT],
            "2 to attach, 1 to attach later, 1 withheld",
            "Attach 2, attach 1 later?",
        ),
    ],
)
def test_summary_and_question_count_what_is_done_now_and_later(
    now: int, holds: list[Hold], line: str, question: str
) -> None:
    """The last line of a plan, and what is asked before it is carried out."""
    plan = attaching(now, holds)

    assert text.summary([plan]) == line
    assert text.question([plan]) == question


@pytest.mark.parametrize(
    ("holds", "line"),
    [([], "nothing to change"), ([Hold.AUDIT, Hold.AUDIT], "nothing to change, 2 withheld")],
)
def test_the_summary_of_a_plan_without_changes_says_so(holds: list[Hold], line: str) -> None:
    assert text.summary([attaching(0, holds)]) == line


HOSTILE = ("##vso[task.complete]", "##[set-env name=X]y", "\u202e::add-mask::x", "\n::error::x")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_foreign_text_is_no_command_in_the_log(hostile: str) -> None:
    """Conditions, templates, reasons of exemptions, and Azure's own words."""
    change = CreateAssignment(Grant(READER, DATA, hostile), None, "")
    unresolved = CreateAssignment(nowhere(f"{{maps.{hostile}}}"), None, "")
    plan = Plan(
        VM,
        NOON,
        changes=(change,),
        withheld=(
            Withheld(change, Hold.EXEMPT, hostile),
            Withheld(unresolved, Hold.AUDIT, hostile),
        ),
    )

    for line in text.log_lines(plan):
        assert line.isprintable()
        assert "##" not in line
        assert not line.startswith("::")
