"""What happens to single requests in bad weather; the application asks for each one.

The codes and texts are what Azure is known to say (facts: Errors): those of 409 and 429 from
issues, the others recorded.
"""

import random
import re
import threading

from sandbox.arm import errors
from sandbox.world.switches import Fault

_LATE = (
    "InternalExecutionError",
    "An internal execution error occurred. Please retry later.",
)
_USUAL = {
    409: (
        "ConflictingConcurrentWriteNotAllowed",
        "The operation was interrupted by a conflicting concurrent write on the same entity.",
    ),
    412: ("PreconditionFailed", "The condition specified in If-Match was not met."),
    429: ("TooManyRequests", "The request is being throttled."),
    500: ("InternalServerError", "Encountered internal server error."),
    502: ("BadGatewayConnection", "The network connectivity issue encountered."),
    503: ("ServerTimeout", "The request timed out."),
    504: (
        "GatewayTimeout",
        "The gateway did not receive a response within the specified time period.",
    ),
}
_CONFLICT = 409
_GATEWAY = 500
# There the gateway blames the provider's service (recorded, 502_BadGatewayConnection).
_SERVICE = (502, 504)
# The gateway's own refusal (recorded, 429_ResourceRequestsThrottled).
_OWN_CODE = "ResourceRequestsThrottled"


class DroppedError(ConnectionError):
    """The connection is closed without an answer; the entrances turn it into just that."""


class Script:
    """The faults of one weather, and how often each has happened."""

    def __init__(self, faults: list[Fault], chance: random.Random) -> None:
        """Begin with the first request that comes from now on."""
        self._faults = faults
        self._chance = chance
        self._seen = [0] * len(faults)
        self._happened = [0] * len(faults)
        self._lock = threading.Lock()

    def next(self, method: str, path: str) -> Fault | None:
        """Return what happens to a request, none where it is served as usual."""
        if not self._faults:
            return None
        with self._lock:
            chosen = (at for at, each in enumerate(self._faults) if self._strikes(at, method, path))
            found = next(chosen, None)
            if found is None:
                return None
            self._happened[found] += 1
            return self._faults[found]

    def _strikes(self, at: int, method: str, path: str) -> bool:
        fault = self._faults[at]
        if fault.method not in {"*", method} or not re.search(fault.path, path, re.IGNORECASE):
            return False
        if fault.times is not None and self._happened[at] >= fault.times:
            return False
        self._seen[at] += 1
        return self._seen[at] > fault.after and self._chance.random() < fault.probability


def error(fault: Fault) -> errors.AzureError:
    """Return what a fault answers, or what an operation that fails late ends with."""
    status = fault.status or _CONFLICT
    usual = _LATE if fault.late else _USUAL.get(status, ("Refused", "The request was refused."))
    code, text = (fault.code, "Made by the weather.") if fault.code else usual
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if status in _SERVICE:
        headers["x-ms-failure-cause"] = "service"
    own = code == _OWN_CODE or (status >= _GATEWAY and status not in _SERVICE)
    return errors.AzureError(status, code, text, headers=headers, gateway=own)
