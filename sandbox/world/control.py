"""The sandbox's own routes, which no Azure has: its weather and its clock, for the operator.

They are beside ARM: no api-version, no limits, no faults, and not in the request log.
"""

import datetime as dt

from sandbox.arm import errors
from sandbox.arm.routing import Call, Evidence, Json, Reply, Routes
from sandbox.identity import tokens
from sandbox.world.clock import FASTEST
from sandbox.world.switches import LONGEST, WeatherError, read

routes = Routes(arm=False)

_WEATHER = "/sandbox/weather"
_MOST = {"speed": FASTEST, "forward": LONGEST}
_CLOCK = "/sandbox/clock"
_SOURCE = "docs/weather.md"


def _require_operator(call: Call) -> None:
    """Raise ``AzureError`` 401 or 403 for anybody else."""
    authorization = call.headers.get("authorization", "")
    caller = tokens.check(call.world, authorization, None, call.origin)
    if caller is not call.world.operator:
        raise errors.AzureError(403, "Forbidden", "Only the sandbox's operator may do this.")


@routes.route("GET", _WEATHER, Evidence.ASSUMED, _SOURCE)
def get_weather(call: Call) -> Reply:
    """Return all switches."""
    _require_operator(call)
    return Reply(200, call.world.weather.to_json())


@routes.route("PUT", _WEATHER, Evidence.ASSUMED, _SOURCE)
def put_weather(call: Call) -> Reply:
    """Set the switches named; all others become fair."""
    return _change_weather(call)


@routes.route("PATCH", _WEATHER, Evidence.ASSUMED, _SOURCE)
def patch_weather(call: Call) -> Reply:
    """Set the switches named; all others stay."""
    return _change_weather(call)


def _change_weather(call: Call) -> Reply:
    _require_operator(call)
    wanted = call.object_body()
    try:
        kept = call.world.weather.to_json() if call.method == "PATCH" else {}
        call.world.weather = read(kept | wanted)
    except WeatherError as error:
        raise errors.AzureError(400, "InvalidWeather", str(error)) from None
    return Reply(200, call.world.weather.to_json())


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
