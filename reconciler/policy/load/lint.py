"""What is well written in policy and still wrong: it can mean nothing, or guardrails forbid it.

`reconciler.policy.load` asks this of every sound rule and identity. What a placeholder will stand
for is known only with the resource, so the plan holds each grant against the guardrails again; what
a map may give is known, so each of its entries is held against them here.
"""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, product
from typing import Final

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId, fold
from reconciler.model import Mode
from reconciler.policy.model import GUARDRAILS_FILE, Grant, Guardrails, Identity, Match, Rule
from reconciler.policy.templates import (
    IdentityTemplate,
    MapEntry,
    Maps,
    beginning,
    entries,
    location_name,
    with_entries,
)
from reconciler.policy.yaml import Path
from reconciler.roles import Role

type Mistake = tuple[Path, str]
"""Where, below the rule or identity, and what."""

_MOST_PAIRS: Final = 10_000
"""Globs times what they may fit; with more of them this is not checked."""


@dataclass(frozen=True)
class Lint:
    """Finds what can mean nothing, given the maps of policy, whether it audits or repairs."""

    maps: Maps

    def identity_mistakes(self, identity: Identity) -> Iterator[Mistake]:
        """Yield what can mean nothing in an identity."""
        yield from self._picks(("grants",), identity.grants)

    def rule_mistakes(self, rule: Rule) -> Iterator[Mistake]:
        """Yield what can mean nothing in a rule."""
        groups = {fold(place.group) for place in rule.within if place.group}
        few = len(groups) * len(rule.match.resource_group) <= _MOST_PAIRS
        if few and all(place.group for place in rule.within):
            for index, glob in enumerate(rule.match.resource_group):
                if not fnmatch.filter(groups, fold(glob)):
                    message = f"'{glob}' can never match: no group that 'within' names fits it"
                    yield ("match", "resourceGroup", index), message
        # A place may be a match, or its parent, such as the set of a member.
        types = [fold(name).split("/") for name in rule.match.type]
        asked = {around for parts in types for around in accumulate(parts, "{}/{}".format)}
        for index, place in enumerate(rule.within):
            if place.blocks and fold(place.type) not in asked:
                holds = f"a {place.type} holds none of what 'match' asks for"
                message = f"'{place}' can never match: {holds}; name a group or subscription"
                yield ("within", index), message
        if rule.system:
            yield from self._picks(("system", "grants"), rule.system.grants, rule.match)

    def _picks(
        self, path: Path, grants: Sequence[Grant], match: Match | None = None
    ) -> Iterator[Mistake]:
        """Yield grants that pick from a map by what two of its keys are, or none of them is."""
        # Once for each pick, since many grants may pick from a large map.
        messages: dict[MapEntry, list[str]] = {}
        for index, grant in enumerate(grants):
            for entry in entries(grant.scope):
                if entry not in messages:
                    messages[entry] = list(self._never_picked(entry, match) if match else ())
                    if entry.map in self._doubled and not entry.tag:
                        # Which entry counts would hang on their order.
                        messages[entry].append(f"{self._doubled[entry.map]}; keep one of them")
                for message in messages[entry]:
                    yield (*path, index, "scope"), message

    @cached_property
    def _doubled(self) -> Mapping[str, str]:
        """By map: which two of its keys are one location."""
        doubled: dict[str, str] = {}
        for name, ids in self.maps.items():
            first: dict[str, str] = {}
            for key in ids:
                if (other := first.setdefault(location_name(key), key)) != key:
                    doubled[name] = f"'{other}' and '{key}' of map '{name}' are one location"
                    break
        return doubled

    def _never_picked(self, entry: MapEntry, match: Match) -> Iterator[str]:
        keys = list(self.maps.get(entry.map, {}))
        if entry.tag:
            what, fits = f"tag '{entry.tag}'", keys
            asked = [glob for tag, glob in match.tags.items() if fold(tag) == fold(entry.tag)]
        else:
            what, fits, asked = "location", list(map(location_name, keys)), list(match.location)
        few = 0 < len(keys) * len(asked) <= _MOST_PAIRS
        if few and not any(fnmatch.fnmatchcase(*pair) for pair in product(fits, asked)):
            yield (
                f"no key of map '{entry.map}' is a {what} that 'match' asks for "
                f"({', '.join(asked)}); it has {', '.join(keys)}; add one"
            )


