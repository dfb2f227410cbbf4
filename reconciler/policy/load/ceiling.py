"""Whether policy stays below its guardrails, as far as that can be told without an account.

`reconciler.policy.load` is the only caller. What a placeholder will stand for is known only with
the resource, so the plan decides again, exactly; what a map may give is known, so each of its
entries is held against the guardrails here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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
from reconciler.policy.language.templates import IdentityTemplate, Maps, beginning, with_entries
from reconciler.roles import Role

type Mistake = tuple[tuple[str | int, ...], str]
"""Where, below the rule or identity, and what."""


@dataclass(frozen=True)
class Ceiling:
    """The guardrails, and the maps and identities that policy names."""

    guardrails: Guardrails
    maps: Maps
    identities: Mapping[str, Identity]

    @cached_property
    def _naming(self) -> Mapping[str, Sequence[GuardrailGrant]]:
        """The guardrails' entries by the role (GUID) that they name."""
        found: dict[str, list[GuardrailGrant]] = defaultdict(list)
        for entry in self.guardrails.grants:
            for guid in dict.fromkeys(role.guid for role in entry.roles):
                found[guid].append(entry)
        return found

    def of_identity(self, identity: Identity) -> Iterable[Mistake]:
        """Find what guardrails forbid about an identity."""
        if identity.id.exact in self.guardrails.protected:
            message = (
                f"{GUARDRAILS_FILE} protects '{identity.id.text}', so policy may not name it; "
                "delete one of the two"
            )
            yield ("id",), message
        if identity.mode is not Mode.REPAIR:
            return
        if not self._may_live(identity):
            message = (
                f"{GUARDRAILS_FILE} does not allow the identity '{identity.id.text}'; "
                f"{_to_allow(identity.id)}"
            )
            yield ("id",), message
        for index, grant in enumerate(identity.grants):
            at_home = grant.model_copy(update={"scope": _at_home(grant.scope, identity.id)})
            yield from self._of_grant(("grants", index), at_home, ())

    def of_rule(self, rule: Rule) -> Iterable[Mistake]:
        """Find what guardrails forbid about a rule."""
        if rule.mode is not Mode.REPAIR:
            return
        for index, name in enumerate(rule.attach):
            identity = self.identities.get(name)
            # One in repair mode is told of itself, once and not for each rule.
            if identity and identity.mode is Mode.AUDIT and not self._may_live(identity):
                message = (
                    f"{GUARDRAILS_FILE} does not allow the identity '{name}', "
                    f"'{identity.id.text}'; {_to_allow(identity.id)}"
                )
                yield ("attach", index), message
        for index, grant in enumerate(rule.system.grants if rule.system else ()):
            yield from self._of_grant(("system", "grants", index), grant, rule.within)

    def _may_live(self, identity: Identity) -> bool:
        return any(_may_lie(identity.id.text, one, ()) for one in self.guardrails.identities)

    def _of_grant(
        self, path: tuple[str | int, ...], grant: Grant, within: tuple[ResourceId, ...]
    ) -> Iterator[Mistake]:
        """Report a grant once, for the first of the places that its scope may name."""
        # Each on its own, since a guardrail that covers one of them says nothing of the others.
        alone: list[tuple[ResourceId, ...]] = [(one,) for one in within] or [()]
        messages = (
            self._forbidden(grant.role, scope, around)
            for scope in with_entries(grant.scope, self.maps)
            # Where a scope does not begin with a placeholder, all of them come to the same.
            for around in (alone if scope.startswith("{") else [()])
        )
        if message := next(filter(None, messages), None):
            yield path, message

    def _forbidden(self, role: Role, scope: str, within: tuple[ResourceId, ...]) -> str | None:
        covering: ResourceId | None = None
        try:
            for entry in self._naming.get(role.guid, ()):
                if _may_lie(scope, entry.scope, within):
                    # How far a custom role reaches is read at every plan.
                    if entry.privileged or not role.privileged or role.custom:
                        return None
                    covering = entry.scope
        except ResourceIdError as error:
            return str(error)
        where = f"'{scope}'"
        if within and scope.startswith("{"):
            where += f" within '{within[0]}'"
        if covering:
            return (
                f"'{role.name}' is privileged, and {GUARDRAILS_FILE} allows it at "
                f"{where} only with 'privileged: true'; add that to its entry for '{covering}'"
            )
        place = _narrowest(scope, within) or "<the id of where it lies>"
        privileged = ", privileged: true" if role.privileged and not role.custom else ""
        entry_text = f"- {{scope: {place}, roles: [{role.name}]{privileged}}}"
        return (
            f"{GUARDRAILS_FILE} does not allow '{role.name}' at {where}; "
            f"add \"{entry_text}\" there under 'grants', or choose mode: audit"
        )


def _to_allow(identity: IdentityTemplate) -> str:
    known = None if identity.group.startswith("{") else beginning(identity.group)
    what = f'"- {known[0]}"' if known else "its group or subscription"
    return f"add {what} there under 'identities', or choose mode: audit"


def _narrowest(scope: str, within: tuple[ResourceId, ...]) -> ResourceId | None:
    """Return the narrowest place known in which a scope will lie."""
    name, brace, rest = scope.partition("}")
    if name[:1] != "{":
        known = beginning(scope)
    elif within and (base := _named(name + brace, within[0])):
        known = beginning(f"{base}{rest}")
    else:
        return within[0] if within else None
    return known[0] if known else None


def _named(placeholder: str, place: ResourceId) -> ResourceId | None:
    """Return what a placeholder stands for, where that is the same for all that lies in a place."""
    of = {"{resourceGroup}": place.group_id, "{subscription}": place.subscription_id}
    return of.get(placeholder)


def _at_home(scope: str, identity: IdentityTemplate) -> str:
    """Fill in what an identity's id says about its own place; its location is not in it."""
    for name, place in (
        ("{id}", identity.text),
        ("{resourceGroup}", identity.group),
        ("{subscription}", identity.subscription),
    ):
        scope = scope.replace(name, place)
    return scope


def _may_lie(template: str, place: ResourceId, within: tuple[ResourceId, ...]) -> bool:
    """Tell whether a template may come to lie at or below a place.

    `within` is where the resources lie that its placeholders speak of; none where they may lie
    anywhere.
    """
    return any(
        place.contains(anchor) or (not exact and anchor.contains(place))
        for anchor, exact in _anchors(template, place, within)
    )


def _anchors(
    template: str, place: ResourceId, within: tuple[ResourceId, ...]
) -> Iterator[tuple[ResourceId, bool]]:
    """Yield what is known about where a template will lie, and whether just there or below."""
    if template.startswith("{subscription}"):
        subscriptions = {one.subscription_id or one for one in within or (place,)}
        for one in subscriptions:
            filled = template.replace("{subscription}", str(one)) if one.subscription else str(one)
            yield from filter(None, [beginning(filled)])
    elif template.startswith("{"):
        yield from ((one, False) for one in within)
    else:
        yield from filter(None, [beginning(template)])
