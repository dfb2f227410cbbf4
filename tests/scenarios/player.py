"""Plays one scenario on the local Azure, where the app hears every event as it does in Azure.

`test_scenarios` calls `Player.play`. Beside what a scenario itself says, these hold at every write
of the app, in each of them:

- nothing changes that the app did not make: rights, machines' other entries, tags, whole resources;
- nobody who is alive loses a right or an identity, unless the scenario lists it under `takes`;
- in audit mode nothing is written;
- nothing needs a person but what the scenario lists under `reported` or `blocked`.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from reconciler.app import App
from reconciler.changes import Plan, Status
from reconciler.ids import ResourceId
from reconciler.marker import assignment_id
from reconciler.model import Removals, Request, Sight, Sighting
from sandbox.interleave import Crash
from sandbox.transport import App as Wsgi
from sandbox.world.state import Assignment, Resource
from tests.faults.matrix import Broken
from tests.scenarios import steps
from tests.scenarios.scenario import (
    IDENTITY_NAMES,
    SCOPES,
    STORE,
    UNSEEN,
    Expected,
    Scenario,
    Step,
    expected,
    names,
    place,
    written_guardrails,
    written_policy,
)
from tests.world.cloud import Cloud, holds
from tests.world.ids import SUBSCRIPTION
from tests.world.live import Live
from tests.world.policies import Content

_SETTLED: Final = 600
"""Seconds until everything that a scenario starts from is old."""
_WRITES: Final = frozenset({"PUT", "PATCH", "DELETE"})
"""Methods that can change something; Resource Graph is asked by POST."""
_SOUGHT: Final = timedelta(hours=1)
_REDELIVERED: Final = timedelta(seconds=30)
"""How long a message stays hidden whose reader died."""
_RIGHT: Final = re.compile(
    r"(?P<role>.+?) at (?P<scope>.+?)( \(container (?P<container>\w+) only\))?"
)
_CONDITION: Final = (
    "(@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringEquals '{}')"
)
_CONTAINER: Final = re.compile(re.escape(_CONDITION).replace(r"\{\}", r"(\w+)"))
_NAMES: Final = {scope.lower(): name for name, scope in SCOPES.items()}


class Queue(Live):
    """The app's queue: a message whose reader died comes again, to a new process."""

    def __init__(self, player: "Player") -> None:
        """Hear what is told from now on."""
        super().__init__(player.cloud)
        self.player = player
        self.stopped: list[Request] | None = None
        """What waits while nobody answers; none where the app runs."""
        self._told = len(player.cloud.events)

    def stop(self) -> None:
        """Let nobody answer, while events and requests are still put into the queue."""
        self.stopped = []

    def start(self) -> None:
        """Let a new process answer what has waited."""
        waiting, self.stopped = self.stopped or [], None
        self.player.deploy()
        self.ask(*waiting)

    def _hear(self) -> None:
        events = self.cloud.events[self._told :]
        self._told = len(self.cloud.events)
        for event in events:
            own = event["data"]["claims"]["appid"] == self.cloud.world.app.app_id
            if own and event["eventType"].endswith("WriteSuccess"):
                self.player.during_call(self.player.reactions.get(event["subject"].lower(), []))()
        super()._hear()

    def _answer(self, request: Request) -> None:
        if self.stopped is not None:
            self.stopped.append(request)
            return
        try:
            super()._answer(request)
        except Crash:
            self.player.deploy()
            self._put(request, self.cloud.clock() + _REDELIVERED)
            return
        expected_codes = self.player.scenario.blocked | self.player.scenario.reported
        for outcome in self.results[-1][1].outcomes:
            if outcome.status is Status.BLOCKED and outcome.code not in expected_codes:
                raise Broken(f"{request.id} needs a person: {outcome.code} {outcome.detail}")


