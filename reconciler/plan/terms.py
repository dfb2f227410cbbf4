"""The terms under which a plan is made: who we are, what we may, how long a machine settles."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler import roles
from reconciler.changes import Hold
from reconciler.ids import ResourceId
from reconciler.marker import Ownership
from reconciler.policy.language import Exemption, Guardrails


@dataclass(frozen=True, slots=True)
class Terms:
    """What does not depend on the look: settings, guardrails, exemptions and our own identity.

    Our own principals are the makers of what is ours; `own_identity` is the user-assigned identity
    that we sign in with, where the token names one. `digest` is the policy's, which a request must
    carry for unwanted rights to be removed.
    """

    ownership: Ownership
    guardrails: Guardrails
    digest: str
    settle: timedelta
    own_identity: ResourceId | None = None
    home: ResourceId | None = None
    watched: tuple[ResourceId, ...] = ()
    exemptions: tuple[Exemption, ...] = ()

    def watches(self, subject: ResourceId) -> bool:
        """Tell whether a place lies in a watched subscription."""
        return any(subscription.contains(subject) for subscription in self.watched)

    def exemption(self, place: ResourceId, at: datetime) -> Exemption | None:
        """Return the exemption of a place that is in force for longest at a time, or none."""
        found = [one for one in self.exemptions if one.covers(place) and one.in_force(at)]
        return max(found, key=lambda one: (one.expires, one.reason), default=None)

    def hold_on_grant(
        self, role: str, scope: ResourceId, read: Mapping[str, bool | None]
    ) -> Hold | None:
        """Return why a role may not be granted at a scope, or none where it may.

        `read` says of custom roles whether they are privileged.
        """
        if self.home and (scope.contains(self.home) or self.home.contains(scope)):
            return Hold.HOME
        built_in = roles.table().lookup(role)
        privileged = built_in.privileged if built_in else read.get(role)
        if privileged is None:
            return Hold.ROLE_UNREAD
        allowed = self.guardrails.allows(role, scope, privileged=privileged)
        return None if allowed else Hold.GUARDRAILS

    def hold_on_identity(self, identity: ResourceId, principal: str | None = None) -> Hold | None:
        """Return why an identity may not be attached, detached or granted to, or none."""
        # At a desk the token is a person's, and only the makers name the app.
        if identity == self.own_identity or principal in self.ownership.makers:
            return Hold.OWN_IDENTITY
        if identity in self.guardrails.protected:
            return Hold.PROTECTED
        return None

    def hold_on_place(self, identity: ResourceId) -> Hold | None:
        """Return why policy may not give a user-assigned identity anything, or it to anybody."""
        lives = any(place.contains(identity) for place in self.guardrails.identities)
        return None if lives else Hold.IDENTITY_PLACE
