"""Says where something is wanted, what is handed out there, and who thereby holds it.

Everything is named as in `Policy.origins`: "rule <name>", "identity <name>".
"""

from collections.abc import Iterable, Iterator

from reconciler.policy import Policy
from reconciler.policy.model import Grant, Match, Rule


def lines(name: str, policy: Policy) -> Iterator[str]:
    """Say where something is wanted, and who thereby holds the rights."""
    yield f"{name} ({policy.origins.get(name, 'policy')}): {', '.join(rights(name, policy))}"
    yield f"  {note(name, policy)}"


def rights(name: str, policy: Policy) -> list[str]:
    """Return what a rule or an identity of policy hands out, as policy writes it."""
    rule = _rule(name, policy)
    if rule is None:
        return _grants(policy.identities[name.removeprefix("identity ")].grants)
    system = ["system-assigned identity"] if rule.system else []
    return [
        *(f"identity {attached}" for attached in rule.attach),
        *system,
        *_grants(rule.system.grants if rule.system else ()),
    ]


def note(name: str, policy: Policy) -> str:
    """Say who holds the rights that a rule or an identity of policy hands out.

    Whoever can create, tag or name a resource chooses what it matches, and whoever runs code on it
    acts as its identities.
    """
    rule = _rule(name, policy)
    if rule is None:
        return "whoever can write a resource that carries this identity holds its rights"
    within = ", ".join(str(scope) for scope in rule.within)
    chosen = _matched(rule.match)
    return f"whoever can write {chosen} in {within} holds these rights"


def _rule(name: str, policy: Policy) -> Rule | None:
    return next((rule for rule in policy.rules if name == f"rule {rule.name}"), None)


def _grants(grants: Iterable[Grant]) -> list[str]:
    return [f"{grant.role.name} at {grant.scope}" for grant in grants]


def _matched(match: Match) -> str:
    tags = ", ".join(f"{key}={value}" for key, value in sorted(match.tags.items()))
    narrowed = (
        ("named", ", ".join(match.name)),
        ("in groups", ", ".join(match.resource_group)),
        ("located in", ", ".join(match.location)),
        ("of kind", ", ".join(match.kind)),
        ("tagged", tags),
    )
    parts = [f" {how} {what}" for how, what in narrowed if what]
    return ", ".join(match.type) + "".join(parts)
