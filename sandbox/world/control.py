"""The sandbox's own routes, which no Azure has: its faults and its clock, for the operator.

They are beside ARM: no api-version, no limits, no faults, and not in the request log.
"""

import datetime as dt

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Reply, Routes
from sandbox.world.clock import FASTEST
from sandbox.world.faults import LONGEST, FaultsError, read

routes = Routes(arm=False)

_MOST = {"speed": FASTEST, "forward": LONGEST}
_SOURCE = "docs/faults.md"


def _require_operator(call: Call) -> None:
    """Raise ``AzureError`` 401 or 403 for anybody else."""
    if call.authenticated(None) is not call.world.operator:
        raise errors.AzureError(403, "Forbidden", "Only the sandbox's operator may do this.")


@routes.route("GET", "/sandbox/faults", Evidence.ASSUMED, _SOURCE)
@routes.route("PATCH", "/sandbox/faults", Evidence.ASSUMED, _SOURCE)
@routes.route("PUT", "/sandbox/faults", Evidence.ASSUMED, _SOURCE)
def faults(call: Call) -> Reply:
    """Show all switches; a PATCH sets those that it names, a PUT puts all others off as well."""
    _require_operator(call)
    if call.method != "GET":
        kept = call.world.faults.to_json() if call.method == "PATCH" else {}
        try:
            call.world.faults = read(kept | call.object_body())
        except FaultsError as error:
            raise errors.AzureError(400, "InvalidFaults", str(error)) from None
    return Reply(200, call.world.faults.to_json())


@routes.route("GET", "/sandbox/clock", Evidence.ASSUMED, _SOURCE)
@routes.route("PATCH", "/sandbox/clock", Evidence.ASSUMED, _SOURCE)
def clock(call: Call) -> Reply:
    """Show the time and how fast it passes.

    A PATCH changes the ``speed`` (seconds a second, 0 stands still), or goes ``forward`` some
    seconds.
    """
    _require_operator(call)
    turned = call.world.clock
    wanted = call.object_body() if call.method == "PATCH" else {}
    for name, value in wanted.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name not in _MOST or not number or not 0 <= value <= _MOST[name]:
            raise errors.AzureError(400, "InvalidClock", f"The clock has no '{name}': {value!r}.")
    if "speed" in wanted:
        turned.speed = wanted["speed"]
    turned.forward(wanted.get("forward", 0))
    now = turned().astimezone(dt.UTC).isoformat()
    return Reply(200, {"now": now, "speed": turned.speed})
