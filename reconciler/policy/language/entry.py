"""What all parts of the policy language share."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
IDENTITIES = (
    f"{SUBSCRIPTION}/resourceGroups/rg-id"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
)
VAULTS = f"{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.KeyVault/vaults"
"""Where the things lie that examples speak of."""


class Entry(BaseModel):
    """A mapping of policy: no other keys than these, and nothing changes once it is checked."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        arbitrary_types_allowed=True,
    )
