"""Management locks: their routes, and the refusal of writes that they stand against.

The application asks ``refuse`` before every write, since it is ARM itself that enforces locks.
"""

from sandbox.arm import errors, ids
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.state import Lock
from sandbox.world.world import World

routes = Routes()

_LIST = "/~/providers/microsoft.authorization/locks"
_ONE = f"{_LIST}/<name>"
_TYPE = "Microsoft.Authorization/locks"
_LEVELS = ("CanNotDelete", "ReadOnly")


def refuse(world: World, method: str, target: ids.ArmId) -> None:
    """Raise 409 ``ScopeLocked`` for a write that a lock forbids (facts: Role assignments, issues).

    ``CanNotDelete`` stops deletions at its scope and below; ``ReadOnly`` every write. A lock below
    stops the deletion of what it lies in. Locks themselves may always be changed (recorded).
    """
    if not world.locks or method in ("GET", "HEAD") or target.type.lower() == _TYPE.lower():
        return
    deletes = method == "DELETE"
    above = ids.ancestors(target.key)
    found = {
        lock.scope
        for lock in world.locks.values()
        if (lock.scope.lower() in above and (deletes or lock.level == "ReadOnly"))
        or (deletes and ids.contains(target.key, lock.scope.lower()))
    }
    if found:
        verb = "delete" if deletes else "write"
        locked = ", ".join(f"'{scope}'" for scope in sorted(found))
        raise errors.AzureError(
            409,
            "ScopeLocked",
            f"The scope '{target.text}' cannot perform {verb} operation because following "
            f"scope(s) are locked: {locked}. Please remove the lock and try again.",
            gateway=True,
        )


def _show(lock: Lock) -> Json:
    return {
        "properties": {"level": lock.level, **lock.properties},
        "id": lock.id,
        "type": _TYPE,
        "name": lock.id.rpartition("/")[2],
    }


def _check_scope(call: Call) -> None:
    """Raise ``AzureError``: 404 for a scope that is not there, 400 for one above subscriptions."""
    scope = ids.parse(call.id.scope)
    if not scope.subscription:
        raise errors.unsupported(f"locks at the scope '{call.id.scope or '/'}'")
    call.world.require_scope(scope)


@routes.route("GET", _LIST, Evidence.RECORDED, "test_cannotdelete_resource_lock #3")
def list_for_scope(call: Call) -> Reply:
    """List at, above and below a scope, with ``atScope()`` not below (documented)."""
    _check_scope(call)
    text = call.query.get("$filter", "").strip()
    if text.lower() not in ("", "atscope()"):
        raise errors.unsupported(f'the filter "{text}"')
    key = call.id.scope.lower()
    above = ids.ancestors(key)
    found = [
        _show(lock)
        for lock in call.world.locks.values()
        if lock.scope.lower() in above or (not text and ids.contains(key, lock.scope.lower()))
    ]
    return Reply(200, {"value": found})


@routes.route("GET", _ONE, Evidence.RECORDED, "test_cannotdelete_resource_lock #4")
def get(call: Call) -> Reply:
    """Return one; the 404 of a missing one is assumed."""
    _check_scope(call)
    lock = call.world.locks.get(call.id.key)
    if lock is None:
        raise errors.AzureError(
            404, "LockNotFound", f"The lock '{call.id.name}' could not be found.", gateway=True
        )
    return Reply(200, _show(lock))


@routes.route("PUT", _ONE, Evidence.RECORDED, "test_cannotdelete_resource_lock #2 #8")
def put(call: Call) -> Reply:
    """Create one (201) or change it (200)."""
    _check_scope(call)
    sent = call.member("properties") or {}
    properties = {name: value for name, value in sent.items() if value is not None}
    wanted = str(properties.pop("level", ""))
    level = next((each for each in _LEVELS if each.lower() == wanted.lower()), None)
    if level is None:
        raise errors.unsupported(f"the lock level '{wanted}'")
    if unknown := set(properties) - {"notes", "owners"}:
        raise errors.unsupported(f"the lock property '{min(unknown)}'")
    known = call.world.locks.get(call.id.key)
    lock = Lock(known.id if known else call.id.text, level, properties)
    call.world.put_lock(lock)
    return Reply(200 if known else 201, _show(lock))


@routes.route("DELETE", _ONE, Evidence.RECORDED, "test_cannotdelete_resource_lock #10")
def delete(call: Call) -> Reply:
    """Delete one: 200 without a body, or 204 (documented) when there was none."""
    _check_scope(call)
    lock = call.world.locks.get(call.id.key)
    if lock is None:
        return Reply(204)
    call.world.remove_lock(lock)
    return Reply(200)
