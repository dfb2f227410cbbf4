"""When a delivery is tried again, and when it is not (facts: Delivery, documented unless said).

Azure adds a little chance to every step and may skip some; here they are exact but for faults.
"""

import datetime as dt
from http import HTTPStatus

TIMEOUT = dt.timedelta(seconds=30)
"""How long an endpoint may take for its answer."""
LATEST = dt.timedelta(minutes=3)
"""How late an answer may be and still count, if it is lucky."""
DEAD_LETTER_DELAY = dt.timedelta(minutes=5)
"""From the last attempt until the dead letter is written."""
DEAD_LETTER_PATIENCE = dt.timedelta(hours=4)
"""How long a dead letter waits for its container."""
TIMED_OUT = 408
"""Stands in for a status where no answer came in time."""
UNKNOWN_FUNCTION = 0
"""Stands in for a status where no function has the id of the destination."""
UNREACHABLE = -1
"""Stands in for a status where there was no connection."""

_STEPS = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
_LEAST = {TIMED_OUT: 120, 503: 30, 404: 300, 401: 300}
_SUCCESS = range(200, 205)
_NEVER_AGAIN = {"WebHook": (400, 401, 403, 413)}
_NEVER_AGAIN_IN_AZURE = (400, 403, 413)
_OUTCOMES = {
    TIMED_OUT: "TimedOut",
    413: "RequestEntityTooLarge",
    503: "Busy",
    UNKNOWN_FUNCTION: "InvalidAzureFunctionDestination",
    UNREACHABLE: "SocketError",
}
# After so many failures in a row all of an endpoint's events are held; the number is assumed.
_PATIENCE = 10
_HOLD = {401: 300, 403: 300, 404: 300, UNKNOWN_FUNCTION: 600}
_HOLD_OTHERS = 10
_LONGEST_HOLD = 3 * 3600


def delivered(status: int) -> bool:
    """Tell whether an answer means success: 200 to 204 only."""
    return status in _SUCCESS


def hopeless(endpoint_type: str, status: int) -> bool:
    """Tell whether a delivery is given up at once."""
    return status in _NEVER_AGAIN.get(endpoint_type, _NEVER_AGAIN_IN_AZURE)


def wait(attempts: int, status: int) -> dt.timedelta:
    """Return how long to wait after so many attempts, the last of which ended so."""
    step = _STEPS[min(attempts, len(_STEPS)) - 1]
    return dt.timedelta(seconds=max(step, _LEAST.get(status, 0)))


def hold(failures: int, status: int) -> dt.timedelta:
    """Return how long an endpoint's events are held after so many failures in a row.

    The first hold is documented; that it doubles up to hours is assumed.
    """
    if failures < _PATIENCE:
        return dt.timedelta()
    seconds = _HOLD.get(status, _HOLD_OTHERS) * 2 ** min(failures - _PATIENCE, 20)
    return dt.timedelta(seconds=min(seconds, _LONGEST_HOLD))


def outcome(status: int) -> str:
    """Return what an attempt's end is called; most names are the status' own (assumed)."""
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        return "GenericError"
    return "".join(phrase.title().split())


def reason(status: int) -> str:
    """Return why a hopeless event was given up (known from issues)."""
    return f"UndeliverableDueToHttp{outcome(status)}"
