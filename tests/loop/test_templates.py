"""Identities with placeholders: one for each subscription and location, through the whole loop."""

from reconciler.changes import Hold
from reconciler.ids import ResourceId
from tests.world.cloud import Cloud, blocked, holds
from tests.world.ids import ASSIGNMENTS, DATA, SUB, VM, identity
from tests.world.policies import Content, guardrails, policy, rule

TEMPLATE = identity("avd-{location}").replace(SUB, "{subscription}")
WEST = identity("avd-westeurope")
ADMIN = identity("avd-admin")
NORTH = identity("avd-northeurope")
READS = {("Storage Blob Data Reader", "rg-data")}


def placed(**keys: object) -> Content:
    """Return policy whose machines carry the identity of their place."""
    grants = [{"role": "Storage Blob Data Reader", "scope": DATA}]
    entry = {"id": TEMPLATE, "mode": "repair", "grants": grants, **keys}
    return policy(rule(attach=["avd"]), identities={"avd": entry})


def test_a_machine_carries_the_identity_of_its_place(cloud: Cloud) -> None:
    """The template is resolved against the machine, the identity's rights against itself."""
    cloud.recreate_identity(WEST)
    cloud.deploy(placed())
    cloud.drive(VM, WEST)

    assert cloud.attached() == {"system", "avd-westeurope"}
    assert cloud.rights(cloud.principal(WEST)) == READS
    assert cloud.replan(VM).compliant
    assert cloud.replan(WEST).compliant


def test_an_event_on_such_an_identity_heals_its_machines(cloud: Cloud) -> None:
    """It is recognised by its id, and the machines that should carry it are looked at."""
    cloud.recreate_identity(WEST)
    cloud.deploy(placed())
    cloud.drive(VM, WEST)
    cloud.pass_time()
    start = len(cloud.events)
    cloud.recreate_identity(WEST)
    cloud.pass_time()
    heard = [one for one in cloud.hear(start) if one.id == ResourceId.parse(WEST)]
    assert heard
    cloud.drive(*heard)

    assert cloud.attached() == {"system", "avd-westeurope"}
    assert cloud.rights(cloud.principal(WEST)) == READS


def test_a_sweep_finds_such_identities(cloud: Cloud) -> None:
    """Those that are there are looked at, as the other identities in policy are."""
    cloud.recreate_identity(WEST)
    cloud.deploy(placed())
    cloud.sweep()

    assert cloud.attached() == {"system", "avd-westeurope"}
    assert cloud.rights(cloud.principal(WEST)) == READS


def test_a_name_that_only_fits_the_template_gains_nothing(cloud: Cloud) -> None:
    """The identity's own GET tells where it lies."""
    cloud.recreate_identity(ADMIN)
    cloud.deploy(placed())
    cloud.sweep()
    cloud.drive(ADMIN)

    assert cloud.rights(cloud.principal(ADMIN)) == set()


def test_a_name_that_only_fits_the_template_is_nobodys_to_detach(cloud: Cloud) -> None:
    """Exclusive are the identities that lie where their ids say, and no neighbour of theirs."""
    for name in (WEST, ADMIN, NORTH):
        cloud.recreate_identity(name)
    cloud.resource(NORTH).location = "northeurope"
    cloud.attach("avd-admin", "avd-northeurope")
    cloud.deploy(placed(exclusive=True))
    cloud.sweep()

    assert cloud.attached() == {"system", "avd-admin", "avd-westeurope"}


def test_a_deleted_right_of_such_an_identity_comes_back(cloud: Cloud) -> None:
    """Whose it was is found among the identities that are there."""
    cloud.recreate_identity(WEST)
    cloud.deploy(placed())
    cloud.drive(VM, WEST)
    cloud.pass_time()
    right = cloud.right(cloud.principal(WEST))
    cloud.world.remove_assignment(right)
    cloud.pass_time()
    cloud.drive(f"{DATA}{ASSIGNMENTS}/{right.name}")

    assert cloud.rights(cloud.principal(WEST)) == READS


def test_a_missing_identity_is_created_attached_and_granted_to(cloud: Cloud) -> None:
    """Creating leads to the next look, which attaches it, and to a look at the identity itself."""
    cloud.deploy(placed(ensure="present", location="{location}", tags={"team": "desktop"}))
    cloud.drive(VM)

    assert cloud.attached() == {"system", "avd-westeurope"}
    assert cloud.resource(WEST).location == "westeurope"
    assert cloud.resource(WEST).tags == {"team": "desktop"}
    assert cloud.rights(cloud.principal(WEST)) == READS
    assert cloud.replan(VM).compliant
    assert cloud.replan(WEST).compliant


def test_a_deleted_identity_is_created_anew(cloud: Cloud) -> None:
    """The machines that carried it lead there, and their dead entries make room."""
    cloud.deploy(placed(ensure="present", location="{location}"))
    cloud.drive(VM)
    cloud.pass_time()
    old = cloud.principal(WEST)
    cloud.delete(WEST)
    cloud.pass_time()
    cloud.drive(WEST)

    assert cloud.attached() == {"system", "avd-westeurope"}
    assert cloud.principal(WEST) != old
    assert cloud.rights(old) == set()
    assert cloud.rights(cloud.principal(WEST)) == READS


def test_a_sweep_creates_what_is_missing(cloud: Cloud) -> None:
    """The index shows no such identity, and fresh reads confirm it."""
    cloud.deploy(placed(ensure="present", location="{location}"))
    cloud.sweep()

    assert cloud.attached() == {"system", "avd-westeurope"}


def test_an_identity_in_a_group_that_is_gone_is_blocked(cloud: Cloud) -> None:
    """Groups are not ours to create; a person is told."""
    content = placed(ensure="present", location="{location}")
    content["identities"]["avd"]["id"] = TEMPLATE.replace("rg-id", "rg-none")
    cloud.deploy(content, rails=guardrails(identities=[SUB]))
    results = cloud.drive(VM)

    assert [one.code for one in blocked(results)] == ["ResourceGroupNotFound"]
    assert cloud.attached() == {"system"}


def test_audit_creates_nothing(cloud: Cloud) -> None:
    """An identity in audit mode is only told about."""
    cloud.deploy(placed(ensure="present", location="{location}", mode="audit"))
    cloud.drive(VM)

    assert WEST.lower() not in cloud.world.resources
    assert holds(cloud.replan(VM)) == {Hold.AUDIT, Hold.IDENTITY_ABSENT}


def test_a_missing_identity_is_told(cloud: Cloud) -> None:
    """Without `ensure` it must exist."""
    cloud.deploy(placed())
    cloud.drive(VM)

    assert holds(cloud.replan(VM)) == {Hold.IDENTITY_ABSENT}
    assert cloud.attached() == {"system"}
