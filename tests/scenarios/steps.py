"""The sentences that scenarios are made of, each with what it does to the world.

A step is a sentence, or a sentence with more below it. `do` finds the function whose pattern fits;
one that nobody knows is an error that names it. `player.Player` is the stage on which steps act.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from requests import Response

from reconciler import events
from reconciler.ids import ResourceId
from reconciler.marker import Marker
from sandbox import deployment
from sandbox.interleave import Crash
from tests.faults.matrix import Broken
from tests.scenarios.scenario import SCOPES, STORE, Step, expected, names, place
from tests.world import wire
from tests.world.arm import BLOB_READ
from tests.world.ids import SUB, SUBSCRIPTION

if TYPE_CHECKING:
    from tests.scenarios.player import Player

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_OPERATION: Final = 5
"""Seconds that an operation takes, where a scenario says nothing else."""
ALWAYS: Final = 1_000_000
"""More calls than any scenario makes."""
type Act = Callable[..., None]

SENTENCES: list[tuple[re.Pattern[str], Act]] = []


def step(pattern: str) -> Callable[[Act], Act]:
    """Register what a sentence does; its named groups, and what is below it, become arguments."""

    def register(act: Act) -> Act:
        SENTENCES.append((re.compile(pattern), act))
        return act

    return register


def do(player: "Player", what: Step) -> None:
    """Let one step happen; raises `ValueError` for one that nobody knows."""
    below: dict[str, Any] = {}
    if isinstance(what, dict):
        ((what, below["content"]),) = what.items()
    for pattern, act in SENTENCES:
        if match := pattern.fullmatch(what):
            act(player, **match.groupdict(), **below)
            return
    raise ValueError(f"no scenario knows the step {what!r}")


def patterns(what: Iterable[Step]) -> Iterator[re.Pattern[str]]:
    """Yield the patterns that fit steps, and the steps below them."""
    for text in what:
        if isinstance(text, dict):
            ((sentence, content),) = text.items()
            yield from patterns(content if isinstance(content, list) else [])
        else:
            sentence = text
        yield next(pattern for pattern, _ in SENTENCES if pattern.fullmatch(sentence))


@step(r"(?P<amount>\d+) (?P<unit>second|minute|hour|day)s? pass(es)?")
def pass_time(player: "Player", amount: str, unit: str) -> None:
    """Let time pass; events are heard and requests are answered meanwhile."""
    player.wait(int(amount) * _SECONDS[unit])


@step(r"now")
def check(player: "Player", content: dict[str, Any]) -> None:
    player.check("now", expected(content))


@step(r"(?P<code>\w+) needs a person")
def check_blocked(player: "Player", code: str) -> None:
    player.check_blocked("now", [code])


# What Azure and people do to machines and identities.


@step(
    r"(?P<listed>.+?) (is|are) (re)?built"
    r"(?P<how> without an identity| with [\w, ]+| by the scale set \w+)?"
)
@step(r"(?P<listed>.+?) is restored from a backup(?P<how>)")
def build(player: "Player", listed: str, how: str | None) -> None:
    """Create machines, or replace those under the same names, all at once.

    A template that says nothing else switches the system-assigned identity on. What is restored
    from a backup has another vmId and no identity.
    """
    machines = [place(name) for name in names(listed)]
    player.delete(*machines)
    body: dict[str, Any] = {"location": "westeurope", "properties": {}}
    if how is None or " by " in how:
        body["identity"] = {"type": "SystemAssigned"}
    elif " with " in how:
        users: dict[str, Any] = {place(name): {} for name in names(how.removeprefix(" with "))}
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": users}
    if how and " by " in how:
        parent = how.rpartition(" ")[2]
        body["managedBy"] = (
            f"{SCOPES['rg-app']}/providers/Microsoft.Compute/virtualMachineScaleSets/{parent}"
        )
    for machine in machines:
        player.ask("PUT", machine, body)


@step(r"a template rebuilds (?P<name>[\w/-]+) with (?P<count>\d+) extensions")
def deploy(player: "Player", name: str, count: str) -> None:
    """Write a machine, its extensions one after another, and the machine once more."""
    player.delete(place(name))
    player.cloud.set_faults(operation_delay=40)
    extensions = [f"extension{number}" for number in range(1, int(count) + 1)]
    identity = {"type": "SystemAssigned"}
    written = deployment.rebuild(
        player.cloud.world, place(name), identity=identity, extensions=extensions
    )
    while not written.done:
        player.wait(10)
    player.cloud.set_faults(operation_delay=_OPERATION)


@step(r"(a template|Terraform) writes (?P<name>[\w/-]+) as it knows it")
def redeploy(player: "Player", name: str) -> None:
    """Write a machine as a template does that knows of no user-assigned identity."""
    body = {"location": "westeurope", "properties": {}, "identity": {"type": "SystemAssigned"}}
    player.ask("PUT", place(name), body)


@step(r"the group (?P<name>[\w-]+) is deleted")
def delete_group(player: "Player", name: str) -> None:
    player.ask("DELETE", SCOPES[name], version="2021-04-01")
    player.wait(2 * _OPERATION)


@step(r"(?P<listed>.+) (is|are) deleted")
def delete(player: "Player", listed: str) -> None:
    player.delete(*map(place, names(listed)))


@step(r"(?P<name>[\w-]+) is (recreated|created)")
def create_identity(player: "Player", name: str) -> None:
    """Create a user-assigned identity, after deleting one of that id."""
    player.delete(place(name))
    player.ask("PUT", place(name), {"location": "westeurope"}, version="2024-11-30")


@step(r"(?P<name>[\w/-]+) is evicted")
def evict(player: "Player", name: str) -> None:
    """Let Azure take a Spot machine away, of which no event tells."""
    spot = {"properties": {"priority": "Spot", "evictionPolicy": "Delete"}}
    player.ask("PATCH", place(name), spot)
    player.wait(2 * _OPERATION)
    player.ask("POST", f"{place(name)}/simulateEviction")


@step(r"(?P<name>[\w/-]+) moves to (?P<group>[\w-]+)")
def move(player: "Player", name: str, group: str) -> None:
    machine = place(name)
    body = {"resources": [machine], "targetResourceGroup": SCOPES[group]}
    source = machine.partition("/providers/")[0]
    player.ask("POST", f"{source}/moveResources", body, version="2021-04-01")
    player.wait(2 * _OPERATION)


@step(r"somebody detaches (?P<name>[\w-]+) from (?P<vm>[\w/-]+)")
def detach(player: "Player", name: str, vm: str) -> None:
    """Take an identity's entry off a machine; the last one goes by the type alone."""
    resource = player.cloud.resource(place(vm))
    others = resource.users.keys() - {place(name).lower()}
    kinds = ["SystemAssigned"] if resource.system else []
    block: dict[str, Any] = {"type": ", ".join([*kinds, *["UserAssigned"] * bool(others)])}
    if others:
        block["userAssignedIdentities"] = {place(name): None}
    player.ask("PATCH", place(vm), {"identity": block})


