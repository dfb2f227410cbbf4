"""Others act, or the process dies, at every single call: the world must come right all the same."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reconciler.changes import Result
from tests.world.cloud import Cloud
from tests.world.ids import APPS, DATA, SHARED, SUB, VM
from tests.world.policies import SEED, Content, policy, rule
from tests.world.wire import Call

MOST_CALLS = 16
"""More calls than any run below makes."""
UNSEEN = "22222222-2222-2222-2222-222222222222"
FAR = f"/subscriptions/{UNSEEN}/resourceGroups/rg-far"
ELSEWHERE = f"{SUB}/resourceGroups/rg-elsewhere"
GRANTS: Content = {
    "grants": [{"role": "Reader", "scope": "{resourceGroup}"}, {"role": "Reader", "scope": DATA}]
}
RIGHTS = {("Reader", "rg-app"), ("Reader", "rg-data")}


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def recycled(cloud: Cloud) -> Cloud:
    """A machine with two rights and an identity, rebuilt bare and settled."""
    cloud.deploy(policy(rule(system=GRANTS)))
    cloud.sweep()
    cloud.pass_time()
    cloud.build(system=False)
    cloud.wire.calls.clear()
    return cloud


def at_call(cloud: Cloud, number: int, act: Callable[[], object]) -> list[Call]:
    """Let somebody act just before the app's call with that number; returns that call, if made."""
    start = len(cloud.wire.calls)
    acted: list[Call] = []

    def maybe() -> None:
        if not acted and len(cloud.wire.calls) - start == number:
            acted.append(cloud.wire.calls[-1])
            act()

    for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
        cloud.wire.before(method, "", maybe, times=10_000)
    return acted


def other_worker(cloud: Cloud, place: str = VM) -> Callable[[], list[Result]]:
    """Return a run of another process, which shares nothing with the first but Azure."""
    first = cloud.app
    second = cloud.deploy(policy(rule(system=GRANTS)))
    cloud.app = first

    def run() -> list[Result]:
        cloud.app = second
        try:
            return cloud.drive(place)
        finally:
            cloud.app = first

    return run


def assert_right(cloud: Cloud, old: set[str]) -> None:
    """Assert that the machine has what policy asks, and no earlier principal anything."""
    assert cloud.attached() == {"system", "shared"}
    assert cloud.rights(cloud.principal()) == RIGHTS
    assert cloud.rights(cloud.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}
    for principal in old - {cloud.principal(), cloud.principal(SHARED)}:
        assert cloud.rights(principal) == set()
    assert cloud.replan().compliant
    assert cloud.replan(SHARED).compliant


def holders(cloud: Cloud) -> set[str]:
    """Return the principals that hold a right of ours."""
    return {
        one.principal for one in cloud.world.assignments if one.created_by == cloud.world.app.oid
    }


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_another_worker_on_the_same_machine_at_any_moment_doubles_nothing(
    recycled: Cloud, number: int
) -> None:
    """Nor is anything lost."""
    old = holders(recycled)
    at_call(recycled, number, other_worker(recycled))
    recycled.drive(VM)
    recycled.pass_time()
    recycled.drive(VM)

    assert_right(recycled, old)


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_a_machine_rebuilt_at_any_moment_ends_as_policy_asks(recycled: Cloud, number: int) -> None:
    """Its events lead to another look, and no principal in between keeps or lacks anything."""
    old = holders(recycled)
    at_call(recycled, number, lambda: recycled.build(settle=False))
    recycled.drive(VM)
    old |= holders(recycled)
    recycled.wire.clear()
    recycled.pass_time()
    recycled.drive(VM)

    assert_right(recycled, old)


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_a_machine_rebuilt_and_repaired_by_another_keeps_its_new_rights(
    recycled: Cloud, number: int
) -> None:
    """Assignments are read before the machine, so what is new can never look replaced."""
    run = other_worker(recycled)
    granted: list[str] = []

    def rebuild() -> None:
        recycled.build()
        run()
        granted.append(recycled.principal())

    at_call(recycled, number, rebuild)
    recycled.look(VM)
    deleted = {
        call.path.rsplit("/", 1)[-1] for call in recycled.wire.calls if call.method == "DELETE"
    }

    for principal in granted:
        mine = {recycled.our_name(principal, scope=scope) for scope in (APPS, DATA)}
        assert not deleted & mine
        assert recycled.rights(principal) == RIGHTS


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_an_identity_recreated_at_any_moment_ends_as_policy_asks(
    recycled: Cloud, number: int
) -> None:
    """Whatever was attached or granted in between, the next looks repair it."""
    old = holders(recycled)
    at_call(recycled, number, recycled.recreate_identity)
    recycled.drive(VM)
    old |= holders(recycled)
    recycled.wire.clear()
    recycled.pass_time()
    recycled.drive(SHARED, VM)
    recycled.pass_time()

    assert_right(recycled, old)


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_a_machine_deleted_at_any_moment_leaves_no_right(recycled: Cloud, number: int) -> None:
    """A right granted to a machine that was just deleted is retired with the others."""
    at_call(recycled, number, partial(recycled.delete, VM))
    recycled.drive(VM)
    recycled.wire.clear()
    if VM.lower() in recycled.world.resources:
        recycled.delete(VM)
    recycled.drive(VM)

    assert holders(recycled) == {recycled.principal(SHARED)}


