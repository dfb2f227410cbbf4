"""One subject compared with policy, and what all output formats share.

`reconciler.cli` makes a `Comparison` of each subject that it reads. The formats beside this module
take from here the verbs, the totals, the next steps, and what an entry of policy hands out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.changes import (
    CONTENDED,
    NOT_WATCHED,
    STUCK,
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
from reconciler.model import Desired, Observed
from reconciler.policy import Policy
from reconciler.policy.model import Grant

VERBS = ("create", "attach", "detach", "reattach", "grant", "update", "remove")
"""All that is done to a subject, in the order in which summaries count it."""

_VERB_BY_CHANGE: Mapping[type[Change], str] = {
    CreateIdentity: "create",
    AttachIdentity: "attach",
    DetachIdentity: "detach",
    CreateAssignment: "grant",
    UpdateAssignment: "update",
    DeleteAssignment: "remove",
}

_NEXT_STEP_BY_CODE: Mapping[str, str] = {
    CONTENDED: (
        "stop the other writer, or let policy ask for what it writes; it is tried once an hour"
    ),
    NOT_WATCHED: (
        "name a virtual machine or user-assigned identity in a watched subscription, or watch more "
        "(RECONCILER_SUBSCRIPTIONS, RECONCILER_MANAGEMENT_GROUPS)"
    ),
    STUCK: "look at the resource itself: time alone does not help",
}
"""What a person does about a blocked outcome that brings no next step of its own."""

_ANY_NEXT_STEP = "mend what the message names; the next event or sweep tries again"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One subject: what was observed, what policy wants of it, and the plan that follows."""

    observed: Observed
    desired: Desired
    plan: Plan

    @property
    def wanted_by(self) -> frozenset[str]:
        """The rules and identities that want something here, named as in `Policy.origins`."""
        desired = self.desired
        wants = (
            *desired.attach,
            *desired.grants,
            *desired.ensured,
            *desired.unwelcome,
            *([desired.system] if desired.system else []),
            *desired.unresolved,
        )
        return frozenset(name for wanted in wants for name in wanted.by)

    def asked_by(self, change: Change) -> tuple[str, ...]:
        """Return the rules and identities of policy that ask for what a change is about."""
        desired = self.desired
        match change:
            case CreateIdentity(new):
                names = [wanted.by for wanted in desired.ensured if wanted.what == new]
            case AttachIdentity(_, None):
                names = [desired.system.by] if desired.system else []
            case AttachIdentity(_, identity) | DetachIdentity(_, identity):
                attached = (*desired.attach, *desired.unwelcome)
                names = [wanted.by for wanted in attached if wanted.what == identity]
            case CreateAssignment(right) | UpdateAssignment(_, right) | DeleteAssignment(right):
                names = [
                    wanted.by
                    for wanted in (*desired.grants, *desired.unresolved)
                    if (wanted.what.role, wanted.what.scope) == (right.role, right.scope)
                ]
        return tuple(name for group in names for name in group)


def verb(change: Change) -> str:
    """Return what is done, as one of `VERBS`."""
    if isinstance(change, DetachIdentity) and change.reason is Reason.IDENTITY_RECREATED:
        return "reattach"
    return _VERB_BY_CHANGE[type(change)]


def totals(plans: Iterable[Plan]) -> dict[str, int]:
    """Return the number of changes by verb, of those that wait, and of those that are withheld."""
    numbers = dict.fromkeys((*VERBS, "later", "withheld"), 0)
    for plan in plans:
        numbers["later"] += len(plan.waiting)
        numbers["withheld"] += len(plan.lasting)
        for change in plan.changes:
            numbers[verb(change)] += 1
    return numbers


def hold_next_step(held: Withheld, plan: Plan) -> str:
    """Return what a person does about a hold: wait, where the same plan creates what is missing."""
    attached = held.change.identity if isinstance(held.change, AttachIdentity) else None
    created = {change.new.id for change in plan.changes if isinstance(change, CreateIdentity)}
    if held.hold is Hold.IDENTITY_ABSENT and attached in created:
        return "wait; this plan creates it, and the look after that attaches it"
    return held.hold.next_step


def outcome_next_step(outcome: Outcome) -> str:
    """Return what a person does about an outcome, or "" where nobody needs to act."""
    if outcome.next_step or outcome.status is not Status.BLOCKED:
        return outcome.next_step
    return _NEXT_STEP_BY_CODE.get(outcome.code, _ANY_NEXT_STEP)


def rights_of_entry(name: str, policy: Policy) -> tuple[list[str], str]:
    """Return what a rule or an identity of policy hands out, and a note on who thereby holds it.

    `name` is one of `Comparison.wanted_by`: "rule <name>" or "identity <name>".
    """
    rule = next((rule for rule in policy.rules if name == f"rule {rule.name}"), None)
    rights: list[str] = []
    grants: Sequence[Grant] = ()
    if rule is None:
        grants = policy.identities[name.removeprefix("identity ")].grants
        note = "whoever can write a resource that carries this identity holds its rights"
    else:
        rights += [f"identity {attached}" for attached in rule.attach]
        if rule.system:
            rights.append("system-assigned identity")
            grants = rule.system.grants
        # Whoever can create, tag or name a resource chooses what it matches, and whoever runs code
        # on it acts as its identities.
        match = rule.match
        selectors = (
            ("named", match.name),
            ("in groups", match.resource_group),
            ("located in", match.location),
            ("of kind", match.kind),
            ("tagged", [f"{key}={value}" for key, value in sorted(match.tags.items())]),
        )
        narrowed = "".join(f" {how} {', '.join(globs)}" for how, globs in selectors if globs)
        within = ", ".join(str(scope) for scope in rule.within)
        note = f"whoever can write {', '.join(match.type)}{narrowed} in {within} holds these rights"
    rights += [f"{grant.role.name} at {grant.scope}" for grant in grants]
    return rights, note
