"""What an answer to a delivery means, and when the next attempt comes.

See facts: Delivery, documented unless said. Azure adds a little chance to every step and may skip
some; here they are exact but for faults.
"""

import dataclasses
import datetime as dt
from http import HTTPStatus

TIMEOUT = dt.timedelta(seconds=30)  # How long an endpoint may take for its answer.
DEAD_LETTER_DELAY = dt.timedelta(minutes=5)
"""From the last attempt until the dead letter is written."""
DEAD_LETTER_PATIENCE = dt.timedelta(hours=4)  # How long a dead letter waits for its container.
TIMED_OUT = 408  # Stands in for a status where no answer came in time.
UNKNOWN_FUNCTION = 0  # Stands in for a status where no function has the id of the destination.
UNREACHABLE = -1  # Stands in for a status where there was no connection.

_STEPS = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
_SUCCESS = range(200, 205)
# After so many failures in a row all of an endpoint's events are held; the number is assumed.
_PATIENCE = 10
_LONGEST_HOLD = 3 * 3600


@dataclasses.dataclass(frozen=True, slots=True)
class _Refusal:
    name: str = ""  # Of the outcome; empty: the status' own (assumed).
    least: int = 0  # Seconds that the next attempt waits at least.
    hold: int = 10  # Seconds for which an endpoint that keeps failing so is spared at first.
    final: tuple[str, ...] = ()  # The types of destinations whose events are given up at once.


_AZURE = ("AzureFunction", "StorageQueue")
_REFUSALS = {
    400: _Refusal(final=("WebHook", *_AZURE)),
    401: _Refusal(least=300, hold=300, final=("WebHook",)),
    403: _Refusal(hold=300, final=("WebHook", *_AZURE)),
    404: _Refusal(least=300, hold=300),
    413: _Refusal("RequestEntityTooLarge", final=("WebHook", *_AZURE)),
    503: _Refusal("Busy", least=30),
    TIMED_OUT: _Refusal("TimedOut", least=120),
    UNKNOWN_FUNCTION: _Refusal("InvalidAzureFunctionDestination", hold=600),
    UNREACHABLE: _Refusal("SocketError"),
}
_OTHER = _Refusal()


def delivered(status: int) -> bool:
    """Return whether an answer means success: 200 to 204 only."""
    return status in _SUCCESS


def hopeless(endpoint_type: str, status: int) -> bool:
    """Return whether a delivery is given up at once."""
    return endpoint_type in _REFUSALS.get(status, _OTHER).final


def wait(attempts: int, status: int) -> dt.timedelta:
    """Return how long to wait after so many attempts, the last of which ended so."""
    step = _STEPS[min(attempts, len(_STEPS)) - 1]
    return dt.timedelta(seconds=max(step, _REFUSALS.get(status, _OTHER).least))


def hold(failures: int, status: int) -> dt.timedelta:
    """Return how long an endpoint's events are held after so many failures in a row.

    The first hold is documented; that it doubles up to hours is assumed.
    """
    if failures < _PATIENCE:
        return dt.timedelta()
    seconds = _REFUSALS.get(status, _OTHER).hold * 2 ** min(failures - _PATIENCE, 20)
    return dt.timedelta(seconds=min(seconds, _LONGEST_HOLD))


def outcome(status: int) -> str:
    """Return what an attempt's end is called."""
    if name := _REFUSALS.get(status, _OTHER).name:
        return name
    try:
        return "".join(HTTPStatus(status).phrase.title().split())
    except ValueError:
        return "GenericError"
