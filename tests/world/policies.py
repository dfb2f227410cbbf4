"""The subscription that the loop's tests start from, and the policy that governs it."""

from typing import Any

from tests.world.arm import SUB, SUBSCRIPTION

APPS = f"{SUB}/resourceGroups/rg-app"
DATA = f"{SUB}/resourceGroups/rg-data"
HOME = f"{SUB}/resourceGroups/rg-reconciler"
IDENTITIES = f"{SUB}/resourceGroups/rg-id"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
ELSEWHERE = "22222222-2222-2222-2222-222222222222"
"""A subscription that nobody watches."""
FAR = f"/subscriptions/{ELSEWHERE}/resourceGroups/rg-new"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"

type Content = dict[str, Any]


def machine(name: str = "vm1", group: str = APPS) -> str:
    """Return the id of a machine."""
    return f"{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def identity(name: str = "shared") -> str:
    """Return the id of a user-assigned identity."""
    return f"{IDENTITIES}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


VM = machine()
SHARED = identity()
ASSIGNMENTS = "/providers/microsoft.authorization/roleassignments"

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
