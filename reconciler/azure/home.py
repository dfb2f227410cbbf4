"""Where this app itself lives: what no grant of it may ever reach.

`reconciler.app` asks for every plan. The storage account is sought by name in Resource Graph, and
the management groups above are read there, once an hour; nothing is asked for where neither the
settings nor the guardrails need it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from reconciler.azure.client import Arm
from reconciler.azure.graph import Inventory
from reconciler.ids import ResourceId
from reconciler.plan import Home
from reconciler.plan.context import STORAGE_ACCOUNT
from reconciler.policy.model import Guardrails
from reconciler.settings import Settings

REFRESH: Final = timedelta(hours=1)


@dataclass(slots=True)
class OwnPlaces:
    """The app's group, identity, storage account and all management groups above them."""

    settings: Settings
    guardrails: Guardrails
    arm: Arm
    now: Callable[[], datetime]
    _known: tuple[datetime, Home] | None = None
    _lock: Lock = field(default_factory=Lock)

    def home(self, identity: ResourceId | None) -> Home:
        """Return them, `identity` being the one that we sign in with; raises `ArmError`."""
        with self._lock:
            if self._known is None or self.now() - self._known[0] >= REFRESH:
                self._known = self.now(), self._read(identity)
            return self._known[1]

    def _read(self, identity: ResourceId | None) -> Home:
        inventory, account = Inventory(self.arm, ()), self.settings.storage_account
        accounts = inventory.find(STORAGE_ACCOUNT, account) if account else ()
        own = (identity,) if identity else ()
        places = (*self.settings.home, *own, *accounts)
        return Home(
            places,
            self._ancestors(inventory, places),
            account if account and not accounts else None,
        )

    def _ancestors(
        self, inventory: Inventory, places: tuple[ResourceId, ...]
    ) -> frozenset[str] | None:
        """Return the management groups above all places; none where those of one are not known."""
        wide = any(not rail.scope.subscription for rail in self.guardrails.grants)
        subscriptions = {place.subscription for place in places if place.subscription}
        if not wide or not subscriptions:
            return None
        known = inventory.ancestors(subscriptions)
        chains = [known.get(one) for one in subscriptions]
        if not all(chains):
            return None
        return frozenset(name for chain in chains if chain for name in chain)
