"""The seed of the small world, and the policy and guardrails that govern it, as YAML content."""

from typing import Any

from tests.world.ids import APPS, DATA, IDENTITIES, SUB, SUBSCRIPTION, VM, identity

type Content = dict[str, Any]


SEED: Content = {
    "subscriptions": [{"id": SUBSCRIPTION, "name": "lab"}],
    "groups": [{"id": DATA}, {"id": APPS}],
    "principals": [{"name": "stranger"}],
    "identities": [{"id": identity(name)} for name in ("shared", "other", "foreign")],
    "virtualMachines": [{"id": VM}],
}


def rule(**keys: Any) -> Content:  # noqa: ANN401 (YAML)
    """Return a rule: machines in rg-app carry `shared`, and read their own group."""
    return {
        "name": "hosts",
        "mode": "repair",
        "within": [APPS],
        "match": {"type": "Microsoft.Compute/virtualMachines"},
        "attach": ["shared"],
        "allowDefaultChange": True,
        "system": {"grants": [{"role": "Reader", "scope": "{resourceGroup}"}]},
        **keys,
    }


def named(name: str = "shared", **keys: Any) -> Content:  # noqa: ANN401 (YAML)
    """Return an identity's entry: `shared` reads blobs in rg-data."""
    grants = [{"role": "Storage Blob Data Reader", "scope": DATA}] if name == "shared" else []
    return {name: {"id": identity(name), "mode": "repair", "grants": grants, **keys}}


def policy(*rules: Content, identities: Content | None = None) -> Content:
    """Return a policy file of some rules and identities; one of each where nothing is said."""
    known = identities if identities is not None else named()
    return {"version": 1, "identities": known, "rules": list(rules or (rule(),))}


def guardrails(**keys: Any) -> Content:  # noqa: ANN401 (YAML)
    """Return guardrails that allow what the policy above asks for."""
    return {
        "version": 1,
        "grants": [
            {"scope": SUB, "roles": ["Reader"]},
            {"scope": DATA, "roles": ["Storage Blob Data Reader"]},
        ],
        "identities": [IDENTITIES],
        **keys,
    }
