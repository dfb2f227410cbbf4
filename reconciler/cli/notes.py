"""What is sound in policy but does nothing, or not what its author may think.

`reconciler validate` is the only caller; each note is one line with the place it is about.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from reconciler import roles
from reconciler.azure.client import API_VERSIONS
from reconciler.ids import fold
from reconciler.model import Mode
from reconciler.policy import Policy, desired
from reconciler.policy.model import FULL_ROLLOUT, GUARDRAILS_FILE, Identity, Rule
from reconciler.policy.templates import beginning, entries

_GLOB = re.compile(r"[*?\[]")
_MEANS_NOTHING = re.compile("[|{}\u201c-\u201f\u2018-\u201b\u00ab\u00bb]")
"""What other languages of patterns know, and quotes as word processors write them."""


def of(policy: Policy, now: datetime) -> Iterator[str]:
    """Yield all notes on a policy, on what is exempt until when at a time in UTC."""
    yield from _of_exemptions(policy, now)
    yield from _of_maps(policy)
    yield from _of_identities(policy)
    yield from _of_roles(policy)
    for rule in policy.rules:
        where = policy.origins[f"rule {rule.name}"]
        for note in (*_of_match(rule), *_of_rule(policy, rule)):
            yield f"{where}: {note}"


def _of_exemptions(policy: Policy, now: datetime) -> Iterator[str]:
    for number, exemption in enumerate(policy.exemptions):
        where = policy.origins[f"exemption {number}"]
        if not exemption.in_force(now):
            yield (
                f"{where}: the exemption of {exemption.scope} is past: {exemption.expires}; "
                "delete it, or give a later day"
            )
        elif not desired.reaches(policy, exemption.scope):
            yield (
                f"{where}: no rule and no identity speaks of {exemption.scope}: its exemption has "
                "no effect unless policy once granted something there; check the id"
            )


def _of_maps(policy: Policy) -> Iterator[str]:
    systems = [rule.system.grants for rule in policy.rules if rule.system]
    own = [entry.grants for entry in policy.identities.values()]
    scopes = [grant.scope for grants in (*systems, *own) for grant in grants]
    used = {entry.map for scope in scopes for entry in entries(scope)}
    for name in policy.maps:
        if name not in used:
            yield f"{policy.origins[f'map {name}']}: no grant picks from map '{name}'"


def _of_identities(policy: Policy) -> Iterator[str]:
    attached = {name for rule in policy.rules for name in rule.attach}
    for name, entry in policy.identities.items():
        # An exclusive one says that nobody may carry it.
        if name not in attached and not entry.grants and not entry.exclusive:
            where = policy.origins[f"identity {name}"]
            yield f"{where}: identity '{name}' is neither attached nor granted anything"


def _of_roles(policy: Policy) -> Iterator[str]:
    """Say which roles are named by a GUID that only Azure may know."""
    named = {
        f"{policy.origins[f'identity {name}']}: ": [grant.role for grant in entry.grants]
        for name, entry in policy.identities.items()
    }
    for rule in policy.rules:
        granted = rule.system.grants if rule.system else ()
        named[f"{policy.origins[f'rule {rule.name}']}: "] = [grant.role for grant in granted]
    allowed = [role for entry in policy.guardrails.grants for role in entry.roles]
    named[f"{GUARDRAILS_FILE}: "] = allowed
    for where, found in named.items():
        for guid in sorted({role.guid for role in found if role.by_guid}):
            yield (
                f"{where}role {guid} is not among the built-in roles as of {roles.table().as_of}: "
                "it counts as privileged until a plan has read it from Azure; check the GUID"
            )


def _of_match(rule: Rule) -> Iterator[str]:
    for name in rule.match.type:
        if fold(name) not in API_VERSIONS:
            yield f"this version does not reconcile {name}"
    match = rule.match
    for glob in (*match.resource_group, *match.name, *match.kind, *match.tags.values()):
        if found := _MEANS_NOTHING.search(glob):
            yield f"'{glob}' asks for the sign {found[0]} itself, which means nothing in a glob"


def _of_rule(policy: Policy, rule: Rule) -> Iterator[str]:
    if rule.mode is Mode.AUDIT:
        if rule.rollout < FULL_ROLLOUT:
            yield "rollout has no effect without mode: repair"
        for name in rule.attach:
            if policy.identities[name].mode is Mode.REPAIR and not _repaired(policy, name):
                yield f"'{name}' is in repair, but this rule only audits: it is not attached"
        return
    if rule.rollout == 0:
        yield "rollout: 0 repairs nothing; give a share, or choose mode: audit"
    for name in rule.attach:
        identity = policy.identities[name]
        if identity.mode is Mode.AUDIT and (lacks := " and ".join(_only_told(identity))):
            yield f"'{name}' is attached, but its own mode is audit: it {lacks}"
        yield from _withheld(policy, rule, name)


def _repaired(policy: Policy, name: str) -> bool:
    """Tell whether any rule attaches an identity in earnest."""
    return any(rule.mode is Mode.REPAIR and name in rule.attach for rule in policy.rules)


def _only_told(identity: Identity) -> Iterator[str]:
    if identity.grants:
        yield "gets no rights"
    if identity.ensure:
        yield "is not created where it is missing"
    if identity.exclusive:
        yield "is not detached where no rule attaches it"


def _withheld(policy: Policy, rule: Rule, name: str) -> Iterator[str]:
    """Say where guardrails allow only some of the identities that a template stands for."""
    identity = policy.identities[name].id
    if identity.exact or identity.text.startswith("{"):
        # Which subscriptions there will be is known only with the resources.
        return
    asked = rule.match.location
    exact = asked and not any(map(_GLOB.search, asked))
    for location in asked if exact else ("{location}",):
        known = beginning(identity.text.replace("{location}", location))
        if not known or not any(one.contains(known[0]) for one in policy.guardrails.identities):
            allows = f"does not allow '{name}' in {location}; there"
            if not exact:
                allows = f"allows '{name}' only in some places; elsewhere"
            yield f"{GUARDRAILS_FILE} {allows} it is withheld"
