"""`reconciler validate`: checks policy, without an account and without any other setting.

Mistakes make it fail. Notes name what is sound and yet does nothing, or not what its author may
think.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reconciler import roles
from reconciler.cli import terminal
from reconciler.cli.terminal import Format
from reconciler.errors import PolicyError, Problem
from reconciler.ids import fold
from reconciler.model import Mode
from reconciler.policy import Policy, desired, load
from reconciler.policy.model import FULL_ROLLOUT, GUARDRAILS_FILE, Grant, Rule
from reconciler.policy.templates import beginning, entries
from reconciler.render.text import counted
from reconciler.resource_types import CARRIERS

_GLOB: Final = re.compile(r"[*?\[]")
_MEANINGLESS_IN_GLOB: Final = re.compile("[|{}\u201c-\u201f\u2018-\u201b\u00ab\u00bb]")
"""What other languages of patterns know, and quotes as word processors write them."""


def validate(
    folder: Annotated[
        Path, typer.Argument(envvar="RECONCILER_POLICIES", help="The folder with the policy files.")
    ] = Path("policies"),
    output: Format = "text",
) -> int:
    """Check all policy files as one; needs no account.

    Every mistake is told as file:line:column: message. Exit code: 0 sound, 1 mistakes.
    """
    # Files that are not read may explain a mistake, so they are noted next to mistakes, too.
    notes = list(load.unread_files(folder))
    problems: tuple[Problem, ...] = ()
    answer: dict[str, Any] = {}
    line = ""
    try:
        policy = load.load(folder)
    except PolicyError as error:
        problems = error.problems
    else:
        notes += policy_notes(policy, datetime.now(UTC))
        rules, identities = len(policy.rules), len(policy.identities)
        answer = {"digest": policy.digest, "rules": rules, "identities": identities}
        counts = f"{counted(rules, 'rule')}, {counted(identities, 'identity', 'identities')}"
        line = f"{folder}: {counts}, digest {policy.digest[:12]}"
    for note in notes:
        terminal.info(f"note: {note}")
    if output == "json":
        described = [asdict(problem) for problem in problems]
        terminal.answer_json({**answer, "problems": described, "notes": notes})
    elif problems:
        for problem in problems:
            terminal.info(str(problem))
        terminal.info(f"{counted(len(problems), 'problem')} in {folder}")
    else:
        terminal.answer([line])
    return 1 if problems else 0


def policy_notes(policy: Policy, now: datetime) -> Iterator[str]:
    """Yield what is sound in a policy but does nothing, each as one line with its place.

    `now`, in UTC, says which exemptions have ended.
    """
    for number, exemption in enumerate(policy.exemptions):
        origin = policy.origins[f"exemption {number}"]
        if not exemption.in_force(now):
            yield (
                f"{origin}: the exemption of {exemption.scope} is past: {exemption.expires}; "
                "delete it, or give a later day"
            )
        elif not desired.reaches(policy, exemption.scope):
            yield (
                f"{origin}: no rule and no identity speaks of {exemption.scope}: its exemption has "
                "no effect unless policy once granted something there; check the id"
            )
    own = [entry.grants for entry in policy.identities.values()]
    system = [rule.system.grants for rule in policy.rules if rule.system]
    scopes = [grant.scope for grants in (*own, *system) for grant in grants]
    used_maps = {entry.map for scope in scopes for entry in entries(scope)}
    for name in policy.maps:
        if name not in used_maps:
            yield f"{policy.origins[f'map {name}']}: no grant picks from map '{name}'"
    attached = {name for rule in policy.rules for name in rule.attach}
    for name, identity in policy.identities.items():
        # An exclusive one says that nobody may carry it.
        if name not in attached and not identity.grants and not identity.exclusive:
            origin = policy.origins[f"identity {name}"]
            yield f"{origin}: identity '{name}' is neither attached nor granted anything"
    yield from _role_notes(policy)
    for rule in policy.rules:
        origin = policy.origins[f"rule {rule.name}"]
        for note in (*_match_notes(rule), *_mode_notes(policy, rule)):
            yield f"{origin}: {note}"


def _role_notes(policy: Policy) -> Iterator[str]:
    """Yield the roles that are named by a GUID which only Azure may know."""
    grants: dict[str, Sequence[Grant]] = {}
    for name, identity in policy.identities.items():
        grants[f"identity {name}"] = identity.grants
    for rule in policy.rules:
        grants[f"rule {rule.name}"] = rule.system.grants if rule.system else ()
    named = {policy.origins[name]: [grant.role for grant in grants[name]] for name in grants}
    named[GUARDRAILS_FILE] = [role for rail in policy.guardrails.grants for role in rail.roles]
    for origin, granted in named.items():
        for guid in sorted({role.guid for role in granted if role.by_guid}):
            yield (
                f"{origin}: role {guid} is not among the built-in roles as of "
                f"{roles.table().as_of}: it counts as privileged until a plan has read it from "
                "Azure; check the GUID"
            )


def _match_notes(rule: Rule) -> Iterator[str]:
    match = rule.match
    for name in match.type:
        if fold(name) not in CARRIERS:
            yield f"this version does not reconcile {name}"
    for glob in (*match.resource_group, *match.name, *match.kind, *match.tags.values()):
        if meaningless := _MEANINGLESS_IN_GLOB.search(glob):
            sign = meaningless[0]
            yield f"'{glob}' asks for the sign {sign} itself, which means nothing in a glob"


def _mode_notes(policy: Policy, rule: Rule) -> Iterator[str]:
    """Yield what modes and guardrails keep a rule from doing for its identities."""
    repaired = {
        name for other in policy.rules if other.mode is Mode.REPAIR for name in other.attach
    }
    if rule.mode is Mode.AUDIT:
        if rule.rollout < FULL_ROLLOUT:
            yield "rollout has no effect without mode: repair"
        for name in rule.attach:
            if policy.identities[name].mode is Mode.REPAIR and name not in repaired:
                yield f"'{name}' is in repair, but this rule only audits: it is not attached"
        return
    if rule.rollout == 0:
        yield "rollout: 0 repairs nothing; give a share, or choose mode: audit"
    for name in rule.attach:
        identity = policy.identities[name]
        lacks = (
            ("gets no rights", identity.grants),
            ("is not created where it is missing", identity.ensure),
            ("is not detached where no rule attaches it", identity.exclusive),
        )
        lacking = " and ".join(lack for lack, asked in lacks if asked)
        if identity.mode is Mode.AUDIT and lacking:
            yield f"'{name}' is attached, but its own mode is audit: it {lacking}"
        yield from _guardrail_notes(policy, rule, name)


def _guardrail_notes(policy: Policy, rule: Rule, name: str) -> Iterator[str]:
    """Yield the locations in which guardrails do not allow the identity that a template names."""
    identity = policy.identities[name].id
    if identity.exact or identity.text.startswith("{"):
        # Which subscriptions there will be is known only with the resources.
        return
    locations = rule.match.location
    exact = locations and not any(map(_GLOB.search, locations))
    for location in locations if exact else ("{location}",):
        start = beginning(identity.text.replace("{location}", location))
        if start and any(scope.contains(start[0]) for scope in policy.guardrails.identities):
            continue
        if exact:
            yield (f"{GUARDRAILS_FILE} does not allow '{name}' in {location}; there it is withheld")
        else:
            yield (
                f"{GUARDRAILS_FILE} allows '{name}' only in some places; elsewhere it is withheld"
            )
