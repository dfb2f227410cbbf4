"""What happens to a small fleet while one call goes wrong, and what must be there at the end.

Each scenario starts from a steady world (policy and world agree), lets something happen, and says
which rights policy still wants: those may not go at any moment, nor may a live identity that is
attached, nor anything that the app did not make.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.world.cloud import Cloud
from tests.world.ids import APPS, BLOB_READER, DATA, SHARED, SUB, VM, identity, machine
from tests.world.policies import SEED, Content, named, policy, rule

OTHER = f"{SUB}/resourceGroups/rg-other"
NEW = machine("vm-new")
MOVED = machine("vm1", OTHER)
CONDITION = (
    "(@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] "
    "StringEquals 'logs')"
)
ATTACHED: Final = frozenset({"shared", "system"})

type Rights = frozenset[tuple[str, str]]

READS: Rights = frozenset({("Reader", "rg-app")})
BLOBS: Rights = frozenset({("Storage Blob Data Reader", "rg-data")})
NONE: Rights = frozenset()


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, and what each id must have in the end, under the policy that it ends with.

    `rights` are by id, of what lives there in the end; `attached` likewise. Nobody that is dead
    keeps a right that the app made. `least`: how many rights each id has at any moment.
    """

    happens: Callable[[Cloud], None]
    rights: Mapping[str, Rights]
    attached: Mapping[str, frozenset[str]]
    start: Content = field(default_factory=policy)
    end: Content | None = None
    before: Callable[[Cloud], None] = lambda _: None
    least: Mapping[str, int] = field(default_factory=dict[str, int])


def _new(cloud: Cloud) -> None:
    cloud.build(NEW, system=False, settle=False)


def _rebuilt(cloud: Cloud) -> None:
    cloud.build(settle=False)


def _deleted(cloud: Cloud) -> None:
    cloud.delete(VM)


def _right_deleted(cloud: Cloud) -> None:
    cloud.operator.call("DELETE", cloud.right(cloud.principal()).id, version="2022-04-01")


def _identity_recreated(cloud: Cloud) -> None:
    cloud.recreate_identity()


def _identity_deleted(cloud: Cloud) -> None:
    cloud.delete(SHARED)


def _moved(cloud: Cloud) -> None:
    body = {"resources": [VM], "targetResourceGroup": OTHER}
    answer = cloud.operator.call("POST", f"{APPS}/moveResources", body, version="2021-04-01")
    assert answer.status_code == 202, answer.text


def _widened(cloud: Cloud) -> None:
    who = cloud.principal(SHARED)
    ours = cloud.right(who)
    cloud.operator.assign(DATA, who, BLOB_READER, name=ours.name, description=cloud.mark(SHARED))


def _stripped(cloud: Cloud) -> None:
    body = {"identity": {"type": "SystemAssigned"}}
    assert cloud.operator.call("PATCH", VM, body).status_code == 200


def _foreign(cloud: Cloud) -> None:
    """Have somebody else's right in place of ours."""
    cloud.world.remove_assignment(cloud.right(cloud.principal()))
    cloud.grant(cloud.principal())


def _withdrawn(_: Cloud) -> None:
    """Only policy changes."""


_GROUPS: Content = {"groups": [*SEED["groups"], {"id": OTHER}]}
_BOTH = policy(rule(within=[APPS, OTHER]))
_SHARED_HAS = {SHARED: BLOBS}

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "a new machine": Scenario(
        _new,
        {VM: READS, NEW: READS, **_SHARED_HAS},
        {VM: ATTACHED, NEW: ATTACHED},
    ),
    "a rebuilt machine": Scenario(_rebuilt, {VM: READS, **_SHARED_HAS}, {VM: ATTACHED}),
    "a deleted machine": Scenario(_deleted, _SHARED_HAS, {}),
    "a right deleted by hand": Scenario(_right_deleted, {VM: READS, **_SHARED_HAS}, {VM: ATTACHED}),
    "a recreated identity": Scenario(
        _identity_recreated, {VM: READS, **_SHARED_HAS}, {VM: ATTACHED}
    ),
    "a deleted identity": Scenario(_identity_deleted, {VM: READS}, {VM: frozenset({"system"})}),
    "a machine moved within its rule": Scenario(
        _moved,
        {MOVED: frozenset({("Reader", "rg-other")}), **_SHARED_HAS},
        {MOVED: ATTACHED},
        start=_BOTH,
    ),
    "a machine moved out of every rule": Scenario(
        _moved, {MOVED: NONE, **_SHARED_HAS}, {MOVED: ATTACHED}
    ),
    "a condition widened by another": Scenario(
        _widened,
        {VM: READS, **_SHARED_HAS},
        {VM: ATTACHED},
        start=policy(
            identities=named(
                grants=[{"role": "Storage Blob Data Reader", "scope": DATA, "condition": CONDITION}]
            )
        ),
    ),
    "an identity stripped by another": Scenario(
        _stripped, {VM: READS, **_SHARED_HAS}, {VM: ATTACHED}
    ),
    "a foreign right that satisfied policy goes": Scenario(
        _right_deleted, {VM: READS, **_SHARED_HAS}, {VM: ATTACHED}, before=_foreign
    ),
    "a right withdrawn by policy": Scenario(
        _withdrawn,
        {VM: NONE, **_SHARED_HAS},
        {VM: ATTACHED},
        end=policy(rule(system={"grants": []})),
    ),
    "a right exchanged by policy": Scenario(
        _withdrawn,
        {VM: frozenset({("Reader", "rg-data")}), **_SHARED_HAS},
        {VM: ATTACHED},
        end=policy(rule(system={"grants": [{"role": "Reader", "scope": DATA}]})),
        least={VM: 1},
    ),
}

SEEDED: Content = {**_GROUPS, "identities": [{"id": identity(one)} for one in ("shared", "other")]}
