"""Which resource providers a subscription is registered for; the application asks before writes.

The world has one; ``providers`` changes it. What was never mentioned is registered.
"""

import dataclasses
import datetime as dt

from sandbox.arm import errors, ids

FREE = ("microsoft.authorization", "microsoft.resources")
"""Namespaces that need no registration (azure-cli test_create_deployment_stack_subscription)."""

_WRITES = ("PUT", "PATCH", "POST")


@dataclasses.dataclass(frozen=True, slots=True)
class Registration:
    """What is known of a namespace in a subscription."""

    namespace: str
    state: str
    busy: str = ""
    """The state until ``ends``."""
    ends: dt.datetime | None = None

    def at(self, now: dt.datetime) -> str:
        """Return the state at a time."""
        return self.busy if self.ends and now < self.ends else self.state


class Registrations:
    """Those of all subscriptions."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Registration] = {}

    def put(self, subscription: str, registration: Registration) -> None:
        """Take a registration in place of what was known of its namespace."""
        self._known[subscription.lower(), registration.namespace.lower()] = registration

    def state(self, subscription: str, namespace: str, now: dt.datetime) -> str:
        """Return the state of a namespace in a subscription."""
        found = self._known.get((subscription.lower(), namespace.lower()))
        return found.at(now) if found else "Registered"

    def namespaces(self, subscription: str) -> list[str]:
        """Return the namespaces that were mentioned in a subscription, as they were spelled."""
        return [each.namespace for (at, _), each in self._known.items() if at == subscription]

    def refuse(self, method: str, target: ids.ArmId, now: dt.datetime) -> None:
        """Raise 409 for a write in a group to a namespace that is not registered (recorded).

        While it is being registered, writes pass (assumed).
        """
        if not self._known or method not in _WRITES or not target.group:
            return
        namespace = target.type.partition("/")[0]
        if self.state(target.subscription, namespace, now).startswith("Register"):
            return
        message = (
            f"The subscription is not registered to use namespace '{namespace}'. See "
            "https://aka.ms/rps-not-found for how to register subscriptions."
        )
        code = "MissingSubscriptionRegistration"
        detail = {"code": code, "target": namespace, "message": message}
        raise errors.AzureError(409, code, message, details=[detail], gateway=True)
