"""A marker is read back as it was written, and nothing else is read as one."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler import marker
from reconciler.ids import ResourceId
from reconciler.marker import Marker
from tests import strategies

written = st.builds(Marker, strategies.owners, strategies.ids).filter(
    lambda found: "=" not in found.resource.key and len(str(found)) <= marker.MAX_LENGTH
)
"""Markers that can be read; "=" is kept for the keys, so an id that holds one has none."""


@given(written)
def test_a_marker_is_read_back_as_it_was_written(found: Marker) -> None:
    """Owner and resource survive the description, and the text is the same again."""
    again = marker.parse(str(found))

    assert again is not None
    assert again.owner == found.owner
    assert again.names(found.resource)
    assert str(again) == str(found)


@given(st.text())
def test_what_is_read_as_a_marker_is_exactly_what_we_would_write(text: str) -> None:
    """Any description that passes is one that this code could have written."""
    found = marker.parse(text)

    assert found is None or str(found) == text


@given(written, st.data())
def test_a_marker_with_one_more_character_is_another_or_none(
    found: Marker, data: st.DataObject
) -> None:
    """An added character never goes unnoticed: it is in what was read, or nothing was read."""
    text = str(found)
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(st.characters()) + text[place:]

    again = marker.parse(changed)

    assert again is None or str(again) == changed


@given(strategies.plain_resources, strategies.guids, strategies.guids)
def test_the_case_of_a_triple_does_not_change_the_name(
    scope: str, role: str, principal: str
) -> None:
    """One right has one name for ever, however Azure happens to spell its parts."""
    name = marker.assignment_name(ResourceId.parse(scope), role, principal)
    shouted = marker.assignment_name(
        ResourceId.parse(scope.upper()), role.upper(), principal.upper()
    )

    assert shouted == name


@given(strategies.ids, strategies.ids, strategies.guids, strategies.guids)
def test_another_scope_role_or_principal_gives_another_name(
    scope: ResourceId, other: ResourceId, role: str, principal: str
) -> None:
    """Two triples never share a name, where lower case tells their scopes apart."""
    scopes = {str(one).lower(): one for one in (scope, other)}.values()
    triples = {*((one, role, principal) for one in scopes), (scope, principal, role)}

    assert len({marker.assignment_name(*triple) for triple in triples}) == len(triples)
