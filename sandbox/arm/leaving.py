"""What is being deleted or moved: it stays until its operation has ended, and takes no writes.

The world keeps the list; the application asks ``refuse`` before every write.
"""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.arm import errors, ids
from sandbox.world.state import Operation

if TYPE_CHECKING:
    from sandbox.world.world import World

STATE = "Deleting"
MOVING = "MovingResources"
"""The state of two groups between which resources move (issues: azure-cli 11942)."""


class Leaving:
    """What goes, or goes elsewhere, once an operation has ended."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._waiting: list[tuple[Operation, Callable[[], None]]] = []

    def add(self, operation: Operation, go: Callable[[], None]) -> None:
        """Call ``go`` when an operation has ended."""
        self._waiting.append((operation, go))

    def depart(self, now: dt.datetime) -> None:
        """Let go whose time has come, in the order in which they were added."""
        if not self._waiting:
            return
        ended = [go for operation, go in self._waiting if operation.ends <= now]
        self._waiting = [each for each in self._waiting if each[0].ends > now]
        for go in ended:
            go()


def refuse(world: "World", method: str, target: ids.ArmId) -> None:
    """Raise 409 for a write to what is being deleted or moved, or to a part of it.

    The code of a group is known from issues, the other is Compute's for all concurrent writes
    (azure-cli 15765); that it is given here is assumed. What only hangs on a resource, such as a
    role assignment, may be written. That actions on resources of a group go on while others move
    is assumed; writes and deletions do not (documented).
    """
    if method in ("GET", "HEAD"):
        return
    now = world.now()
    group = world.groups.get(world.group_key(target)) if target.group else None
    state = group.provisioning_state(now) if group else ""
    hangs = target.type.lower().startswith("microsoft.authorization/")
    acts = method == "POST" and group is not None and target.key != group.id.key
    if state == MOVING and not (hangs or acts):
        raise _busy(target.group, "ResourcesBeingMoved", "being updated")
    if method == "DELETE":
        return
    if state == STATE:
        raise _busy(target.group, "ResourceGroupBeingDeleted", "in deprovisioning state")
    if hangs:
        return
    for key in ids.ancestors(target.key):
        found = world.resources.get(key)
        if found is not None and found.provisioning_state(now) == STATE:
            raise errors.AzureError(
                409,
                "Conflict",
                "The request failed due to conflict with a concurrent request. To resolve it, "
                "please refer to https://aka.ms/activitylog to get more details on the conflicting "
                "requests.",
            )


def _busy(group: str, code: str, doing: str) -> errors.AzureError:
    return errors.AzureError(
        409,
        code,
        f"The resource group '{group}' is {doing} and cannot perform this operation.",
        gateway=True,
    )
