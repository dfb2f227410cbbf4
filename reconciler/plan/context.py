"""The context of a plan: who we are, what we may, how long things take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler import roles
from reconciler.changes import Hold
from reconciler.ids import ResourceId, fold
from reconciler.marker import Ownership
from reconciler.policy.model import Exemption, Guardrails

MANAGEMENT_GROUP: Final = "Microsoft.Management/managementGroups"
STORAGE_ACCOUNT: Final = "Microsoft.Storage/storageAccounts"


@dataclass(frozen=True, slots=True)
class Home:
    """What nobody may be given a right to: whoever writes there acts as this app.

    `places`: RECONCILER_HOME, the app's identity and its storage account. `ancestors`: the names,
    in lower case, of all management groups above them; none where they are not known. `lost`: the
    name of a storage account that the app uses and that could not be found.
    """

    places: tuple[ResourceId, ...] = ()
    ancestors: frozenset[str] | None = None
    lost: str | None = None

    def contains(self, place: ResourceId) -> bool:
        """Return whether a place is one of these or lies in one."""
        return any(one.contains(place) for one in self.places)

    def reached_from(self, scope: ResourceId) -> bool:
        """Return whether a right at the scope could reach the app itself."""
        if self.contains(scope) or any(scope.contains(one) for one in self.places):
            return True
        if not scope.subscription:
            # Below which management groups a lost storage account lies, nobody knows.
            return self.lost is not None or (bool(self.places) and self._above(scope))
        if self.lost is None:
            return False
        account = scope.is_type(STORAGE_ACCOUNT) or fold(STORAGE_ACCOUNT) in scope.key
        return not scope.blocks or (account and f"/{fold(self.lost)}" in scope.key)

    def _above(self, scope: ResourceId) -> bool:
        """A management group reaches all subscriptions below it; one not known counts as above."""
        if not scope.is_type(MANAGEMENT_GROUP) or not self.ancestors:
            return True
        return fold(scope.name) in self.ancestors


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What does not depend on the look: settings, guardrails, exemptions and our own identity.

    Our own principals are the makers of what is ours; `own_identity` is the user-assigned identity
    that we sign in with, where the token names one. `digest` is the policy's, which a request must
    carry for unwanted rights to be removed.
    """

    ownership: Ownership
    guardrails: Guardrails
    digest: str
    settle: timedelta
    gone_after: timedelta = timedelta(minutes=10)
    own_identity: ResourceId | None = None
    home: Home = Home()
    watched: tuple[ResourceId, ...] = ()
    exemptions: tuple[Exemption, ...] = ()

    def watches(self, subject: ResourceId) -> bool:
        """Return whether a place lies in a watched subscription."""
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
        if self.home.reached_from(scope):
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
        if self.home.contains(identity):
            return Hold.HOME
        if identity in self.guardrails.protected:
            return Hold.PROTECTED
        return None

    def hold_on_place(self, identity: ResourceId) -> Hold | None:
        """Return why policy may not give a user-assigned identity anything, or it to anybody."""
        lives = any(place.contains(identity) for place in self.guardrails.identities)
        return None if lives else Hold.IDENTITY_PLACE

    def asked_at(self, since: datetime, at: datetime) -> bool:
        """Return whether what was first not found at `since` may now be asked to be gone."""
        return at >= since + self.gone_after

    def next_ask(self, since: datetime, at: datetime) -> datetime | None:
        """Return when to ask again whether it is gone; none once an hour has passed."""
        if not self.asked_at(since, at):
            return since + self.gone_after
        waited = at - since
        if waited >= GIVE_UP:
            return None
        return since + min(max(2 * waited, waited + FIRST_DELAY), GIVE_UP)


FIRST_DELAY: Final = timedelta(seconds=10)
"""How long what may pass is left alone before it is looked at again."""

GIVE_UP: Final = timedelta(hours=1)
"""How long it is looked at again without progress."""