@step(
    r"somebody attaches (?P<name>[\w-]+) to (?P<vm>[\w/-]+)"
    r"(?P<capitals>, in capitals)?"
)
def attach(player: "Player", name: str, vm: str, capitals: str | None) -> None:
    kinds = ["SystemAssigned"] if player.cloud.resource(place(vm)).system else []
    id_ = place(name).upper() if capitals else place(name)
    block = {"type": ", ".join([*kinds, "UserAssigned"]), "userAssignedIdentities": {id_: {}}}
    player.ask("PATCH", place(vm), {"identity": block})


@step(r"somebody tags (?P<vm>[\w/-]+)( every second, (?P<times>\d+) times)?")
def tag(player: "Player", vm: str, times: str | None) -> None:
    for number in range(int(times or 1)):
        if number:
            player.wait(1)
        player.ask("PATCH", place(vm), {"tags": {"build": str(number)}})


# What people do to rights.


@step(
    r"somebody grants (?P<right>.+?) to (?P<who>[\w/-]+)"
    r"(, marked as the app's for (?P<marked>[\w/-]+))?"
    r"(, under the name of (?P<other>[\w/-]+)'s (?P<name>.+))?"
)
def grant(player: "Player", right: str, who: str, **words: str | None) -> None:
    """Let the operator grant a role, maybe with the app's own marker or under a name of its own."""
    role, scope, condition = player.parsed(right)
    more = {"condition": condition, "conditionVersion": "2.0"} if condition else {}
    if marked := words["marked"]:
        more["description"] = _marker(marked)
    if (other := words["other"]) and (name := words["name"]):
        more["name"] = player.assignment_id(other, name).rpartition("/")[2]
    player.cloud.grant(player.principal(who), role=role, scope=scope, **more)


