"""An unwanted right stays until what the same plan gives the same principal is there."""

from collections.abc import Callable

import pytest

from reconciler.changes import Hold
from tests.world.cloud import Cloud, blocked, holds
from tests.world.ids import APPS, ASSIGNMENTS, BLOB_READER, DATA, HOME, SHARED, SUB, VM
from tests.world.policies import Content, guardrails, named, policy, rule

STORES = f"{DATA}/providers/Microsoft.Storage/storageAccounts"
GOOD, TYPO, OTHER = f"{STORES}/images", f"{STORES}/imagse", f"{STORES}/other"
BLOBS = "Storage Blob Data Reader"
ALWAYS = 10_000


def grants(*wanted: tuple[str, str], **keys: object) -> Content:
    """Return policy whose machines get some roles at some scopes."""
    listed = [{"role": role, "scope": scope} for role, scope in wanted]
    return policy(rule(attach=[], system={"grants": listed}, **keys), identities={})


@pytest.fixture
def stored(cloud: Cloud) -> Cloud:
    """Two storage accounts, and a machine that reads one of them."""
    for store in (GOOD, OTHER):
        cloud.operator.call("PUT", store, {"location": "westeurope"}, version="2023-01-01")
    cloud.deploy(grants((BLOBS, GOOD)))
    cloud.sweep()
    cloud.pass_time()
    cloud.wire.calls.clear()
    assert cloud.rights(cloud.principal()) == {(BLOBS, "images")}
    return cloud


def swept(cloud: Cloud, content: Content, rails: Content | None = None) -> set[tuple[str, str]]:
    """Deploy policy and let three sweeps go by; returns what the machine holds then."""
    cloud.deploy(content, rails)
    for _ in range(3):
        cloud.sweep()
        cloud.pass_time(2000)
    return cloud.rights(cloud.principal())


def test_a_wrong_letter_in_a_scope_takes_nothing(stored: Cloud) -> None:
    """The plan names the scope that is not there, one spelled alike, and what is kept for it."""
    assert swept(stored, grants((BLOBS, TYPO))) == {(BLOBS, "images")}

    plan = stored.shown()
    absent, kept = sorted(plan.withheld, key=lambda held: held.hold.name, reverse=True)
    assert (absent.hold, kept.hold) == (Hold.SCOPE_ABSENT, Hold.REPLACEMENT)
    assert GOOD in absent.detail
    assert plan.kept == (kept,)
    assert "imagse" in kept.detail

    assert swept(stored, grants((BLOBS, OTHER))) == {(BLOBS, "other")}


@pytest.mark.parametrize(
    "wanted",
    [
        (BLOBS, f"{SUB}/resourceGroups/rg-dat"),
        (BLOBS, f"{TYPO}/blobServices/default/containers/pictures"),
        ("Reader", f"{GOOD}x"),
    ],
    ids=["a group", "a container", "another role"],
)
def test_whatever_is_not_there_keeps_the_right(stored: Cloud, wanted: tuple[str, str]) -> None:
    """A group is read, a type of the index is sought, what lies below is refused by Azure."""
    role = "Storage Blob Data Reader"
    rails = guardrails(grants=[{"scope": SUB, "roles": ["Reader", role]}])
    held = swept(stored, grants(wanted), rails)

    # Another role at another scope replaces nothing.
    assert held == (set() if wanted[0] == "Reader" else {(BLOBS, "images")})


CUSTOM = (
    f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/0a0a0a0a-1111-2222-3333-444444444444"
)


