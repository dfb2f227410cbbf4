"""How providers announce and show their asynchronous operations; one row each.

``operations`` renders by it. The rows were read off azure-cli's recordings of each provider
(test_redis_cache_*, test_signalr_*, test_cosmosdb_*, ...); that others do as most do is assumed.
"""

import dataclasses
from typing import Literal

_MONITORED = ("p", "api-version", "t", "c", "s", "h")
_SIGNED = ("api-version", "t", "c", "s", "h")


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """How one provider does it."""

    namespace: str
    status: str
    """The segment of the URL that tells the state."""
    result: str = ""
    """The segment of the URL that gives the result; empty: ``status`` with ``monitor=true``."""
    beside: Literal["location", "resource", "group"] = "location"
    """What the segments hang on; ``group``: a location in the resource's group."""
    result_beside: Literal["", "resource"] = ""
    """What the segment of a write's result hangs on, where it is something else."""
    group_literal: str = "resourceGroups"
    """How the group is spelled there."""
    names_region: Literal["never", "deleting", "always"] = "never"
    """When the location is spelled as for people."""
    options: tuple[str, ...] = _SIGNED
    result_option: str = ""
    """An option more that the URL of the result has."""
    polled: bool = True
    """Whether the URL of the state is announced; else only that of the result."""
    deletion: str = ""
    """The segment of a deletion's result, where it is announced by that alone."""
    located: Literal["", "created", "always"] = ""
    """Which answers besides 202 have a location: one that creates (it names the resource), or all
    (the result)."""
    calls: tuple[str, str] = ("", "")
    """What the receipt calls a write and a deletion; empty: it has no body."""
    shows: bool = False
    """Whether the receipt of a write is the resource."""
    queued: str = ""
    """The state that is told first, also in the receipt of a deletion."""
    yields: bool = True
    """Whether a write's result is the resource (documented for all); else it has no body."""
    done: int = 200
    """The status of a result without a body."""
    notified: bool = False
    """Whether ``azure-asyncnotification`` is sent."""
    members: tuple[str, ...] = ("startTime", "endTime", "status", "name")
    """What the state shows; ``endTime`` only once it has ended."""
    nulls: tuple[str, ...] = ()
    """What it shows as null."""
    about: Literal["operation", "resource"] = "operation"
    """Whose ``id`` and properties it shows."""
    running: str = "InProgress"
    """The state while it runs; empty: the provisioning state of the resource."""
    again: Literal["", "running", "always"] = ""
    """Whether the state repeats what announced it: both links while it runs, or always one."""


_DATABASES = Style(
    "",
    "azureAsyncOperation",
    "operationResults",
    names_region="deleting",
    calls=("UpsertServerManagementOperationV2", "DropServerManagementOperation"),
    members=("name", "status", "startTime"),
)
_BUS = Style(
    "",
    "operationStatus",
    "operationStatus",
    beside="group",
    group_literal="resourcegroups",
    options=("api-version", "resourceType"),
    polled=False,
    done=204,
)
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
        result_option="operationResultResponseType",
        members=("id", "name", "status", "startTime", "endTime", "percentComplete", "properties"),
    ),
    Style(
        "Microsoft.AppConfiguration",
        "operationsStatus",
        "operationsStatus",
        members=("id", "name", "status", "error"),
        running="",
        again="always",
    ),
    Style(
        "Microsoft.RecoveryServices",
        "operationStatus",
        "operationResults",
        beside="resource",
        members=("id", "name", "status"),
        again="running",
    ),
    Style("Microsoft.Storage", "asyncoperations", polled=False),
    Style(
        "Microsoft.Batch",
        "operationResults",
        "operationResults",
        beside="resource",
        deletion="accountOperationResults",
        options=("api-version",),
        polled=False,
    ),
    Style(
        "Microsoft.Synapse",
        "operationStatuses",
        "operationResults",
        beside="resource",
        members=("status",),
    ),
    Style(
        "Microsoft.EventGrid",
        "operationsStatus",
        "operationResults",
        members=("id", "name", "status", "error"),
    ),
    *(
        dataclasses.replace(_DATABASES, namespace=f"Microsoft.{each}")
        for each in ("DBforMySQL", "DBforPostgreSQL")
    ),
    Style(
        "Microsoft.Sql",
        "serverAzureAsyncOperation",
        "serverOperationResults",
        beside="group",
        calls=("UpsertLogicalServer", "DropLogicalServer"),
        members=("name", "status", "startTime"),
    ),
    *(
        dataclasses.replace(_BUS, namespace=f"Microsoft.{each}")
        for each in ("EventHub", "ServiceBus")
    ),
    Style(
        "Microsoft.ContainerRegistry",
        "operationStatuses",
        "operationResults",
        beside="resource",
        members=("status",),
        running="",
        again="always",
    ),
    Style(
        "Microsoft.ContainerInstance",
        "operations",
        "operations",
        members=("id", "status", "startTime", "properties"),
        about="resource",
        running="",
    ),
    Style("Microsoft.ContainerService", "operations", "operationresults"),
    Style(
        "Microsoft.DocumentDB",
        "operationsStatus",
        "operationResults",
        result_beside="resource",
        located="always",
        queued="Enqueued",
        members=("status",),
        running="Dequeued",
    ),
    Style(
        "Microsoft.Cache",
        "asyncOperations",
        "asyncOperations",
        names_region="always",
        deletion="operationresults",
        located="created",
        shows=True,
        members=("id", "name", "status"),
        nulls=("startTime", "endTime", "percentComplete", "properties", "error"),
        again="always",
    ),
    Style(
        "Microsoft.CognitiveServices",
        "operationResults",
        "operationResults",
        result_option="operationResultResponseType",
        shows=True,
        members=("id", "name", "status", "startTime", "endTime"),
        running="",
    ),
    Style(
        "Microsoft.SignalRService",
        "operationStatuses",
        "operationResults",
        beside="resource",
        located="always",
        members=("id", "name", "status", "startTime", "endTime"),
        running="Running",
    ),
)
_COMMONEST = Style("", "operationStatuses", "operationResults")

_STYLES = {style.namespace.lower(): style for style in _TABLE}

SEGMENTS = sorted(
    {
        each.lower()
        for style in (*_TABLE, _COMMONEST)
        for each in (style.status, style.result, style.deletion)
        if each
    }
)


def style(resource_type: str) -> Style:
    """Return the row of a type's provider; others behave in the commonest way (assumed)."""
    return _STYLES.get(resource_type.lower().partition("/")[0], _COMMONEST)
