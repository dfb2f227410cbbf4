"""Plans and outcomes as JSON values; docs/cli.md lists the keys.

The commands print `plan` and `outcome`; outcome events carry `subject_plan` and `outcome`.
"""

from collections.abc import Sequence
from typing import Any

from reconciler import changes
from reconciler.changes import Change, Outcome, Plan
from reconciler.policy import Policy
from reconciler.render.comparison import (
    Comparison,
    hold_next_step,
    outcome_next_step,
    rights_of_entry,
    totals,
)
from reconciler.roles import role_name

type Json = dict[str, Any]


def plan(comparisons: Sequence[Comparison], policy: Policy) -> Json:
    """Return the plan of several subjects."""
    subjects = []
    for comparison in comparisons:
        subject = subject_plan(comparison.plan)
        for entry, held in zip(subject["withheld"], comparison.plan.withheld, strict=True):
            entry["askedBy"] = sorted(comparison.asked_by(held.change))
        subject["exists"] = comparison.observed.subject is not None
        subject["wantedBy"] = sorted(comparison.wanted_by)
        subjects.append(subject)
    entries = []
    for name in sorted({name for comparison in comparisons for name in comparison.wanted_by}):
        rights, note = rights_of_entry(name, policy)
        origin = policy.origins.get(name)
        entries.append({"name": name, "origin": origin, "rights": rights, "note": note})
    plans = tuple(comparison.plan for comparison in comparisons)
    return {
        "fingerprint": changes.fingerprint(plans),
        "summary": totals(plans),
        "plans": subjects,
        "policy": entries,
    }


def subject_plan(plan: Plan) -> Json:
    """Return the plan of one subject; it needs no `Comparison`, so outcome events can carry it."""
    return {
        "id": str(plan.id),
        "fingerprint": plan.fingerprint,
        "changes": [_change(change) for change in plan.changes],
        "withheld": [
            {
                "change": _change(held.change),
                "hold": held.hold.name,
                "because": str(held.hold),
                "detail": held.detail,
                "nextStep": hold_next_step(held, plan),
                "passing": held.hold.passing,
                "until": held.until.isoformat() if held.until else None,
            }
            for held in plan.withheld
        ],
    }


def outcome(outcome: Outcome) -> Json:
    """Return what became of one change."""
    return {
        "change": _change(outcome.change) if outcome.change else None,
        "status": outcome.status.name,
        "code": outcome.code,
        "detail": outcome.detail,
        "nextStep": outcome_next_step(outcome),
    }


def _change(change: Change) -> Json:
    content = changes.describe(change)
    role = content.get("role")
    return {**content, "roleName": role_name(role)} if role else dict(content)
