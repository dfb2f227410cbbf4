"""Azure Resource Manager: every call of the project, but outcome events, is a method of `Arm`.

`observe`, `apply`, `sweep` and `reconcile` make them through here and get the domain's types.
Assignments are listed and resources read without the SDKs' model layer: a scope's list may hold
hundreds of rows, and turning each into a model costs more than all else that an event needs.
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

from reconciler import resource_types
from reconciler.azure import failures, parsing
from reconciler.azure.parsing import Json
from reconciler.azure.pipeline import Caller, Pipeline, query_of, read_caller, read_object
from reconciler.azure.throttle import GRAPH, TENANT, Bucket, bucket_of
from reconciler.errors import Again, NotFound, Unreadable
from reconciler.ids import ResourceId, dashless, fold
from reconciler.marker import SERVICE_PRINCIPAL, assignment_name
from reconciler.model import (
    SUBSCRIPTION,
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
_RIGHTS: Final = "2022-04-01"
"""The api-version of role assignments and definitions."""
_RESOURCES: Final = "2021-04-01"
_GRAPH: Final = "2021-03-01"
_MANAGEMENT: Final = "2020-05-01"
_LOG: Final = "2015-04-01"
_LOG_PATH: Final = "/providers/Microsoft.Insights/eventtypes/management/values"
_GRAPH_PATH: Final = "/providers/Microsoft.ResourceGraph/resources"
# Microsoft's own command line sends as many in one query.
_MOST_SUBSCRIPTIONS: Final = 1000


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
        self._pipeline = Pipeline(credential, endpoint, now, http)
        self._identity_clients: dict[str, ManagedServiceIdentityClient] = {}
        # Its URL templates bring the first slash, escape nothing, and take what stands in braces
        # for a part of the template; so ids are handed to it without that slash, and escaped.
        self._authorization = AuthorizationManagementClient(
            subscription_id="none", **self._pipeline.options
        ).role_assignments

    def close(self) -> None:
        """Close the connections."""
        self._pipeline.client.close()

    @cached_property
    def caller(self) -> Caller:
        """Who we are, by the token that our calls are sent with; read once."""
        with self._pipeline.call(Bucket(TENANT, "token"), "signing in"):
            token = self._pipeline.credential.get_token(self._pipeline.scope).token
        return read_caller(token)

    @property
    def known_client(self) -> str | None:
        """Our own `appid`, or none as long as `caller` has not been read; makes no call."""
        caller = vars(self).get("caller")
        return caller.client if caller else None

    def resource(self, resource: ResourceId) -> Resource:
        """Read a resource of a type that is reconciled."""
        return self._send("GET", resource)

    def user_identity(self, identity: ResourceId) -> UserIdentity:
        """Read a user-assigned identity."""
        bucket = bucket_of(identity, "read")
        with self._pipeline.call(bucket, f"reading {identity}", str(identity)) as options:
            operations = self._identities(str(identity.subscription))
            body = operations.get(str(identity.group), identity.name, cls=_body, **options)
        answered = parsing.user_identity(body)
        _check_id(identity, answered.id)
        return answered

    def create_identity(self, new: NewIdentity) -> None:
        """Create a user-assigned identity; of one that exists by now only the tags change.

        A PUT answers 201 and, for one that exists, 200 with the same principal (facts: Identities).
        """
        identity = new.id
        parameters = Identity(location=new.location, tags=dict(new.tags))
        bucket = bucket_of(identity, "write")
        with self._pipeline.call(bucket, f"creating {identity}", str(identity)) as options:
            operations = self._identities(str(identity.subscription))
            operations.create_or_update(
                str(identity.group), identity.name, parameters, cls=_body, **options
            )

    def group_exists(self, group: ResourceId) -> bool:
        """Return whether a resource group is there."""
        bucket = bucket_of(group, "read")
        try:
            self._pipeline.request("GET", str(group), {"api-version": _RESOURCES}, bucket)
        except NotFound as error:
            if error.code != failures.GROUP_NOT_FOUND:
                # A subscription that we can no longer see answers every call alike.
                raise Unreadable(str(error), status=error.status, code=error.code) from error
            return False
        return True

    def patch_identities(self, resource: Resource, block: Json) -> Resource:
        """Write the identity block that the type's PATCH takes, under the etag if one was read.

        The answer already shows the new block, though the operation goes on (facts: Machines).
        """
        patch = resource_types.find(resource.id.type).patch
        assert patch, f"no PATCH of identities is known for {resource.id.type}"  # noqa: S101 (the planner's promise)
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
            rows.extend(self._pipeline.pages(scope, _ASSIGNMENTS, _RIGHTS, "atScope()"))
        except NotFound as error:
            if rows:
                # What was there a page ago is not gone.
                raise Unreadable(str(error), status=error.status, code=error.code) from error
        return tuple(parsing.role_assignment(row) for row in rows)

    def assignment(self, assignment: ResourceId) -> RoleAssignment:
        """Read one role assignment."""
        bucket = bucket_of(assignment, "read")
        with self._pipeline.call(bucket, f"reading {assignment}", str(assignment)) as options:
            body: Json = self._authorization.get_by_id(
                quote(str(assignment)[1:]), cls=_body, **options
            )  # type: ignore[assignment]  # With `cls` it returns what that makes.
        answered = parsing.role_assignment(body)
        # A cascaded delete's event spells the name without dashes (facts: Resource events).
        if dashless(answered.id.name) != dashless(assignment.name):
            _check_id(assignment, answered.id)
        _check_id(assignment.scope, answered.id.scope)
        return answered

    def put_assignment(self, grant: Grant, principal: str, marker: str, name: str = "") -> None:
        """Create our assignment of a triple, or write its condition and description anew.

        `name` is given for one that already has another name than its triple's. The answer is not
        the stored object (facts: Role assignments), so nothing is read from it. `principalType`
        spares Azure a directory lookup that fails for a young principal.
        """
        scope = grant.place
        name = name or assignment_name(scope, grant.role, principal)
        parameters = RoleAssignmentCreateParameters(
            # As seen from the scope's subscription (facts: Role assignments).
            role_definition_id=f"{scope.subscription_id or ''}{_ROLES}/{grant.role}",
            principal_id=principal,
            principal_type=SERVICE_PRINCIPAL,
            description=marker,
            condition=grant.condition,
            condition_version=CONDITION_VERSION if grant.condition else None,
        )
        what = f"granting {role_name(grant.role)} at {scope}"
        path = f"{str(scope).rstrip('/')}{_ASSIGNMENTS}/{name}"
        with self._pipeline.call(bucket_of(scope, "write"), what, path) as options:
            self._authorization.create(quote(str(scope)[1:]), name, parameters, **options)

    def delete_assignment(self, assignment: ResourceId) -> None:
        """Delete a role assignment; one that is already gone is no error (204)."""
        bucket = bucket_of(assignment, "delete")
        with self._pipeline.call(bucket, f"deleting {assignment}", str(assignment)) as options:
            self._authorization.delete_by_id(quote(str(assignment)[1:]), **options)

    def permissions(self, definition: ResourceId) -> tuple[Permission, ...]:
        """Return what a role allows, by the id of its definition."""
        bucket = bucket_of(definition, "read")
        query = {"api-version": _RIGHTS}
        try:
            body, _ = self._pipeline.request("GET", str(definition), query, bucket)
        except Again as error:
            if error.code == failures.ROLE_NOT_FOUND:
                # Read by its id it is absent; only a grant that names it may have come too early.
                raise NotFound(error.reason, status=error.status, code=error.code) from error
            raise
        # Azure spells the id as seen from the subscription (facts: Role assignments), the GUID is
        # the role's.
        if fold(parsing.id_of(body).name) != fold(definition.name):
            _check_id(definition, parsing.id_of(body))
        return parsing.permissions(body)

    def subscriptions_below(self, group: ResourceId) -> tuple[ResourceId, ...]:
        """List the subscriptions of a management group and of all groups in it (documented)."""
        below = map(parsing.id_of, self._pipeline.pages(group, "/descendants", _MANAGEMENT))
        return tuple(place for place in below if place.is_type(SUBSCRIPTION))

    def written(
        self, place: ResourceId, since: datetime, until: datetime, *, pages: int = 1
    ) -> tuple[tuple[Written, ...], bool]:
        """Return who wrote to a place in a subscription, and whether that is all of it.

        As far as the activity log has it, which is late by minutes, and no more than some pages of
        it; its filters know no other form (facts: Activity log).
        """
        # Whole seconds: up to the end of the last one. A quote in OData is doubled.
        last = until + timedelta(seconds=1)
        literal = str(place).replace("'", "''")
        filter_text = (
            f"eventTimestamp ge '{since:%Y-%m-%dT%H:%M:%SZ}' and "
            f"eventTimestamp le '{last:%Y-%m-%dT%H:%M:%SZ}' and resourceUri eq '{literal}'"
        )
        path = f"{place.subscription_id}{_LOG_PATH}"
        # Its limits are its own: they must not keep us from reading resources.
        bucket = bucket_of(place, "activity log")
        query: dict[str, str] | str = {"api-version": _LOG, "$filter": filter_text}
        entries: list[Written] = []
        for _ in range(pages):
            try:
                body, _tag = self._pipeline.request("GET", path, query, bucket)
            except NotFound as error:
                raise _no_answer(error) from error
            rows = body.get("value")
            if not isinstance(rows, list):
                raise Unreadable(f"the activity log of {place} has no `value`")
            entries += map(parsing.written, rows)
            link = body.get("nextLink")
            if not link:
                return tuple(entries), True
            query = query_of(link, f"the activity log of {place}")
        return tuple(entries), False

    def query(
        self,
        kql: str,
        subscriptions: tuple[ResourceId, ...],
        *,
        leave: int = 0,
        patience: timedelta = timedelta(),
    ) -> Iterator[Json]:
        """Ask Resource Graph; yields the rows of all pages.

        Without subscriptions it answers for all that we can read (facts: Resource Graph). Raises
        `Unreadable` for an answer that is cut short, and `Again` rather than use up the last
        queries, of which it is to `leave` some to others, unless its turn comes within its
        `patience` for a page.
        """
        bucket = GRAPH._replace(leave=leave)
        names = [subscription.subscription for subscription in subscriptions]
        parts: list[Json] = [
            {"subscriptions": some} for some in batched(names, _MOST_SUBSCRIPTIONS, strict=False)
        ]
        for part in parts or [{}]:
            options: dict[str, Any] = {"resultFormat": "objectArray"}
            seen: set[str] = set()
            patience_left = patience
            while True:
                content = {"query": kql, **part, "options": options}
                try:
                    body, _ = self._pipeline.request(
                        "POST", _GRAPH_PATH, {"api-version": _GRAPH}, bucket, content=content
                    )
                except NotFound as error:
                    raise _no_answer(error) from error
                except Again as error:
                    wait = error.retry_after if error.status == failures.TOO_MANY else None
                    if wait is None or not timedelta() < wait <= patience_left:
                        raise
                    patience_left -= wait
                    self._pipeline.transport.sleep(wait.total_seconds())
                    continue
                rows, token = body.get("data"), body.get("$skipToken")
                truncated = fold(str(body.get("resultTruncated", "false"))) == "true"
                if not isinstance(rows, list) or (truncated and not token):
                    raise Unreadable("Resource Graph answered with a part of the rows only")
                yield from rows
                if not token:
                    break
                if not isinstance(token, str) or token in seen:
                    raise Unreadable("Resource Graph names no next page")
                seen.add(token)
                options = {**options, "$skipToken": token}
                patience_left = patience

    def _identities(self, subscription: str) -> Any:  # noqa: ANN401 (the SDK's own operations type is private)
        if subscription not in self._identity_clients:
            self._identity_clients[subscription] = ManagedServiceIdentityClient(
                subscription_id=subscription, **self._pipeline.options
            )
        return self._identity_clients[subscription].user_assigned_identities

    def _send(
        self,
        method: str,
        resource: ResourceId,
        *,
        content: Json | None = None,
        etag: str | None = None,
        region: str = "",
    ) -> Resource:
        """Make one call to a resource of a known type; both GET and PATCH answer with it."""
        bucket = bucket_of(resource, "read" if method == "GET" else "write", region)
        version = resource_types.find(resource.type).api_version
        assert version, f"{resource.type} is none that is reconciled"  # noqa: S101 (the router's promise)
        query = {"api-version": version}
        headers = {"If-Match": etag} if etag else {}
        body, tag = self._pipeline.request(
            method, str(resource), query, bucket, content=content, headers=headers
        )
        answered = parsing.resource(body, tag)
        _check_id(resource, answered.id)
        return answered


def _no_answer(error: NotFound) -> Unreadable:
    """Return a 404 of a query as an answer that cannot be read: it makes nothing absent."""
    return Unreadable(error.reason, status=error.status, code=error.code)


def _check_id(asked: ResourceId, answered: ResourceId) -> None:
    """Raise `Unreadable` where an answer is about something else: a cache may be in between."""
    if answered != asked:
        raise Unreadable(f"Azure's answer for {asked} is about {answered}")


def _body(response: Any, *_: object) -> Json:  # noqa: ANN401 (the SDKs' response types differ)
    """Take the raw JSON of an SDK's answer, which reads the same as a Resource Graph row."""
    return read_object(response.http_response.text(), "the SDK's call")
