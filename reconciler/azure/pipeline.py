"""One call to Azure: signed in, checked for where it goes, throttled, sent, and its failure mapped.

`reconciler.azure.client` makes all of its calls through `Pipeline`: its own as JSON, and those of
the SDKs' clients through the same azure-core policies. Nothing here retries, registers providers
or sleeps by itself: a worker that waits is paid for, and the queue can wait instead. Whatever
Azure answers, only an `ArmError` is raised.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

import requests
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import (
    ContentDecodePolicy,
    RequestIdPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.core.rest import HttpRequest
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from reconciler.azure import failures
from reconciler.azure.parsing import Json
from reconciler.azure.throttle import Bucket, Throttle, bucket_of
from reconciler.errors import Again, ArmError, Blocked, ResourceIdError, Unreadable
from reconciler.ids import ResourceId, fold

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30
_WITH_BODY: Final = frozenset({200, 201})
_MOST_PAGES: Final = 1000
"""Of one list: Azure's longest has a few dozen."""
_WRITES: Final = frozenset({"write", "delete"})
_DISABLED_FOR: Final = timedelta(hours=1)
# What may stand unescaped in a query (RFC 3986), and what is escaped already.
_IN_QUERY: Final = "%!$&'()*+,;=:@/?-._~"
_INTENDED: Final = "intended_path"
"""The option under which a call's path travels to `IntendedPathPolicy`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are to Azure: the `oid` and `appid` of our token, and our identity's resource id.

    Azure writes the `oid` into `createdBy` of what we create. Only the token of a managed identity
    names a resource.
    """

    principal: str
    client: str = ""
    identity: ResourceId | None = None


