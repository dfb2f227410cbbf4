"""How providers announce and show their asynchronous operations; one row each.

``operations`` renders by it. The first rows are recorded; the last is the commonest form.
"""

import dataclasses
from typing import Literal

_MONITORED = ("p", "api-version", "t", "c", "s", "h")
_SIGNED = ("api-version", "t", "c", "s", "h")


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """One provider's manners."""

    namespace: str
    status: str
    """The segment of the URL that tells the state."""
    result: str = ""
    """The segment of the URL that gives the result; empty: ``status`` with ``monitor=true``."""
    beside: Literal["location", "resource"] = "location"
    """What the segments hang on."""
    options: tuple[str, ...] = _SIGNED
    polled: bool = True
    """Whether the URL of the state is announced; else only that of the result."""
    yields: bool = True
    """Whether a write's result is the resource (documented for all); else it has no body."""
    notified: bool = False
    """Whether ``azure-asyncnotification`` is sent."""
    members: tuple[str, ...] = ("startTime", "endTime", "status", "name")
    """What the state shows; ``endTime`` only once it has ended."""
    running: str = "InProgress"
    """The state while it runs; empty: the provisioning state of the resource."""
    again: bool = False
    """Whether the state repeats the header that announced it."""


_TABLE = (
    Style("Microsoft.Compute", "operations", options=_MONITORED, yields=False, notified=True),
    Style(
        "Microsoft.Network",
        "operations",
        "operationResults",
        options=("api-version",),
        yields=False,
        notified=True,
        members=("status",),
    ),
    Style(
        "Microsoft.NetApp",
        "operationResults",
        "operationResults",
        members=("id", "name", "status", "startTime", "endTime", "percentComplete", "properties"),
    ),
    Style(
        "Microsoft.AppConfiguration",
        "operationsStatus",
        "operationsStatus",
        members=("id", "name", "status", "error"),
        running="",
        again=True,
    ),
    Style("Microsoft.RecoveryServices", "operationStatus", "operationResults", beside="resource"),
    # The paths of these are documented, Storage's and Batch's way of announcing one, too.
    Style("Microsoft.Storage", "asyncoperations", polled=False),
    Style(
        "Microsoft.Batch",
        "accountOperationResults",
        "accountOperationResults",
        options=("api-version",),
        polled=False,
    ),
    Style("Microsoft.Synapse", "operationStatuses", "operationResults", beside="resource"),
    # These are known from the actions of their providers and from issues.
    Style(
        "Microsoft.DBforMySQL",
        "azureAsyncOperation",
        "operationResults",
        members=("name", "status", "startTime"),
    ),
    Style(
        "Microsoft.DBforPostgreSQL",
        "azureAsyncOperation",
        "operationResults",
        members=("name", "status", "startTime"),
    ),
    Style(
        "Microsoft.EventGrid",
        "operationsStatus",
        "operationResults",
        members=("id", "name", "status", "error"),
    ),
)
_COMMONEST = Style("", "operationStatuses", "operationResults")

_STYLES = {style.namespace.lower(): style for style in _TABLE}

SEGMENTS = sorted(
    {
        each.lower()
        for style in (*_TABLE, _COMMONEST)
        for each in (style.status, style.result)
        if each
    }
)


def style(namespace: str) -> Style:
    """Return a provider's row; others behave in the commonest way (assumed)."""
    return _STYLES.get(namespace.lower(), _COMMONEST)
