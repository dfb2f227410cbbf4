"""Plans and outcomes as lines of text, for the terminal and for the log.

The first sign of a line says what it is: `+ ~ -` a change, now or later, `!` a change that is
withheld. Each hold ends in its next step. `reconciler.cli` shows `plan_lines`, and colours them by
that sign; `reconciler.reconcile` logs `log_lines` and `outcome_line`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from reconciler import changes
from reconciler.changes import (
    AttachIdentity,
    Change,
    CreateAssignment,
    CreateIdentity,
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
from reconciler.model import Unresolved
from reconciler.policy import Policy
from reconciler.render.comparison import (
    VERBS,
    Comparison,
    hold_next_step,
    outcome_next_step,
    rights_of_entry,
    verb,
)
from reconciler.roles import role_name
from reconciler.wording import printable

type Details = list[tuple[str, str]]

_SIGNS = {
    "create": "+",
    "attach": "+",
    "detach": "-",
    "reattach": "~",
    "grant": "+",
    "update": "~",
    "remove": "-",
}

_WIDTH = len("because")


def plan_lines(comparisons: Sequence[Comparison], policy: Policy) -> Iterator[str]:
    """Yield the plan of several subjects, who wants it, its fingerprint and its summary."""
    yield from subject_lines(comparisons, policy)
    names = sorted({name for comparison in comparisons for name in comparison.wanted_by})
    for name in names:
        rights, note = rights_of_entry(name, policy)
        yield f"{name} ({policy.origins.get(name, 'policy')}): {', '.join(rights)}"
        yield f"  {note}"
    if names:
        yield ""
    plans = tuple(comparison.plan for comparison in comparisons)
    yield f"fingerprint {changes.fingerprint(plans)}"
    yield summary(plans)


def subject_lines(comparisons: Iterable[Comparison], policy: Policy) -> Iterator[str]:
    """Yield what is to change and what is withheld for each subject, and a blank line after it."""
    for comparison in comparisons:
        plan = comparison.plan
        yield str(plan.id)
        if comparison.observed.subject is None:
            yield f"  does not exist{' (nothing of ours is left of it)' if plan.compliant else ''}"
        elif not comparison.wanted_by:
            yield "  no rule or identity in policy asks anything for it"
        for exemption in policy.exemptions:
            if exemption.covers(plan.id) and not exemption.in_force(plan.at):
                yield f"  its exemption ended with {exemption.expires}: {exemption.reason}"
        for change in plan.changes:
            yield f"  {_SIGNS[verb(change)]} {_headline(change)}: {change.reason}"
            yield from _aligned(_details(change), plan.id)
        for held in (*plan.waiting, *plan.lasting):
            detail = held.detail
            if held.hold is Hold.AUDIT:
                # Every entry that asks for it must be in repair mode, so each is named.
                asking = sorted(comparison.asked_by(held.change))
                origins = [f"{name} ({policy.origins.get(name, 'policy')})" for name in asking]
                detail = ": ".join(part for part in (", ".join(origins), detail) if part)
            # What time alone lifts is shown as a change that will be made.
            sign = _SIGNS[verb(held.change)] if held.hold.passing else "!"
            yield f"  {sign} {_held_headline(held, plan)}: {held.change.reason}"
            yield from _aligned(_held_details(held, plan, detail), plan.id)
        if plan.compliant:
            yield "  nothing to change"
        yield ""


def log_lines(plan: Plan) -> Iterator[str]:
    """Yield one line, with all details, for each change, now or later, and each withheld change."""
    entries = [(_headline(change), change, _details(change)) for change in plan.changes]
    for held in (*plan.waiting, *plan.lasting):
        details = _held_details(held, plan, held.detail)
        entries.append((_held_headline(held, plan), held.change, details))
    for headline, change, details in entries:
        listed = ", ".join(f"{key} {text}" for key, text in details)
        yield printable(f"{headline}: {change.reason}; {listed}")


def outcome_line(outcome: Outcome, subject: ResourceId) -> str:
    """Return one line on what became of a change; names stand for the ids that its plan shows."""
    match outcome.change:
        case None:
            parts = []
        case CreateIdentity(new):
            parts = [f"{_headline(outcome.change)} in {new.location}"]
        case AttachIdentity(resource, identity):
            preposition = "to" if identity else "of"
            parts = [f"{_headline(outcome.change)} {preposition} {resource.name}"]
        case DetachIdentity(resource, identity):
            # Attaching it again is an outcome of its own.
            parts = [f"detach identity {identity.name} from {resource.name}"]
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            scope = grant.scope
            place = scope.template if isinstance(scope, Unresolved) else scope.name or str(scope)
            parts = [f"{_headline(outcome.change)} at {place} to {subject.name}"]
        case DeleteAssignment(assignment):
            place = assignment.scope.name or str(assignment.scope)
            parts = [f"{_headline(outcome.change)} at {place} from {assignment.principal}"]
        case _:
            assert_never(outcome.change)
    line = ": ".join([str(outcome.status), *parts, *([outcome.detail] if outcome.detail else [])])
    step = outcome_next_step(outcome) if outcome.status is Status.BLOCKED else ""
    return f"{line}; next: {step}" if step else line


def summary(plans: Sequence[Plan]) -> str:
    """Return one line that counts what is to be done, now and later, and what is withheld."""
    parts = [f"{number} to {doing}{later}" for doing, number, later in _counted_verbs(plans)]
    lasting = sum(len(plan.lasting) for plan in plans)
    withheld = [f"{lasting} withheld"] if lasting else []
    return ", ".join([*(parts or ["nothing to change"]), *withheld])


def question(plans: Sequence[Plan]) -> str:
    """Return what `apply` asks before it writes, such as "Grant 1, remove 1 later?"."""
    parts = [f"{doing} {number}{later}" for doing, number, later in _counted_verbs(plans)]
    return f"{', '.join(parts).capitalize()}?"


def wait_condition(held: Withheld) -> str:
    """Return the condition under which a passing hold lifts, such as "the resource is built"."""
    match held.hold, held.change:
        case Hold.SETTLING, _:
            condition = "the resource is built"
        case Hold.BUSY, _:
            condition = "the change to the resource that is under way has ended"
        case Hold.REPLACING, _:
            condition = "what replaces it is there"
        # It waits for a proof, and most often says for which.
        case Hold.UNCONFIRMED, _ if held.detail:
            return held.detail
        case Hold.UNCONFIRMED, AttachIdentity():
            return "a dead entry beside it is proved dead, and gone"
        case Hold.UNCONFIRMED, DetachIdentity(_, identity):
            return f"it is proved that {identity.name} is gone"
        case Hold.UNCONFIRMED, DeleteAssignment(_, Reason.RESOURCE_GONE):
            return "it is proved that its resource is gone"
        case Hold.UNCONFIRMED, _:
            return "it is proved that its principal is gone"
        case _:
            condition = f"this has passed: {held.hold}"
    return f"{condition} ({held.detail})" if held.detail else condition


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def _counted_verbs(plans: Sequence[Plan]) -> Iterator[tuple[str, int, str]]:
    """Yield each verb that occurs, how often, and " later" for what waits."""
    now = Counter(verb(change) for plan in plans for change in plan.changes)
    later = Counter(verb(held.change) for plan in plans for held in plan.waiting)
    yield from ((doing, now[doing], "") for doing in VERBS if now[doing])
    yield from ((doing, later[doing], " later") for doing in VERBS if later[doing])


def _headline(change: Change) -> str:
    match change:
        case CreateIdentity(new):
            return f"create identity {new.id.name}"
        case AttachIdentity(_, identity):
            if identity is None:
                return "switch on the system-assigned identity"
            return f"attach identity {identity.name}"
        case DetachIdentity(_, identity, Reason.IDENTITY_RECREATED):
            # The same run attaches it again.
            return f"detach and attach again identity {identity.name}"
        case DetachIdentity(_, identity):
            return f"detach identity {identity.name}"
        case CreateAssignment(right) | UpdateAssignment(_, right) | DeleteAssignment(right):
            return f"{verb(change)} {role_name(right.role)}"
        case _:
            assert_never(change)


def _held_headline(held: Withheld, plan: Plan) -> str:
    """Return the headline of a withheld change; for a passing hold also when it may lift."""
    headline = _headline(held.change)
    if not held.hold.passing:
        return f"withheld: {headline}"
    if held.until is None:
        return f"{headline} later"
    return f"{headline} in {max(0, math.ceil((held.until - plan.at).total_seconds()))} s"


def _details(change: Change) -> Details:
    """Return the whole ids and names of a change, each with the word before it."""
    match change:
        case CreateIdentity(new):
            tags = ", ".join(f"{name}={value}" for name, value in new.tags)
            tagged = [("tags", tags)] if tags else []
            return [("id", str(new.id)), ("in", new.location), *tagged]
        case AttachIdentity(resource, None):
            return [("of", str(resource))]
        case AttachIdentity(resource, identity):
            return [("id", str(identity)), ("to", str(resource))]
        case DetachIdentity(resource, identity):
            return [("id", str(identity)), ("from", str(resource))]
        case CreateAssignment(grant) | UpdateAssignment(_, grant):
            scope = ("at", str(grant.scope))
            if isinstance(grant.scope, Unresolved):
                scope = ("template", grant.scope.template)
            condition = [("if", grant.condition)] if grant.condition else []
            if isinstance(change, CreateAssignment):
                holder = change.principal or "its identity, once that is there"
                return [scope, ("to", holder), *condition]
            assignment = change.assignment
            return [scope, ("to", assignment.principal), *condition, ("id", str(assignment.id))]
        case DeleteAssignment(assignment):
            return [
                ("at", str(assignment.scope)),
                ("from", assignment.principal),
                ("id", str(assignment.id)),
            ]
        case _:
            assert_never(change)


def _held_details(held: Withheld, plan: Plan, detail: str) -> Details:
    """Return the details of a withheld change, what lifts its hold, and the next step."""
    shown = _details(held.change)
    if held.hold is Hold.UNRESOLVED:
        # The hold's own detail begins with the template.
        shown = [(key, text) for key, text in shown if key != "template"]
    if held.hold.passing:
        shown.append(("once", wait_condition(held)))
    else:
        shown.append(("because", f"{held.hold}: {detail}" if detail else str(held.hold)))
    return [*shown, ("next", hold_next_step(held, plan))]


def _aligned(details: Details, subject: ResourceId) -> Iterator[str]:
    """Yield details one a line; the subject's own id is left out, as the heading shows it."""
    for key, text in details:
        if text != str(subject):
            yield f"      {key:{_WIDTH}} {text}"
