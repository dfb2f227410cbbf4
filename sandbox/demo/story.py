"""The story that the demo tells: what happens to three machines, and what must come of it.

Each step acts as a person or a program in Azure would, waits for the effect, and returns a sentence
about it; it raises `DemoError` where the effect does not come.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox.demo.clients import Json
from sandbox.demo.places import (
    BLOB_CONTRIBUTOR,
    BLOB_READER,
    GROUP,
    MACHINES,
    QUEUE_READER,
    READER,
    SHARED,
    STORE,
    machine,
)
from sandbox.demo.stage import DemoError, Stage

_FIRST, _SECOND, _THIRD = map(machine, MACHINES)
_OWN: Final = {"identity": {"type": "SystemAssigned"}}


@dataclass
class Story:
    """The steps in their order, the machines, and the assignments that a person made by hand."""

    stage: Stage
    by_hand: list[Json] = field(default_factory=list)
    machines: tuple[str, ...] = MACHINES

    @property
    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        """Each step's title, and the function that plays it and says what came of it."""
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
        self.stage.operator.put(SHARED, {})
        self.stage.operator.put(_FIRST, _OWN)
        self.stage.operator.put(_SECOND, _OWN)
        self.stage.operator.put(_THIRD, {})
        self.stage.until("every machine has its identities and roles", self._lacking)
        return "each has app-shared, its own identity, and their roles"

    def use(self) -> str:
        """Use both identities of a machine, each for what it was granted."""
        workload, shared = self.stage.workload, self._client()
        own, common = workload.token(_FIRST), workload.token(_FIRST, shared)
        _expect("app-1's own identity may write", held=workload.may("write", own))
        _expect("app-shared may read", held=workload.may("read", common))
        _expect("app-shared may not write", held=not workload.may("write", common))
        return "its own identity writes, app-shared reads only"

    def recycle(self) -> str:
        """Rebuild a machine: its principal is new, and what it held stays with the old one."""
        operator, workload = self.stage.operator, self.stage.workload
        old = _principal(operator.get(_FIRST))
        self._assign_by_hand(old)
        before = workload.token(_FIRST)
        with self.stage.app.paused():
            operator.delete(_FIRST)
            operator.build(_FIRST, _OWN)
            refused = not workload.may("write", workload.token(_FIRST))
        _expect("the rebuilt machine is refused at first", held=refused)

        def unhealed() -> str | None:
            if not workload.may("write", workload.token(_FIRST)):
                return "the token of app-1 is refused"
            return self._left_to(old) or self._lacking()

        self.stage.until("app-1 has its access back and the old principal's is gone", unhealed)
        _expect("the old machine's token is refused now", held=not workload.may("write", before))
        return "refused at first, it is let in again; old roles are gone"

    def replace(self) -> str:
        """Recreate the shared identity: every machine keeps a dead reference to the old one."""
        operator, workload = self.stage.operator, self.stage.workload
        old: str = operator.get(SHARED)["properties"]["principalId"]
        with self.stage.app.paused():
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

        self.stage.until("every machine reads with the new app-shared", unhealed)
        return "every machine carries the new one and reads with it"

    def revoke(self) -> str:
        """Take a right away behind the reconciler's back."""
        operator, principal = self.stage.operator, _principal(self.stage.operator.get(_SECOND))
        found = [
            one for one in operator.assignments(STORE) if _is(one, principal, BLOB_CONTRIBUTOR)
        ]
        _expect("app-2 has one role assignment at the store", held=len(found) == 1)
        operator.delete(found[0]["id"])
        self.stage.until("the role assignment of app-2 is back", self._lacking)
        return "it is back"

    def leave(self) -> str:
        """Make an assignment that is not ours; the app looks at it and leaves it as it is."""
        before = self.stage.calls()
        self._assign_by_hand(_principal(self.stage.operator.get(_THIRD)))
        self.stage.until(
            "the function app looks at it",
            lambda: None if self.stage.calls() > before else "it made no call",
        )
        self.stage.quiet()
        self._check_by_hand()
        return "looked at and left as it is, like that of the old app-1"

    def remove(self) -> str:
        """Delete a machine that nobody rebuilds; what a person gave its identity stays."""
        operator = self.stage.operator
        old = _principal(operator.get(_THIRD))
        operator.delete(_THIRD)
        self.machines = self.machines[:-1]
        self.stage.until("the roles of app-3 are gone", lambda: self._left_to(old))
        self._check_by_hand()
        return "Resource Graph shows it no more, the log tells of its end: its roles are gone"

    def plan(self) -> str:
        """Ask the command line what it would change: nothing, once the app has come to rest."""

        def left() -> str | None:
            code, text = self.stage.plan(*map(machine, self.machines), SHARED)
            return f"`reconciler plan` ends with {code}:\n{text}" if code else None

        self.stage.until("the plan is empty", left)
        self._check_by_hand()
        return "nothing to change"

    def _lacking(self) -> str | None:
        """Return what policy wants and is not there, or none."""
        operator = self.stage.operator
        shared: str = operator.get(SHARED)["properties"]["principalId"]
        store, group = operator.assignments(STORE), operator.assignments(GROUP)
        if not any(_is(one, shared, BLOB_READER) for one in store):
            return "app-shared cannot read the store"
        for name in self.machines:
            body = operator.get(machine(name))
            own = _principal(body)
            if _attached(body) != shared:
                return f"{name} does not carry app-shared"
            if not any(_is(one, own, BLOB_CONTRIBUTOR) for one in store):
                return f"{name} cannot write to the store"
            if not any(_is(one, own, READER) for one in group):
                return f"{name} cannot read its group"
        return None

    def _left_to(self, principal: str) -> str | None:
        """Return what a principal still holds that no person gave it, or none."""
        operator = self.stage.operator
        kept = {one["id"] for one in self.by_hand}
        for one in (*operator.assignments(STORE), *operator.assignments(GROUP)):
            if one["properties"]["principalId"] == principal and one["id"] not in kept:
                return f"{one['id']} of the old principal is there"
        return None

    def _assign_by_hand(self, principal: str) -> None:
        made = self.stage.operator.assign(STORE, QUEUE_READER, principal)
        self.by_hand.append(self.stage.operator.get(made["id"]))

    def _check_by_hand(self) -> None:
        for one in self.by_hand:
            found = self.stage.operator.find(one["id"])
            _expect(f"{one['id']} is as it was", held=found == one)

    def _client(self) -> str:
        client: str = self.stage.operator.get(SHARED)["properties"]["clientId"]
        return client


def _principal(body: Json) -> str:
    principal: str = body.get("identity", {}).get("principalId", "")
    return principal


def _attached(body: Json) -> str | None:
    """Return the principal of the entry of the shared identity, none where there is none."""
    entries: Json = body.get("identity", {}).get("userAssignedIdentities") or {}
    found = {key.lower(): entry for key, entry in entries.items()}
    principal: str | None = found.get(SHARED.lower(), {}).get("principalId")
    return principal


def _is(assignment: Json, principal: str, role: str) -> bool:
    properties = assignment["properties"]
    given: str = properties["roleDefinitionId"]
    return bool(properties["principalId"] == principal and given.endswith(role))


def _expect(what: str, *, held: bool) -> None:
    if not held:
        raise DemoError(f"expected that {what}, which is not so")
