"""A machine is deleted and rebuilt under its name: the job that the project is there for."""

from reconciler.changes import Hold
from reconciler.ids import ResourceId
from reconciler.model import Request
from tests.world.cloud import Cloud, holds
from tests.world.ids import APPS, SHARED, VM
from tests.world.policies import policy, rule

OWN = {("Reader", "rg-app")}


def test_a_bare_machine_gets_its_identities_and_rights_in_one_run(cloud: Cloud) -> None:
    """The PATCH's answer carries the system principal, so its grants follow at once."""
    result = cloud.look(VM)

    assert result.again_after is None
    assert cloud.attached() == {"system", "shared"}
    assert cloud.rights(cloud.principal()) == OWN
    assert cloud.replan().compliant


def test_a_steady_world_is_as_policy_asks(steady: Cloud) -> None:
    """Identity and machine each hold what policy gives them, and a sweep finds nothing to do."""
    assert cloud_rights(steady) == (OWN, {("Storage Blob Data Reader", "rg-data")})
    steady.sweep()

    assert steady.wire.writes == []


def cloud_rights(cloud: Cloud) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return what machine and identity hold."""
    return cloud.rights(cloud.principal()), cloud.rights(cloud.principal(SHARED))


def test_a_rebuilt_machine_is_repaired_at_once_and_its_old_right_goes_after(steady: Cloud) -> None:
    """While its own PATCH is under way, nothing proves that the old principal was replaced."""
    old = steady.principal()
    steady.build(system=False)

    result = steady.look(VM)

    assert steady.attached() == {"system", "shared"}
    assert steady.rights(steady.principal()) == OWN
    assert steady.rights(old) == OWN
    assert holds(result.plans[-1]) == {Hold.BUSY}

    steady.follow(result)

    assert steady.rights(old) == set()
    assert steady.replan().compliant


def test_a_settled_machine_with_its_identities_loses_its_old_right_in_one_run(
    steady: Cloud,
) -> None:
    """Where nothing has to be attached, two reads and the index settle it."""
    old = steady.principal()
    steady.deploy(policy(rule(attach=[])))
    steady.build()
    result = steady.look(VM)

    assert result.again_after is None
    assert steady.rights(old) == set()
    assert steady.rights(steady.principal()) == OWN


def test_a_young_machine_is_granted_its_rights_before_it_may_be_patched(steady: Cloud) -> None:
    """Settling holds back the PATCH, and what the old principal held goes in the settled look."""
    old = steady.principal()
    steady.build(settle=False)

    result = steady.look(VM)

    assert steady.rights(steady.principal()) == OWN
    assert steady.rights(old) == OWN
    assert steady.attached() == {"system"}
    assert holds(result.plans[-1]) <= {Hold.SETTLING, Hold.BUSY}

    steady.follow(result)

    assert steady.rights(old) == set()
    assert steady.attached() == {"system", "shared"}
    assert steady.resource().created + steady.app.settings.settle <= steady.clock()


def test_a_machine_that_is_being_created_is_not_patched(cloud: Cloud) -> None:
    """Another write under way would collide with ours, however old the machine is."""
    cloud.app = cloud.deploy(RECONCILER_SETTLE="0")
    cloud.build(settle=False)
    result = cloud.look(VM)

    assert not [call for call in cloud.wire.writes if call.method == "PATCH"]
    assert holds(result.plans[-1]) == {Hold.BUSY}
    assert cloud.rights(cloud.principal()) == OWN


def test_an_extension_being_provisioned_holds_back_the_patch_alone(cloud: Cloud) -> None:
    """A PATCH can preempt the deployment that is building the machine."""
    cloud.build()
    answer = cloud.operator.call(
        "PUT", f"{VM}/extensions/setup", {"location": "westeurope", "properties": {}}
    )
    assert answer.status_code == 201, answer.text
    result = cloud.look(VM)

    assert cloud.attached() == {"system"}
    assert cloud.rights(cloud.principal()) == OWN
    # The machine is being updated as long as its extension is being created.
    assert holds(result.plans[-1]) == {Hold.BUSY}

    assert result.again is not None
    cloud.drive(result.again)
    assert cloud.attached() == {"system", "shared"}


def test_a_late_delete_event_of_a_rebuilt_machine_takes_nothing_away(steady: Cloud) -> None:
    """A live resource with that id is reconciled as such, whatever the event said."""
    steady.build()
    (deleted, *_) = [request for request in steady.hear() if request.id == ResourceId.parse(VM)]
    steady.drive(Request(deleted.id, since=deleted.since))

    assert steady.rights(steady.principal()) == OWN
    assert steady.attached() == {"system", "shared"}


def test_assignments_are_read_before_the_machine_that_explains_them(steady: Cloud) -> None:
    """A right granted to a new incarnation between two reads can then never look retired."""
    steady.look(VM)
    reads = [call.path for call in steady.wire.calls]

    assert reads.index(f"{APPS.lower()}/providers/microsoft.authorization/roleassignments") == 0
    assert reads.index(VM.lower()) == 1
    assert reads.index(SHARED.lower()) == 2