def moves(cloud: Cloud, held: dict[str, set[tuple[str, str]]], *, blind: bool) -> None:
    """Move the machine, unless a PATCH of ours keeps it; notes what its principal holds then."""
    body = {"resources": [VM], "targetResourceGroup": FAR if blind else ELSEWHERE}
    cloud.clock.forward(10)
    answer = cloud.operator.call("POST", f"{APPS}/moveResources", body, version="2021-04-01")
    assert answer.status_code in {202, 409}, answer.text
    cloud.clock.forward(10)
    cloud.world.announce()
    if VM.lower() not in cloud.world.resources:
        moved = VM.replace(APPS, FAR if blind else ELSEWHERE)
        if cloud.resource(moved).system:
            held[cloud.principal(moved)] = cloud.rights(cloud.principal(moved))


@pytest.mark.parametrize("rebuilt", [False, True])
@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_a_machine_moved_at_any_moment_keeps_its_rights(
    tmp_path: Path, number: int, *, blind: bool, rebuilt: bool
) -> None:
    """To a group, or to a subscription that we cannot read; also once it was just repaired."""
    cloud = Cloud(
        tmp_path,
        subscriptions=[*SEED["subscriptions"], {"id": UNSEEN, "name": "other"}],
        groups=[*SEED["groups"], {"id": FAR}, {"id": ELSEWHERE}],
    )
    cloud.blind(UNSEEN)
    cloud.deploy(policy(rule(system=GRANTS)))
    cloud.sweep()
    cloud.pass_time()
    cloud.build(system=not rebuilt)
    cloud.wire.calls.clear()
    repair = other_worker(cloud)
    held: dict[str, set[tuple[str, str]]] = {}

    def act() -> None:
        if rebuilt:
            repair()
        moves(cloud, held, blind=blind)

    at_call(cloud, number, act)
    cloud.drive(VM)
    cloud.wire.clear()
    cloud.pass_time()
    cloud.drive(VM, SHARED)
    cloud.drive(VM.replace(APPS, ELSEWHERE))

    for principal, rights in held.items():
        assert cloud.rights(principal) >= rights
    assert cloud.rights(cloud.principal(SHARED)) == {("Storage Blob Data Reader", "rg-data")}


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_a_process_that_dies_at_any_call_is_replaced_by_the_next(
    recycled: Cloud, number: int
) -> None:
    """State lives in Azure: a new process that gets the same message finishes the work."""
    old = holders(recycled)

    def die() -> None:
        raise Crash

    at_call(recycled, number, die)
    try:
        recycled.look(VM)
    except Crash:
        recycled.deploy(policy(rule(system=GRANTS)))
    recycled.wire.clear()
    recycled.pass_time()
    recycled.drive(VM)

    assert_right(recycled, old)


@pytest.mark.parametrize("number", range(1, MOST_CALLS))
def test_a_foreign_identity_attached_at_any_moment_stays(recycled: Cloud, number: int) -> None:
    """Delta PATCHes under an etag lose no update."""
    acted = at_call(recycled, number, partial(recycled.attach, "foreign"))
    recycled.drive(VM)
    recycled.wire.clear()
    recycled.pass_time()
    recycled.drive(VM)

    assert recycled.attached() == {"system", "shared"} | ({"foreign"} if acted else set())
    assert recycled.rights(recycled.principal()) == RIGHTS
