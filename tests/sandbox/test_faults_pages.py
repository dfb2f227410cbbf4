"""Lists in pages: short ones, and empty ones that are not the last."""

import pytest

from sandbox.world.faults import Faults
from tests.world.arm import GROUP, Arm

RESOURCES = f"{GROUP}/resources"


def pages(arm: Arm, path: str) -> list[list[str]]:
    """Return the names on each page of a list, following its links."""
    found: list[list[str]] = []
    link = path
    while link:
        body = arm.get(link.removeprefix("https://management.azure.com"))
        found.append([each["name"] for each in body["value"]])
        link = body.get("nextLink", "")
    return found


@pytest.mark.parametrize("path", [RESOURCES, f"{RESOURCES}?$filter=location eq 'westeurope'"])
def test_a_page_has_as_many_rows_as_its_switch_allows(arm: Arm, path: str) -> None:
    """Together they are the whole list, once each."""
    ((*whole,),) = pages(arm, path)
    arm.world.faults = Faults(page_size=2)

    found = pages(arm, path)

    assert [len(each) for each in found] == [2, 2]
    assert [name for each in found for name in each] == whole


def test_empty_pages_come_before_those_with_rows(arm: Arm) -> None:
    """azure-cli test_sql_db_security_mgmt: a filtered list begins with pages that are empty."""
    arm.world.faults = Faults(page_size=2, empty_pages=2)

    found = pages(arm, RESOURCES)

    assert [len(each) for each in found] == [0, 0, 2, 0, 0, 2]


def test_an_empty_list_may_have_empty_pages_too(arm: Arm) -> None:
    """Only the last page has no link."""
    arm.world.faults = Faults(empty_pages=1)

    assert pages(arm, f"{RESOURCES}?$filter=name eq 'none'") == [[], []]


def test_top_is_no_more_than_a_page(arm: Arm) -> None:
    """A client may ask for fewer rows than a page has, not for more."""
    arm.world.faults = Faults(page_size=3)

    assert [len(each) for each in pages(arm, f"{RESOURCES}?$top=1")] == [1, 1, 1, 1]
    assert [len(each) for each in pages(arm, f"{RESOURCES}?$top=9")] == [3, 1]
