"""The HTTP pipeline that every call to ARM passes: sign-in, and a last look at where it goes.

No policy here retries, registers providers or sleeps: a worker that waits is paid for, and the
queue can wait instead.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

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
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from reconciler.ids import fold

INTENDED = "intended_path"


def to(path: str) -> dict[str, Any]:
    """Return the option that tells the pipeline where a call is meant to go."""
    return {INTENDED: path}


def through_sdk(path: str) -> dict[str, Any]:
    """Return the options of a call that an SDK's client makes.

    A refused token is ARM's answer like any other; the SDKs' own error for it is also what a
    credential raises that gets none.
    """
    return {INTENDED: path, "error_map": {401: HttpResponseError}}


def policies(credential: TokenCredential, scope: str) -> list[Any]:
    """Return the policies of our pipeline, in order."""
    return [
        RequestIdPolicy(),
        UserAgentPolicy("identity-reconciler"),
        ARMChallengeAuthenticationPolicy(credential, scope),
        IntendedPathPolicy(),
        # The authorization SDK reads what this one leaves behind.
        ContentDecodePolicy(),
    ]


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that returns a usable token, or raises an error that is told from ARM's own.

    An identity endpoint's 404 must never be read as that of the resource that was asked for.
    """

    inner: TokenCredential

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401 (the protocol's)
        """Return a token, or raise `AzureError`."""
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
        if INTENDED in options:
            # Kept aside: the transport would not know it, but a call that Azure challenges for
            # another token passes here twice.
            request.context[INTENDED] = options.pop(INTENDED)
        intended = request.context[INTENDED]
        prepared = requests.Request("GET", request.http_request.url).prepare()
        sent = urlsplit(prepared.url or "").path
        # Bytes that are no UTF-8 become what no id holds, so they are equal to nothing.
        segments = [unquote(part, errors="surrogateescape") for part in sent.split("/")]
        # The identities' SDK writes `resourceGroups` itself, an event's id may have it otherwise.
        if list(map(fold, segments)) != fold(intended).split("/"):
            raise AssertionError(f"refusing to send to {sent!r}: the intended path is {intended!r}")
