"""Ids of any valid shape keep their spelling, compare without case and survive the HTTP client."""

import random
from urllib.parse import quote, unquote, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ResourceIdError
from reconciler.ids import ResourceId
from tests import strategies

MANAGEMENT = "https://management.azure.com"


def path_on_the_wire(resource: ResourceId) -> str:
    """Return the path that `requests` would ask for, after the server's unquoting."""
    prepared = requests.Request("GET", MANAGEMENT + quote(str(resource))).prepare()
    assert prepared.url is not None
    return unquote(urlsplit(prepared.url).path)


def recased(text: str, seed: int) -> str:
    """Return the text with the case of each letter thrown by the dice."""
    dice = random.Random(seed)
    return "".join(dice.choice((letter.lower(), letter.upper())) for letter in text)


@given(strategies.id_texts)
def test_a_valid_id_is_given_back_as_it_was_spelled(text: str) -> None:
    """What was parsed is printed letter for letter, and parses to the same id again."""
    parsed = ResourceId.parse(text)

    assert str(parsed) == text
    assert ResourceId.parse(str(parsed)) == parsed


@given(strategies.ids)
def test_the_key_of_an_id_is_the_id_again(resource: ResourceId) -> None:
    """The compared spelling, which markers hold, is an id and equals the one it came from."""
    again = ResourceId.parse(resource.key)

    assert again == resource
    assert again.key == resource.key


@given(strategies.plain_resources, st.integers())
def test_case_never_tells_two_ids_apart(text: str, seed: int) -> None:
    """Azure changes the case of ids from answer to answer, so it is no difference."""
    one, other = ResourceId.parse(text), ResourceId.parse(recased(text, seed))

    assert one == other
    assert hash(one) == hash(other)
    assert one.contains(other)
    assert other.is_type(one.type)


@given(strategies.ids)
def test_every_id_lies_below_each_of_its_parents(resource: ResourceId) -> None:
    """Parents get strictly shorter, contain the id and end at the tenant."""
    current = resource
    while (parent := current.parent) is not None:
        assert len(str(parent)) < len(str(current))
        assert parent.contains(resource)
        assert not current.contains(parent)
        current = parent

    assert str(current) == "/"


@given(strategies.ids)
def test_the_scope_and_the_group_of_an_id_contain_it(resource: ResourceId) -> None:
    """Where a resource lies is one of the places above it, spelled as in the id."""
    assert resource.scope.contains(resource)
    assert str(resource).startswith(str(resource.scope))
    for place in (resource.group_id, resource.subscription_id):
        assert place is None or place.contains(resource)


@given(strategies.groups, strategies.plain_names)
def test_a_longer_name_is_not_inside_a_shorter_one(text: str, more: str) -> None:
    """Containment goes by whole segments, so `rg2` does not lie in `rg`."""
    group, neighbour = ResourceId.parse(text), ResourceId.parse(text + more)

    assert not group.contains(neighbour)
    assert not neighbour.contains(group)


@given(strategies.ids)
def test_no_valid_id_changes_on_its_way_to_the_wire(resource: ResourceId) -> None:
    """The URL that the HTTP client prepares names the same place as the id."""
    assert path_on_the_wire(resource) == str(resource)


anything = st.text(max_size=4) | st.sampled_from(
    (".", "..", "...", "%2e%2e", "%2E.", "%252e", "a/../b", "..;", "~", "a b", "a+b", "[a]", "")
)


@given(anything, anything)
def test_whatever_is_not_refused_reaches_the_place_it_names(group: str, name: str) -> None:
    """A text is either refused or means the same to us and to the HTTP client."""
    text = f"/subscriptions/s/resourceGroups/{group}/providers/Microsoft.Compute/disks/{name}"
    try:
        resource = ResourceId.parse(text)
    except ResourceIdError:
        return

    assert path_on_the_wire(resource) == text


@given(strategies.resources, st.sampled_from(strategies.REFUSED[1:] + "\0\x7f\N{ZERO WIDTH SPACE}"))
def test_one_refused_character_anywhere_spoils_an_id(text: str, character: str) -> None:
    """No position in a segment hides a character that may not be there."""
    middle = len(text) // 2
    for place in (middle, len(text)):
        with pytest.raises(ResourceIdError):
            ResourceId.parse(text[:place] + character + text[place:])