@pytest.mark.parametrize(
    ("wanted", "rails", "hold"),
    [
        ((BLOBS, "{resourceGroup}"), [{"scope": DATA, "roles": [BLOBS]}], Hold.GUARDRAILS),
        ((CUSTOM, GOOD), [{"scope": DATA, "roles": [CUSTOM, BLOBS]}], Hold.ROLE_UNREAD),
        ((BLOBS, HOME), [{"scope": SUB, "roles": [BLOBS]}], Hold.HOME),
    ],
    ids=["scope", "role", "home"],
)
def test_what_may_not_be_given_keeps_the_right(
    stored: Cloud, wanted: tuple[str, str], rails: list[Content], hold: Hold
) -> None:
    """Whatever policy meant, it did not mean nothing."""
    content = grants(wanted, within=[SUB])

    assert swept(stored, content, guardrails(grants=rails)) == {(BLOBS, "images")}
    assert holds(stored.shown()) == {hold, Hold.REPLACEMENT}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AuthorizationFailed"),
        (404, "ResourceNotFound"),
        (400, "PrincipalNotFound"),
        (409, "ScopeLocked"),
        (400, "RequestDisallowedByPolicy"),
        (429, "TooManyRequests"),
        (503, "ServerTimeout"),
    ],
)
def test_a_replacement_that_azure_refuses_keeps_the_right(
    stored: Cloud, status: int, code: str
) -> None:
    """In every plan until it is there, and then the old one goes by the next sweep."""
    wait = {"Retry-After": "600"}
    stored.wire.answer("PUT", ASSIGNMENTS, status, code, times=ALWAYS, headers=wait)
    assert swept(stored, grants((BLOBS, OTHER))) == {(BLOBS, "images")}
    assert not [call for call in stored.wire.writes if call.method == "DELETE"]

    stored.wire.clear()
    assert swept(stored, grants((BLOBS, OTHER))) == {(BLOBS, "other")}


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_a_scope_that_cannot_be_read_keeps_the_right(stored: Cloud, status: int) -> None:
    """Nobody knows what is there."""
    new = f"{SUB}/resourceGroups/rg-new"
    stored.operator.call("PUT", new, {"location": "westeurope"}, version="2021-04-01")
    rails = guardrails(grants=[{"scope": SUB, "roles": [BLOBS]}])
    stored.deploy(grants((BLOBS, new)), rails)
    wait = {"Retry-After": "600"}
    part = f"/rg-new{ASSIGNMENTS}"
    stored.wire.answer("GET", part, status, "Refused", times=ALWAYS, headers=wait)
    if status == 404:
        stored.wire.answer("GET", "/resourcegroups/rg-new", 404, "ResourceGroupNotFound", times=99)
    for _ in range(2):
        stored.drive(*stored.app.sweep().requests)
        stored.pass_time(2000)

    assert stored.rights(stored.principal()) == {(BLOBS, "images")}


def hold_by_audit() -> Content:
    """Replace it by what an audit rule only tells of."""
    return grants((BLOBS, OTHER), mode="audit")


def hold_by_rollout() -> Content:
    """Replace it by what is not yet rolled out to anybody."""
    return grants((BLOBS, OTHER), rollout=0)


def hold_by_map() -> Content:
    """Replace it by what has no name for this machine."""
    return grants((BLOBS, "{maps.stores[tags.env]}")) | {"maps": {"stores": {"dev": OTHER}}}


@pytest.mark.parametrize("content", [hold_by_audit, hold_by_rollout, hold_by_map])
def test_what_policy_itself_holds_back_replaces_nothing(
    stored: Cloud, content: Callable[[], Content]
) -> None:
    """Nobody would ever give it."""
    assert swept(stored, content()) == set()


MAP = {"stores": {"prod": GOOD, "dev": OTHER, "gone": TYPO}}


def tag(cloud: Cloud, env: str | None) -> None:
    """Give the machine a tag, or none."""
    tags = {"env": env} if env else {}
    assert cloud.operator.call("PATCH", VM, {"tags": tags}).status_code == 200
    cloud.pass_time()


@pytest.fixture
def picking(stored: Cloud) -> Cloud:
    """A machine whose tag picks where it reads."""
    tag(stored, "prod")
    stored.deploy(grants((BLOBS, "{maps.stores[tags.env]}")) | {"maps": MAP})
    stored.sweep()
    stored.pass_time()
    assert stored.rights(stored.principal()) == {(BLOBS, "images")}
    return stored


