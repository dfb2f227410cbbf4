"""What nobody may be given a right to: whatever could reach this app itself."""

import pytest

from reconciler.ids import ResourceId
from reconciler.plan import Home
from tests.world.builders import DATA, HOME, IDS, OURSELVES, SUB, UNWATCHED, below

STORE = below(DATA, "providers/Microsoft.Storage/storageAccounts/queues")
PLACES = (HOME, OURSELVES, STORE)
GROUPS = "/providers/Microsoft.Management/managementGroups"
TENANT = ResourceId.parse("/")


def group(name: str) -> ResourceId:
    """Return a management group's id."""
    return ResourceId.parse(f"{GROUPS}/{name}")


KNOWN = Home(PLACES, frozenset({"root", "corp"}))
LOST = Home((HOME,), frozenset({"root"}), "queues")


@pytest.mark.parametrize(
    ("scope", "reaches"),
    [
        pytest.param(HOME, True, id="home"),
        pytest.param(ResourceId.parse(HOME.text.upper()), True, id="home in capitals"),
        pytest.param(below(HOME, "providers/a.b/c/d"), True, id="in home"),
        pytest.param(SUB, True, id="the subscription around all"),
        pytest.param(
            below(SUB, "resourceGroups/rg-reconciler-2"), False, id="a name that begins alike"
        ),
        pytest.param(OURSELVES, True, id="the app's identity"),
        pytest.param(IDS, True, id="the group around the identity"),
        pytest.param(below(IDS, "providers/a.b/c/d"), False, id="beside the identity"),
        pytest.param(STORE, True, id="its storage"),
        pytest.param(below(STORE, "blobServices/default/containers/$web"), True, id="in storage"),
        pytest.param(DATA, True, id="the group around the storage"),
        pytest.param(
            below(DATA, "providers/Microsoft.Storage/storageAccounts/queues2"),
            False,
            id="a storage account whose name begins alike",
        ),
        pytest.param(UNWATCHED, False, id="another subscription"),
        pytest.param(TENANT, True, id="the tenant"),
        pytest.param(group("corp"), True, id="a management group above"),
        pytest.param(group("CORP"), True, id="a management group above, in capitals"),
        pytest.param(group("lab"), False, id="a management group beside"),
        pytest.param(
            ResourceId.parse("/providers/Microsoft.Subscription/policies/default"),
            True,
            id="anything else without a subscription",
        ),
    ],
)
def test_a_scope_reaches_the_app_that_holds_or_lies_in_one_of_its_places(
    scope: ResourceId,
    reaches: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """Home, identity and storage may lie in three places, and each counts for itself."""
    assert KNOWN.reached_from(scope) is reaches


@pytest.mark.parametrize("ancestors", [None, frozenset[str]()], ids=["not known", "empty"])
def test_where_the_ancestors_are_not_known_every_management_group_is_above(
    ancestors: frozenset[str] | None,
) -> None:
    """An index that is late, or that we may not read, opens nothing."""
    unknown = Home((HOME,), ancestors)

    assert unknown.reached_from(group("lab"))
    assert unknown.reached_from(TENANT)
    assert not unknown.reached_from(DATA)


def test_an_app_without_a_home_has_nothing_to_reach() -> None:
    """It only audits, since a home is required to repair."""
    for scope in (SUB, TENANT, group("corp")):
        assert not Home().reached_from(scope)


@pytest.mark.parametrize(
    ("scope", "reaches"),
    [
        pytest.param(UNWATCHED, True, id="a subscription"),
        pytest.param(DATA, True, id="a group"),
        pytest.param(STORE, True, id="an account of that name"),
        pytest.param(ResourceId.parse(STORE.text.upper()), True, id="of that name in capitals"),
        pytest.param(below(STORE, "queueServices/default/queues/q"), True, id="what lies in one"),
        pytest.param(
            below(DATA, "providers/Microsoft.Storage/storageAccounts/other"),
            False,
            id="an account of another name",
        ),
        pytest.param(
            below(DATA, "providers/Microsoft.KeyVault/vaults/queues"),
            False,
            id="another type of that name",
        ),
        pytest.param(group("lab"), True, id="a management group beside, which may hold it"),
        pytest.param(TENANT, True, id="the tenant"),
    ],
)
def test_a_storage_account_that_was_not_found_may_lie_in_any_group(
    scope: ResourceId,
    reaches: bool,  # noqa: FBT001 (a row of the table)
) -> None:
    """Without Reader there, whatever could hold it is withheld."""
    assert LOST.reached_from(scope) is reaches


def test_what_lies_in_a_place_of_the_app_is_contained_in_it() -> None:
    """An identity there is never attached, and a machine never written."""
    assert KNOWN.contains(below(HOME, "providers/a.b/c/d"))
    assert KNOWN.contains(OURSELVES)
    assert not KNOWN.contains(SUB)
    assert not KNOWN.contains(IDS)
