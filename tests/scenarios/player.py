"""Plays a scenario on the local Azure, with the app hearing every event as it does in Azure.

Beside what a scenario says itself, these hold in each of them, at every write of the app: nothing
that the app did not make is changed, no live right is taken that the scenario's end still lists,
and no live identity is detached.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox.transport import App as Wsgi
from sandbox.world.state import Assignment
from tests.faults.matrix import Broken
from tests.scenarios import steps
from tests.scenarios.scenario import OTHER, SCOPES, STORE, Scenario, place
from tests.world.cloud import Cloud, holds
from tests.world.live import Live
from tests.world.policies import SEED, Content, guardrails, policy

_SETTLED: Final = 600
_METADATA: Final = "metadata/identity/oauth2/token?api-version=2018-02-01"


@dataclass
class Player:
    """One scenario with its world; `play` is all that a test calls."""

    scenario: Scenario
    folder: Path
    policy: Content = field(default_factory=dict[str, Any])
    guardrails: Content = field(default_factory=dict[str, Any])
    cloud: Cloud = field(init=False)
    live: Live = field(init=False)
    _had: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def play(self) -> None:
        """Bring the fleet under policy, let everything happen, and check the end."""
        scenario = self.scenario
        seed: Content = {
            "groups": [*SEED["groups"], {"id": OTHER}],
            "virtualMachines": [{"id": place(name)} for name in scenario.machines],
            "resources": [{"id": STORE}],
        }
        self.policy, self.guardrails = scenario.policy, scenario.guardrails
        self.cloud = cloud = Cloud(self.folder, **seed)
        self.deploy()
        for scope in ("rg-app", "rg-data"):
            cloud.grant(self.principal("stranger"), scope=place(scope))
        cloud.drive(*cloud.app.sweep().requests, most=500)
        cloud.pass_time(_SETTLED)
        cloud.wire.azure = self._watched(cloud.wire.azure)
        cloud.wire.calls.clear()
        self.live = Live(cloud)
        cloud.set_faults(**scenario.faults)
        for each in scenario.steps:
            steps.do(self, each)
        self._check_end()

    def deploy(self) -> None:
        """Start the app anew, under the policy and guardrails of now."""
        told: dict[str, Any] = dict(self.scenario.settings)
        self.cloud.deploy(policy() | self.policy, guardrails() | self.guardrails, **told)

    def ask(
        self, method: str, path: str, body: Content | None = None, version: str = "2024-07-01"
    ) -> None:
        """Let the operator call Azure; what is told of it is heard as time passes."""
        answer = self.cloud.operator.call(method, path, body, version=version)
        assert answer.status_code in {200, 201, 202, 204}, answer.text

    def principal(self, name: str) -> str:
        """Return the principal of a machine, of an identity, or of the stranger."""
        if name == "stranger":
            return self.cloud.operator.principal("stranger").oid
        return self.cloud.principal(place(name))

    def assignment(self, name: str, right: str) -> Assignment:
        """Return the assignment of a right that somebody holds."""
        role, scope = steps.right(right)
        (found,) = (
            one
            for one in self.cloud.world.assignments_of([self.principal(name)])
            if one.role == steps.ROLES[role] and one.scope.lower() == SCOPES[scope].lower()
        )
        return found

    def held(self, name: str) -> set[str]:
        """Return the rights that a machine or identity holds, as scenarios name them."""
        return {f"{role} at {scope}" for role, scope in self.cloud.rights(self.principal(name))}

    def probe(self, vm: str, name: str | None, action: str, *, allowed: bool) -> None:
        """Sign in on a machine as its metadata service lets it, and try an action on storage."""
        chosen = f"&mi_res_id={place(name)}" if name else ""
        url = f"https://management.azure.com/imds{vm}/{_METADATA}"
        session, audience = self.cloud.operator.session, "https://storage.azure.com"
        signed_in = session.get(f"{url}&resource={audience}{chosen}", headers={"Metadata": "true"})
        status = signed_in.status_code
        if status == 200:
            token = signed_in.json()["access_token"]
            status = session.get(
                f"https://management.azure.com/dataplane{STORE}?action={action}",
                headers={"Authorization": f"Bearer {token}"},
            ).status_code
        if (status == 200) is not allowed:
            raise Broken(f"{vm} as {name or 'what it signs in with'}: {status}")

    # What must hold at every moment.

    def _watched(self, azure: Wsgi) -> Wsgi:
        """Return an application that looks at the world before and after each write of the app."""

        def watching(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            self._note_what_was_there()
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            if method not in {"PUT", "PATCH", "DELETE"}:
                return azure(environ, start)
            before, carried = set(map(_frozen, self.cloud.world.assignments)), self._carried()
            answer = list(azure(environ, start))
            self._check(f"{method} {path}", before, carried)
            return answer

        return watching

    def _check(
        self, what: str, before: set[tuple[str, ...]], carried: set[tuple[str, str]]
    ) -> None:
        world = self.cloud.world
        after = set(map(_frozen, world.assignments))
        for lost in before - after:
            if lost[4] != world.app.oid:
                raise Broken(f"{what} touched a right that the app did not make: {lost}")
            if not any(one[:3] == lost[:3] for one in after) and self._is_listed(lost):
                raise Broken(f"{what} took a right that is there in the end: {lost}")
        if lost_entries := carried - self._carried():
            raise Broken(f"{what} detached a live identity: {sorted(lost_entries)}")
        self._note_what_was_there()

    def _is_listed(self, lost: tuple[str, ...]) -> bool:
        """Return whether who held a right lives and holds it in the end, as the scenario says."""
        for name, expected in self.scenario.end.items():
            there = place(name).lower() in self.cloud.world.resources
            if there and expected.holds and self.principal(name) == lost[0]:
                named = f"{self.cloud.world.roles[lost[1]].name} at {lost[2].rsplit('/', 1)[-1]}"
                return named in expected.holds
        return False

    def _note_what_was_there(self) -> None:
        """Raise where a right is missing that the scenario says may not be, once it was there."""
        for statement in self.scenario.never:
            name, _, right = statement.partition(" without ")
            resource = self.cloud.world.resources.get(place(name).lower())
            holder = resource and (resource.principal or resource.system)
            if holder and right in self.held(name):
                self._had.add((statement, holder.oid))
            elif holder and (statement, holder.oid) in self._had:
                raise Broken(f"{statement}: it was there before")

    def _carried(self) -> set[tuple[str, str]]:
        """Return which machine carries which identity that is alive."""
        resources = self.cloud.world.resources.items()
        users = {
            (key, user)
            for key, resource in resources
            for user, entry in resource.users.items()
            if entry.principal.alive
        }
        return users | {(key, "system") for key, resource in resources if resource.system}

    # What must be true in the end.

    def _check_end(self) -> None:
        world = self.cloud.world
        for name, expected in self.scenario.end.items():
            id_ = place(name)
            if (id_.lower() in world.resources) is not expected.there:
                raise Broken(f"in the end {name} is {'gone' if expected.there else 'there'}")
            if expected.carries is not None:
                _same(f"{name} carries", self.cloud.attached(id_), expected.carries)
            if expected.holds is not None:
                _same(f"{name} holds", self.held(name), expected.holds)
            if expected.withheld is not None:
                found = {hold.name for hold in holds(self.cloud.shown(id_))}
                _same(f"{name} has withheld", found, expected.withheld)
        living = {one.oid for one in world.principals.values() if one.alive}
        dead = [
            _frozen(one)
            for one in world.assignments
            if one.created_by == world.app.oid and one.principal not in living
        ]
        if len(dead) != self.scenario.dead_rights:
            raise Broken(f"in the end {len(dead)} rights are left to the dead: {dead}")
        writes = self.cloud.wire.writes
        if self.scenario.writes is not None and len(writes) > self.scenario.writes:
            made = [f"{call.method} {call.path}" for call in writes]
            raise Broken(f"the app wrote {len(writes)} times: {made}")


def _frozen(one: Assignment) -> tuple[str, ...]:
    """Return what makes an assignment what it is: triple, name, maker, text and condition."""
    text, condition = one.description or "", one.condition or ""
    return one.principal, one.role, one.scope.lower(), one.name, one.created_by, text, condition


def _same(what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    if set(found) != set(expected):
        raise Broken(f"in the end {what} {sorted(found)}, not {sorted(expected)}")
