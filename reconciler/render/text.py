"""Says in words what was found, what would change and what became of it; pure.

The command line prints these lines; `reconciler.render.json` says the same as JSON. The first
sign of a line tells what it is: `+ ~ -` for a change, now or later, `!` for one that is withheld;
each hold ends in its next step.
`log_lines` says it for the log.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler import changes
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
    DeleteAssignment,
    DetachIdentity,
    Hold,
    Plan,
    UpdateAssignment,
    Withheld,
)
from reconciler.ids import ResourceId
from reconciler.model import USER_ASSIGNED_IDENTITY, Desired, Observed, Unresolved
from reconciler.policy import Policy
from reconciler.printable import printable
from reconciler.render import origins
from reconciler.render.words import (
    SIGNS,
    VERBS,
    Details,
    counted,
    details,
    headline,
    once,
    outcome_line,
    step_of,
    verb,
    when,
)

__all__ = [
    "Finding",
    "because",
    "counted",
    "log_lines",
    "once",
    "outcome_line",
    "plan_lines",
    "printable",
    "subject_lines",
    "summary",
    "todo",
    "totals",
]

_WIDTH = len("because")


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
        desired = self.desired
        wants = (
            *desired.attach,
            *desired.grants,
            *desired.ensured,
            *desired.unwelcome,
            *system,
            *desired.unresolved,
        )
        return frozenset(name for wanted in wants for name in wanted.by)

    def asked_by(self, change: Change) -> tuple[str, ...]:
        """Return the rules and identity entries that ask for what a change is about."""
        match change:
            case CreateIdentity(new):
                by = tuple(
                    name for one in self.desired.ensured if one.what == new for name in one.by
                )
            case AttachIdentity(_, None):
                by = self.desired.system.by if self.desired.system else ()
            case AttachIdentity(_, identity) | DetachIdentity(_, identity):
                attach = (*self.desired.attach, *self.desired.unwelcome)
                by = tuple(name for one in attach if one.what == identity for name in one.by)
            case CreateAssignment(grant) | UpdateAssignment(_, grant):
                by = self._asking_for(grant.role, grant.scope)
            case DeleteAssignment(assignment):
                by = self._asking_for(assignment.role, assignment.scope)
        return by

    def _asking_for(self, role: str, scope: ResourceId | Unresolved) -> tuple[str, ...]:
        grants = (*self.desired.grants, *self.desired.unresolved)
        asking = [one.by for one in grants if (one.what.role, one.what.scope) == (role, scope)]
        return tuple(name for by in asking for name in by)


def plan_lines(findings: Sequence[Finding], policy: Policy) -> Iterator[str]:
    """Yield the plan of several subjects, who wants it, its fingerprint and its summary."""
    yield from subject_lines(findings, policy)
    wanted_by = sorted({name for finding in findings for name in finding.wanted_by})
    for name in wanted_by:
        yield from origins.lines(name, policy)
    if wanted_by:
        yield ""
    plans = tuple(finding.plan for finding in findings)
    yield f"fingerprint {changes.fingerprint(plans)}"
    yield summary(plans)


def subject_lines(findings: Iterable[Finding], policy: Policy) -> Iterator[str]:
    """Yield for each subject what is to change and what is withheld, with a blank line after it."""
    for finding in findings:
        yield from _subject(finding, policy)
        yield ""


def log_lines(plan: Plan) -> Iterator[str]:
    """Yield each change, now or later, and what is withheld, each whole and on one line."""
    for change in plan.changes:
        yield _whole(headline(change), change, details(change))
    for held in plan.waiting:
        doing = f"{headline(held.change)} {when(held, plan)}"
        more = [("once", once(held)), ("next", step_of(held, plan))]
        yield _whole(doing, held.change, [*details(held.change), *more])
    for held in plan.lasting:
        why = f"{held.hold}: {held.detail}" if held.detail else str(held.hold)
        more = [("because", why), ("next", step_of(held, plan))]
        doing = f"withheld: {headline(held.change)}"
        yield _whole(doing, held.change, [*_withheld_details(held), *more])


def _whole(doing: str, change: Change, shown: Details) -> str:
    listed = ", ".join(f"{key} {text}" for key, text in shown)
    return printable(f"{doing}: {change.reason}; {listed}")


def summary(plans: Sequence[Plan]) -> str:
    """Return one line that counts what is to be done, now and later, and what is withheld."""
    parts = [f"{number} to {doing}{later}" for doing, number, later in _counted(plans)]
    lasting = sum(len(plan.lasting) for plan in plans)
    withheld = [f"{lasting} withheld"] if lasting else []
    return ", ".join([*(parts or ["nothing to change"]), *withheld])


def todo(plans: Sequence[Plan]) -> str:
    """Return what a yes would do, such as "Grant 1, remove 1 later"."""
    parts = [f"{doing} {number}{later}" for doing, number, later in _counted(plans)]
    return ", ".join(parts).capitalize()


def _counted(plans: Sequence[Plan]) -> Iterator[tuple[str, int, str]]:
    """Yield what is done, how often, and whether later; what there is none of is left out."""
    now = Counter(verb(change) for plan in plans for change in plan.changes)
    later = Counter(verb(held.change) for plan in plans for held in plan.waiting)
    yield from ((each, now[each], "") for each in VERBS if now[each])
    yield from ((each, later[each], " later") for each in VERBS if later[each])


def totals(plans: Iterable[Plan]) -> dict[str, int]:
    """Count the changes by what is done, those that wait, and what is withheld."""
    numbers = dict.fromkeys((*VERBS, "later", "withheld"), 0)
    for plan in plans:
        numbers["later"] += len(plan.waiting)
        numbers["withheld"] += len(plan.lasting)
        for change in plan.changes:
            numbers[verb(change)] += 1
    return numbers


def because(held: Withheld, finding: Finding, policy: Policy) -> str:
    """Return a lasting hold with its detail; for audit, who says so and where."""
    said = held.detail
    if held.hold is Hold.AUDIT:
        names = sorted(finding.asked_by(held.change))
        by = ", ".join(f"{name} ({policy.origins.get(name, 'policy')})" for name in names)
        said = ": ".join(part for part in (by, held.detail) if part)
    return f"{held.hold}: {said}" if said else str(held.hold)


def _subject(finding: Finding, policy: Policy) -> Iterator[str]:
    plan = finding.plan
    yield str(plan.id)
    if finding.observed.subject is None:
        yield f"  does not exist{' (nothing of ours is left of it)' if plan.compliant else ''}"
    elif not finding.wanted_by:
        yield "  no rule or identity in policy asks anything for it"
    for exemption in policy.exemptions:
        if exemption.covers(plan.id) and not exemption.in_force(plan.at):
            yield f"  its exemption ended with {exemption.expires}: {exemption.reason}"
    for change in plan.changes:
        yield f"  {SIGNS[verb(change)]} {headline(change)}: {change.reason}"
        yield from _aligned(details(change), plan.id)
    for held in plan.waiting:
        change = held.change
        yield f"  {SIGNS[verb(change)]} {headline(change)} {when(held, plan)}: {change.reason}"
        more = [("once", once(held)), ("next", step_of(held, plan))]
        yield from _aligned([*details(change), *more], plan.id)
    for held in plan.lasting:
        yield f"  ! withheld: {headline(held.change)}: {held.change.reason}"
        more = [("because", because(held, finding, policy)), ("next", step_of(held, plan))]
        yield from _aligned([*_withheld_details(held), *more], plan.id)
    if plan.compliant:
        yield "  nothing to change"


def _withheld_details(held: Withheld) -> Details:
    if held.hold is Hold.UNRESOLVED:
        # The hold's own detail begins with the template.
        return [(key, text) for key, text in details(held.change) if key != "template"]
    return details(held.change)


def _aligned(shown: Details, subject: ResourceId) -> Iterator[str]:
    """Yield details below each other; what the heading says already is left out."""
    for key, text in shown:
        if text != str(subject):
            yield f"      {key:{_WIDTH}} {text}"
