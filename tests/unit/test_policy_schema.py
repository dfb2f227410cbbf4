"""The schemas for editors agree with the loader, as far as one file alone can tell."""

import copy
import json
import os
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.errors import PolicyError
from reconciler.policy import model
from reconciler.policy.load import load
from reconciler.policy.yaml import read
from tests.conftest import ROOT
from tests.unit.mistakes import MISTAKES
from tests.unit.mistakes.guardrails import GUARDRAIL_MISTAKES
from tests.unit.policy_files import GOOD, SUB, UAI, written
from tools import policy_docs

POLICY = jsonschema.Draft202012Validator(policy_docs.schema(model.PolicyFile))
GUARDRAILS = jsonschema.Draft202012Validator(policy_docs.schema(model.Guardrails))

ONLY_THE_LOADER_SEES = {
    # What leads to another place or file.
    "unknown identity",
    "unknown identity without a near one",
    "unknown map",
    "unknown map without a near one",
    "an id attached",
    "two identities with one id",
    "two identities with one template",
    "two rules with one name",
    # What is in the guardrails.
    "a grant outside",
    "a grant that nothing allows",
    "a privileged grant",
    "a privileged grant that nothing allows",
    "a protected identity",
    "a template above all guardrails",
    "a template beside its guardrail",
    "a template that nothing covers",
    "an entry of a map that nothing allows",
    "an identity at a wrong place",
    "an identity of a wrong place attached",
    "an identity's group outside",
    "identities at wrong places",
    "identities whose rights nothing allows",
    "one place of two outside",
    # What a calendar says.
    "an exemption until a day that is none",
    # What needs two texts side by side, or knowledge of what a text means.
    "a glob for other groups than those within",
    "a glob of no character",
    "a glob of no character for a tag",
    "a location that no key of a map is",
    "a place that holds no match",
    "a tag's value that no key of a map is",
    "a condition that closes nothing",
    "a condition with an open bracket",
    "a condition with an open quote",
    "a condition with the wrong bracket",
    "a template that is no id",
    "an entry of a map that comes to no id",
    "many identities at one location",
    "one identity at many locations",
    "one location twice",
    "one tag twice",
    "two conditions",
    # What JSON makes no difference between.
    "a whole float",
}

FULL = f"""\
version: 1
identities:
  host:
    id: "{UAI.replace(SUB, "{subscription}")}/avd-{{location}}"
    ensure: present
    location: "{{location}}"
    tags: {{team: desktop}}
    mode: audit
    grants:
      - {{role: Reader, scope: "{{resourceGroup}}", condition: x}}
      - {{role: acdd72a7-3385-48ef-bd42-f606fba81ae7, scope: "{{maps.m[location]}}"}}
exemptions:
  - {{scope: {SUB}/resourceGroups/rg, reason: forensics, expires: 2027-01-31}}
maps:
  m: {{dev: {SUB}, prod: /providers/Microsoft.Management/managementGroups/mg}}
rules:
  - name: hosts
    mode: audit
    rollout: 50
    within: [{SUB}, {SUB}/resourcegroups/rg-1]
    match:
      type: [Microsoft.Compute/virtualMachines]
      resourceGroup: [rg-*]
      name: sh-?
      location: [West Europe, north*]
      kind: ["[!a]*"]
      tags: {{env: "*", empty: ""}}
    attach: [host]
    allowDefaultChange: true
    system:
      grants:
        - {{role: Owner, scope: "{{maps.m[tags.env]}}/providers/A.B/c/{{location}}"}}
"""

RAILS = f"""\
version: 1
grants:
  - scope: {SUB}
    roles:
      - Reader
      - {SUB}/providers/Microsoft.Authorization/roleDefinitions/11111111-1111-1111-1111-111111111111
    privileged: true
identities: [/, {SUB}/resourceGroups/rg]
protected: [{UAI}/crown]
maxRemovals: {{count: 0, percent: 100}}
"""

ODD: tuple[object, ...] = (
    *(None, 0, -1, 7, 101, 0.5, True, "", " ", "x", "x/y", "a b", "/", "/x", "{id}", "audit", "*"),
    *([], [[]], ["x"], ["*", ""], [7], {}, {"x": "y"}, {"": ""}, {"x": 7}, SUB, [SUB], [UAI]),
    *(f"{SUB} ", "x" * 300),
)
"""Values that are right in one place or another, and wrong in most."""

BEYOND_ONE_PLACE = re.compile(
    "unknown (identity|map)|is not an ARM id|empty segment|bracket|may only begin|not the id of a"
    "|the id (holds|does not hold) {location}|no key of map"
)
"""What the loader says of odd values that a schema cannot tell."""