def read_caller(token: str) -> Caller:
    """Return whom an access token is for; raise `Unreadable` where it has no `oid`.

    The token is our own, fresh from the identity endpoint. Its signature is not checked: ARM does
    that, and nothing is allowed because of these claims.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        try:
            identity = ResourceId.parse(claims["xms_mirid"])
        except (KeyError, ResourceIdError):
            identity = None
        return Caller(fold(claims["oid"]), fold(claims.get("appid") or ""), identity)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Unreadable("signing in: the token does not say whose it is (no `oid`)") from error


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential whose failures cannot be mistaken for an answer of ARM.

    An identity endpoint's 404 must never be read as that of the resource that was asked for.
    """

    inner: TokenCredential

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401 (the protocol's)
        """Return a usable token, or raise `AzureError`."""
        try:
            token = self.inner.get_token(*scopes, **options)
            usable = re.fullmatch(r"[!-~]+", token.token) and token.expires_on > 0
        except (ClientAuthenticationError, OSError):
            raise
        except HttpResponseError as error:
            raise ClientAuthenticationError(error.message) from error
        except AzureError:
            raise
        except Exception as error:
            # A credential is others' code as well, and reads what an endpoint answers.
            raise ClientAuthenticationError(f"{type(error).__name__}: {error}") from error
        if not usable:
            raise ClientAuthenticationError("what the credential returned is no token")
        return token


class IntendedPathPolicy(SansIOHTTPPolicy[Any, Any]):
    """Refuse to send a request whose prepared URL names another place than was intended.

    HTTP clients normalise paths (`a/../b` becomes `b`), so an id that slipped through could write
    elsewhere. The path is compared after `requests` prepared it, which is what goes on the wire;
    segment by segment and unquoted, since clients quote different signs, and as ids are compared.
    """

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Compare the path that would be sent with the one that the caller meant."""
        options = request.context.options
        if _INTENDED in options:
            # Kept aside: the transport would not know it, but a call that Azure challenges for
            # another token passes here twice.
            request.context[_INTENDED] = options.pop(_INTENDED)
        intended = request.context[_INTENDED]
        prepared = requests.Request("GET", request.http_request.url).prepare()
        sent = urlsplit(prepared.url or "").path
        # Bytes that are no UTF-8 become what no id holds, so they are equal to nothing.
        segments = [unquote(part, errors="surrogateescape") for part in sent.split("/")]
        # The identities' SDK writes `resourceGroups` itself, an event's id may have it otherwise.
        if list(map(fold, segments)) != fold(intended).split("/"):
            raise AssertionError(f"refusing to send to {sent!r}: the intended path is {intended!r}")


class Pipeline:
    """The way to one ARM endpoint; `options` hand the same policies to the SDKs' clients.

    `client` is azure-core's, which closes the connections.
    """

    def __init__(
        self,
        credential: TokenCredential,
        endpoint: str,
        now: Callable[[], datetime],
        http: HttpTransport[Any, Any] | None = None,
    ) -> None:
        """Call `endpoint` (https) as `credential`; `now` is the clock that throttling uses."""
        self.scope = f"{endpoint}/.default"
        self.credential = Credential(credential)
        self._endpoint = endpoint.rstrip("/")
        self._throttle = Throttle(now)
        self._now = now
        # By subscription: until when its writes are refused, and with which refusal.
        self._disabled: dict[str, tuple[datetime, Blocked]] = {}
        self.transport = http or RequestsTransport(
            connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS
        )
        shared: dict[str, Any] = {
            "base_url": endpoint,
            "policies": [
                RequestIdPolicy(),
                UserAgentPolicy("identity-reconciler"),
                ARMChallengeAuthenticationPolicy(self.credential, self.scope),
                IntendedPathPolicy(),
                # The authorization SDK reads what this one leaves behind.
                ContentDecodePolicy(),
                self._throttle,
            ],
            "transport": self.transport,
        }
        self.client: ARMPipelineClient[Any, Any] = ARMPipelineClient(**shared)
        self.options = {
            "credential": self.credential,
            "credential_scopes": [self.scope],
            **shared,
        }

    @contextmanager
    def call(self, bucket: Bucket, what: str, path: str = "") -> Iterator[dict[str, Any]]:
        """Enclose one call to `path`; yields the options that an SDK's client must be given.

        A failure is raised as an `ArmError` that begins with `what`. Nothing is sent, and `Again`
        raised, where the bucket is used up; nor, with `Blocked`, for a write to a subscription that
        was found disabled within the hour. A 429 is remembered for the whole process.
        """
        disabled = self._disabled.get(bucket.place)
        if disabled and bucket.kind in _WRITES and self._now() < disabled[0]:
            refused = disabled[1]
            repeated = Blocked(
                f"{what}: not sent, the subscription {bucket.place} was found disabled",
                status=refused.status,
                code=refused.code,
                request_id=refused.request_id,
            )
            repeated.next_step = refused.next_step
            raise repeated
        self._throttle.check(bucket)
        try:
            # A refused token is ARM's answer like any other; the SDKs' own error for it is also
            # what a credential raises that gets none.
            yield {_INTENDED: path, "error_map": {401: HttpResponseError}}
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
        """Return the JSON object and the etag header that one call is answered with."""
        raw = query if isinstance(query, str) else urlencode(query, quote_via=quote)
        what = f"{method} {path}"
        with self.call(bucket, what):
            address = f"{self._endpoint}{quote(path)}?{raw}"
            request = HttpRequest(method, address, headers=dict(headers or {}), json=content)
            response = self.client.send_request(request, stream=False, **{_INTENDED: path})
            if response.status_code not in _WITH_BODY:
                raise HttpResponseError(response=response)
            return read_object(response.text(), what), response.headers.get("etag")

    def pages(
        self, scope: ResourceId, path: str, version: str, filter_text: str = ""
    ) -> Iterator[Json]:
        """Yield the rows of a list below `scope`, following its next links."""
        place = str(scope).rstrip("/") + path
        bucket = bucket_of(scope, "read")
        query: Mapping[str, str] | str
        query = {"api-version": version} | ({"$filter": filter_text} if filter_text else {})
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


def read_object(text: str, what: str) -> Json:
    """Return the JSON object that an answer must be; raise `Unreadable` for anything else."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{what}: the answer is not JSON") from error
    if not isinstance(body, dict):
        raise Unreadable(f"{what}: the answer is not a JSON object")
    return body


def query_of(link: object, place: str) -> str:
    """Return the query of a next link, empty where it is none; raise `Unreadable` if it is torn."""
    try:
        return quote(urlsplit(link if isinstance(link, str) else "").query, safe=_IN_QUERY)
    except ValueError as error:
        raise Unreadable(f"the list at {place} names no next page: {error}") from error
