"""Matching follows the letter of the language, and what is wanted does not hang on the order."""

import fnmatch

from hypothesis import given
from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.model import Mode, Resource
from reconciler.policy import Policy, desired
from reconciler.policy.desired import matching_rules
from reconciler.policy.model import Guardrails, Identity, Rule
from tests.world.builders import APP, DATA, IDS, SUB, UNWATCHED, below, machine

TYPES = ("Microsoft.Compute/virtualMachines", "Microsoft.Web/sites")
GLOBS = st.lists(st.sampled_from(("*", "a*", "*b", "?", "[ab]", "b")), max_size=2)
SHORT = st.sampled_from(("a", "b", "ab", "B", ""))


_TAGS = st.dictionaries(st.sampled_from(("ENV", "team", "x")), SHORT)
_ENTRIES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(("audit", "repair")),
        "rollout": st.sampled_from((0, 50, 100)),
        "within": st.lists(
            st.sampled_from((str(SUB), str(UNWATCHED), str(below(SUB, "resourceGroups/A")))),
            min_size=1,
            max_size=2,
        ),
        "match": st.fixed_dictionaries(
            {"type": st.lists(st.sampled_from(TYPES), min_size=1, max_size=2)},
            optional={
                "resourceGroup": GLOBS,
                "name": GLOBS,
                "location": GLOBS,
                "kind": GLOBS,
                "tags": st.dictionaries(st.sampled_from(("env", "TEAM")), SHORT | st.just("*")),
            },
        ),
        "attach": st.lists(st.sampled_from(("app", "placed")), max_size=2),
        "system": st.lists(
            st.sampled_from(("{id}", "{resourceGroup}", "{maps.m[tags.env]}", str(DATA))),
            max_size=3,
        ).map(lambda scopes: {"grants": [{"role": "Reader", "scope": one} for one in scopes]}),
    }
)


def _numbered(entries: list[dict[str, object]]) -> tuple[Rule, ...]:
    return tuple(
        Rule.model_validate({"name": f"rule-{number}", **entry})
        for number, entry in enumerate(entries)
    )


def _resource(place: tuple[ResourceId, str, str, str], **told: object) -> Resource:
    subscription, group, type_name, name = place
    path = f"resourceGroups/{group}/providers/{type_name}/{name}"
    return machine(id=below(subscription, path), **told)


rules = st.lists(_ENTRIES, max_size=5).map(_numbered)
"""A few rules over few names, so that several speak of one resource."""

resources = st.builds(
    _resource,
    st.tuples(
        st.sampled_from((SUB, UNWATCHED)),
        st.sampled_from("abAB"),
        st.sampled_from(TYPES),
        st.sampled_from(("a", "b", "ab")),
    ),
    location=SHORT,
    kind=SHORT,
    tags=_TAGS,
)
"""A resource that some of the rules may speak of."""


def fits(globs: tuple[str, ...], text: str) -> bool:
    """Hold a text against globs, one after the other."""
    return not globs or any(fnmatch.fnmatchcase(text.lower(), glob.lower()) for glob in globs)


def speaks(rule: Rule, resource: Resource) -> bool:
    """Return whether a rule matches, by the letter of the language, a resource."""
    tags = {name.lower(): value for name, value in resource.tags.items()}
    return (
        any(resource.id.is_type(name) for name in rule.match.type)
        and any(scope.contains(resource.id) for scope in rule.within)
        and fits(rule.match.resource_group, resource.id.group or "")
        and fits(rule.match.name, resource.id.name)
        and fits(rule.match.location, resource.location)
        and fits(rule.match.kind, resource.kind)
        and all(
            name.lower() in tags and fnmatch.fnmatchcase(tags[name.lower()], glob)
            for name, glob in rule.match.tags.items()
        )
    )


@given(rules, st.lists(resources, max_size=8))
def test_matching_follows_the_letter_of_the_language(
    some: tuple[Rule, ...], asked: list[Resource]
) -> None:
    for resource in asked:
        assert matching_rules(some, resource) == tuple(one for one in some if speaks(one, resource))


@given(rules, st.lists(resources, max_size=8))
def test_what_is_wanted_does_not_hang_on_what_was_asked_before(
    some: tuple[Rule, ...], asked: list[Resource]
) -> None:
    def policy() -> Policy:
        ids = {
            "app": str(APP),
            "placed": f"{{subscription}}{str(APP)[len(str(SUB)) :]}-{{location}}",
        }
        identities = {
            name: Identity.model_validate({"id": id_, "exclusive": name == "placed"})
            for name, id_ in ids.items()
        }
        maps: dict[str, dict[str, ResourceId]] = {"m": {"a": DATA, "b": IDS}}
        return Policy(identities, some, Guardrails(version=1), "digest", maps=maps)

    used = policy()

    for resource in asked:
        assert desired.for_resource(used, resource) == desired.for_resource(policy(), resource)


@given(rules, resources)
def test_all_scopes_but_those_by_tag_and_location_follow_from_the_id(
    some: tuple[Rule, ...], resource: Resource
) -> None:
    policy = Policy(
        {
            "app": Identity.model_validate({"id": str(APP)}),
            "placed": Identity.model_validate({"id": str(APP)}),
        },
        some,
        Guardrails(version=1),
        "digest",
        maps={"m": {"a": DATA}},
    )
    wanted = {one.what.scope for one in desired.for_resource(policy, resource).grants}

    assert wanted <= {*desired.scopes_from(policy, resource.id), DATA}


@given(resources, st.integers(0, 100), st.integers(0, 100))
def test_a_rollout_that_grows_keeps_the_resources_that_were_in(
    resource: Resource, one: int, other: int
) -> None:
    small, large = (
        Rule.model_validate(
            {
                "name": "rule",
                "mode": "repair",
                "rollout": share,
                "within": [str(SUB)],
                "match": {"type": list(TYPES)},
                "system": {},
            }
        )
        for share in sorted((one, other))
    )
    repaired = desired.mode_for(small, resource.id) is Mode.REPAIR
    shouted = ResourceId.parse(str(resource.id).upper())

    assert not repaired or desired.mode_for(large, resource.id) is Mode.REPAIR
    assert desired.mode_for(small, shouted) is desired.mode_for(small, resource.id)
