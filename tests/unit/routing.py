"""A router over machines, one identity and one scope, and events about ids."""

from reconciler.events import Event, EventRouter
from reconciler.ids import ResourceId
from reconciler.policy import Policy
from reconciler.policy.model import Guardrails, Identity, Rule
from tests.world.builders import APP, CONTEXT, DATA, SUB, below
from tests.world.ids import NOON

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


ROUTER = EventRouter(policy_for(), (SUB,), OURS)


def event(place: ResourceId | str, what: str = "WriteSuccess", **data: object) -> Event:
    """Return an event about an id."""
    return Event(
        f"Microsoft.Resources.Resource{what}", str(place), NOON, {"resourceUri": str(place), **data}
    )


def requested_ids(delivered: Event | None, router: EventRouter = ROUTER) -> list[ResourceId]:
    """Return the ids that an event requests."""
    assert delivered is not None
    return [request.id for request in router.requests(delivered, NOON)]
