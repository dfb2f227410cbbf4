"""Access tokens of the sandbox: minting, checking, and a credential for in-process clients.

``signin`` hands them out over HTTP; the application checks them for all services.
"""

import dataclasses
import functools
import time
from typing import Any

import jwt
from azure.core.credentials import AccessToken, AccessTokenInfo

from sandbox.arm import errors
from sandbox.world.state import Principal
from sandbox.world.world import World

LIFETIME = 86400
"""Seconds: tokens of managed identities are cached for about a day (facts: Rights, documented)."""

_ARM = frozenset({"https://management.azure.com", "https://management.core.windows.net"})


def mint(world: World, principal: Principal, resource: str) -> str:
    """Return a bearer token (JWT) of a principal for a resource, from the world's clock.

    A v2 scope, ``https://x/.default``, names the resource ``https://x``.
    """
    issued = int(world.now().timestamp())
    claims: dict[str, Any] = {
        "aud": resource.removesuffix("/.default").rstrip("/"),
        "iss": f"https://sts.windows.net/{world.tenant}/",
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME,
        "appid": principal.app_id,
        "oid": principal.oid,
        "sub": principal.oid,
        "tid": world.tenant,
        "idtyp": "app",
        "ver": "1.0",
    }
    if principal.resource_id:
        claims["xms_mirid"] = principal.resource_id
    return jwt.encode(claims, world.token_key, algorithm="HS256")


@functools.lru_cache(maxsize=4096)
def _claims(token: str, key: bytes) -> dict[str, Any]:
    # Times are judged by the world's clock, the audience by who is asked.
    unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["HS256"], options=unchecked)  # type: ignore[arg-type]  # the options are a plain mapping
    return claims


def _refused(world: World, code: str, message: str) -> errors.AzureError:
    authority = f"https://login.microsoftonline.com/{world.tenant}"
    challenge = (
        f'Bearer authorization_uri="{authority}", error="invalid_token", '
        f'error_description="{message}"'
    )
    headers = {"WWW-Authenticate": challenge}
    return errors.AzureError(401, code, message, headers=headers, gateway=True)


def check(world: World, authorization: str, audience: str | None, origin: str) -> Principal:
    """Return the principal of an ``Authorization`` header; raises ``AzureError`` 401.

    A deleted principal's token stays valid to its expiry (facts: Rights, documented).

    Args:
        world: the world whose token it must be.
        authorization: the header's value, or an empty string.
        audience: the resource that the token must be for; None is ARM.
        origin: the address under which ARM was reached, which is an audience of its own.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _refused(
            world,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        )
    try:
        claims = _claims(token.strip(), world.token_key)
    except jwt.InvalidTokenError:
        raise _refused(
            world, "InvalidAuthenticationToken", "The access token is invalid."
        ) from None
    accepted = _ARM | {origin} if audience is None else {audience}
    if claims["aud"] not in accepted:
        raise _refused(
            world,
            "InvalidAuthenticationTokenAudience",
            f"The access token has been obtained for wrong audience or resource '{claims['aud']}'.",
        )
    if claims["exp"] <= world.now().timestamp():
        raise _refused(
            world,
            "ExpiredAuthenticationToken",
            "The access token expiry is earlier than the current UTC time.",
        )
    principal = world.principals.get(claims["oid"])
    if principal is None:
        raise _refused(world, "InvalidAuthenticationToken", "The access token is invalid.")
    return principal


@dataclasses.dataclass
class Credential:
    """A token credential for azure-core clients that talk to the world in process."""

    world: World
    principal: Principal
    _minted: dict[str, tuple[str, float]] = dataclasses.field(default_factory=dict, repr=False)

    def _token(self, scope: str) -> str:
        token, expires = self._minted.get(scope, ("", 0.0))
        now = self.world.now().timestamp()
        if expires - now < LIFETIME / 2:
            token = mint(self.world, self.principal, scope)
            self._minted[scope] = (token, now + LIFETIME)
        return token

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:  # noqa: ANN401 - the protocol's options
        """Return a token. It claims to expire now, so that the world's clock decides each time."""
        return AccessToken(self._token(scopes[0]), int(time.time()))

    def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:  # noqa: ANN401, ARG002 - the protocol's options
        """Return a token as newer clients ask for it."""
        return AccessTokenInfo(self._token(scopes[0]), int(time.time()))


def credential(world: World, principal: Principal | None = None) -> Credential:
    """Return a credential for a principal, by default the operator."""
    return Credential(world, principal or world.operator)
