"""Which identities a resource must be given, or freed of, whatever stands in the way.

An entry is what the resource's own block shows of a user-assigned identity. Case by case:

    | identity         | there? | entry on the resource       | proposal                      |
    |------------------|--------|-----------------------------|-------------------------------|
    | system-assigned  | -      | off                         | attach                        |
    | wanted           | yes    | none                        | attach                        |
    | wanted           | yes    | with its principal          | none                          |
    | wanted           | yes    | another principal, or none  | detach (IDENTITY_RECREATED)   |
    | wanted           | yes    | the same, while changing    | none: an attach may be on     |
    | wanted           | no     | none                        | attach, withheld              |
    | wanted           | no     | any, another waits for it   | detach (IDENTITY_GONE)        |
    | wanted           | no     | any, no other waits         | attach, withheld              |
    | wanted, ensured  | no     | as the three above          | the same, and create          |
    | exclusive        | yes    | any, no rule attaches it    | detach (NOT_ALLOWED)          |
    | exclusive        | no     | any, no rule attaches it    | none                          |
    | not policy's     | -      | no principal, another waits | detach (IDENTITY_GONE), held  |
    | not policy's     | -      | any other                   | none                          |

"There?" is by the identity's own GET. "Another waits": another identity that is there is to be
attached, and Azure refuses that beside the entry of one that is gone (facts: Dead entries).
Where the type of the resource's block is not understood, attaching is proposed for all that is
wanted, and withheld. What was created, or freed of its dead entry, is attached by the next look.
Whether a dead entry is really dead is for `reconciler.plan.evidence`.
"""

from collections.abc import Iterator, Mapping

from reconciler.changes import AttachIdentity, CreateIdentity, DetachIdentity, Reason
from reconciler.ids import ResourceId
from reconciler.model import Desired, Observed, Resource, UserIdentity
from reconciler.plan.context import Proposal
from reconciler.resource_types import is_passing


def for_wanted(resource: Resource, desired: Desired, observed: Observed) -> Iterator[Proposal]:
    """Yield what the identities that policy wants on a resource still need."""
    block, place = resource.identities, resource.id
    unknown = block.raw_type is not None
    if desired.system and (unknown or not block.system):
        yield Proposal(AttachIdentity(place, None), desired.system)
    # Where nothing is to be attached the entry of an identity that is gone harms nobody.
    in_the_way = has_to_attach(resource, desired, observed.identities)
    for wanted in desired.attach:
        own, entry = observed.identities.get(wanted.what), block.entry(wanted.what)
        if unknown or entry is None or (own is None and not in_the_way):
            yield Proposal(AttachIdentity(place, wanted.what), wanted)
        elif own is None:
            yield Proposal(DetachIdentity(place, wanted.what, Reason.IDENTITY_GONE), wanted)
        elif entry.principal != own.principal and not is_passing(resource.state):
            # While the resource is changing this may be an attach under way.
            yield Proposal(DetachIdentity(place, own.id, Reason.IDENTITY_RECREATED), wanted)
    for new in desired.ensured:
        if not unknown and observed.identities.get(new.what.id) is None:
            yield Proposal(CreateIdentity(new.what), new)


def for_unwanted(resource: Resource, desired: Desired, observed: Observed) -> Iterator[Proposal]:
    """Yield the entries that a resource must not have, and others' that keep it from attaching."""
    block, place = resource.identities, resource.id
    if block.raw_type is not None:
        return
    for exclusive in desired.unwelcome:
        # A neighbour's name may fit the template of an exclusive one; its own GET decides.
        if observed.identities.get(exclusive.what):
            yield Proposal(DetachIdentity(place, exclusive.what, Reason.NOT_ALLOWED), exclusive)
    if is_passing(resource.state) or not has_to_attach(resource, desired, observed.identities):
        return
    wanted = {identity.what for identity in desired.attach}
    for entry in block.attached:
        if entry.principal is None and entry.id not in wanted:
            yield Proposal(DetachIdentity(place, entry.id, Reason.IDENTITY_GONE))


def has_to_attach(
    resource: Resource, desired: Desired, identities: Mapping[ResourceId, UserIdentity | None]
) -> bool:
    """Return whether the resource lacks an identity that policy wants on it and that is there.

    `identities` is as in `Observed`. The observer asks, too: only then must a gone one be proved.
    """
    block = resource.identities
    if desired.system and not block.system:
        return True
    return any(
        identities.get(wanted.what) and block.entry(wanted.what) is None
        for wanted in desired.attach
    )
