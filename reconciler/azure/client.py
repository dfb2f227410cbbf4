"""The one seam to Azure Resource Manager: every call of the project goes through `Arm`.

It signs in, sends, maps refusals to `ArmError`, and returns the domain's types. Assignments are
listed and resources read without the SDKs' model layer: a scope's list may hold hundreds of rows,
and turning each into a model costs more than everything else that an event needs.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from itertools import batched
from typing import Any, Final
from urllib.parse import quote

from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import HttpTransport
from azure.mgmt.authorization.v2022_04_01 import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters
from azure.mgmt.msi.v2024_11_30 import ManagedServiceIdentityClient
from azure.mgmt.msi.v2024_11_30.models import Identity

from reconciler.azure import caller, failures, parsing, pipeline
from reconciler.azure.parsing import Json
from reconciler.azure.throttle import GRAPH, Bucket, bucket_of, resource_bucket
from reconciler.azure.wire import Wire, odata, query_of, read_object
from reconciler.errors import Again, NotFound, Unreadable
from reconciler.ids import ResourceId, dashless, fold
from reconciler.marker import SERVICE_PRINCIPAL, assignment_name
from reconciler.model import (
    SUBSCRIPTION,
    VIRTUAL_MACHINE,
    Grant,
    NewIdentity,
    Permission,
    Resource,
    RoleAssignment,
    UserIdentity,
    Written,
)
from reconciler.roles import role_name

CONDITION_VERSION: Final = "2.0"
_ASSIGNMENTS: Final = "/providers/Microsoft.Authorization/roleAssignments"
_ROLES: Final = "/providers/Microsoft.Authorization/roleDefinitions"
_DEFINITIONS: Final = "2022-04-01"
_RESOURCES: Final = "2021-04-01"
_GRAPH: Final = "2021-03-01"
_MANAGEMENT: Final = "2020-05-01"
_LOG: Final = "2015-04-01"
_LOG_PATH: Final = "/providers/Microsoft.Insights/eventtypes/management/values"
_GRAPH_PATH: Final = "/providers/Microsoft.ResourceGraph/resources"
# As many does Microsoft's own command line send in one query.
_MOST_SUBSCRIPTIONS: Final = 1000

# One row a type: the api-version under which its identity block was recorded (facts: Machines).
API_VERSIONS: Final = {fold(VIRTUAL_MACHINE): "2024-07-01"}


class Arm:
    """Azure Resource Manager as this project uses it.

    Every method raises `ArmError`: `NotFound` alone means absent, `Again` is passing, `Blocked`
    needs a person, `Rejected` is a bug of ours.
    """

    def __init__(
        self,
        credential: TokenCredential,
        endpoint: str,
        now: Callable[[], datetime],
        http: HttpTransport[Any, Any] | None = None,
    ) -> None:
        """Talk to `endpoint` (https) as `credential`; `now` is the clock that throttling uses."""
        self._wire = Wire(credential, endpoint, now, http)
        self._clients: dict[str, ManagedServiceIdentityClient] = {}
        self._authorization = AuthorizationManagementClient(
            subscription_id="none", **self._wire.options
        ).role_assignments

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    @cached_property
    def caller(self) -> caller.Caller:
        """Read our own identity from the token that we are given."""
        return caller.read(self._wire.token())

    @property
    def known_client(self) -> str | None:
        """Our own `appid`, where a call has told already; makes no call."""
        known = vars(self).get("caller")
        return known.client if known else None

    def resource(self, resource: ResourceId) -> Resource:
        """Read a resource of a type in `API_VERSIONS`."""
        return self._send("GET", resource)

    def user_identity(self, identity: ResourceId) -> UserIdentity:
        """Read a user-assigned identity."""
        with self._wire.calling(bucket_of(identity, "read"), f"reading {identity}"):
            operations = self._identities(str(identity.subscription))
            body = operations.get(
                str(identity.group),
                identity.name,
                cls=_body,
                **pipeline.through_sdk(str(identity)),
            )
        found = parsing.user_identity(body)
        _check_id(identity, found.id)
        return found

    def create_identity(self, new: NewIdentity) -> None:
        """Create a user-assigned identity; one that is there meanwhile stays as it is but for tags.

        A PUT answers 201 and, for one that exists, 200 with the same principal (facts: Identities).
        """
        identity = new.id
        parameters = Identity(location=new.location, tags=dict(new.tags))
        with self._wire.calling(bucket_of(identity, "write"), f"creating {identity}"):
            self._identities(str(identity.subscription)).create_or_update(
                str(identity.group),
                identity.name,
                parameters,
                cls=_body,
                **pipeline.through_sdk(str(identity)),
            )

    def group_exists(self, group: ResourceId) -> bool:
        """Return whether a resource group is there."""
        bucket = bucket_of(group, "read")
        try:
            self._wire.request("GET", str(group), {"api-version": _RESOURCES}, bucket)
        except NotFound as error:
            if error.code != failures.GROUP_NOT_FOUND:
                # A subscription that we can no longer see answers every call alike.
                raise Unreadable(str(error), status=error.status, code=error.code) from error
            return False
        return True

    def patch_identities(self, resource: Resource, block: Json) -> Resource:
        """Write a delta of the identity block, under the etag that was read, if there was one.

        The answer already shows the new block, though the operation goes on (facts: Machines).
        """
        return self._send(
            "PATCH",
            resource.id,
            content={"identity": block},
            etag=resource.etag,
            region=resource.location,
        )

    def assignments_at(self, scope: ResourceId) -> tuple[RoleAssignment, ...]:
        """List the role assignments at a scope and above it; none where the scope is gone.

        `atScope()` leaves out what lies below (facts: Role assignments), which at a subscription
        can be thousands.
        """
        rows: list[Json] = []
        try:
            rows.extend(self._wire.pages(scope, _ASSIGNMENTS, "2022-04-01", "atScope()"))
        except NotFound as error:
            if rows:
                # What was there a page ago is not gone.
                raise Unreadable(str(error), status=error.status, code=error.code) from error
        return tuple(parsing.role_assignment(row) for row in rows)

    def assignment(self, assignment: ResourceId) -> RoleAssignment:
        """Read one role assignment."""
        with self._wire.calling(bucket_of(assignment, "read"), f"reading {assignment}"):
            body: Json = self._authorization.get_by_id(
                _bare(assignment), cls=_body, **pipeline.through_sdk(str(assignment))
            )  # type: ignore[assignment]  # With `cls` it returns what that makes.
        found = parsing.role_assignment(body)
        # A cascaded delete's event spells the name without dashes (facts: Resource events).
        if dashless(found.id.name) != dashless(assignment.name):
            _check_id(assignment, found.id)
        _check_id(assignment.scope, found.id.scope)
        return found

    def put_assignment(self, grant: Grant, principal: str, marker: str, name: str = "") -> None:
        """Create our assignment of a triple, or write its condition and description anew.

        `name` is given for one that already has another name than its triple's. The answer is not
        the stored object (facts: Role assignments), so nothing is read from it. `principalType`
        spares Azure a directory lookup that fails for a young principal.
        """
        scope = grant.place
        name = name or assignment_name(scope, grant.role, principal)
        parameters = RoleAssignmentCreateParameters(
            role_definition_id=_definition(grant),
            principal_id=principal,
            principal_type=SERVICE_PRINCIPAL,
            description=marker,
            condition=grant.condition,
            condition_version=CONDITION_VERSION if grant.condition else None,
        )
        path = f"{str(scope).rstrip('/')}{_ASSIGNMENTS}/{name}"
        with self._wire.calling(
            bucket_of(scope, "write"), f"granting {role_name(grant.role)} at {scope}"
        ):
            self._authorization.create(_bare(scope), name, parameters, **pipeline.through_sdk(path))

    def permissions(self, definition: ResourceId) -> tuple[Permission, ...]:
        """Read what a role allows, by the id of its definition."""
        bucket = bucket_of(definition, "read")
        query = {"api-version": _DEFINITIONS}
        try:
            body, _ = self._wire.request("GET", str(definition), query, bucket)
        except Again as error:
            if error.code == failures.ROLE_NOT_FOUND:
                # Asked for itself it is absent; only of a grant that names it, it may be young.
                raise NotFound(error.reason, status=error.status, code=error.code) from error
            raise
        # Azure spells the id as seen from the subscription (facts: Role assignments), the GUID is
        # the role's.
        if fold(parsing.id_of(body).name) != fold(definition.name):
            _check_id(definition, parsing.id_of(body))
        return parsing.permissions(body)

    def delete_assignment(self, assignment: ResourceId) -> None:
        """Delete a role assignment; one that is already gone is no error (204)."""
        with self._wire.calling(bucket_of(assignment, "delete"), f"deleting {assignment}"):
            self._authorization.delete_by_id(
                _bare(assignment), **pipeline.through_sdk(str(assignment))
            )

    def subscriptions_below(self, group: ResourceId) -> tuple[ResourceId, ...]:
        """List the subscriptions of a management group and of all groups in it (documented)."""
        below = map(parsing.id_of, self._wire.pages(group, "/descendants", _MANAGEMENT))
        return tuple(one for one in below if one.is_type(SUBSCRIPTION))

    def written(
        self, place: ResourceId, since: datetime, until: datetime, *, pages: int = 1
    ) -> tuple[tuple[Written, ...], bool]:
        """Return who wrote to a place in a subscription, and whether that is all of it.

        As far as the activity log knows, which is late by minutes, and no more than some pages of
        it; its filters know no other form (facts: Activity log).
        """
        # Whole seconds: up to the end of the last one.
        last = until + timedelta(seconds=1)
        chosen = (
            f"eventTimestamp ge '{since:%Y-%m-%dT%H:%M:%SZ}' and "
            f"eventTimestamp le '{last:%Y-%m-%dT%H:%M:%SZ}' and resourceUri eq {odata(str(place))}"
        )
        path = f"{place.subscription_id}{_LOG_PATH}"
        # Its limits are its own: they must not keep us from reading resources.
        bucket = bucket_of(place, "activity log")
        query: dict[str, str] | str = {"api-version": _LOG, "$filter": chosen}
        found: list[Written] = []
        for _ in range(pages):
            try:
                body, _tag = self._wire.request("GET", path, query, bucket)
            except NotFound as error:
                raise _no_answer(error) from error
            rows = body.get("value")
            if not isinstance(rows, list):
                raise Unreadable(f"the activity log of {place} has no `value`")
            found += map(parsing.written, rows)
            link = body.get("nextLink")
            if not link:
                return tuple(found), True
            query = query_of(link, f"the activity log of {place}")
        return tuple(found), False

    def query(
        self,
        kql: str,
        subscriptions: tuple[ResourceId, ...],
        *,
        leave: int = 0,
        patience: timedelta = timedelta(),
    ) -> Iterator[Json]:
        """Ask Resource Graph; yields rows of all pages. Truncated answers raise `Unreadable`.

        Without subscriptions it answers for all that we can read (facts: Resource Graph). Raises
        `Again` rather than use up the last queries, of which it is to `leave` some to others,
        unless its turn comes within its `patience` for a page.
        """
        bucket = GRAPH._replace(leave=leave)
        names = [subscription.subscription for subscription in subscriptions]
        if not names:
            yield from self._rows({"query": kql}, bucket, patience)
        for some in batched(names, _MOST_SUBSCRIPTIONS, strict=False):
            yield from self._rows({"query": kql, "subscriptions": some}, bucket, patience)

    def _rows(self, question: Json, bucket: Bucket, patience: timedelta) -> Iterator[Json]:
        options: dict[str, Any] = {"resultFormat": "objectArray"}
        seen: set[str] = set()
        while True:
            body = self._page({**question, "options": options}, bucket, patience)
            rows, token = body.get("data"), body.get("$skipToken")
            truncated = fold(str(body.get("resultTruncated", "false"))) == "true"
            if not isinstance(rows, list) or (truncated and not token):
                raise Unreadable("Resource Graph answered with a part of the rows only")
            yield from rows
            if not token:
                return
            if not isinstance(token, str) or token in seen:
                raise Unreadable("Resource Graph names no next page")
            seen.add(token)
            options = {**options, "$skipToken": token}

    def _page(self, content: Json, bucket: Bucket, patience: timedelta) -> Json:
        """Ask for one page, and wait for its turn as long as patience lasts."""
        while True:
            try:
                query = {"api-version": _GRAPH}
                return self._wire.request("POST", _GRAPH_PATH, query, bucket, content=content)[0]
            except NotFound as error:
                raise _no_answer(error) from error
            except Again as error:
                wait = error.retry_after if error.status == failures.TOO_MANY else None
                if wait is None or not timedelta() < wait <= patience:
                    raise
                patience -= wait
                self._wire.sleep(wait)

    def _identities(self, subscription: str) -> Any:  # noqa: ANN401 (the SDK's own operations type is private)
        if subscription not in self._clients:
            self._clients[subscription] = ManagedServiceIdentityClient(
                subscription_id=subscription, **self._wire.options
            )
        return self._clients[subscription].user_assigned_identities

    def _send(
        self,
        method: str,
        resource: ResourceId,
        *,
        content: Json | None = None,
        etag: str | None = None,
        region: str = "",
    ) -> Resource:
        """Send one call to a resource of a known type; both GET and PATCH answer with it."""
        bucket = resource_bucket(resource, "read" if method == "GET" else "write", region)
        query = {"api-version": API_VERSIONS[fold(resource.type)]}
        headers = {"If-Match": etag} if etag else {}
        body, tag = self._wire.request(
            method, str(resource), query, bucket, content=content, headers=headers
        )
        found = parsing.resource(body, tag)
        _check_id(resource, found.id)
        return found


def _no_answer(error: NotFound) -> Unreadable:
    """Return a 404 of a question as what it is: nobody is absent because of it."""
    return Unreadable(error.reason, status=error.status, code=error.code)


def _check_id(asked: ResourceId, answered: ResourceId) -> None:
    """Raise `Unreadable` where an answer is about something else than what was asked for."""
    if answered != asked:
        raise Unreadable(f"Azure's answer for {asked} is about {answered}")


def _bare(place: ResourceId) -> str:
    """Return an id as the authorization SDK wants it: its templates bring the first slash.

    It escapes nothing, and takes what stands in braces for a part of the template.
    """
    return quote(str(place).lstrip("/"))


def _body(response: Any, *_: object) -> Json:  # noqa: ANN401 (the SDKs' response types differ)
    """Take the raw JSON of an SDK's answer, which reads the same as a Resource Graph row."""
    return read_object(response.http_response.text(), "the SDK's call")


def _definition(grant: Grant) -> str:
    """Return the role definition id as seen from the scope's subscription.

    See facts: Role assignments.
    """
    return f"{grant.place.subscription_id or ''}{_ROLES}/{grant.role}"