@dataclass(frozen=True)
class GuardrailLint:
    """Finds what guardrails forbid, given the identities and maps of policy."""

    guardrails: Guardrails
    identities: Mapping[str, Identity]
    maps: Maps

    def identity_mistakes(self, identity: Identity) -> Iterator[Mistake]:
        """Yield what guardrails forbid about an identity."""
        if identity.id.exact in self.guardrails.protected:
            names = f"{GUARDRAILS_FILE} protects '{identity.id.text}', so policy may not name it"
            yield ("id",), f"{names}; delete one of the two"
        if identity.mode is not Mode.REPAIR:
            return
        if not self._may_live(identity.id):
            yield ("id",), _not_allowed(f"'{identity.id.text}'", identity.id)
        for index, grant in enumerate(identity.grants):
            scope = grant.scope
            for placeholder, place in _own_places(identity.id).items():
                scope = scope.replace(placeholder, place)
            yield from self._forbidden(("grants", index), grant.role, scope, ())

    def rule_mistakes(self, rule: Rule) -> Iterator[Mistake]:
        """Yield what guardrails forbid about a rule."""
        if rule.mode is not Mode.REPAIR:
            return
        for index, name in enumerate(rule.attach):
            identity = self.identities.get(name)
            # One in repair mode has this mistake itself, once and not for each rule.
            if identity and identity.mode is Mode.AUDIT and not self._may_live(identity.id):
                message = _not_allowed(f"'{name}', '{identity.id.text}'", identity.id)
                yield ("attach", index), message
        for index, grant in enumerate(rule.system.grants if rule.system else ()):
            path = ("system", "grants", index)
            yield from self._forbidden(path, grant.role, grant.scope, rule.within)

    def _may_live(self, identity: IdentityTemplate) -> bool:
        return any(_may_lie(identity.text, place, None) for place in self.guardrails.identities)

    def _forbidden(
        self, path: Path, role: Role, template: str, within: tuple[ResourceId, ...]
    ) -> Iterator[Mistake]:
        """Yield a grant that cannot be allowed, once, for the first scope that it may come to."""
        for scope in with_entries(template, self.maps):
            # Each place on its own, since a guardrail that covers one says nothing of the others.
            # A scope that does not begin with a placeholder is the same in all of them.
            for place in (scope.startswith("{") and within) or (None,):
                if message := self._not_granted(role, scope, place):
                    yield path, message
                    return

    def _not_granted(self, role: Role, scope: str, within: ResourceId | None) -> str | None:
        """Return why a role cannot be granted at a scope, for resources in a place, if so."""
        covering: ResourceId | None = None
        try:
            for entry in self.guardrails.grants:
                named = any(role.guid == allowed.guid for allowed in entry.roles)
                if named and _may_lie(scope, entry.scope, within):
                    # How far a custom role reaches is read at every plan.
                    if entry.privileged or not role.privileged or role.custom:
                        return None
                    covering = entry.scope
        except ResourceIdError as error:
            return str(error)
        where = f"'{scope}' within '{within}'" if within else f"'{scope}'"
        if covering:
            return (
                f"'{role.name}' is privileged, and {GUARDRAILS_FILE} allows it at "
                f"{where} only with 'privileged: true'; add that to its entry for '{covering}'"
            )
        # The narrowest place in which the scope will lie.
        start, place = scope, within
        if within and scope.startswith("{"):
            name, _, rest = scope.partition("}")
            around = {"{resourceGroup": within.group_id, "{subscription": within.subscription_id}
            start = f"{around[name]}{rest}" if around.get(name) else "{"
        if not start.startswith("{") and (prefix := beginning(start)):
            place = prefix[0]
        privileged = ", privileged: true" if role.privileged and not role.custom else ""
        lies = place or "<the id of where it lies>"
        missing = f"- {{scope: {lies}, roles: [{role.name}]{privileged}}}"
        return (
            f"{GUARDRAILS_FILE} does not allow '{role.name}' at {where}; "
            f"add \"{missing}\" there under 'grants', or choose mode: audit"
        )


def _own_places(identity: IdentityTemplate) -> Mapping[str, str]:
    """Return what placeholders stand for in an identity's own grants; not its location."""
    segments = identity.text.split("/")
    subscription = 1 if identity.text.startswith("{") else 3
    return {
        "{id}": identity.text,
        "{resourceGroup}": "/".join(segments[: subscription + 2]),
        "{subscription}": "/".join(segments[:subscription]),
    }


def _not_allowed(what: str, identity: IdentityTemplate) -> str:
    group = _own_places(identity)["{resourceGroup}"]
    prefix = None if group.startswith("{") else beginning(group)
    place = f'"- {prefix[0]}"' if prefix else "its group or subscription"
    return (
        f"{GUARDRAILS_FILE} does not allow the identity {what}; "
        f"add {place} there under 'identities', or choose mode: audit"
    )


def _may_lie(template: str, place: ResourceId, within: ResourceId | None) -> bool:
    """Return whether a template may come to lie at or below a place.

    `within` is where the resources lie that its placeholders stand for, none for anywhere.
    """
    if template.startswith("{subscription}"):
        subscription = (within or place).subscription_id
        if subscription is None:
            return True
        template = template.replace("{subscription}", str(subscription))
    prefix = (within, False) if template.startswith("{") and within else beginning(template)
    if prefix is None:
        return False
    anchor, exact = prefix
    return place.contains(anchor) or (not exact and anchor.contains(place))
