"""One call to Azure Resource Manager: sent, waited for, and its refusal mapped.

`Arm` sends all its calls here, its own as JSON and the SDKs' through the same pipeline. Nothing
retries: what Azure asked us to wait for is remembered, and the caller decides. Whatever is
answered, nothing but an `ArmError` is raised.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.core.rest import HttpRequest
from azure.mgmt.core import ARMPipelineClient

from reconciler.azure import failures, pipeline
from reconciler.azure.parsing import Json
from reconciler.azure.throttle import TENANT, Bucket, Throttle, bucket_of
from reconciler.errors import Again, ArmError, Blocked, Unreadable
from reconciler.ids import ResourceId

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30
_WITH_BODY: Final = frozenset({200, 201})
_MOST_PAGES: Final = 1000
"""Of one list: Azure's longest has a few dozen."""
_WRITES: Final = frozenset({"write", "delete"})
_DISABLED_FOR: Final = timedelta(hours=1)
# What may stand unescaped in a query (RFC 3986), and what is escaped already.
_IN_QUERY: Final = "%!$&'()*+,;=:@/?-._~"


def odata(text: str) -> str:
    """Return a text as a literal of an OData filter; a quote in it is doubled."""
    return "'" + text.replace("'", "''") + "'"


class Wire:
    """The pipeline to one endpoint; `options` hand the same pipeline to the SDKs' clients."""

    def __init__(
        self,
        credential: TokenCredential,
        endpoint: str,
        now: Callable[[], datetime],
        http: HttpTransport[Any, Any] | None = None,
    ) -> None:
        """Talk to `endpoint` (https) as `credential`; `now` is the clock that throttling uses."""
        self.scope = f"{endpoint}/.default"
        self._endpoint = endpoint.rstrip("/")
        self._credential = pipeline.Credential(credential)
        self._throttle = Throttle(now)
        self._now = now
        # By subscription: until when its writes are refused, and how.
        self._disabled: dict[str, tuple[datetime, Blocked]] = {}
        options: dict[str, Any] = {
            "base_url": endpoint,
            "policies": [
                *pipeline.policies(self._credential, self.scope),
                self._throttle.policy,
            ],
            "transport": http
            or RequestsTransport(connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS),
        }
        self._client: ARMPipelineClient[Any, Any] = ARMPipelineClient(**options)
        self.options = {
            "credential": self._credential,
            "credential_scopes": [self.scope],
            **options,
        }

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def sleep(self, wait: timedelta) -> None:
        """Wait as the transport does, whose time may be a test's."""
        self.options["transport"].sleep(wait.total_seconds())

    def token(self) -> str:
        """Return the access token that calls are sent with."""
        with self.calling(Bucket(TENANT, "token"), "signing in"):
            return self._credential.get_token(self.scope).token

    def pages(self, scope: ResourceId, path: str, version: str, chosen: str = "") -> Iterator[Json]:
        """Yield the rows of a list, or those that a filter chooses, following its next links."""
        place = str(scope).rstrip("/") + path
        bucket = bucket_of(scope, "read")
        query: Mapping[str, str] | str
        query = {"api-version": version} | ({"$filter": chosen} if chosen else {})
        seen: set[str] = set()
        while len(seen) < _MOST_PAGES:
            body, _ = self.request("GET", place, query, bucket)
            if not isinstance(body.get("value"), list):
                raise Unreadable(f"the list at {place} has no `value`")
            yield from body["value"]
            link = body.get("nextLink")
            if not link:
                return
            # Only the query is taken from the link: the token must not travel to another host.
            query = query_of(link, place)
            if not query or query in seen:
                break
            seen.add(query)
        raise Unreadable(f"the list at {place} has no end")

    def request(  # noqa: PLR0913 (one call is all of these)
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | str,
        bucket: Bucket,
        *,
        content: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Json, str | None]:
        """Send one call; returns the JSON object and the etag header."""
        raw = query if isinstance(query, str) else urlencode(query, quote_via=quote)
        what = f"{method} {path}"
        with self.calling(bucket, what):
            address = f"{self._endpoint}{quote(path)}?{raw}"
            request = HttpRequest(method, address, headers=dict(headers or {}), json=content)
            response = self._client.send_request(request, stream=False, **pipeline.to(path))
            if response.status_code not in _WITH_BODY:
                raise HttpResponseError(response=response)
            return read_object(response.text(), what), response.headers.get("etag")

    @contextmanager
    def calling(self, bucket: Bucket, what: str) -> Iterator[None]:
        """Map what goes wrong with one call, and remember what Azure asked us to wait for."""
        self._check_enabled(bucket, what)
        self._throttle.check(bucket)
        try:
            yield
        except (ArmError, AssertionError):
            # The assertion is our own, of a call that would have gone elsewhere.
            raise
        except Exception as error:
            # The SDKs read answers before we do, and an odd one may raise anything out of them.
            failure = failures.from_exception(what, error)
            if isinstance(failure, Again) and failure.status == failures.TOO_MANY:
                failure.retry_after = self._throttle.close(bucket, failure.retry_after)
            if isinstance(failure, Blocked) and failure.code == failures.DISABLED:
                self._disabled[bucket.place] = (self._now() + _DISABLED_FOR, failure)
            raise failure from error
        finally:
            self._throttle.done(bucket)

    def _check_enabled(self, bucket: Bucket, what: str) -> None:
        """Raise `Blocked` for a write to a subscription that was found disabled within the hour."""
        subscription, kind = bucket.place, bucket.kind
        if kind not in _WRITES or subscription not in self._disabled:
            return
        until, refused = self._disabled[subscription]
        if self._now() >= until:
            return
        again = Blocked(
            f"{what}: not sent, the subscription {subscription} was found disabled",
            status=refused.status,
            code=refused.code,
            request_id=refused.request_id,
        )
        again.next_step = refused.next_step
        raise again


def read_object(text: str, what: str) -> Json:
    """Read the JSON object that an answer must be, or raise `Unreadable`."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{what}: the answer is not JSON") from error
    if not isinstance(body, dict):
        raise Unreadable(f"{what}: the answer is not a JSON object")
    return body


def query_of(link: object, place: str) -> str:
    """Return the query of a next link, empty where it is none; raises `Unreadable`."""
    try:
        return quote(urlsplit(link if isinstance(link, str) else "").query, safe=_IN_QUERY)
    except ValueError as error:
        raise Unreadable(f"the list at {place} names no next page: {error}") from error
