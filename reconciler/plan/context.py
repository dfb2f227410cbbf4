"""What a plan is made in: who this app is, what it may do, and what the holds are asked about.

`PlanContext` and `Home` are made once, by `reconciler.app` and `reconciler.azure.home`. A planner
hands a `Proposal` to the holds; a `Case` is what they may know of it, a `Why` what they answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from reconciler import roles
from reconciler.changes import Change, Hold, Withheld
from reconciler.ids import ResourceId, fold
from reconciler.marker import Ownership
from reconciler.model import Desired, Mode, Observed, Request, Resource, Wanted
from reconciler.policy.model import Exemption, Guardrails

MANAGEMENT_GROUP: Final = "Microsoft.Management/managementGroups"
STORAGE_ACCOUNT: Final = "Microsoft.Storage/storageAccounts"

FIRST_DELAY: Final = timedelta(seconds=10)
"""How long what may pass is left alone before it is looked at again."""

GIVE_UP: Final = timedelta(hours=1)
"""How long it is looked at again without progress."""


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
        """Return whether an id is one of these places or lies in one."""
        return any(home.contains(place) for home in self.places)

    def reached_from(self, scope: ResourceId) -> bool:
        """Return whether a right at the scope could reach the app itself."""
        if self.contains(scope) or any(scope.contains(place) for place in self.places):
            return True
        if not scope.subscription:
            # A management group reaches all subscriptions below it. One that is not known counts
            # as above this app, and above a lost storage account, which may lie anywhere.
            named = scope.is_type(MANAGEMENT_GROUP) and bool(self.ancestors)
            above = not named or fold(scope.name) in (self.ancestors or ())
            return self.lost is not None or (bool(self.places) and above)
        if self.lost is None:
            return False
        # A lost account is known by its name alone: any group, or subscription, may hold it.
        account = scope.is_type(STORAGE_ACCOUNT) or fold(STORAGE_ACCOUNT) in scope.key
        return not scope.blocks or (account and f"/{fold(self.lost)}" in scope.key)


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What does not depend on the look: settings, guardrails, exemptions and our own identity.

    `ownership` holds our own principals, the makers of what is ours; `own_identity` is the
    user-assigned identity that we sign in with, where the token names one. `digest` is the
    policy's, which a request must carry for unwanted rights to be removed. `settle` and
    `gone_after` are RECONCILER_SETTLE and RECONCILER_GONE_AFTER.
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

    def watches(self, place: ResourceId) -> bool:
        """Return whether an id lies in a watched subscription."""
        return any(subscription.contains(place) for subscription in self.watched)

    def exemption(self, place: ResourceId, at: datetime) -> Exemption | None:
        """Return the exemption of an id that is in force for longest at a time, or none."""
        in_force = [
            exemption
            for exemption in self.exemptions
            if exemption.covers(place) and exemption.in_force(at)
        ]
        return max(
            in_force, key=lambda exemption: (exemption.expires, exemption.reason), default=None
        )

    def hold_on_grant(
        self, role: str, scope: ResourceId, privileged_roles: Mapping[str, bool | None]
    ) -> Hold | None:
        """Return why a role (GUID) may not be granted at a scope: HOME, ROLE_UNREAD, GUARDRAILS.

        None where it may. `privileged_roles` is `Observed.roles`: whether each custom role that
        policy names is privileged. The planner, the holds and the observer ask.
        """
        if self.home.reached_from(scope):
            return Hold.HOME
        built_in = roles.table().lookup(role)
        privileged = built_in.privileged if built_in else privileged_roles.get(role)
        if privileged is None:
            return Hold.ROLE_UNREAD
        allowed = self.guardrails.allows(role, scope, privileged=privileged)
        return None if allowed else Hold.GUARDRAILS

    def asked_at(self, since: datetime, at: datetime) -> bool:
        """Return whether what was first not found at `since` may now be asked to be gone.

        The activity log is late by minutes (facts: Activity log): asked too early it shows no end.
        """
        return at >= since + self.gone_after

    def next_ask(self, since: datetime, at: datetime) -> datetime | None:
        """Return when to ask again whether it is gone; none once an hour has passed."""
        if not self.asked_at(since, at):
            return since + self.gone_after
        waited = at - since
        if waited >= GIVE_UP:
            return None
        return since + min(max(2 * waited, waited + FIRST_DELAY), GIVE_UP)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that policy leads to, before the holds have judged it.

    `wanted` is what in policy asks for it, or speaks of the same right; none where nothing does.
    `conflicting`: policy asks for the right under several conditions.
    """

    change: Change
    wanted: Wanted[Any] | None = None
    conflicting: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What a check of `reconciler.plan.holds` may know besides the change itself.

    `wanted` and `conflicting` are the proposal's, `mode` is that of what is wanted, if anything is.
    `resource` is the subject; where that is a user-assigned identity, or gone, it is a resource
    that carries nothing, so that no check has to ask. `identity` and `principal` are whom the
    change is about: what it creates, attaches or detaches, else the subject and whoever holds the
    right; no identity where it is the system-assigned one. `passed` and `withheld` are the changes
    that come before it in the plan.
    """

    wanted: Wanted[Any] | None
    mode: Mode | None
    conflicting: bool
    desired: Desired
    observed: Observed
    request: Request
    context: PlanContext
    resource: Resource
    identity: ResourceId | None
    principal: str | None
    passed: Sequence[Change]
    withheld: Sequence[Withheld]


class Why(NamedTuple):
    """What a check adds to its hold: a detail, and when a passing hold may lift.

    `hold` is set where the check can come to several holds.
    """

    detail: str = ""
    until: datetime | None = None
    hold: Hold | None = None
