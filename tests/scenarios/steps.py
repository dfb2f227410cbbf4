"""The sentences that scenarios are made of, each with what it does to the world.

A sentence that nobody knows is an error that names it. `player.Player` hands itself over as the
stage on which the steps act.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from reconciler.ids import ResourceId
from reconciler.marker import Marker
from tests.scenarios.scenario import SCOPES, Step, place
from tests.world.arm import BLOB_READ
from tests.world.ids import BLOB_READER, READER, identity

if TYPE_CHECKING:
    from tests.scenarios.player import Player

ROLES: Final = {
    "Reader": READER,
    "Storage Blob Data Reader": BLOB_READER,
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
}
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

type Act = Callable[..., None]

_SENTENCES: list[tuple[re.Pattern[str], Act]] = []


def step(pattern: str) -> Callable[[Act], Act]:
    """Register what a sentence does; its named groups become arguments."""

    def register(act: Act) -> Act:
        _SENTENCES.append((re.compile(pattern), act))
        return act

    return register


def do(player: "Player", what: Step) -> None:
    """Let one step happen; raises `ValueError` for one that nobody knows."""
    if isinstance(what, dict):
        ((key, value),) = what.items()
        _KEYED[key](player, value)
        return
    for pattern, act in _SENTENCES:
        if match := pattern.fullmatch(what):
            act(player, **match.groupdict())
            return
    raise ValueError(f"no scenario knows the step {what!r}")


def right(text: str) -> tuple[str, str]:
    """Return role and scope of a right as scenarios name one, `Reader at rg-app`."""
    role, _, scope = text.partition(" at ")
    return role, scope


# What Azure and people do to machines and identities.


@step(r"(?P<amount>\d+) (?P<unit>second|minute|hour|day)s? pass(es)?")
def time_passes(player: "Player", amount: str, unit: str) -> None:
    """Let time pass; events are heard and requests are answered meanwhile."""
    player.live.run(int(amount) * _SECONDS[unit])


@step(r"(?P<names>[\w/, -]+?) (is|are) (re)?built(?P<bare> without an identity)?")
def built(player: "Player", names: str, bare: str | None) -> None:
    """Create machines, or replace those under the same names, all at once."""
    for name in re.split(r", | and ", names):
        vm = place(name)
        if vm.lower() in player.cloud.world.resources:
            player.cloud.delete(vm)
        body: dict[str, Any] = {"location": "westeurope", "properties": {}}
        if not bare:
            body["identity"] = {"type": "SystemAssigned"}
        player.ask("PUT", vm, body)


@step(r"a template (re)?deploys (?P<name>[\w/]+)")
def deployed(player: "Player", name: str) -> None:
    """Write a machine as a template does that knows of no user-assigned identity."""
    player.ask(
        "PUT",
        place(name),
        {"location": "westeurope", "properties": {}, "identity": {"type": "SystemAssigned"}},
    )


@step(r"(?P<name>[\w/-]+) is deleted")
def deleted(player: "Player", name: str) -> None:
    """Delete a machine or identity."""
    player.cloud.delete(place(name))


@step(r"the group (?P<name>[\w-]+) is deleted")
def group_deleted(player: "Player", name: str) -> None:
    """Delete a resource group with all that is in it."""
    player.cloud.remove_group(SCOPES[name])


@step(r"(?P<name>[\w-]+) is (recreated|created)")
def recreated(player: "Player", name: str) -> None:
    """Create a user-assigned identity, after deleting one of that id."""
    player.cloud.recreate_identity(place(name))


@step(r"(?P<name>[\w/]+) is evicted")
def evicted(player: "Player", name: str) -> None:
    """Let Azure take a Spot machine away, which no event tells of."""
    player.cloud.evict(place(name))


@step(r"(?P<name>[\w/]+) moves to (?P<group>[\w-]+)")
def moved(player: "Player", name: str, group: str) -> None:
    """Move a machine to another group."""
    vm = place(name)
    body = {"resources": [vm], "targetResourceGroup": SCOPES[group]}
    source = vm.partition("/providers/")[0]
    player.ask("POST", f"{source}/moveResources", body, version="2021-04-01")


@step(r"(somebody|a pipeline) detaches (?P<name>[\w-]+) from (?P<vm>[\w/]+)")
def detached(player: "Player", name: str, vm: str) -> None:
    """Take an identity's entry off a machine."""
    entry = {identity(name): None}
    block = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": entry}
    last = len(player.cloud.resource(place(vm)).users) == 1
    player.ask("PATCH", place(vm), {"identity": {"type": "SystemAssigned"} if last else block})


@step(r"(somebody|a policy of Azure) attaches (?P<name>[\w-]+) to (?P<vm>[\w/]+)")
def attached(player: "Player", name: str, vm: str) -> None:
    """Attach an identity that our policy does not speak of."""
    kinds = ["SystemAssigned"] if player.cloud.resource(place(vm)).system else []
    block = {
        "type": ", ".join([*kinds, "UserAssigned"]),
        "userAssignedIdentities": {identity(name): {}},
    }
    player.ask("PATCH", place(vm), {"identity": block})