type Places = Iterator[tuple[str | int, ...]]


def value_of(content: str | bytes) -> object:
    """Read a file as the loader does; nothing where that alone finds a mistake."""
    document = read("a.yaml", content.encode() if isinstance(content, str) else content)
    return None if document.problems else document.value


def places(value: object, *path: str | int) -> Places:
    """Go through everything that a document holds."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], *path, key)


def variants(document: object) -> Iterator[tuple[str, Any]]:
    """Go through documents with one thing replaced, left out or added."""
    for *path, last in places(document):
        for odd in (*ODD, ...):
            changed = copy.deepcopy(document)
            inner: Any = changed
            for key in path:
                inner = inner[key]
            if odd is ...:
                del inner[last]
            else:
                inner[last] = odd
            yield f"{[*path, last]} {odd!r}", changed
            if odd is ... and isinstance(last, str):
                inner["xyzzy"] = 1
                yield f"{[*path, last]} misspelled", changed


def said(folder: Path, files: Mapping[str, object]) -> list[str]:
    """Return what the loader says of the files, nothing where it takes them."""
    try:
        load(written(folder, **{name: json.dumps(value) for name, value in files.items()}))
    except PolicyError as error:
        return [problem.message for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("name", "content", "validator"),
    [
        (name, row[0], validator)
        for table, validator in ((MISTAKES, POLICY), (GUARDRAIL_MISTAKES, GUARDRAILS))
        for name, row in table.items()
    ],
)
def test_editors_miss_only_the_mistakes_that_are_listed(
    name: str, content: str | bytes, validator: jsonschema.Draft202012Validator
) -> None:
    value = value_of(content)

    assert value is None or validator.is_valid(value) is (name in ONLY_THE_LOADER_SEES)


@pytest.mark.parametrize(
    ("files", "name", "validator"),
    [({"a": FULL}, "a", POLICY), ({"a": GOOD, "guardrails": RAILS}, "guardrails", GUARDRAILS)],
    ids=["policy", "guardrails"],
)
def test_editors_and_the_loader_agree_on_odd_values(
    tmp_path: Path, files: dict[str, str], name: str, validator: jsonschema.Draft202012Validator
) -> None:
    """Whatever stands in whatever place is refused by both or by none."""
    documents = {one: value_of(content) for one, content in files.items()}
    validator.validate(documents[name])
    assert said(tmp_path, documents) == []

    stricter: list[str] = []
    missed: list[str] = []
    found = list(variants(documents[name]))
    if not os.environ.get("CI"):
        # All of them take seconds, so the inner loop draws some.
        found = random.sample(found, len(found) // 4)
    for what, changed in found:
        messages = said(tmp_path, documents | {name: changed})
        accepted = validator.is_valid(changed)
        if not accepted and not messages:
            stricter.append(what)
        if accepted and not all(map(BEYOND_ONE_PLACE.search, messages)):
            missed.append(f"{what}: {messages}")

    assert stricter == []
    assert missed == []


@pytest.mark.parametrize("validator", [POLICY, GUARDRAILS], ids=["policy", "guardrails"])
def test_the_schemas_keep_to_the_draft_that_they_name(
    validator: jsonschema.Draft202012Validator,
) -> None:
    jsonschema.Draft202012Validator.check_schema(validator.schema)


def test_every_key_has_a_title_a_description_and_a_right_example() -> None:
    for validator in (POLICY, GUARDRAILS):
        root: Any = validator.schema
        for owner in (root, *root["$defs"].values()):
            for key, field in owner.get("properties", {}).items():
                definition = root["$defs"].get(field.get("$ref", "").removeprefix("#/$defs/"), {})
                assert {**definition, **field}.keys() >= {"title", "description", "examples"}, key
                for example in field["examples"]:
                    validator.evolve(schema={"$defs": root["$defs"], **field}).validate(example)


def test_shipped_policy_fits_its_schema() -> None:
    for path in (ROOT / "policies").glob("*.yaml"):
        validator = GUARDRAILS if path.name == model.GUARDRAILS_FILE else POLICY
        validator.validate(value_of(path.read_bytes()))


def test_the_schema_takes_role_names_only_as_azure_spells_them() -> None:
    """The loader takes any case; here alone editors are stricter."""
    grants = "grants: [{scope: /, roles: [%s]}]\nversion: 1\n"

    assert GUARDRAILS.is_valid(value_of(grants % "Reader"))
    assert not GUARDRAILS.is_valid(value_of(grants % "reader"))
