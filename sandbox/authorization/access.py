"""Who may do what: role assignments, their conditions, scopes and the wildcards of roles.

The application asks it for every ARM call, and for services through ``Call.may``.
"""

import functools
import re
from collections.abc import Iterator

from sandbox.arm.routing import Call
from sandbox.authorization import conditions
from sandbox.authorization.conditions import Attributes
from sandbox.authorization.roles import Role
from sandbox.world.state import Assignment
from sandbox.world.world import World

_ASSIGNMENT = "microsoft.authorization/roleassignments"
_NOTHING: Attributes = {}


@functools.lru_cache(maxsize=4096)
def _pattern(action: str) -> re.Pattern[str]:
    """Return what an action of a role allows; its ``*`` stands for any text, slashes too.

    Between two slashes it stands for nothing as well: Managed Identity Operator has
    ``userAssignedIdentities/*/assign/action`` and may attach identities, which asks for
    ``userAssignedIdentities/assign/action`` (facts: Machines, documented). No other sign is
    special.
    """
    parts = re.split(r"/\*(?=/)", action.lower())
    joined = "(?:/.*)?".join(".*".join(map(re.escape, each.split("*"))) for each in parts)
    return re.compile(joined)


@functools.lru_cache(maxsize=65536)
def permits(role: Role, action: str, *, data: bool = False) -> bool:
    """Return whether a block of a role allows an action and does not take it away, in any case."""
    folded = action.lower()
    for block in role.permissions:
        allowed = block.data_actions if data else block.actions
        refused = block.not_data_actions if data else block.not_actions
        if any(_pattern(each).fullmatch(folded) for each in allowed) and not any(
            _pattern(each).fullmatch(folded) for each in refused
        ):
            return True
    return False


def rights(
    world: World, oid: str, action: str, scope: str, *, data: bool = False
) -> Iterator[Assignment]:
    """Yield the role assignments that allow an action, if their conditions are fulfilled.

    A right counts only after the effect delay; that it ends without one is assumed.
    """
    key = scope.lower()
    delay, now = world.faults.effect_delay, world.now()
    for assignment in world.assignments_of([oid]):
        role = world.roles.get(assignment.role)
        if (
            role is not None
            and permits(role, action, data=data)
            and world.within(assignment.scope.lower(), key)
            and not (
                delay and now < assignment.granted + world.injector.delay(delay, assignment.name)
            )
        ):
            yield assignment


def right(  # noqa: PLR0913 - who, what and where
    world: World,
    oid: str,
    action: str,
    scope: str,
    *,
    attributes: Attributes = _NOTHING,
    data: bool = False,
) -> Assignment | None:
    """Return a role assignment by which a principal may perform an action, if any.

    Raises:
        AzureError: a condition that the sandbox cannot decide would have to.
    """
    conditional: list[tuple[str, Assignment]] = []
    for assignment in rights(world, oid, action, scope, data=data):
        if assignment.condition is None:
            return assignment
        conditional.append((assignment.condition, assignment))
    for condition, assignment in conditional:
        if conditions.holds(condition, action, attributes):
            return assignment
    return None


def attributes(call: Call) -> Attributes:
    """Return what conditions may ask about a call: the role assignment that it writes or deletes.

    ``@Request`` is what a PUT sends, ``@Resource`` what is there (facts: Rights, documented).
    """
    if call.id.type.lower() != _ASSIGNMENT:
        return _NOTHING
    known: dict[str, tuple[str, str, str]] = {}
    there = call.world.assignments.by_name.get(call.id.name.lower())
    if there is not None:
        known["resource"] = there.role, there.principal, there.principal_type
    sent = call.body.get("properties") if isinstance(call.body, dict) else None
    if isinstance(sent, dict):
        role = str(sent.get("roleDefinitionId", "")).rpartition("/")[2]
        oid = str(sent.get("principalId", ""))
        principal = call.world.principals.get(oid.lower())
        kind = sent.get("principalType") or (principal.kind if principal else "")
        known["request"] = role, oid, str(kind)
    names = ("roledefinitionid", "principalid", "principaltype")
    return {
        f"@{source}[{_ASSIGNMENT}:{name}]": value
        for source, values in known.items()
        for name, value in zip(names, values, strict=True)
    }