@step(r"(?P<vm>[\w/]+) installs an extension for (?P<seconds>\d+) seconds")
def extension(player: "Player", vm: str, seconds: str) -> None:
    """Provision an extension, which takes its time."""
    player.cloud.set_faults(operation_delay=int(seconds))
    body = {
        "location": "westeurope",
        "properties": {
            "publisher": "Microsoft.Azure.Extensions",
            "type": "CustomScript",
            "typeHandlerVersion": "2.1",
        },
    }
    player.ask("PUT", f"{place(vm)}/extensions/setup", body)
    player.cloud.set_faults(operation_delay=5)


# What people do to rights.


@step(r"(somebody|a person) grants (?P<what>.+) to (?P<who>[\w/-]+)( if (?P<condition>.+))?")
def granted(player: "Player", what: str, who: str, condition: str | None) -> None:
    """Let the operator grant a role."""
    role, scope = right(what)
    more = {"condition": condition, "conditionVersion": "2.0"} if condition else {}
    player.cloud.grant(player.principal(who), role=ROLES[role], scope=SCOPES[scope], **more)


@step(r"(somebody|a person) deletes (?P<who>[\w/-]+)'s (?P<what>.+)")
def revoked(player: "Player", who: str, what: str) -> None:
    """Let the operator delete a role assignment."""
    player.ask("DELETE", player.assignment(who, what).id, version="2022-04-01")


@step(
    r"(somebody|a person) (?P<how>wipes|forges|rewrites) the marker of (?P<who>[\w/-]+)'s "
    r"(?P<what>.+?)( as that of (?P<other>[\w/]+))?"
)
def remarked(player: "Player", how: str, who: str, what: str, other: str | None) -> None:
    """Write an assignment anew with another description."""
    found = player.assignment(who, what)
    marker = "" if how == "wipes" else str(Marker("prod", ResourceId.parse(place(other or who))))
    answer = player.cloud.operator.assign(
        found.scope, found.principal, found.role, name=found.name, description=marker
    )
    assert answer.status_code in {200, 201}, answer.text


@step(r"a stranger's (?P<what>.+?) claims in its description to be ours, for (?P<vm>[\w/]+)")
def forged(player: "Player", what: str, vm: str) -> None:
    """Let somebody make a right that bears our marker."""
    role, scope = right(what)
    marker = str(Marker("prod", ResourceId.parse(place(vm))))
    player.cloud.grant(
        player.principal("stranger"), role=ROLES[role], scope=SCOPES[scope], description=marker
    )


@step(r"(?P<scope>[\w-]+) is (?P<how>locked against deletion|unlocked)")
def locked(player: "Player", scope: str, how: str) -> None:
    """Put a lock on a group, or take it off."""
    lock = f"{SCOPES[scope]}/providers/Microsoft.Authorization/locks/hold"
    if how == "unlocked":
        player.ask("DELETE", lock, version="2016-09-01")
    else:
        player.ask("PUT", lock, {"properties": {"level": "CanNotDelete"}}, version="2016-09-01")


# What happens to the app, its events and its policy.


@step(r"the (scheduled )?sweep runs")
def swept(player: "Player") -> None:
    """Let the schedule's sweep run; what it nominates is answered as time passes."""
    result = player.cloud.app.sweep()
    player.live.ask(*result.requests)
    player.live.run(1)


@step(r"the app restarts")
def restarted(player: "Player") -> None:
    """Start a new process, which remembers nothing."""
    player.deploy()


@step(r"events (?P<how>are lost|come twice|come late|come in another order|come as they should)")
def events(player: "Player", how: str) -> None:
    """Set how Event Grid behaves from now on."""
    player.cloud.set_faults(
        events_lost=float(how == "are lost"),
        events_duplicate=float(how == "come twice"),
        events_late=float(how == "come late"),
        events_reordered=float(how == "come in another order"),
    )


@step(r"the next (?P<times>\d+ )?(?P<method>[A-Z]+) of (?P<part>[\w/ -]+) answers? (?P<answer>.+)")
def answers(player: "Player", times: str | None, method: str, part: str, answer: str) -> None:
    """Let the next calls of the app be answered by an error: status and code."""
    status, _, code = answer.partition(" ")
    player.cloud.wire.answer(method, _path(part), int(status), code, times=int(times or 1))


@step(r"a workload on (?P<vm>\w+) (?P<verdict>may|may not) read blobs( as (?P<name>\w+))?")
def probed(player: "Player", vm: str, verdict: str, name: str | None) -> None:
    """Sign in as the machine's metadata service lets it, and read."""
    player.probe(place(vm), name, BLOB_READ, allowed=verdict == "may")


def _path(part: str) -> str:
    """Return what the path of calls about something holds."""
    named = {"a role assignment": "roleassignments", "the list": "roleassignments"}
    return named.get(part) or place(part).rpartition("/providers/")[2].lower()


def _policy(player: "Player", content: dict[str, Any]) -> None:
    player.policy = content
    player.deploy()


def _guardrails(player: "Player", content: dict[str, Any]) -> None:
    player.guardrails = content
    player.deploy()


def _faults(player: "Player", switches: dict[str, Any]) -> None:
    player.cloud.set_faults(**switches)


def _before(player: "Player", what: dict[str, Any]) -> None:
    """Let something happen just before the app's next call of a kind."""
    ((call, steps),) = what.items()
    method, _, part = call.partition(" ")

    def act() -> None:
        for each in steps:
            do(player, each)

    player.cloud.wire.before(method, _path(part), act)


_KEYED: Final[dict[str, Callable[["Player", Any], None]]] = {
    "policy": _policy,
    "guardrails": _guardrails,
    "faults": _faults,
    "before": _before,
}
