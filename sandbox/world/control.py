"""The sandbox's own routes, which no Azure has: its faults and its clock, for the operator.

They are beside ARM: no api-version, no limits, no faults, and not in the request log.
"""

import datetime as dt

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.world.clock import FASTEST
from sandbox.world.faults import LONGEST, FaultsError, read

routes = Routes(arm=False)

_FAULTS = "/sandbox/faults"
_MOST = {"speed": FASTEST, "forward": LONGEST}
_CLOCK = "/sandbox/clock"
_SOURCE = "docs/faults.md"


def _require_operator(call: Call) -> None:
    """Raise ``AzureError`` 401 or 403 for anybody else."""
    if call.authenticated(None) is not call.world.operator:
        raise errors.AzureError(403, "Forbidden", "Only the sandbox's operator may do this.")


@routes.route("GET", _FAULTS, Evidence.ASSUMED, _SOURCE)
def get_faults(call: Call) -> Reply:
    """Return all switches."""
    _require_operator(call)
    return Reply(200, call.world.faults.to_json())


@routes.route("PUT", _FAULTS, Evidence.ASSUMED, _SOURCE)
def put_faults(call: Call) -> Reply:
    """Set the switches named; all others are off."""
    return _change_faults(call)


@routes.route("PATCH", _FAULTS, Evidence.ASSUMED, _SOURCE)
def patch_faults(call: Call) -> Reply:
    """Set the switches named; all others stay."""
    return _change_faults(call)


def _change_faults(call: Call) -> Reply:
    _require_operator(call)
    wanted = call.object_body()
    try:
        kept = call.world.faults.to_json() if call.method == "PATCH" else {}
        call.world.faults = read(kept | wanted)
    except FaultsError as error:
        raise errors.AzureError(400, "InvalidFaults", str(error)) from None
    return Reply(200, call.world.faults.to_json())


@routes.route("GET", _CLOCK, Evidence.ASSUMED, _SOURCE)
def get_clock(call: Call) -> Reply:
    """Return the time and how fast it passes."""
    _require_operator(call)
    return Reply(200, _shown(call))


@routes.route("PATCH", _CLOCK, Evidence.ASSUMED, _SOURCE)
def patch_clock(call: Call) -> Reply:
    """Change the ``speed`` (seconds a second, 0 stands still), or go ``forward`` some seconds."""
    _require_operator(call)
    wanted = call.object_body()
    for name, value in wanted.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name not in _MOST or not number or not 0 <= value <= _MOST[name]:
            raise errors.AzureError(400, "InvalidClock", f"The clock has no '{name}': {value!r}.")
    clock = call.world.clock
    if "speed" in wanted:
        clock.speed = wanted["speed"]
    clock.forward(wanted.get("forward", 0))
    return Reply(200, _shown(call))


def _shown(call: Call) -> Json:
    clock = call.world.clock
    return {"now": clock().astimezone(dt.UTC).isoformat(), "speed": clock.speed}
