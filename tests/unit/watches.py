"""A watch over machines, one identity and one scope, and events about places."""

from reconciler.events import Event, EventRouter
from reconciler.ids import ResourceId
from reconciler.policy import Policy
from reconciler.policy.model import Guardrails, Identity, Rule
from tests.unit.builders import APP, CONTEXT, DATA, NOON, SUB, below

OURS = "00000000-0000-4000-8000-0000000000aa"
VAULT = below(DATA, "providers/Microsoft.KeyVault/vaults/kv")


def policy_for(*types: str, scope: ResourceId = VAULT, guarded: ResourceId = DATA) -> Policy:
    """Return a policy with one rule over some types and one identity, both granted at a scope."""
    grants = [{"role": "Reader", "scope": str(scope)}]
    rule = Rule.model_validate(
        {
            "name": "r",
            "within": [str(SUB)],
            "match": {"type": types or ["Microsoft.Compute/virtualMachines"]},
            "system": {"grants": grants},
        }
    )
    rails = {"version": 1, "grants": [{"scope": str(guarded), "roles": ["Reader"]}]}
    return Policy(
        identities={"app": Identity.model_validate({"id": str(APP), "grants": grants})},
        rules=(rule,),
        guardrails=Guardrails.model_validate(rails),
        digest=CONTEXT.digest,
    )


WATCH = EventRouter(policy_for(), (SUB,), OURS)


def event(place: ResourceId | str, what: str = "WriteSuccess", **data: object) -> Event:
    """Return an event about a place."""
    return Event(
        f"Microsoft.Resources.Resource{what}", str(place), NOON, {"resourceUri": str(place), **data}
    )


def asked(told: Event | None, watch: EventRouter = WATCH) -> list[ResourceId]:
    """Return what would be looked at."""
    assert told is not None
    return [request.id for request in watch.requests(told, NOON)]
