"""A template deployment as the world sees it: resources written one after another, as one work.

Tests begin one; there is no deployments API. Azure's events are of the deployment first, then of
each resource, all under one correlation id (facts: Resource events, azure-docs #12166).
"""

import dataclasses
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from sandbox import transport
from sandbox.arm import ids
from sandbox.arm.app import Azure
from sandbox.identity import tokens
from sandbox.world.events import Context
from sandbox.world.state import Operation, Principal, Resource
from sandbox.world.world import World

TYPE = "Microsoft.Resources/deployments"
_VERSION = "2024-07-01"

type Step = tuple[str, dict[str, Any]]
"""The id of a resource, and the body that it is PUT with."""


@dataclasses.dataclass
class Deployment:
    """A deployment that runs: each resource is written when the one before is done."""

    world: World
    caller: Principal
    steps: Sequence[Step]
    correlation_id: str
    answers: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    """What was written so far, by id, and the status of each answer; a refusal is the last."""

    @property
    def done(self) -> bool:
        """Whether nothing more will be written."""
        failed = any(status >= HTTPStatus.BAD_REQUEST for _, status in self.answers)
        return failed or len(self.answers) == len(self.steps)

    def go_on(self) -> None:
        """Write the next resources, each as a request of its own, up to one that takes its time.

        The rest follows at the first call after that is done, like all that operations lead to.
        """
        while not self.done:
            resource, body = self.steps[len(self.answers)]
            token = tokens.mint(self.world, self.caller, "https://management.azure.com")
            answer = transport.session(Azure(self.world)).put(
                f"https://management.azure.com{resource}",
                params={"api-version": _VERSION},
                json=body,
                headers={
                    "Authorization": f"Bearer {token}",
                    "x-ms-correlation-request-id": self.correlation_id,
                },
            )
            self.answers.append((resource, answer.status_code))
            written, now = self.world.resources.get(resource.lower()), self.world.now()
            if written is not None and written.ready_at > now:
                self.world.pending.add(Operation("", now, written.ready_at), self.go_on)
                return


def deploy(
    world: World, steps: Sequence[Step], *, name: str = "template", caller: Principal | None = None
) -> Deployment:
    """Begin a deployment to the group of its first resource and return it.

    A resource may be written several times. The requests are the caller's, by default the
    operator's.
    """
    caller = caller or world.operator
    correlation = str(uuid.uuid5(uuid.UUID(world.tenant), f"{name} {world.now()}"))
    made = Deployment(world, caller, steps, correlation)
    group = world.group(ids.parse(steps[0][0]))
    own = ids.parse(f"{group.id.text}/providers/{TYPE}/{name}")
    url = f"https://management.azure.com{own.text}?api-version={_VERSION}"
    now = world.now()
    with world.transaction(Context(caller, "PUT", url, correlation)):
        world.emit("Write", Resource(own, TYPE, group.location, now, now))
    with world.transaction():
        made.go_on()
    return made


def rebuild(
    world: World,
    machine: str,
    *,
    identity: dict[str, Any] | None = None,
    extensions: Sequence[str] = ("agent", "join"),
    caller: Principal | None = None,
) -> Deployment:
    """Begin to build a machine as templates do, in place of one that was deleted or that is there.

    The machine with its identity block, each of its extensions, and the machine once more, with
    tags that only the end of the template knows.
    """
    body: dict[str, Any] = {"location": "westeurope", "properties": {}}
    body |= {"identity": identity} if identity else {}
    earlier = world.resources.get(machine.lower())
    tags = dict(earlier.tags) if earlier else {}
    extension = {"location": "westeurope", "properties": {"publisher": "Sandbox", "type": "Agent"}}
    steps: list[Step] = [
        (machine, body | {"tags": tags}),
        *((f"{machine}/extensions/{name}", extension) for name in extensions),
        (machine, body | {"tags": tags | {"deployed": "true"}}),
    ]
    return deploy(world, steps, name=f"build-{ids.parse(machine).name}", caller=caller)
