"""Whether policy stays below its guardrails, as far as that can be told without an account.

`reconciler.policy.load` is the only caller. What a placeholder will stand for is known only with
the resource, so the plan decides again, exactly; what a map may give is known, so each of its
entries is held against the guardrails here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
from reconciler.policy.language.templates import MapEntry, Maps, names
from reconciler.roles import Role

type Mistake = tuple[tuple[str | int, ...], str]
"""Where, below the rule or identity, and what."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The guardrails, and the maps by which scopes are named."""

    guardrails: Guardrails
    maps: Maps

    def of_identity(self, identity: Identity) -> Iterable[Mistake]:
        """Find what guardrails forbid about an identity."""
        if identity.id in self.guardrails.protected:
            yield ("id",), f"{GUARDRAILS_FILE} protects this identity, so policy may not name it"
        if identity.mode is not Mode.REPAIR:
            return
        if not any(scope.contains(identity.id) for scope in self.guardrails.identities):
            message = (
                f"{GUARDRAILS_FILE} lets no identity of policy live here; "
                "add its scope there under 'identities', or choose mode: audit"
            )
            yield ("id",), message
        for index, grant in enumerate(identity.grants):
            at_home = grant.model_copy(update={"scope": _at_home(grant.scope, identity.id)})
            yield from self._of_grant(("grants", index), at_home, ())

    def of_rule(self, rule: Rule) -> Iterable[Mistake]:
        """Find what guardrails forbid about a rule."""
        if rule.mode is not Mode.REPAIR or rule.system is None:
            return
        for index, grant in enumerate(rule.system.grants):
            yield from self._of_grant(("system", "grants", index), grant, rule.within)

    def _of_grant(
        self, path: tuple[str | int, ...], grant: Grant, within: tuple[ResourceId, ...]
    ) -> Iterator[Mistake]:
        """Report a grant once, for the first of the places that its scope may name."""
        messages = (
            self._forbidden(grant.role, scope, within)
            for scope in _with_entries(grant.scope, self.maps)
        )
        yield from ((path, message) for message in list(filter(None, messages))[:1])

    def _forbidden(self, role: Role, scope: str, within: tuple[ResourceId, ...]) -> str | None:
        try:
            anchors = _anchors(scope, within)
        except ResourceIdError as error:
            return str(error)
        exact = "{" not in scope
        covering = [
            entry
            for entry in self.guardrails.grants
            if _names(entry, role)
            and any(
                entry.scope.contains(anchor) or (not exact and anchor.contains(entry.scope))
                for anchor in anchors
            )
        ]
        if any(entry.privileged or not role.privileged for entry in covering):
            return None
        if covering:
            return (
                f"'{role.name}' is privileged, and {GUARDRAILS_FILE} allows it at "
                f"'{scope}' only with 'privileged: true'"
            )
        return (
            f"{GUARDRAILS_FILE} does not allow '{role.name}' at '{scope}'; "
            "add it there under 'grants', or choose mode: audit"
        )


def _names(entry: GuardrailGrant, role: Role) -> bool:
    return any(allowed.guid == role.guid for allowed in entry.roles)


def _with_entries(scope: str, maps: Maps) -> Iterator[str]:
    """Yield a scope for each entry of the map that it picks from; it can only begin with one."""
    for name in names(scope):
        if entry := MapEntry.parse(name):
            for value in maps.get(entry.map, {}).values():
                yield scope.replace(f"{{{name}}}", str(value))
            return
    yield scope


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
