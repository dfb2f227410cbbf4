"""Says in words what was found, what would change and what became of it; pure.

The command line prints these lines; `reconciler.report.values` says the same as JSON. The first
sign of a line tells what it is: `+ ~ -` for a change, `!` for one that is withheld.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from reconciler import changes, roles
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    DeleteAssignment,
    DetachIdentity,
    Outcome,
    Plan,
    UpdateAssignment,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import USER_ASSIGNED_IDENTITY, Desired, Grant, Observed
from reconciler.policy.language import Policy
from reconciler.report import origins

type Details = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at one id: what was there, what policy wants of it, and the plan."""

    observed: Observed
    desired: Desired
    plan: Plan

    @property
    def is_identity(self) -> bool:
        """Whether it is a user-assigned identity, be it there or gone."""
        return self.plan.id.is_type(USER_ASSIGNED_IDENTITY)

    @property
    def wanted_by(self) -> frozenset[str]:
        """The rules and identity entries that speak of it, as `Policy.origins` names them."""
        system = [self.desired.system] if self.desired.system else []
        unresolved = [wanted for wanted, _ in self.desired.unresolved]
        wants = (*self.desired.attach, *self.desired.grants, *system, *unresolved)
        return frozenset(name for wanted in wants for name in wanted.by)


def printable(text: str) -> str:
    """Replace what a terminal would obey rather than show: control and bidirectional characters."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def role_name(guid: str) -> str:
    """Return a built-in role's name, and the GUID of any other."""
    role = roles.table().lookup(guid)
    return role.name if role else f"role {guid}"


def plan_lines(findings: Sequence[Finding], policy: Policy) -> Iterator[str]:
    """Yield the plan of several subjects, who wants it, its fingerprint and its summary."""
    yield from subject_lines(findings)
    wanted_by = sorted({name for finding in findings for name in finding.wanted_by})
    for name in wanted_by:
        yield from origins.lines(name, policy)
    if wanted_by:
        yield ""
    plans = tuple(finding.plan for finding in findings)
    yield f"fingerprint {changes.fingerprint(plans)}"
    yield summary(plans)


def subject_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield for each subject what is to change and what is withheld, with a blank line after it."""
    for finding in findings:
        yield from _subject(finding)
        yield ""


def summary(plans: Iterable[Plan]) -> str:
    """Return one line that counts what is to be done."""
    numbers = totals(plans)
    withheld = f"{numbers['withheld']} withheld"
    always = ("attach", "grant", "remove")
    shown = [
        f"{number} to {verb}"
        for verb, number in numbers.items()
        if verb != "withheld" and (number or verb in always)
    ]
    if not any(number for verb, number in numbers.items() if verb != "withheld"):
        return f"nothing to change, {withheld}" if numbers["withheld"] else "nothing to change"
    return ", ".join([*shown, withheld])


def totals(plans: Iterable[Plan]) -> dict[str, int]:
    """Count the changes by what is done, and what is withheld."""
    numbers = dict.fromkeys(("attach", "detach", "grant", "update", "remove", "withheld"), 0)
    for plan in plans:
        numbers["withheld"] += len(plan.withheld)
        for change in plan.changes:
            numbers[_verb(change)] += 1
    return numbers


def outcome_line(outcome: Outcome) -> str:
    """Return what became of one change, in one line."""
    if outcome.change is None:
        return f"{outcome.status}: {outcome.detail}"
    details = " ".join(f"{key} {text}" for key, text in _details(outcome.change))
    line = f"{outcome.status}: {_headline(outcome.change)} {details}"
    return f"{line}: {outcome.detail}" if outcome.detail else line


def withheld_because(held: Withheld) -> str:
    """Return the hold with its detail and the time at which it may lift."""
    until = f", until {held.until:%H:%M:%S %Z}" if held.until else ""
    return f"{held.hold}{': ' if held.detail else ''}{held.detail}{until}"


def _subject(finding: Finding) -> Iterator[str]:
    plan = finding.plan
    yield str(plan.id)
    if finding.observed.subject is None:
        yield "  does not exist"
    elif not finding.wanted_by:
        yield "  no rule or identity in policy asks anything for it"
    for change in plan.changes:
        yield f"  {_SIGNS[_verb(change)]} {_headline(change)}: {change.reason}"
        yield from _aligned(_details(change), plan.id)
    for held in plan.withheld:
        yield f"  ! withheld: {_headline(held.change)}: {held.change.reason}"
        because = ("because", withheld_because(held))
        yield from _aligned([*_withheld_details(held), because], plan.id)
    if plan.compliant:
        yield "  nothing to change"


_SIGNS = {"attach": "+", "detach": "-", "grant": "+", "update": "~", "remove": "-"}


def _verb(change: Change) -> str:
    match change:
        case AttachIdentity():
            return "attach"
        case DetachIdentity():
            return "detach"
        case CreateAssignment():
            return "grant"
        case UpdateAssignment():
            return "update"
        case DeleteAssignment():
            return "remove"
        case _:
            assert_never(change)


def _headline(change: Change) -> str:
    match change:
        case AttachIdentity(_, None):
            return "switch on the system-assigned identity"
        case AttachIdentity(_, identity) | DetachIdentity(_, identity):
            return f"{_verb(change)} identity {identity.name if identity else ''}"
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            return f"{_verb(change)} {role_name(grant.role)}"
        case DeleteAssignment(assignment):
            return f"remove {role_name(assignment.role)}"
        case _:
            assert_never(change)


def _details(change: Change) -> Details:
    match change:
        case AttachIdentity(resource, None):
            return [("of", str(resource))]
        case AttachIdentity(resource, identity) | DetachIdentity(resource, identity):
            preposition = "to" if isinstance(change, AttachIdentity) else "from"
            return [("id", str(identity)), (preposition, str(resource))]
        case CreateAssignment(grant, principal):
            return _grant(grant, principal or "its identity, once that is there")
        case UpdateAssignment(assignment, grant):
            return [*_grant(grant, assignment.principal), ("id", str(assignment.id))]
        case DeleteAssignment(assignment):
            return [
                ("at", str(assignment.scope)),
                ("from", assignment.principal),
                ("id", str(assignment.id)),
            ]
        case _:
            assert_never(change)


def _grant(grant: Grant, principal: str) -> Details:
    condition = [("if", grant.condition)] if grant.condition else []
    return [("at", str(grant.scope)), ("to", principal), *condition]


def _withheld_details(held: Withheld) -> Details:
    details = _details(held.change)
    if isinstance(held.change, CreateAssignment) and held.detail:
        # Its scope cannot be named; the hold's detail is how policy wrote it.
        return [(key, text) for key, text in details if key != "at"]
    return details


def _aligned(details: Details, subject: ResourceId) -> Iterator[str]:
    """Yield details below each other; what the heading says already is left out."""
    shown = [(key, text) for key, text in details if text != str(subject)]
    width = max((len(key) for key, _ in shown), default=0)
    for key, text in shown:
        yield f"      {key:{width}} {text}"
