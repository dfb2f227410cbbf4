"""Who we are to Azure, read from the token that we are given.

The token is ours, fresh from the identity endpoint, and nothing is decided by its signature: ARM
checks that. What we need is the `oid`, which Azure writes into `createdBy` of what we create.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

from reconciler.errors import ResourceIdError, Unreadable
from reconciler.ids import ResourceId, fold


@dataclass(frozen=True, slots=True)
class Caller:
    """The token's `oid` and `appid` and, for a managed identity, the resource it belongs to."""

    principal: str
    client: str = ""
    identity: ResourceId | None = None


def read(token: str) -> Caller:
    """Read the claims of an access token; raises `Unreadable` where it does not say whose it is."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return Caller(fold(claims["oid"]), fold(claims.get("appid") or ""), _identity(claims))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Unreadable("signing in: the token does not say whose it is (no `oid`)") from error


def _identity(claims: dict[str, Any]) -> ResourceId | None:
    """Return the managed identity's resource id, which only its tokens carry (`xms_mirid`)."""
    try:
        return ResourceId.parse(claims["xms_mirid"])
    except (KeyError, ResourceIdError):
        return None
