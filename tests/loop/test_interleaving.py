"""Several processes work at once, in any order of their calls, and die anywhere.

Whatever the order, no right that somebody lives by is lost on the way, and once all is quiet the
world is the one that the same moves make one after the other.
"""

import functools
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from reconciler.changes import Result
from sandbox import transport
from sandbox.interleave import Choose, Fate, Move, Parked
from tests.conftest import ROOT
from tests.world.cloud import Cloud
from tests.world.ids import BLOB_READER, DATA, SHARED, VM, identity
from tests.world.policies import policy, rule

OPERATOR = "operator"
MOST_DEATHS = 3
# A failure tells its moves; making them fewer would take minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
POLICY = policy(
    rule(
        system={
            "grants": [
                {"role": "Reader", "scope": "{resourceGroup}"},
                {"role": "Reader", "scope": DATA},
            ]
        }
    )
)

type Act = Callable[[Cloud], object]
type Picture = dict[str, list[str]]


def attach(cloud: Cloud) -> None:
    """Attach an identity, and leave the system-assigned one on where somebody switched it on.

    What was switched off and on again has another principal: the first one's right then stays,
    younger than the machine, for a person to remove.
    """
    block = {
        "type": "SystemAssigned, UserAssigned",
        "userAssignedIdentities": {identity("foreign"): {}},
    }
    answer = cloud.operator.call("PATCH", VM, {"identity": block})
    assert answer.status_code == 200, answer.text
    cloud.pass_time()


ACTS: dict[str, Act] = {
    "nobody else": lambda _: None,
    "the machine is rebuilt": lambda cloud: cloud.build(settle=False),
    "the identity is recreated": Cloud.recreate_identity,
    "the machine is deleted": lambda cloud: cloud.delete(VM),
    "a foreign identity is attached": attach,
}
PLACES = {
    "nobody else": (VM, VM, VM, VM),
    "the machine is rebuilt": (VM, VM, SHARED),
    "the identity is recreated": (VM, SHARED, SHARED),
    "the machine is deleted": (VM, VM),
    "a foreign identity is attached": (VM, VM, SHARED),
}


def landing(folder: str) -> Cloud:
    """Return a machine that was rebuilt bare, with the rights of its forerunner and strangers'."""
    cloud = Cloud(Path(folder))
    cloud.deploy(POLICY)
    cloud.sweep()
    cloud.pass_time()
    cloud.grant(cloud.principal(), role=BLOB_READER, scope=DATA)
    cloud.grant(cloud.operator.principal("stranger").oid)
    cloud.build(system=False)
    cloud.operator.session = transport.session(cloud.gate.around(cloud.operator.app))
    return cloud


def process(cloud: Cloud, place: str) -> Callable[[], list[Result]]:
    """Return the work of a process that starts, gets one message, and sees it through."""
    return lambda: cloud.drive(place, by=cloud.deploy(POLICY))


def settle(cloud: Cloud) -> Picture:
    """Let one process look at everything until nothing is left, and say what there is then."""
    cloud.deploy(POLICY)
    cloud.wire.clear()
    for _ in range(2):
        cloud.pass_time()
        cloud.drive(SHARED, VM)
    if VM.lower() in cloud.world.resources:
        assert cloud.replan(VM).compliant
    assert cloud.replan(SHARED).compliant
    return picture(cloud)


def picture(cloud: Cloud) -> Picture:
    """Describe the world without the ids that differ from run to run."""
    world = cloud.world
    found: Picture = {"rights": [], "attached": []}
    for one in world.assignments:
        holder = world.principals[one.principal]
        whose = f"{holder.name} {'lives' if holder.alive else 'retired'}"
        maker = world.principals[one.created_by].name
        right = f"{world.roles[one.role].name} at {one.scope}"
        found["rights"].append(f"{maker} gave {whose}: {right}, {one.description}")
    if VM.lower() in world.resources:
        found["attached"] = sorted(cloud.attached())
    found["rights"].sort()
    return found


def lived_by(cloud: Cloud) -> dict[str, str]:
    """Return the rights of principals that live, each with its principal."""
    principals = cloud.world.principals
    assignments = cloud.world.assignments
    return {one.id: one.principal for one in assignments if principals[one.principal].alive}


def watched(cloud: Cloud, choose: Choose) -> Choose:
    """Return the choice, made only while no right of a living principal was lost."""
    held: dict[str, str] = {}

    def look(parked: tuple[Parked, ...]) -> Move:
        now = lived_by(cloud)
        for one in held.keys() - now.keys():
            assert not cloud.world.principals[held[one]].alive, f"{one} is lost"
        held.clear()
        held.update(now)
        return choose(parked)

    return look


def drawn(data: st.DataObject) -> Choose:
    """Let Hypothesis choose who goes on, and which processes die; people live."""
    deaths = 0

    def choose(parked: tuple[Parked, ...]) -> Move:
        nonlocal deaths
        chosen = data.draw(st.sampled_from(parked))
        if chosen.worker == OPERATOR or deaths == MOST_DEATHS or data.draw(st.integers(0, 9)) < 9:
            return Move(chosen)
        deaths += 1
        return Move(chosen, data.draw(st.sampled_from((Fate.DIE_BEFORE, Fate.DIE_AFTER))))

    return choose


@functools.cache
def in_sequence(act: str) -> Picture:
    """Return what the same moves lead to one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = landing(folder)
        ACTS[act](cloud)
        for place in PLACES[act]:
            process(cloud, place)()
        return settle(cloud)


@pytest.mark.parametrize("act", ACTS)
@settings(max_examples=15, phases=PHASES)
@given(data=st.data())
def test_any_order_of_calls_and_any_death_ends_as_one_process_would(
    act: str, data: st.DataObject
) -> None:
    """Processes share nothing but Azure; one that died gets its message again."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = landing(folder)
        works: dict[str, Callable[[], object]] = {OPERATOR: lambda: ACTS[act](cloud)}
        for number, place in enumerate(PLACES[act], start=1):
            works[f"process {number}"] = process(cloud, place)
        cloud.gate.run(works, watched(cloud, drawn(data)), again=True)

        assert settle(cloud) == in_sequence(act)


def test_the_example_in_the_documentation_holds(tmp_path: Path) -> None:
    """What docs/interleaving.md shows can be copied into a test."""
    page = ROOT.joinpath("docs", "interleaving.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)

    exec(example, {"tmp_path": tmp_path})  # noqa: S102 - our own page
