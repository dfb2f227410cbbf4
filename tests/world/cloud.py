"""One deployment of the app over a small seeded world, and what a test does and sees there."""

import copy
import heapq
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from azure.core.credentials import TokenCredential

from reconciler import app, events, settings
from reconciler.app import App
from reconciler.changes import (
    Hold,
    Outcome,
    Plan,
    Result,
    Status,
    unwanted_id,
)
from reconciler.ids import ResourceId
from reconciler.marker import Marker, assignment_name
from reconciler.model import Removals, Request
from sandbox.identity import tokens
from sandbox.interleave import Gate
from sandbox.transport import Transport
from sandbox.world.state import Assignment, Resource
from tests.world.arm import Arm
from tests.world.ids import APPS, HOME, READER, SHARED, SUBSCRIPTION, VM, identity, machine
from tests.world.policies import SEED, Content, guardrails, policy
from tests.world.wire import Wire

SETTLED = 100
"""Seconds after which a machine counts as built: more than its operation and settling take."""


class Cloud:
    """A world, its operator, the app that watches it, and the wire between app and world."""

    def __init__(self, folder: Path, **seed: Any) -> None:  # noqa: ANN401 (YAML)
        """Seed the world and deploy the app in repair mode; the clock starts past settling."""
        self._folder = folder
        self.operator = Arm(copy.deepcopy(SEED) | seed, operation_delay=5)
        self.world = self.operator.world
        self.clock = self.operator.clock
        self.wire = Wire(self.operator.app, self.clock)
        self.gate = Gate()
        self.events: list[Content] = []
        self.world.feed.subscribe(self.events.append)
        self.app = self.deploy()
        self.pass_time()

    def deploy(
        self,
        content: Content | None = None,
        rails: Content | None = None,
        credential: TokenCredential | None = None,
        **told: str,
    ) -> App:
        """Start a new process of the app, which remembers nothing of the one before."""
        self._folder.joinpath("policy.yaml").write_text(yaml.safe_dump(content or policy()))
        self._folder.joinpath("guardrails.yaml").write_text(yaml.safe_dump(rails or guardrails()))
        environment = {
            "RECONCILER_OWNER": "prod",
            "RECONCILER_SUBSCRIPTIONS": SUBSCRIPTION,
            "RECONCILER_MODE": "repair",
            "RECONCILER_HOME": HOME,
            "RECONCILER_CLIENT_ID": self.world.app.app_id,
            "RECONCILER_POLICIES": str(self._folder),
        }
        self.app = app.create(
            settings.read(environment | told),
            credential=credential or tokens.credential(self.world, self.world.app),
            http=Transport(self.gate.around(self.wire), self.clock),
            now=self.clock,
        )
        return self.app

    # What the app is asked.

    def pass_time(self, seconds: float = SETTLED) -> None:
        """Let time pass, and what has ended meanwhile be told."""
        self.clock.forward(seconds)
        self.world.announce()

    def look(self, place: str | Request) -> Result:
        """Answer one request once."""
        return self.app.handle(as_request(place))

    def drive(self, *places: str | Request, most: int = 60, by: App | None = None) -> list[Result]:
        """Answer requests and all that they lead to, each copy when it is due."""
        answering = by or self.app
        order = itertools.count()
        due = [(self._due(as_request(place)), next(order), as_request(place)) for place in places]
        heapq.heapify(due)
        results: list[Result] = []
        while due:
            moment, _, request = heapq.heappop(due)
            self.clock.moment = max(self.clock.moment, moment)
            result = answering.handle(request)
            results.append(result)
            assert len(results) <= most, f"no end of {request}: {result}"
            for found in result.requests:
                heapq.heappush(due, (self.clock(), next(order), found))
            if result.again and result.again_after:
                moment = self.clock() + result.again_after
                heapq.heappush(due, (moment, next(order), result.again))
        return results

    def _due(self, request: Request) -> datetime:
        """Return when a request is answered: a copy lies in the queue until it is due."""
        return max(self.clock(), request.since or self.clock())

    def copy(self, result: Result) -> Request:
        """Let time pass until the copy of a result is due; returns it."""
        assert result.again is not None
        self.clock.moment = self._due(result.again)
        return result.again

    def sweep(self) -> list[Result]:
        """Sweep everything and answer what it nominates."""
        swept = self.app.sweep()
        return [swept, *self.drive(*swept.requests)]

    def shown(self, place: str = VM) -> Plan:
        """Look once as `plan` does, which shows all that is unwanted; writes nothing."""
        removals = Removals(self.app.policy.digest, ids=None)
        return self.replan(Request(ResourceId.parse(place), removals=removals))

    def removing(self, place: str = VM) -> Request:
        """Return a request that names what policy makes unwanted at an id, as a sweep's does."""
        names = {unwanted_id(one) for one in self.shown(place).todo if one.reason.unwanted}
        removals = Removals(self.app.policy.digest, frozenset(names))
        return Request(ResourceId.parse(place), removals=removals)

    def apply(self, place: str = VM, *, at_once: bool = False) -> list[Result]:
        """Do what a person confirms for an id; `at_once` also what waits for its replacement."""
        request, fingerprint = self.confirmed(place, at_once=at_once)
        first = self.app.handle(request, fingerprint)
        return [first, *self.follow(first)]

    def confirmed(self, place: str = VM, *, at_once: bool = False) -> tuple[Request, str]:
        """Return the request of a person who confirmed the plan of an id, and its fingerprint."""
        plan = self.shown(place)
        if at_once:
            left = tuple(held for held in plan.withheld if held not in plan.kept)
            gone = tuple(held.change for held in plan.kept)
            plan = replace(plan, changes=(*plan.changes, *gone), withheld=left)
        names = {unwanted_id(one) for one in plan.todo if one.reason.unwanted}
        removals = Removals(self.app.policy.digest, frozenset(names), at_once=at_once)
        return Request(plan.id, removals=removals), plan.fingerprint

    def follow(self, *results: Result, most: int = 60) -> list[Result]:
        """Answer what results lead to, and each copy when it is due."""
        led = [request for result in results for request in result.requests]
        return self.drive(*led, *(one.again for one in results if one.again), most=most)

    def hear(self, start: int = 0) -> list[Request]:
        """Return what the events from a place in the feed on ask for, once all are told."""
        while due := self.world.announce():
            self.clock.moment = due
        found: list[Request] = []
        for event in self.events[start:]:
            decoded = events.decode(event)
            assert decoded is not None
            found += self.app.requests(decoded)
        return found

    # What the operator does.

    def set_faults(self, **switches: object) -> None:
        """Set switches of the sandbox, for as long as nothing else is said."""
        self.world.faults = self.world.faults.changed(switches)

    def blind(self, subscription: str) -> None:
        """Take what the app may do in a subscription away: it reads nothing there any more."""
        for one in list(self.world.assignments_of([self.world.app.oid])):
            if one.scope == f"/subscriptions/{subscription}":
                self.world.remove_assignment(one)

    def move(self, group: str, vm: str = VM) -> str:
        """Move a machine to another group, of any subscription; returns its new id."""
        self.pass_time()
        body = {"resources": [vm], "targetResourceGroup": group}
        source = vm.partition("/providers/")[0]
        answer = self.operator.call("POST", f"{source}/moveResources", body, version="2021-04-01")
        assert answer.status_code == 202, answer.text
        self.pass_time(10)
        moved = machine(vm.rpartition("/")[2], group)
        while vm.lower() in self.world.resources:
            self.pass_time(10)
        assert moved.lower() in self.world.resources
        return moved

    def evict(self, vm: str = VM) -> None:
        """Let Azure take a machine away as a Spot machine, which no event tells."""
        spot = {"properties": {"priority": "Spot", "evictionPolicy": "Delete"}}
        assert self.operator.call("PATCH", vm, spot).status_code == 200
        self.pass_time()
        assert self.operator.call("POST", f"{vm}/simulateEviction").status_code == 204
        assert vm.lower() not in self.world.resources

    def remove_group(self, group: str) -> None:
        """Delete a resource group with all that is in it."""
        answer = self.operator.call("DELETE", group, version="2021-04-01")
        assert answer.status_code == 202, answer.text
        self.pass_time(30)
        assert group.lower() not in self.world.groups

    def as_app(self, act: Callable[[], object]) -> None:
        """Do something with the app's own token, as an earlier version of it might have."""
        self.operator.called_by(self.world.app)
        try:
            act()
        finally:
            self.operator.called_by(self.world.operator)

    def granted_by_us(self, scope: str, place: str = VM) -> Assignment:
        """Return a right that an earlier policy made the app give the principal of an id."""
        principal = self.principal(place)
        name, mark = self.our_name(principal, scope=scope), self.mark(place)
        self.as_app(lambda: self.grant(principal, scope=scope, name=name, description=mark))
        return self.world.assignments.by_name[name]

    def build(self, vm: str = VM, *, system: bool = True, settle: bool = True) -> Resource:
        """Create a machine, or replace one under the same name; returns it."""
        if vm.lower() in self.world.resources:
            self.delete(vm)
        body: Content = {"location": "westeurope", "properties": {}}
        if system:
            body["identity"] = {"type": "SystemAssigned"}
        answer = self.operator.call("PUT", vm, body)
        assert answer.status_code in {200, 201}, answer.text
        self.pass_time(SETTLED if settle else 1)
        return self.resource(vm)

    def delete(self, place: str) -> None:
        """Delete a machine or identity."""
        version = "2024-11-30" if "ManagedIdentity" in place else "2024-07-01"
        assert self.operator.call("DELETE", place, version=version).status_code in {200, 202}
        self.pass_time(1)
        while place.lower() in self.world.resources:
            self.pass_time(1)

    def recreate_identity(self, place: str = SHARED) -> None:
        """Delete a user-assigned identity and create it anew under the same id."""
        if place.lower() in self.world.resources:
            self.delete(place)
        body = {"location": "westeurope"}
        assert self.operator.call("PUT", place, body, version="2024-11-30").status_code == 201
        self.pass_time(1)

    def attach(self, *names: str, vm: str = VM) -> None:
        """Attach user-assigned identities to a machine; what it has it keeps."""
        kinds = ["SystemAssigned"] if self.resource(vm).system else []
        block = {
            "type": ", ".join([*kinds, "UserAssigned"]),
            "userAssignedIdentities": {identity(name): {} for name in names},
        }
        answer = self.operator.call("PATCH", vm, {"identity": block})
        assert answer.status_code == 200, answer.text
        self.pass_time()

    def grant(
        self,
        principal: str,
        *,
        role: str = READER,
        scope: str = APPS,
        name: str = "",
        **more: str,
    ) -> Assignment:
        """Let the operator grant a role."""
        answer = self.operator.assign(scope, principal, role, name=name, **more)
        assert answer.status_code == 201, answer.text
        return self.world.assignments.by_name[answer.json()["name"].lower()]

    def mark(self, resource: str = VM, owner: str = "prod") -> str:
        """Return the marker text of an owner for a resource."""
        return str(Marker(owner, ResourceId.parse(resource)))

    def our_name(self, principal: str, role: str = READER, scope: str = APPS) -> str:
        """Return the name that our assignment of a triple bears."""
        return assignment_name(ResourceId.parse(scope), role, principal)

    # What is there.

    def resource(self, place: str = VM) -> Resource:
        """Return a resource of the world."""
        return self.world.resources[place.lower()]

    def principal(self, place: str = VM) -> str:
        """Return the principal that a machine or user-assigned identity has today."""
        found = self.resource(place)
        holder = found.principal or found.system
        assert holder is not None
        return holder.oid

    def attached(self, vm: str = VM) -> set[str]:
        """Return the names of the live identities that a machine carries."""
        found = self.resource(vm)
        names = {key.rsplit("/", 1)[-1] for key, one in found.users.items() if one.principal.alive}
        return names | ({"system"} if found.system else set())

    def rights(self, principal: str) -> set[tuple[str, str]]:
        """Return the roles that a principal holds, each with the name of its scope."""
        return {
            (self.world.roles[one.role].name, one.scope.rsplit("/", 1)[-1])
            for one in self.world.assignments_of([principal])
        }

    def right(self, principal: str) -> Assignment:
        """Return the one role assignment that a principal holds."""
        (found,) = self.world.assignments_of([principal])
        return found

    def replan(self, place: str | Request = VM) -> Plan:
        """Look once more without writing; an empty plan means that the loop converged."""
        return self.app.reconciler.plan(as_request(place))[1]

    def calls(self) -> int:
        """Return how many calls of the app Azure has answered so far."""
        return sum(call.app_id == self.world.app.app_id for call in self.world.requests)


def as_request(place: str | Request) -> Request:
    """Return a request for an id."""
    return place if isinstance(place, Request) else Request(ResourceId.parse(place))


def holds(plan: Plan) -> set[Hold]:
    """Return why changes of a plan are withheld."""
    return {held.hold for held in plan.withheld}


def last(results: list[Result], place: str = VM) -> Plan:
    """Return the last plan that was made for an id."""
    plans = [one.plans[-1] for one in results if one.plans]
    return [plan for plan in plans if plan.id == ResourceId.parse(place)][-1]


def blocked(results: list[Result]) -> list[Outcome]:
    """Return the outcomes of the last result that need a person."""
    return [one for one in results[-1].outcomes if one.status is Status.BLOCKED]


def void(_: object) -> None:
    """Drop what a move of somebody returns."""
