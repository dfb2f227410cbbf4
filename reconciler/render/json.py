"""The same findings and outcomes as JSON values; docs/cli.md lists the keys.

The command line prints them; outcome events carry those that need no finding.
"""

from collections.abc import Sequence
from typing import Any

from reconciler import changes
from reconciler.changes import Change, Outcome, Plan, Withheld
from reconciler.policy import Policy
from reconciler.render import origins
from reconciler.render.text import Finding, totals
from reconciler.render.words import next_step, step_of
from reconciler.roles import role_name

type Json = dict[str, Any]


def plan(findings: Sequence[Finding], policy: Policy) -> Json:
    """Return the plan of several subjects."""
    plans = tuple(finding.plan for finding in findings)
    wanted_by = sorted({name for finding in findings for name in finding.wanted_by})
    return {
        "fingerprint": changes.fingerprint(plans),
        "summary": totals(plans),
        "plans": [_subject(finding) for finding in findings],
        "policy": [
            {
                "name": name,
                "origin": policy.origins.get(name),
                "rights": origins.rights(name, policy),
                "note": origins.note(name, policy),
            }
            for name in wanted_by
        ],
    }


def outcome(one: Outcome) -> Json:
    """Return what became of one change."""
    return {
        "change": _change(one.change) if one.change else None,
        "status": one.status.name,
        "code": one.code,
        "detail": one.detail,
        "nextStep": next_step(one),
    }


def look(plan: Plan) -> Json:
    """Return what one look led to, as far as its plan tells."""
    return {
        "id": str(plan.id),
        "fingerprint": plan.fingerprint,
        "changes": [_change(change) for change in plan.changes],
        "withheld": [_withheld(held, plan) for held in plan.withheld],
    }


def _subject(finding: Finding) -> Json:
    asked = [sorted(finding.asked_by(held.change)) for held in finding.plan.withheld]
    told = look(finding.plan)
    withheld = zip(told["withheld"], asked, strict=True)
    return {
        **told,
        "exists": finding.observed.subject is not None,
        "withheld": [{**held, "askedBy": names} for held, names in withheld],
        "wantedBy": sorted(finding.wanted_by),
    }


def _change(change: Change) -> Json:
    content = changes.describe(change)
    role = content.get("role")
    return {**content, "roleName": role_name(role)} if role else dict(content)


def _withheld(held: Withheld, plan: Plan) -> Json:
    return {
        "change": _change(held.change),
        "hold": held.hold.name,
        "because": str(held.hold),
        "detail": held.detail,
        "nextStep": step_of(held, plan),
        "passing": held.hold.passing,
        "until": held.until.isoformat() if held.until else None,
    }
