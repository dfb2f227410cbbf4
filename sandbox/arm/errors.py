"""Refusals in ARM's envelope; every service raises them and the application renders them."""

from typing import Any

from sandbox.arm import ids
from sandbox.world.state import Principal


class AzureError(Exception):
    """An error answer: HTTP status, code and message, as ``{"error": {...}}``."""

    def __init__(  # noqa: PLR0913 - the fields of ARM's error object
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        gateway: bool = False,
    ) -> None:
        """Keep the parts; ``gateway`` marks errors of ARM itself (facts: Errors, recorded)."""
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = details
        self.headers = dict(headers or {})
        if gateway:
            self.headers["x-ms-failure-cause"] = "gateway"

    def body(self) -> dict[str, Any]:
        """Return the error envelope (facts: Errors, recorded)."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        if self.details is not None:
            error["details"] = self.details
        return {"error": error}


class FlatError(AzureError):
    """A refusal whose error object has no envelope (facts: Errors and Activity log)."""

    def body(self) -> dict[str, Any]:
        """Return code and message alone."""
        return {"code": self.code, "message": self.message}


def management_not_found(what: str) -> AzureError:
    """Return the 404 for a management group."""
    return AzureError(404, "NotFound", f"'{what}' not found")


def resource_not_found(wanted: ids.ArmId) -> AzureError:
    """Return ARM's 404 for a resource, a nested one by ``type/name/type/name`` (recorded)."""
    path = wanted.text[len(f"{wanted.scope}/providers/") :]
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{path}' under resource group '{wanted.group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        gateway=True,
    )


def gone() -> AzureError:
    """Return Compute's own 404, for what ARM believes in (azure-cli test_vm_simulate_eviction)."""
    return AzureError(404, "NotFound", "The entity was not found in this Azure location.")


def parent_not_found(name: str) -> AzureError:
    """Return ARM's 404 for a nested resource; its parent is named ``a/b`` (recorded)."""
    return AzureError(
        404,
        "ParentResourceNotFound",
        "Can not perform requested operation on nested resource. "
        f"Parent resource '{name}' not found.",
        gateway=True,
    )


def group_not_found(group: str) -> AzureError:
    """Return ARM's 404 for a resource group (facts: Errors, recorded)."""
    return AzureError(
        404,
        "ResourceGroupNotFound",
        f"Resource group '{group}' could not be found.",
        gateway=True,
    )


def subscription_not_found(subscription: str) -> AzureError:
    """Return ARM's 404 for a subscription (documented)."""
    return AzureError(
        404,
        "SubscriptionNotFound",
        f"The subscription '{subscription}' could not be found.",
        gateway=True,
    )


def not_authorized(caller: Principal, action: str, scope: str, *, condition: bool) -> AzureError:
    """Return ARM's 403 (facts: Errors, recorded).

    Args:
        caller: who asked.
        action: what for.
        scope: where.
        condition: whether only the condition of an assignment stood against it (documented).
    """
    lacks = "authorization or an ABAC condition not fulfilled" if condition else "authorization"
    return AzureError(
        403,
        "AuthorizationFailed",
        f"The client '{caller.client}' with object id '{caller.oid}' does not have {lacks} to "
        f"perform action '{action}' over scope '{scope}' or the scope is invalid. If access was "
        "recently granted, please refresh your credentials.",
        gateway=True,
    )


def location_required(*, gateway: bool = False) -> AzureError:
    """Return the 400 for a body without a location, by ARM itself or by a provider."""
    return AzureError(
        400,
        "LocationRequired",
        "The location property is required for this definition.",
        gateway=gateway,
    )


def bad_content(reason: str) -> AzureError:
    """Return the 400 for a body that does not deserialize (recorded, test_account_cmk)."""
    return AzureError(
        400,
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: '{reason}'.",
        gateway=True,
    )


def unsupported(what: str) -> AzureError:
    """Return the sandbox's refusal to guess: 400, naming what it does not know (assumed)."""
    return AzureError(400, "UnsupportedBySandbox", f"The sandbox does not support {what}.")