@step(r"(somebody|Azure Policy) deletes (?P<who>[\w/-]+)'s (?P<right>.+)")
def revoke(player: "Player", who: str, right: str) -> None:
    player.ask("DELETE", player.assignment_id(who, right), version="2022-04-01")


@step(
    r"somebody rewrites (?P<who>[\w/-]+)'s (?P<right>.+?)"
    r"( as (?P<changed>.+?))?(?P<bare>, without its marker)?"
    r"(, marked as the app's for (?P<other>\w+))?"
)
def rewrite(player: "Player", who: str, right: str, **words: str | None) -> None:
    old, changed = player.assignment(who, right), words["changed"]
    marker = "" if words["bare"] else _marker(words["other"] or who)
    condition = player.parsed(changed)[2] if changed else old.condition
    more = {"condition": condition, "conditionVersion": "2.0"} if condition else {}
    answer = player.cloud.operator.assign(
        old.scope, old.principal, old.role, name=old.name, description=marker, **more
    )
    assert answer.status_code == HTTPStatus.CREATED, answer.text


def _marker(name: str) -> str:
    return str(Marker("prod", ResourceId.parse(place(name))))


@step(r"(?P<scope>[\w-]+) is (?P<how>locked against deletion|unlocked)")
def lock(player: "Player", scope: str, how: str) -> None:
    id_ = f"{SCOPES[scope]}/providers/Microsoft.Authorization/locks/hold"
    if how == "unlocked":
        player.ask("DELETE", id_, version="2016-09-01")
    else:
        player.ask("PUT", id_, {"properties": {"level": "CanNotDelete"}}, version="2016-09-01")


@step(r"the subscription has room for no more role assignments")
def fill(player: "Player") -> None:
    world = player.cloud.world
    world.assignment_limits[SUBSCRIPTION] = world.assignments.in_subscription[SUBSCRIPTION]


# What happens to the app and to what it is told.


@step(r"the scheduled sweep runs")
def sweep(player: "Player") -> None:
    player.sweep(scheduled=True)


@step(r"policy changes to( the usual one)?")
def change_policy(player: "Player", content: dict[str, Any] | None = None) -> None:
    """Deploy the app under another policy, which it sweeps; only the schedule's sweep removes."""
    player.policy = content or {}
    player.deploy()
    player.sweep(scheduled=False)


@step(r"another worker looks at (?P<name>[\w/-]+)")
def look(player: "Player", name: str) -> None:
    player.cloud.drive(place(name), by=player.another())


@step(r"the app (?P<how>stops|starts again)")
def stop(player: "Player", how: str) -> None:
    if how == "stops":
        player.live.stop()
    else:
        player.live.start()


@step(r"a second deployment, (?P<owner>\w+), sweeps under the first policy")
def sweep_other(player: "Player", owner: str) -> None:
    other = player.another(player.scenario.policy, RECONCILER_OWNER=owner)
    player.cloud.drive(*other.sweep().requests, by=other, most=200)