@dataclass
class Player:
    """One scenario with its world; what its steps do they do to this."""

    scenario: Scenario
    folder: Path
    policy: Content = field(init=False)
    guardrails: Content = field(init=False)
    cloud: Cloud = field(init=False)
    live: Queue = field(init=False)
    reactions: dict[str, list[Step]] = field(default_factory=dict[str, list[Step]])
    """What others do when the app has written to an id, in lower case."""
    made: list[str] = field(default_factory=list[str])
    """The calls of the app that reached Azure."""
    in_call: bool = False
    """Whether steps happen in the middle of a call of the app, which waits for them."""
    _had: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def play(self) -> None:
        """Bring the machines under policy, let everything happen, and check the end."""
        scenario = self.scenario
        self.policy, self.guardrails = scenario.policy, scenario.guardrails
        self.cloud = Cloud(
            self.folder,
            subscriptions=[{"id": guid, "name": guid[:4]} for guid in (SUBSCRIPTION, UNSEEN)],
            groups=[{"id": SCOPES[name]} for name in SCOPES if name.startswith("rg-")][:-1],
            identities=[{"id": place(name)} for name in IDENTITY_NAMES],
            virtualMachines=[{"id": place(name)} for name in names(scenario.machines)],
            resources=[{"id": STORE}],
        )
        self.cloud.blind(UNSEEN)
        for scope in ("rg-app", "rg-data"):
            self.cloud.grant(self.principal("stranger"), scope=place(scope))
        # Once with the right to write, so that an app in audit mode has something to watch.
        self.deploy(RECONCILER_MODE="repair")
        self.cloud.drive(*self.cloud.app.sweep().requests, most=1000)
        self.cloud.pass_time(_SETTLED)
        self.deploy()
        self.cloud.wire.azure = self._watched(self.cloud.wire.azure)
        self.live = Queue(self)
        for step in scenario.steps:
            steps.do(self, step)
            self.note_rights()
        self._check_end()

    # What steps do with it.

    def deploy(self, **settings: Any) -> App:  # noqa: ANN401 (the environment)
        """Start the app anew, under the policy and guardrails of now; returns it."""
        environment = {**self.scenario.settings, **settings}
        content, rails = written_policy(self.policy), written_guardrails(self.guardrails)
        return self.cloud.deploy(content, rails, None, **environment)

    def wait(self, seconds: float) -> None:
        """Let time pass; the app answers meanwhile, unless it waits for this itself."""
        if self.in_call:
            self.cloud.pass_time(seconds)
        else:
            self.live.run(seconds)

    def ask(
        self, method: str, path: str, body: Content | None = None, version: str = "2024-07-01"
    ) -> None:
        """Call Azure as its operator, who must be obeyed."""
        answer = self.cloud.operator.call(method, path, body, version=version)
        assert answer.status_code in {200, 201, 202, 204}, answer.text

    def delete(self, *ids: str) -> None:
        """Delete machines or identities, all at once, and wait until they are gone."""
        ids = tuple(id_ for id_ in ids if id_.lower() in self.cloud.world.resources)
        for id_ in ids:
            version = "2024-11-30" if "ManagedIdentity" in id_ else "2024-07-01"
            self.ask("DELETE", id_, version=version)
        while any(id_.lower() in self.cloud.world.resources for id_ in ids):
            self.wait(1)

    def during_call(self, content: Iterable[Step]) -> Callable[[], None]:
        """Return what lets steps happen while the app waits, be it in the middle of a call."""

        def act() -> None:
            outer, self.in_call = self.in_call, True
            for step in content:
                steps.do(self, step)
            self.in_call = outer

        return act

    def another(self, policy: Content | None = None, **settings: str) -> App:
        """Return another process of the app, which shares nothing with this one but Azure."""
        first, own = self.cloud.app, self.policy
        self.policy = own if policy is None else policy
        other = self.deploy(**settings)
        self.cloud.app, self.policy = first, own
        return other

    def sweep(self, *, scheduled: bool) -> None:
        """Let the app sweep, and answer at once what that nominates."""
        result = self.cloud.app.sweep(scheduled=scheduled)
        # It asks for whatever is not as it should be, so what was blocked before counts no more.
        self.live.results.clear()
        self.live.ask(*result.requests)
        self.wait(1)

    def principal(self, name: str) -> str:
        """Return the principal of a machine, of an identity, or of the stranger."""
        if name == "stranger":
            return self.cloud.operator.principal("stranger").oid
        return self.cloud.principal(place(name))

    def role(self, name: str) -> str:
        """Return the GUID of a built-in role."""
        return next(role.guid for role in self.cloud.world.roles.values() if role.name == name)

    def parsed(self, right: str) -> tuple[str, str, str]:
        """Return role, scope and condition of a right, as Azure names them."""
        match = _RIGHT.fullmatch(right)
        assert match, f"{right!r} is no right"
        condition = _CONDITION.format(match["container"]) if match["container"] else ""
        return self.role(match["role"]), place(match["scope"]), condition

    def assignment_id(self, name: str, right: str) -> str:
        """Return the id that the app's own assignment of a right has or would have."""
        role, scope, _ = self.parsed(right)
        return str(assignment_id(ResourceId.parse(scope), role, self.principal(name)))

    def assignment(self, name: str, right: str) -> Assignment:
        """Return the assignment of a right that somebody holds."""
        held = self.cloud.world.assignments_of([self.principal(name)])
        return next(assignment for assignment in held if self.named(assignment) == right)

    def named(self, assignment: Assignment) -> str:
        """Return a right as scenarios name it: `Reader at rg-app (container logs only)`."""
        scope = _NAMES.get(assignment.scope.lower(), assignment.scope.rpartition("/")[2])
        text = f"{self.cloud.world.roles[assignment.role].name} at {scope}"
        if not assignment.condition:
            return text
        container = _CONTAINER.fullmatch(" ".join(assignment.condition.split()))
        return f"{text} (container {container[1]} only)" if container else f"{text} (restricted)"

    # What must hold at every moment.

    def _watched(self, azure: Wsgi) -> Wsgi:
        """Return an application that looks at the world before and after each write of the app."""

        def watching(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            self.note_rights()
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self.made.append(f"{method} {path}")
            if method not in _WRITES:
                return azure(environ, start)
            if not self.cloud.app.settings.repair:
                raise Broken(f"{method} {path} in audit mode")
            before = Picture(self)
            before.check_busy(method, path)
            answer = list(azure(environ, start))
            before.compare(f"{method} {path}", Picture(self))
            self.note_rights()
            return answer

        return watching

    def note_rights(self) -> None:
        """Raise where a right is missing that the scenario says may not be, once it was there."""
        for statement in self.scenario.never:
            name, without, right = statement.partition(" without ")
            if not without:
                continue
            resource = self.cloud.world.resources.get(place(name).lower())
            holder = resource and (resource.principal or resource.system)
            if not holder:
                continue
            held = map(self.named, self.cloud.world.assignments_of([holder.oid]))
            if right in held:
                self._had.add((statement, holder.oid))
            elif (statement, holder.oid) in self._had:
                raise Broken(f"{statement}: it was there before")

    # What must be true in the end.

    def check(self, when: str, end: Mapping[str, Expected]) -> None:
        """Raise where a machine or identity has something else than is expected."""
        world = self.cloud.world
        for name, what in end.items():
            id_ = place(name)
            if (id_.lower() in world.resources) is not what.there:
                raise Broken(f"{when} {name} is {'gone' if what.there else 'there'}")
            if not what.there:
                continue
            resource = world.resources[id_.lower()]
            if what.carries is not None:
                _same(f"{when} {name} carries", self.cloud.attached(id_), what.carries)
            holder = resource.principal or resource.system
            held = list(world.assignments_of([holder.oid])) if holder else []
            if what.holds is not None:
                _same(f"{when} {name} holds", map(self.named, held), what.holds)
            if what.ours is not None:
                mark, maker = self.cloud.mark(id_), world.app.oid
                own = [
                    assignment
                    for assignment in held
                    if assignment.description == mark
                    and {assignment.created_by, assignment.updated_by} == {maker}
                ]
                _same(f"{when} it calls its own of {name}'s", map(self.named, own), what.ours)
            if what.withheld is not None:
                codes = {hold.name for hold in holds(self._plan(id_))}
                _same(f"{when} {name} has withheld", codes, what.withheld)

    def check_blocked(self, when: str, codes: Iterable[str]) -> None:
        """Raise where what needs a person, by the last answer for each id, is something else."""
        answers = self.live.results
        last = {
            request.id: result for request, result in answers if result.plans or result.outcomes
        }
        blocked = {
            outcome.code
            for result in last.values()
            for outcome in result.outcomes
            if outcome.status is Status.BLOCKED
        }
        _same(f"{when} these need a person:", blocked, codes)

    def _plan(self, id_: str) -> Plan:
        """Return the plan for an id that a new process shows, without a trace of asking for it."""
        calls, other = len(self.made), self.another()
        removals = Removals(other.policy.digest, ids=None)
        # What is not found has been sought for an hour, as far as this process knows.
        sought = Sighting(self.cloud.clock() - _SOUGHT, Sight.GONE)
        request = Request(ResourceId.parse(id_), removals=removals, sightings=(sought,))
        _, plan = other.reconciler.plan(request)
        del self.made[calls:]
        return plan

    def _check_end(self) -> None:
        awaited = [step for step in self.cloud.wire.steps if 0 < step.times < steps.ALWAYS]
        if awaited:
            raise Broken(f"never came: {[f'{step.method} {step.part}' for step in awaited]}")
        for what, most in (("calls", self.scenario.calls), ("writes", self.scenario.writes)):
            made = [call for call in self.made if what == "calls" or call.split()[0] in _WRITES]
            if most is not None and len(made) > most:
                raise Broken(f"the app made {len(made)} {what}, not {most}: {made[:50]}")
        # What is asked from here on is not the app's own traffic.
        self.cloud.set_faults(throttling=False)
        end = expected(self.scenario.end)
        self.check("in the end", end)
        self.check_blocked("in the end", self.scenario.blocked)
        for name in end:
            id_ = place(name)
            if self.cloud.app.refusal(ResourceId.parse(id_)) is None:
                shown = self._plan(id_)
                codes = {hold.name for hold in holds(shown)}
                _same(f"in the end {name} has withheld", codes, end[name].withheld or ())
                if shown.changes and self.cloud.app.settings.repair and not self.scenario.blocked:
                    raise Broken(f"in the end {name} is not as policy asks: {shown.changes}")
        world = self.cloud.world
        left = sorted(
            f"{principal.name}'s {self.named(assignment)}"
            for principal in world.principals.values()
            if not principal.alive
            for assignment in world.assignments_of([principal.oid])
        )
        _same("in the end the dead keep", left, self.scenario.left)


class Picture:
    """What the app may not change, as it is now."""

    def __init__(self, player: Player) -> None:
        """Look at all rights, identities and resources."""
        world = player.cloud.world
        self.player = player
        self.rights = set(world.assignments)
        self.resources = {key: copy.copy(resource) for key, resource in world.resources.items()}
        self.living = {holder.oid for holder in world.principals.values() if holder.alive}

    def check_busy(self, method: str, path: str) -> None:
        """Raise for a PATCH of what is being written, where the scenario forbids it."""
        resource, world = self.resources.get(path.lower()), self.player.cloud.world
        if resource is None or method != "PATCH":
            return
        children = world.children.get(path.lower(), {}).values()
        busy = any(part.ready_at > world.now() for part in (resource, *children))
        if busy and f"{resource.id.name} patched while busy" in self.player.scenario.never:
            raise Broken(f"{path} is patched while busy")

    def compare(self, what: str, after: "Picture") -> None:
        """Raise `Broken` where a write took or changed what it may not."""
        player, world = self.player, self.player.cloud.world
        triples = {right.triple for right in after.rights}
        for right in self.rights - after.rights:
            holder = world.principals[right.principal]
            text = f"{holder.name}'s {player.named(right)}"
            if right.created_by != world.app.oid:
                raise Broken(f"{what} touched what the app did not make: {text}")
            taken = right.triple not in triples and right.principal in self.living
            if taken and text not in player.scenario.takes:
                raise Broken(f"{what} took from the living: {text}")
        of_policy = {place(name).lower() for name in written_policy(player.policy)["identities"]}
        for key, before in self.resources.items():
            now = after.resources.get(key)
            if now is None or _rest(now) != _rest(before):
                raise Broken(f"{what} changed {key}")
            for user in before.users.keys() - now.users.keys():
                text = f"{user.rpartition('/')[2]} from {before.id.name}"
                alive = before.users[user].principal.alive
                if (alive and text not in player.scenario.takes) or (
                    not alive and user not in of_policy
                ):
                    raise Broken(f"{what} detached {text}")
            if before.system and now.system is not before.system:
                raise Broken(f"{what} switched the system-assigned identity of {key} off")


def _rest(resource: Resource) -> tuple[object, ...]:
    """Return what of a resource is nobody's business but its owner's."""
    return resource.tags, resource.properties, resource.extra, resource.created, resource.principal


def _same(what: str, actual: Iterable[str], wanted: Iterable[str]) -> None:
    if (texts := sorted(actual)) != sorted(wanted):
        raise Broken(f"{what} {texts}, not {sorted(wanted)}")
