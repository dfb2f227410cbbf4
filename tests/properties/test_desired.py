"""Matching follows the letter of the language, and what is wanted does not hang on the order."""

import fnmatch

from hypothesis import given
from hypothesis import strategies as st

from reconciler.ids import ResourceId
from reconciler.model import Mode, Resource
from reconciler.policy import Policy, desired
from reconciler.policy.match import matching_rules
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
    """Tell by the letter of the language whether a rule is about a resource."""
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
def test_the_matching_rules_are_those_that_speak_of_the_resource(
    some: tuple[Rule, ...], asked: list[Resource]
) -> None:
    """What was asked before makes no difference."""
    for resource in asked:
        assert matching_rules(some, resource) == tuple(one for one in some if speaks(one, resource))


@given(rules, st.lists(resources, max_size=8))
def test_what_was_wanted_of_others_makes_no_difference(
    some: tuple[Rule, ...], asked: list[Resource]
) -> None:
    """A policy that was asked about many wants the same as one that is new."""

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
def test_what_may_be_granted_is_known_before_the_resource_is_read(
    some: tuple[Rule, ...], resource: Resource
) -> None:
    """But for what its tags and location pick, all scopes follow from its id."""
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
def test_a_share_that_grows_keeps_those_that_were_in(
    resource: Resource, one: int, other: int
) -> None:
    """Which ones a share repairs hangs on their ids alone, whatever their case."""
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