@step(r"the app (?P<how>loses|gets back) its rights over the subscription")
def blind(player: "Player", how: str) -> None:
    if how == "loses":
        player.cloud.blind(SUBSCRIPTION)
    else:
        player.cloud.grant(player.cloud.world.app.oid, role=player.role("Owner"), scope=SUB)


@step(r"an event names (?P<name>[\w/-]+)(?P<how>, in capitals|, beside one that nobody can read)?")
def tell(player: "Player", name: str, how: str | None) -> None:
    id_ = place(name).upper() if how == ", in capitals" else place(name)
    event = {
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "subject": id_,
        "eventTime": player.cloud.clock().isoformat(),
        "data": {"resourceUri": id_, "claims": {}, "authorization": {}},
    }
    message = [{"nobody": "knows"}, event] if how and "beside" in how else event
    for read in events.decode_message(json.dumps(message).encode()):
        player.live.ask(*player.cloud.app.requests(read))
    player.wait(1)


_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "Resource Graph shows nothing": {"graph_missing": 1.0},
    "Resource Graph shows everything again": {"graph_missing": 0.0},
    "Resource Graph is 10 minutes behind": {"graph_delay": 600},
    "new principals can be granted nothing for 60 seconds": {"typed_replication_delay": 60},
    "lists of role assignments are 20 seconds behind": {"assignment_lag": 20},
    "Azure throttles every caller as it documents": {"throttling": True},
    "events are lost": {"events_lost": 1.0},
    "events come twice": {"events_duplicate": 1.0, "events_late": 0.0},
    "events come 45 minutes late": {"events_late": 1.0, "events_late_by": 2700.0},
    "events come 10 hours late": {"events_late": 1.0, "events_late_by": 36000.0},
    "events overtake each other": {"events_reordered": 1.0, "events_reordered_by": 300.0},
    "events come as they should": {"events_lost": 0.0},
    "a new right counts only after 5 minutes": {"effect_delay": 300},
    "Resource Manager does not find what is younger than 45 seconds": {"index_delay": 45},
}


@step("|".join(map(re.escape, _FAULTS)).join(("(?P<what>", ")")))
def set_fault(player: "Player", what: str) -> None:
    """Set one of the sandbox's switches; docs/faults.md explains them."""
    player.cloud.set_faults(**_FAULTS[what])


@step(
    r"(the app's next (?P<times>\d+)|all) (?P<method>GET|PATCH)(e?s) of (?P<what>.+?)"
    r"( that name (?P<named>\w+))? are answered (?P<status>\d+) (?P<code>\w+)"
)
def refuse(player: "Player", method: str, what: str, **words: Any) -> None:  # noqa: ANN401 (parts of a sentence)
    holding = f"/{words['named']}" if words["named"] else ""
    times, status = int(words["times"] or 2 * ALWAYS), int(words["status"])
    answer = player.cloud.wire.answer
    answer(method, _path(what), status, words["code"], holding=holding, times=times)


@step(r"(?P<vm>[\w/-]+) shows an identity of the type (?P<type>.+)")
def show_type(player: "Player", vm: str, type: str) -> None:  # noqa: A002 - the sentence's word
    body = player.cloud.operator.get(place(vm))
    body["identity"]["type"] = type
    player.cloud.wire.answer("GET", _path(vm), 200, body=body, times=2 * ALWAYS)


@step(r"(?P<vm>[\w/-]+) is shown as it is again")
def show(player: "Player", vm: str) -> None:
    shown = player.cloud.wire
    shown.steps = [step for step in shown.steps if step.part != _path(vm) or step.times < ALWAYS]


@step(r"the app's next PATCH of (?P<vm>[\w/-]+) is accepted and changes nothing")
def swallow(player: "Player", vm: str) -> None:
    body = player.cloud.operator.get(place(vm))
    player.cloud.wire.answer("PATCH", _path(vm), 200, body=body)


