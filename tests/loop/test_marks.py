"""Markers that were forged, rewritten, wiped or lost, and two deployments on one right."""

import dataclasses
from collections.abc import Callable

import pytest

from reconciler.app import App
from reconciler.changes import Hold, Reason, UpdateAssignment
from reconciler.ids import ResourceId
from reconciler.marker import Ownership, assignment_name
from reconciler.model import Removals, RoleAssignment
from sandbox.identity import tokens
from tests.world.cloud import Cloud, as_request, holds, last
from tests.world.ids import APPS, BLOB_READER, DATA, READER, SHARED, VM, identity, machine
from tests.world.policies import Content, named, policy, rule
from tests.world.sweeps import GRAPH, OWN

BLOBS = {("Storage Blob Data Reader", "rg-data")}
OTHER = machine("vm2")
NOTHING = policy(rule(system={"grants": []}))


def rewritten(cloud: Cloud, text: str) -> str:
    """Let somebody who may write assignments put another description on the machine's right."""
    principal = cloud.principal()
    right = cloud.right(principal)
    cloud.grant(principal, name=right.name, description=text)
    assert cloud.right(principal).created_by == cloud.world.app.oid
    assert cloud.right(principal).updated_by == cloud.world.operator.oid
    return principal


def about(resource: str, owner: str = "prod") -> Callable[[Cloud], str]:
    """Return what marks a right as an owner's for a resource."""
    return lambda cloud: cloud.mark(resource, owner)


TEXTS: dict[str, Callable[[Cloud], str]] = {
    "another live machine": about(OTHER),
    "a machine that never was": about(machine("never")),
    "an identity": about(SHARED),
    "an identity that never was": about(identity("never")),
    "another owner": about(VM, "another"),
    "its own machine": about(VM),
    "nothing": lambda _: "",
    "prose": lambda _: "needed by team x",
    "what is not watched": about(VM.replace("1111", "2222")),
}


@pytest.fixture
def pair(steady: Cloud) -> Cloud:
    """A second machine beside the first, as policy wants it."""
    steady.build(OTHER)
    steady.drive(OTHER)
    steady.pass_time()
    steady.events.clear()
    steady.wire.calls.clear()
    return steady


@pytest.mark.parametrize("text", TEXTS)
def test_a_rewritten_marker_takes_no_live_right(pair: Cloud, text: str) -> None:
    """By no event, of the attacker or of ours, by no look at what it names, and by no sweep."""
    victim = rewritten(pair, TEXTS[text](pair))

    def intact() -> None:
        assert pair.rights(victim) == OWN

    for method in ("GET", "POST", "PUT", "DELETE"):
        pair.wire.before(method, "", intact, times=10_000)
    mark = len(pair.events)
    pair.drive(*pair.hear(), machine("never"), OTHER, SHARED)
    pair.drive(*pair.hear(mark))
    pair.sweep()
    intact()

    right = pair.right(victim)
    assert (right.description, right.updated_by) == (pair.mark(VM), pair.world.app.oid)
    assert pair.replan().compliant


@pytest.mark.parametrize("text", TEXTS)
def test_a_rewritten_marker_keeps_what_policy_withdrew_and_is_shown(pair: Cloud, text: str) -> None:
    """It may have been taken over on purpose; a person sees it in every plan, and decides."""
    victim = rewritten(pair, TEXTS[text](pair))
    pair.deploy(NOTHING)
    pair.sweep()
    pair.apply(VM, at_once=True)

    assert pair.rights(victim) == OWN
    assert holds(pair.shown()) == {Hold.NO_MARKER}
    assert not pair.shown().settled


@pytest.mark.parametrize("status", [403, 503])
def test_a_marked_right_is_looked_at_though_the_index_cannot_be_asked(
    steady: Cloud, status: int
) -> None:
    """Its marker says whose it is; only who else may hold it has to wait for the index."""
    rewritten(steady, steady.mark(VM))
    requests = steady.hear()
    steady.wire.answer("POST", GRAPH, status, "Refused", times=10_000)
    steady.drive(*requests)

    assert steady.right(steady.principal()).updated_by == steady.world.app.oid


def test_a_lost_marker_is_shown_also_where_policy_names_no_scope(steady: Cloud) -> None:
    """Neither by scope nor by marker could it be found, but by its maker."""
    right = steady.granted_by_us(DATA)
    steady.grant(right.principal, scope=DATA, name=right.name, description="")
    steady.sweep()

    assert ("Reader", "rg-data") in steady.rights(right.principal)
    plan = steady.shown()
    assert holds(plan) == {Hold.NO_MARKER}
    assert [held.change.reason for held in plan.withheld] == [Reason.UNWANTED]


@pytest.mark.parametrize("owner", ["prod", "another"])
def test_a_forged_marker_makes_nothing_ours(steady: Cloud, owner: str) -> None:
    """Another's assignment with our text is neither retired nor removed, whomever it is for."""
    stranger = steady.operator.principal("stranger").oid
    forged = [
        steady.grant(stranger, description=steady.mark(VM, owner)),
        steady.grant(steady.principal(), scope=DATA, description=steady.mark(VM, owner)),
        steady.grant(steady.principal(SHARED), scope=APPS, description=steady.mark(SHARED, owner)),
    ]
    steady.deploy(NOTHING)
    everything = Removals(steady.app.policy.digest, ids=None, at_once=True)
    steady.drive(dataclasses.replace(as_request(VM), removals=everything))
    steady.sweep()
    steady.build()
    steady.drive(VM)
    steady.pass_time()
    steady.delete(VM)
    steady.delete(SHARED)
    steady.drive(VM, SHARED)

    assert all(one in steady.world.assignments for one in forged)


