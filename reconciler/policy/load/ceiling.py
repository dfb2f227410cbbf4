"""Whether policy stays below its guardrails, as far as that can be told without an account.

`reconciler.policy.load` is the only caller. What a placeholder will stand for is known only with
the resource, so the plan decides again, exactly.
"""

from collections.abc import Iterable

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId
from reconciler.model import Mode
from reconciler.policy.language import (
    GUARDRAILS_FILE,
    Grant,
    GuardrailGrant,
    Guardrails,
    Identity,
    Rule,
)
from reconciler.roles import Role

type Mistake = tuple[tuple[str | int, ...], str]
"""Where, below the rule or identity, and what."""


def of_identity(identity: Identity, guardrails: Guardrails) -> Iterable[Mistake]:
    """Find what guardrails forbid about an identity."""
    if identity.id in guardrails.protected:
        yield ("id",), f"{GUARDRAILS_FILE} protects this identity, so policy may not name it"
    if identity.mode is not Mode.REPAIR:
        return
    if not any(scope.contains(identity.id) for scope in guardrails.identities):
        message = (
            f"{GUARDRAILS_FILE} lets no identity of policy live here; "
            "add its scope there under 'identities', or choose mode: audit"
        )
        yield ("id",), message
    for index, grant in enumerate(identity.grants):
        at_home = grant.model_copy(update={"scope": _at_home(grant.scope, identity.id)})
        yield from _of_grant(("grants", index), at_home, (), guardrails)


def of_rule(rule: Rule, guardrails: Guardrails) -> Iterable[Mistake]:
    """Find what guardrails forbid about a rule."""
    if rule.mode is not Mode.REPAIR or rule.system is None:
        return
    for index, grant in enumerate(rule.system.grants):
        yield from _of_grant(("system", "grants", index), grant, rule.within, guardrails)


def _of_grant(
    path: tuple[str | int, ...],
    grant: Grant,
    within: tuple[ResourceId, ...],
    guardrails: Guardrails,
) -> Iterable[Mistake]:
    anchors = _anchors(grant.scope, within)
    exact = "{" not in grant.scope
    covering = [
        entry
        for entry in guardrails.grants
        if _names(entry, grant.role)
        and any(
            entry.scope.contains(anchor) or (not exact and anchor.contains(entry.scope))
            for anchor in anchors
        )
    ]
    if any(entry.privileged or not grant.role.privileged for entry in covering):
        return
    if covering:
        message = (
            f"'{grant.role.name}' is privileged, and {GUARDRAILS_FILE} allows it at "
            f"'{grant.scope}' only with 'privileged: true'"
        )
    else:
        message = (
            f"{GUARDRAILS_FILE} does not allow '{grant.role.name}' at '{grant.scope}'; "
            "add it there under 'grants', or choose mode: audit"
        )
    yield path, message


def _names(entry: GuardrailGrant, role: Role) -> bool:
    return any(allowed.guid == role.guid for allowed in entry.roles)


def _at_home(scope: str, identity: ResourceId) -> str:
    """Fill in what an identity's id says about its own place; its location is not in it."""
    for name, place in (
        ("{id}", identity),
        ("{resourceGroup}", identity.group_id),
        ("{subscription}", identity.subscription_id),
    ):
        scope = scope.replace(name, str(place))
    return scope


def _anchors(scope: str, within: tuple[ResourceId, ...]) -> tuple[ResourceId, ...]:
    """Return what is known about where a scope will lie: it or a place around it."""
    if scope.startswith("{"):
        return within
    known, brace, _ = scope.partition("{")
    if not brace:
        return (ResourceId.parse(known),)
    while "/" in known:
        known = known.rpartition("/")[0]
        try:
            return (ResourceId.parse(known),)
        except ResourceIdError:
            continue
    return ()