@step(r"the app dies before its next (?P<call>.+)")
def die(player: "Player", call: str) -> None:

    def crash() -> None:
        raise Crash

    method, _, what = call.partition(" of ")
    player.cloud.wire.before(method, _path(what), crash)


_ORDINALS: Final = {"next": 0, "second": 1, "third": 2}


@step(rf"just before the app's (?P<which>{'|'.join(_ORDINALS)}) (?P<method>[A-Z]+) of (?P<what>.+)")
def interrupt(player: "Player", which: str, method: str, what: str, content: list[Step]) -> None:
    act, skip = player.during_call(content), _ORDINALS[which]
    player.cloud.wire.steps.append(wire.Step(method, _path(what), 1, skip=skip, act=act))


@step(r"whenever the app has written (?P<what>.+?)")
def react(player: "Player", what: str, content: list[Step]) -> None:
    """Let somebody act on the same event that the app's own write has."""
    who, _, right = what.partition("'s ")
    id_ = player.assignment_id(who, right) if right else place(what)
    player.reactions.setdefault(id_.lower(), []).extend(content)


@step(r"the other writer gives up")
def stop_reacting(player: "Player") -> None:
    player.reactions.clear()


def _path(what: str) -> str:
    """Return what the path of calls holds that are about something."""
    if what == "a role assignment":
        return "roleassignments/"
    if scope := re.fullmatch(r"the role assignments at (.+)", what):
        return f"{place(scope[1])}/providers/Microsoft.Authorization/roleAssignments".lower()
    return place(what).rpartition("/providers/")[2].lower()


# What workloads can do.

_STORAGE: Final = "https://storage.azure.com"
_ARM: Final = "https://management.azure.com"
_ACTIONS: Final[dict[str, tuple[str, str, str, dict[str, Any] | None]]] = {
    "read blobs": (_STORAGE, "GET", f"/dataplane{STORE}?action={BLOB_READ}", None),
    "tag the storage account": (
        _ARM,
        "PATCH",
        f"{STORE}?api-version=2023-05-01",
        {"tags": {"seen": "by a workload"}},
    ),
}
"""What a workload tries: the audience of its token, and the call that it makes with it."""


@step(
    r"a workload on (?P<vm>\w+)( as (?P<name>\w+))? (?P<verdict>may|may not) "
    rf"(?P<what>{'|'.join(_ACTIONS)})"
)
def probe(player: "Player", vm: str, name: str | None, verdict: str, what: str) -> None:
    """Sign in at the machine's metadata service, naming an identity or none, and try something."""
    audience, method, path, body = _ACTIONS[what]
    answer = _token(player, vm, audience, name)
    if answer.status_code == HTTPStatus.OK:
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        session = player.cloud.operator.session
        answer = session.request(method, f"{_ARM}{path}", json=body, headers=headers)
    if answer.ok is (verdict == "may not"):
        raise Broken(f"a workload on {vm} {verdict} {what}, but {answer.status_code} {answer.text}")


@step(r"a workload on (?P<vm>\w+) that names no identity signs in as (?P<name>[\w-]+)")
def sign_in(player: "Player", vm: str, name: str) -> None:
    """Ask the metadata service for a token, and see whose it is."""
    answer = _token(player, vm, _STORAGE, None)
    client = answer.json().get("client_id")
    principals = player.cloud.world.principals.values()
    whose = [holder.name for holder in principals if holder.app_id == client]
    if (whose or ["nobody"]) != [name]:
        raise Broken(f"a workload on {vm} signs in as {whose}, not as {name}")


def _token(player: "Player", vm: str, audience: str, name: str | None) -> Response:
    """Return the answer of a machine's metadata service to a request for a token."""
    chosen = f"&mi_res_id={place(name)}" if name else ""
    url = f"{_ARM}/imds{place(vm)}/metadata/identity/oauth2/token?api-version=2018-02-01"
    return player.cloud.operator.session.get(
        f"{url}&resource={audience}{chosen}", headers={"Metadata": "true"}
    )
