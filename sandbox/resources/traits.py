"""In what resource types differ: their identity block and the answers to writes.

See facts: Identity by type.

``kinds`` has the table; views and services read it.
"""

import dataclasses
from typing import Literal

from sandbox.arm.routing import Evidence


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One resource type's manners."""

    type: str
    spelled: str = ""
    """The type as its provider spells it, where ARM's lists spell it otherwise."""
    created: int = 201
    """Status of a PUT that creates; 202 is a receipt, mostly without a body."""
    replaced: int = 200
    """Status of any other PUT."""
    put_runs: Literal["never", "create", "always"] = "never"
    """Which PUT starts an operation: none, one that creates, or any."""
    patched: int = 200
    """Status of a PATCH that starts an operation (202 as above); others give 200."""
    patch_runs: Literal["never", "always", "identity", "users"] = "never"
    """When a PATCH does: if it has an identity, or (``users``) names user-assigned ones."""
    patching: str = "Updating"
    """The provisioning state while a PATCH runs."""
    announced: bool = True
    """Whether answers name the operation; else only the provisioning state tells of it."""
    creating: str = "Creating"
    """The provisioning state while a PUT that creates runs."""
    activating: str = ""
    """The provisioning state while one runs that adds identities; empty: as for any other."""
    deleted: Literal["nothing", "resource"] = "nothing"
    """The body of a DELETE that is done at once."""
    delete_runs: bool = False
    """A DELETE is an operation: 202 with a location."""
    joint: str = "SystemAssigned, UserAssigned"
    """How both identities together are spelled."""
    camel: bool = False
    """Identity types begin with a lower-case letter."""
    shows_none: Literal["never", "written", "always"] = "written"
    """Without identity, when ``{"type": "None"}`` stands for it: never, once a block was sent."""
    nulls_none: bool = False
    """``{"type": "None"}`` comes with its other members as null."""
    group_literal: str = ""
    """How the keys of the identity map spell their group segment; empty: as they were sent."""
    entry: tuple[tuple[str, str], ...] = (("principalId", "principal"), ("clientId", "client"))
    """What an entry of the identity map shows: its members, and whose id each has."""
    late_entries: Literal["none", "new", "all"] = "none"
    """Which entries are empty until the operation of an identity's write has ended.

    See facts: Scale sets.
    """
    tenant: bool = False
    """The tenant is shown beside user-assigned identities, too."""
    zeros: bool = False
    """Beside user-assigned identities, principal and tenant are shown as zeros."""
    own_group: str = "resourceGroups"
    """How the resource's own id spells its group segment."""
    lowers_name: bool = False
    """Once created, the id ends in the name in lower case."""
    region: Literal["sent", "plain", "shown", "read"] = "sent"
    """How the location is spelled: as sent, as in ids, as for people, or so in reads only."""
    tags: Literal["always", "sent", "some", "null"] = "always"
    """Without tags, what is shown: an empty object, the same if one was sent, nothing, null."""
    state: bool = True
    """Whether there is a provisioning state."""
    etag: Literal["", "settled", "shown", "always"] = ""
    """When the header is sent: not by a PUT, with any body, also without one."""
    list_nulls: tuple[str, ...] = ()
    """Members of a list's body that are null."""
    evidence: Evidence = Evidence.RECORDED
