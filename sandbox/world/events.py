"""The resource events that Event Grid delivers for a subscription; only the world makes them.

Shapes and casings follow facts: Resource events. Events of role assignments were never captured in
public; theirs follow the recorded activity log.
"""

import dataclasses
import datetime as dt
from typing import Any

from sandbox.arm import ids
from sandbox.world.state import Assignment, Operation, Principal

type Event = dict[str, Any]

_CLAIM = "http://schemas.microsoft.com/identity/claims/"
_NAME = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""The application through which people sign in here: the Azure CLI's (recorded)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """Who is writing, and by which request; without a method nobody's HTTP request did it."""

    caller: Principal
    method: str = ""
    url: str = ""
    correlation_id: str = ""
    right: Assignment | None = None  # The role assignment that allowed it.
    role_name: str = "Owner"
    operation: Operation | None = None
    """The operation that the request started: events of what it wrote come when that has ended."""
    body: Any = None  # What the request sent, JSON; the activity log keeps it.


def stamp(moment: dt.datetime) -> str:
    """Return a time as ARM writes it: seven digits of a second, Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def claims(caller: Principal, tenant: str, now: dt.datetime) -> dict[str, str]:
    """Return the token claims that events carry (facts: Resource events; a person's recorded)."""
    issued = int(now.timestamp())
    common = {
        "aud": "https://management.azure.com/",
        "iss": f"https://sts.windows.net/{tenant}/",
        "iat": str(issued),
        "nbf": str(issued),
        "exp": str(issued + 86400),
        f"{_CLAIM}objectidentifier": caller.oid,
        f"{_NAME}nameidentifier": caller.oid,
        f"{_CLAIM}tenantid": tenant,
        "ver": "1.0",
    }
    if caller.kind == "User":
        upn = f"{caller.name}@example.com"
        return common | {
            "appid": _CLI,
            "appidacr": "0",
            "ipaddr": "127.0.0.1",
            "name": caller.name,
            f"{_NAME}name": upn,
            f"{_NAME}upn": upn,
            f"{_CLAIM}scope": "user_impersonation",
        }
    return common | {
        "appid": caller.app_id,
        "appidacr": "2" if caller.resource_id else "1",
        f"{_CLAIM}identityprovider": f"https://sts.windows.net/{tenant}/",
        **({"xms_mirid": caller.resource_id} if caller.resource_id else {}),
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One write, with all that events and the activity log show of it."""

    id: str
    verb: str  # ``Write``, ``Delete`` or ``Action``.
    resource: ids.ArmId
    operation: str
    action: str  # The authorized action; it differs where a group's deletion cascades.
    context: Context
    at: dt.datetime
    update: bool  # Whether an existing resource was written; events then include the request.
    gone: Assignment | None = None  # The role assignment that went with its scope.
    failed: bool = False  # Whether its operation ended as failed.
    silent: bool = False
    """Whether the platform did it by itself: it is in the log, and there is no event (assumed)."""

    @property
    def status(self) -> str:
        """How it ended, as events and the log spell it (facts: Resource events)."""
        return "Failed" if self.failed else "Succeeded"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A line of the activity log: that a request began a change, or how the change ended."""

    change: Change
    at: dt.datetime
    begins: bool = False


def resource_event(change: Change, tenant: str) -> Event:
    """Return one ``Microsoft.Resources.Resource{verb}{outcome}`` event in Event Grid's schema.

    Writes spell the group ``resourcegroups``, deletes and actions ``resourceGroups`` (facts:
    Resource events, documented samples); a POST's subject ends in its action (facts: Resource
    events, third-party samples).
    """
    verb, resource, context = change.verb, change.resource, change.context
    evidence = {"role": context.role_name}
    if context.right is not None:
        # Evidence writes GUIDs without dashes (facts: Resource events, recorded).
        evidence |= {
            "roleAssignmentScope": context.right.scope,
            "roleAssignmentId": context.right.name.replace("-", ""),
            "roleDefinitionId": context.right.role.replace("-", ""),
            "principalId": context.right.principal.replace("-", ""),
            "principalType": context.right.principal_type,
        }
    outcome = "Failure" if change.failed else "Success"
    uri = ids.respell(resource.text, "resourcegroups" if verb == "Write" else "resourceGroups")
    subject = f"{uri}/{change.operation.split('/')[-2]}" if verb == "Action" else uri
    data: dict[str, Any] = {
        "authorization": {"scope": uri, "action": change.action, "evidence": evidence},
        "claims": claims(context.caller, tenant, change.at),
        "correlationId": context.correlation_id,
        "resourceProvider": change.operation.partition("/")[0],
        "resourceUri": uri,
        "operationName": change.operation,
        "status": change.status,
        "subscriptionId": resource.subscription,
        "tenantId": tenant,
    }
    if context.method and (change.update or verb != "Write"):
        # Creates carry none (facts: Resource events, documented).
        data["httpRequest"] = {
            "clientRequestId": context.correlation_id,
            "clientIpAddress": "127.0.0.1",
            "method": context.method,
            "url": context.url,
        }
    return {
        "subject": subject,
        "eventType": f"Microsoft.Resources.Resource{verb}{outcome}",
        "eventTime": stamp(change.at),
        "id": change.id,
        "data": data,
        "dataVersion": "2",
        "metadataVersion": "1",
        "topic": f"/subscriptions/{resource.subscription}",
    }
