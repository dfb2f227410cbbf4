"""One call to Azure Resource Manager: sent, waited for, and its refusal mapped.

`Arm` sends all its calls here, its own as JSON and the SDKs' through the same pipeline. Nothing
retries: what Azure asked us to wait for is remembered, and the caller decides.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.core.rest import HttpRequest
from azure.mgmt.core import ARMPipelineClient

from reconciler.answers import Json
from reconciler.arm import failures, transport
from reconciler.arm.throttle import TENANT, Bucket, Throttle, bucket_of
from reconciler.errors import Again, Unreadable
from reconciler.ids import ResourceId

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30


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
        self._credential = credential
        self._throttle = Throttle(now)
        pipeline: dict[str, Any] = {
            "base_url": endpoint,
            "policies": [*transport.policies(credential, self.scope), self._throttle.policy],
            "transport": http
            or RequestsTransport(connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS),
        }
        self._client: ARMPipelineClient[Any, Any] = ARMPipelineClient(**pipeline)
        self.options = {
            "credential": credential,
            "credential_scopes": [self.scope],
            **pipeline,
        }

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def token(self) -> str:
        """Return the access token that calls are sent with."""
        with self.calling(Bucket(TENANT, "token"), "signing in"):
            return self._credential.get_token(self.scope).token

    def pages(self, scope: ResourceId, path: str, version: str, chosen: str = "") -> Iterator[Json]:
        """Yield the rows of a list, or those that a filter chooses, following its next links."""
        place = str(scope).rstrip("/") + path
        bucket = bucket_of(scope, "read")
        query = {"api-version": version} | ({"$filter": chosen} if chosen else {})
        body, _ = self.request("GET", place, query, bucket)
        while True:
            if not isinstance(body.get("value"), list):
                raise Unreadable(f"the list at {place} has no `value`")
            yield from body["value"]
            link = body.get("nextLink")
            if not link:
                return
            # Only the query is taken from the link: the token must not travel to another host.
            body, _ = self.request("GET", place, urlsplit(link).query, bucket)

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
        address = self._client.format_url(f"{quote(path)}?{raw}")
        request = HttpRequest(method, address, headers=dict(headers or {}), json=content)
        what = f"{method} {path}"
        with self.calling(bucket, what):
            response = self._client.send_request(request, stream=False, **transport.to(path))
            response.raise_for_status()
        try:
            body = response.json()
        except ValueError as error:
            raise Unreadable(f"{what}: the answer is not JSON") from error
        if not isinstance(body, dict):
            raise Unreadable(f"{what}: the answer is not a JSON object")
        return body, response.headers.get("etag")

    @contextmanager
    def calling(self, bucket: Bucket, what: str) -> Iterator[None]:
        """Map refusals of one call, and remember what Azure asked us to wait for."""
        self._throttle.check(bucket)
        try:
            yield
        except AzureError as error:
            failure = failures.from_exception(what, error)
            if isinstance(failure, Again) and failure.status == failures.TOO_MANY:
                failure.retry_after = self._throttle.close(bucket, failure.retry_after)
            raise failure from error
        finally:
            self._throttle.done(bucket)
