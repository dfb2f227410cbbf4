"""Who may do what: role assignments, scopes and the wildcards of roles.

The application asks it for every ARM call, the access probe for data actions. Conditions of
assignments are stored but not evaluated yet.
"""

import fnmatch
import functools
import re

from sandbox.azure.roles import Role
from sandbox.azure.state import Assignment
from sandbox.azure.world import World


@functools.lru_cache(maxsize=4096)
def _pattern(action: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(action.lower()))


@functools.lru_cache(maxsize=65536)
def permits(role: Role, action: str, *, data: bool = False) -> bool:
    """Tell whether a role allows an action: its actions minus its notActions, case-insensitive."""
    wanted, refused = (
        (role.data_actions, role.not_data_actions) if data else (role.actions, role.not_actions)
    )
    folded = action.lower()
    return any(_pattern(each).match(folded) for each in wanted) and not any(
        _pattern(each).match(folded) for each in refused
    )


def right(
    world: World, oid: str, action: str, scope: str, *, data: bool = False
) -> Assignment | None:
    """Return a role assignment by which a principal may perform an action, if any."""
    key = scope.lower()
    for assignment in world.assignments_of([oid]):
        role = world.roles.get(assignment.role)
        if (
            role is not None
            and permits(role, action, data=data)
            and world.within(assignment.scope.lower(), key)
        ):
            return assignment
    return None
