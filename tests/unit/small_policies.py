"""Policies of a rule or two over the builders' machine, and what they want of it."""

from reconciler.model import Desired
from reconciler.policy import Policy, desired
from reconciler.policy.model import Guardrails, Identity, Rule
from reconciler.policy.templates import Maps
from tests.world.builders import APP, DATA, SECOND, SUB, below, machine

MACHINES = "Microsoft.Compute/virtualMachines"
IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
ON_DATA = {"role": "Reader", "scope": str(DATA)}

PLACED = f"{{subscription}}/resourceGroups/rg-id/{IDENTITIES}/app-{{location}}"
IN_WEST = below(SUB, f"resourceGroups/rg-id/{IDENTITIES}/app-westeurope")


def rule(name: str = "r", **keys: object) -> Rule:
    """Return a rule over all machines of the subscription that switches identities on."""
    content: dict[str, object] = {
        "name": name,
        "mode": "repair",
        "within": [str(SUB)],
        "match": {"type": MACHINES},
        "system": {},
    }
    return Rule.model_validate(content | keys)


def policy(*rules: Rule, maps: Maps | None = None, **identities: dict[str, object]) -> Policy:
    """Return a policy of some rules and identities."""
    named = {name: Identity.model_validate(entry) for name, entry in identities.items()}
    return Policy(named, rules, Guardrails(version=1), "digest", maps=maps or {})


def wants(*rules: Rule, **changes: object) -> Desired:
    """Return what rules want of the machine."""
    held = policy(*rules, app={"id": str(APP)}, second={"id": str(SECOND)})
    return desired.for_resource(held, machine(**changes))
