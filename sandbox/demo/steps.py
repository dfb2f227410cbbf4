"""The steps of the demo: what happens to three machines, and what must come of it.

Each step acts as a person or a program in Azure would, waits for the effect, and returns a sentence
about it; it raises `DemoError` where the effect does not come.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox.demo.fixtures import (
    BLOB_CONTRIBUTOR,
    BLOB_READER,
    GROUP,
    MACHINES,
    QUEUE_READER,
    READER,
    SHARED,
    STORE,
    Json,
    machine,
)
from sandbox.demo.scenario import DemoError, Scenario

_FIRST, _SECOND, _THIRD = map(machine, MACHINES)
_OWN: Final = {"identity": {"type": "SystemAssigned"}}


@dataclass
class Steps:
    """The steps in their order, the machines, and the assignments that a person made by hand."""

    scenario: Scenario
    by_hand: list[Json] = field(default_factory=list)
    machines: tuple[str, ...] = MACHINES

    def all(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        """Return each step's title, and the function that plays it and says what came of it."""
        return (
            ("app-shared and three machines are created, none of which carries it", self.create),
            ("a program on app-1 opens the store", self.use),
            ("app-1 is deleted and rebuilt under its name", self.recycle),
            ("app-shared is deleted and created again", self.replace),
            ("somebody deletes a role assignment of app-2", self.revoke),
            ("somebody gives app-3 a role that no policy speaks of", self.leave),
            ("app-3 is deleted for good", self.remove),
            ("the last plan", self.plan),
        )

    def create(self) -> str:
        """Create identity and machines; policy says what they are to carry and hold."""
        operator = self.scenario.operator
        for resource, body in ((SHARED, {}), (_FIRST, _OWN), (_SECOND, _OWN), (_THIRD, {})):
            operator.put(resource, body)
        self.scenario.until("every machine has its identities and roles", self._lacking)
        return "each has app-shared, its own identity, and their roles"

    def use(self) -> str:
        """Use both identities of a machine, each for what it was granted."""
        workload, shared = self.scenario.workload, self._client()
        own, common = workload.token(_FIRST), workload.token(_FIRST, shared)
        _expect("app-1's own identity may write", held=workload.may("write", own))
        _expect("app-shared may read", held=workload.may("read", common))
        _expect("app-shared may not write", held=not workload.may("write", common))
        return "its own identity writes, app-shared reads only"

    def recycle(self) -> str:
        """Rebuild a machine: its principal is new, and what it held stays with the old one."""
        operator, workload = self.scenario.operator, self.scenario.workload
        old = _principal(operator.get(_FIRST))
        self._assign_by_hand(old)
        before = workload.token(_FIRST)
        with self.scenario.app.paused():
            operator.delete(_FIRST)
            operator.build(_FIRST, _OWN)
            refused = not workload.may("write", workload.token(_FIRST))
        _expect("the rebuilt machine is refused at first", held=refused)

        def unhealed() -> str | None:
            if not workload.may("write", workload.token(_FIRST)):
                return "the token of app-1 is refused"
            return self._left_to(old) or self._lacking()

        self.scenario.until("app-1 has its access back and the old principal's is gone", unhealed)
        _expect("the old machine's token is refused now", held=not workload.may("write", before))
        return "refused at first, it is let in again; old roles are gone"

    def replace(self) -> str:
        """Recreate the shared identity: every machine keeps a dead reference to the old one."""
        operator, workload = self.scenario.operator, self.scenario.workload
        old: str = operator.get(SHARED)["properties"]["principalId"]
        with self.scenario.app.paused():
            operator.delete(SHARED)
            operator.put(SHARED, {})
            client = self._client()
            usable = [name for name in MACHINES if workload.token(machine(name), client)]
        _expect("no machine can use the new one at first", held=not usable)

        def unhealed() -> str | None:
            for name in MACHINES:
                if not workload.may("read", workload.token(machine(name), client)):
                    return f"{name} cannot read with app-shared"
            return self._left_to(old) or self._lacking()

        self.scenario.until("every machine reads with the new app-shared", unhealed)
        return "every machine carries the new one and reads with it"

    def revoke(self) -> str:
        """Take a right away behind the reconciler's back."""
        operator = self.scenario.operator
        principal = _principal(operator.get(_SECOND))
        rights = [
            right
            for right in operator.assignments(STORE)
            if _is(right, principal, BLOB_CONTRIBUTOR)
        ]
        _expect("app-2 has one role assignment at the store", held=len(rights) == 1)
        operator.delete(rights[0]["id"])
        self.scenario.until("the role assignment of app-2 is back", self._lacking)
        return "it is back"

    def leave(self) -> str:
        """Make an assignment that is not ours; the app looks at it and leaves it as it is."""
        before = self.scenario.calls()
        self._assign_by_hand(_principal(self.scenario.operator.get(_THIRD)))
        self.scenario.until(
            "the function app looks at it",
            lambda: None if self.scenario.calls() > before else "it made no call",
        )
        self.scenario.quiet()
        self._check_by_hand()
        return "looked at and left as it is, like that of the old app-1"

    def remove(self) -> str:
        """Delete a machine that nobody rebuilds; what a person gave its identity stays."""
        operator = self.scenario.operator
        old = _principal(operator.get(_THIRD))
        operator.delete(_THIRD)
        self.machines = self.machines[:-1]
        self.scenario.until("the roles of app-3 are gone", lambda: self._left_to(old))
        self._check_by_hand()
        return "Resource Graph shows it no more, the log tells of its end: its roles are gone"

    def plan(self) -> str:
        """Ask the command line what it would change: nothing, once the app has come to rest."""

        def left() -> str | None:
            code, text = self.scenario.plan(*map(machine, self.machines), SHARED)
            return f"`reconciler plan` ends with {code}:\n{text}" if code else None

        self.scenario.until("the plan is empty", left)
        self._check_by_hand()
        return "nothing to change"

    def _lacking(self) -> str | None:
        """Return what policy wants and is not there, or none."""
        operator = self.scenario.operator
        shared: str = operator.get(SHARED)["properties"]["principalId"]
        store, group = operator.assignments(STORE), operator.assignments(GROUP)
        if not any(_is(right, shared, BLOB_READER) for right in store):
            return "app-shared cannot read the store"
        for name in self.machines:
            body = operator.get(machine(name))
            entries = body.get("identity", {}).get("userAssignedIdentities") or {}
            carried = {key.lower(): entry for key, entry in entries.items()}
            own = _principal(body)
            if carried.get(SHARED.lower(), {}).get("principalId") != shared:
                return f"{name} does not carry app-shared"
            if not any(_is(right, own, BLOB_CONTRIBUTOR) for right in store):
                return f"{name} cannot write to the store"
            if not any(_is(right, own, READER) for right in group):
                return f"{name} cannot read its group"
        return None

    def _left_to(self, principal: str) -> str | None:
        """Return what a principal still holds that no person gave it, or none."""
        operator = self.scenario.operator
        kept = {right["id"] for right in self.by_hand}
        for right in (*operator.assignments(STORE), *operator.assignments(GROUP)):
            if right["properties"]["principalId"] == principal and right["id"] not in kept:
                return f"{right['id']} of the old principal is there"
        return None

    def _assign_by_hand(self, principal: str) -> None:
        made = self.scenario.operator.assign(STORE, QUEUE_READER, principal)
        self.by_hand.append(self.scenario.operator.get(made["id"]))

    def _check_by_hand(self) -> None:
        for right in self.by_hand:
            unchanged = self.scenario.operator.find(right["id"]) == right
            _expect(f"{right['id']} is as it was", held=unchanged)

    def _client(self) -> str:
        client: str = self.scenario.operator.get(SHARED)["properties"]["clientId"]
        return client


def _principal(body: Json) -> str:
    principal: str = body.get("identity", {}).get("principalId", "")
    return principal


def _is(assignment: Json, principal: str, role: str) -> bool:
    properties = assignment["properties"]
    given: str = properties["roleDefinitionId"]
    return bool(properties["principalId"] == principal and given.endswith(role))


def _expect(what: str, *, held: bool) -> None:
    if not held:
        raise DemoError(f"expected that {what}, which is not so")