@pytest.mark.parametrize(
    ("picked", "left"), [("dev", {(BLOBS, "other")}), ("gone", set()), ("none", set()), ("", set())]
)
def test_a_machine_that_chose_another_entry_loses_the_one_it_had(
    picking: Cloud, picked: str, left: set[tuple[str, str]]
) -> None:
    """Its own tag says so; nothing is waited for, be the other one there or not."""
    tag(picking, picked)
    picking.sweep()

    assert picking.rights(picking.principal()) == left


@pytest.mark.parametrize("maps", [{"dev": OTHER}, {"prod": OTHER}, {"prod": TYPO}])
def test_an_entry_that_policy_changed_keeps_the_right_only_where_it_is_not_there(
    picking: Cloud, maps: dict[str, str]
) -> None:
    """A key taken away takes the right; one that points elsewhere replaces it."""
    wanted = grants((BLOBS, "{maps.stores[tags.env]}")) | {"maps": {"stores": maps}}
    expected = {"dev": set(), "prod": {(BLOBS, "other")}}["dev" if "dev" in maps else "prod"]
    if maps.get("prod") == TYPO:
        expected = {(BLOBS, "images")}

    assert swept(picking, wanted) == expected


def test_at_the_assignment_limit_the_order_turns(stored: Cloud) -> None:
    """Only what goes makes room for what comes; the very next call grants it."""
    limits = stored.world.assignment_limits
    (subscription,) = stored.world.subscriptions
    limits[subscription] = stored.world.assignments.in_subscription[subscription]
    assert swept(stored, grants((BLOBS, OTHER))) == {(BLOBS, "other")}
    writes = [call.method for call in stored.wire.writes]

    assert writes == ["PUT", "DELETE", "PUT"]


def test_at_the_limit_without_leave_nothing_goes(stored: Cloud) -> None:
    """An event names no removals, so the plan is blocked instead."""
    (subscription,) = stored.world.subscriptions
    full = stored.world.assignments.in_subscription[subscription]
    stored.world.assignment_limits[subscription] = full
    stored.deploy(grants((BLOBS, OTHER)))
    results = stored.drive(VM)

    assert stored.rights(stored.principal()) == {(BLOBS, "images")}
    assert [one.code for one in blocked(results)] == ["RoleAssignmentLimitExceeded"]


def test_a_person_may_remove_what_is_kept_after_being_asked_once_more(stored: Cloud) -> None:
    """`apply` alone keeps it, too."""
    stored.deploy(grants((BLOBS, TYPO)))
    stored.apply()
    assert stored.rights(stored.principal()) == {(BLOBS, "images")}

    stored.apply(at_once=True)
    assert stored.rights(stored.principal()) == set()


def test_an_identitys_right_is_kept_as_a_machines_is(cloud: Cloud) -> None:
    """One shared identity is a whole small fleet."""
    for store in (GOOD, OTHER):
        cloud.operator.call("PUT", store, {"location": "westeurope"}, version="2023-01-01")

    def reads(store: str) -> Content:
        return policy(identities=named(grants=[{"role": BLOBS, "scope": store}]))

    cloud.deploy(reads(GOOD))
    cloud.drive(SHARED)
    for store, expected in ((TYPO, "images"), (OTHER, "other")):
        cloud.deploy(reads(store))
        for _ in range(2):
            cloud.sweep()
            cloud.pass_time(2000)
        assert cloud.rights(cloud.principal(SHARED)) == {(BLOBS, expected)}


def test_what_another_gave_at_the_new_scope_is_there(stored: Cloud) -> None:
    """It satisfies policy, so nothing is waited for."""
    stored.grant(stored.principal(), role=BLOB_READER, scope=OTHER)

    assert swept(stored, grants((BLOBS, OTHER))) == {(BLOBS, "other")}


def test_another_role_elsewhere_replaces_nothing(stored: Cloud) -> None:
    """What has neither the role nor the scope in common is another matter."""
    stored.wire.answer("PUT", ASSIGNMENTS, 403, "AuthorizationFailed", times=ALWAYS)

    assert swept(stored, grants(("Reader", APPS))) == set()
