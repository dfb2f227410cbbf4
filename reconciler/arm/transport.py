"""The HTTP pipeline that every call to ARM passes: sign-in, and a last look at where it goes.

No policy here retries, registers providers or sleeps: a worker that waits is paid for, and the
queue can wait instead.
"""

from typing import Any
from urllib.parse import quote, urlsplit

import requests
from azure.core.credentials import TokenCredential
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


class IntendedPathPolicy(SansIOHTTPPolicy[Any, Any]):
    """Refuse to send a request whose prepared URL names another place than was intended.

    HTTP clients normalise paths (`a/../b` becomes `b`), so an id that slipped through could write
    elsewhere. The path is compared after `requests` prepared it, which is what goes on the wire;
    without regard to case, as ids are.
    """

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Compare the path that would be sent with the one that the caller meant."""
        options = request.context.options
        if INTENDED in options:
            # Kept aside: the transport would not know it, but a call that Azure challenges for
            # another token passes here twice.
            request.context[INTENDED] = options.pop(INTENDED)
        intended = quote(request.context[INTENDED])
        prepared = requests.Request("GET", request.http_request.url).prepare()
        sent = urlsplit(prepared.url or "").path
        # The identities' SDK writes `resourceGroups` itself, an event's id may have it otherwise.
        if fold(sent) != fold(intended):
            raise AssertionError(f"refusing to send to {sent!r}: the intended path is {intended!r}")