def test_a_widened_condition_of_ours_is_narrowed_again(cloud: Cloud) -> None:
    """Whoever updated it last; the marker need not have been touched."""
    condition = "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'images'"
    grant = {"role": "Storage Blob Data Reader", "scope": DATA, "condition": condition}
    cloud.deploy(policy(identities=named(grants=[grant])))
    cloud.drive(SHARED)
    ours = cloud.right(cloud.principal(SHARED))
    cloud.grant(
        ours.principal, role=BLOB_READER, scope=DATA, name=ours.name, description=cloud.mark(SHARED)
    )
    cloud.drive(SHARED)

    assert cloud.right(ours.principal).condition == condition
    assert cloud.replan(SHARED).compliant


def test_what_was_just_made_is_not_yet_ours(steady: Cloud) -> None:
    """Who created it is null for a moment; then nothing is decided by it."""
    ours = steady.right(steady.principal())
    young = dataclasses.replace(_read(steady.app, ours.id), created_by=None)

    assert steady.app.context.ownership.marker_of(young) is None
    assert not steady.app.context.ownership.lost(young)


# Two deployments.


def second(cloud: Cloud, content: Content | None = None, *, same: bool = False) -> App:
    """Return another deployment under the same or another identity; the first goes on."""
    first = cloud.app
    who = cloud.world.app if same else cloud.world.operator
    other = cloud.deploy(
        content,
        credential=tokens.credential(cloud.world, who),
        RECONCILER_OWNER="second",
        RECONCILER_CLIENT_ID=who.app_id,
    )
    cloud.app = first
    return other


def _read(app: App, text: str) -> RoleAssignment:
    return app.arm.assignment(ResourceId.parse(text))


def owners(cloud: Cloud, principal: str, *, same: bool) -> list[bool]:
    """Return whether the right of a principal is the first deployment's, and the second's."""
    found = _read(cloud.app, cloud.right(principal).id)
    one = frozenset({cloud.world.app.oid})
    two = one if same else frozenset({cloud.world.operator.oid})
    ownerships = (Ownership("prod", one), Ownership("second", two))
    return [bool(each.marker_of(found)) for each in ownerships]


@pytest.mark.parametrize("same", [False, True], ids=["two identities", "one identity"])
@pytest.mark.parametrize("race", [False, True], ids=["one after the other", "at one moment"])
def test_two_deployments_on_one_triple_agree_whose_it_is(
    cloud: Cloud, *, same: bool, race: bool
) -> None:
    """One owns it, and neither writes it again and again."""
    first, other = cloud.app, second(cloud, same=same)
    who = cloud.principal(SHARED)
    name = assignment_name(ResourceId.parse(DATA), BLOB_READER, who)
    text = cloud.mark(SHARED, owner="second")

    def overtake() -> None:
        cloud.operator.called_by(cloud.world.app if same else cloud.world.operator)
        cloud.grant(who, role=BLOB_READER, scope=DATA, name=name, description=text)
        cloud.operator.called_by(cloud.world.operator)

    if race:
        cloud.wire.before("PUT", name, overtake)
    for _ in range(4):
        for app in (first, other):
            cloud.app = app
            cloud.drive(SHARED)
            cloud.pass_time()
    cloud.app = first

    assert cloud.rights(who) == BLOBS
    assert sum(owners(cloud, who, same=same)) == 1
    assert sum(call.method == "PUT" and name in call.path for call in cloud.wire.calls) <= 2
    assert first.reconciler.plan(as_request(SHARED))[1].compliant
    assert other.reconciler.plan(as_request(SHARED))[1].compliant


@pytest.mark.parametrize("same", [False, True], ids=["two identities", "one identity"])
def test_what_one_deployment_withdraws_stays_the_others(cloud: Cloud, *, same: bool) -> None:
    """Two deployments never touch each other's, not even under one identity."""
    cloud.sweep()
    cloud.pass_time()
    principal, first = cloud.principal(), cloud.app
    right = cloud.right(principal)
    cloud.app = second(cloud, NOTHING, same=same)
    cloud.app = second(cloud, policy(rule(attach=[], system={"grants": []})), same=same)
    cloud.sweep()
    cloud.apply(VM)
    assert cloud.right(principal) == right

    cloud.app = first
    cloud.build()
    cloud.app = second(cloud, NOTHING, same=same)
    cloud.sweep()
    assert cloud.right(principal) == right


def test_another_condition_of_another_deployment_is_said(cloud: Cloud) -> None:
    """The first keeps it; the second names why it has nothing."""
    cloud.drive(SHARED)
    condition = "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'images'"
    grant = {"role": "Storage Blob Data Reader", "scope": DATA, "condition": condition}
    cloud.app = second(cloud, policy(identities=named(grants=[grant])))
    plan = last(cloud.drive(SHARED), SHARED)

    assert holds(plan) == {Hold.FOREIGN_CONDITION}
    assert isinstance(plan.withheld[0].change, UpdateAssignment)


def test_a_name_of_ours_that_another_took_elsewhere_is_no_obstacle(cloud: Cloud) -> None:
    """Names are unique in the tenant, and can be computed."""
    principal = cloud.build().system
    assert principal is not None
    squatted = cloud.our_name(principal.oid)
    stranger = cloud.operator.principal("stranger").oid
    theirs = cloud.grant(stranger, scope=DATA, role=READER, name=squatted)
    for _ in range(2):
        cloud.drive(VM)
        cloud.pass_time()

    assert cloud.rights(principal.oid) == OWN
    assert theirs in cloud.world.assignments
    assert cloud.replan().compliant

    cloud.deploy(NOTHING)
    cloud.sweep()
    assert cloud.rights(principal.oid) == set()
    assert theirs in cloud.world.assignments
