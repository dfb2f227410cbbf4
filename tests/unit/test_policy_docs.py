"""docs/policy.md and the schemas are current, and the policy that the documentation shows loads."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.policy import model
from reconciler.policy.load import load
from tests.conftest import ROOT
from tests.unit.policy_files import GOOD, written
from tools import policy_docs

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ .*\n", re.MULTILINE)
_NAME = re.compile(r"# policies/([\w-]+)\.yaml\n")
FRAGMENT = "# fragment\n"


def sections() -> Iterator[tuple[str, list[str]]]:
    """Go through the YAML blocks below each heading of the documentation."""
    for page in PAGES:
        text = page.read_text("utf-8")
        starts = [0, *(found.start() for found in _HEADING.finditer(_masked(text))), len(text)]
        for start, end in itertools.pairwise(starts):
            part = text[start:end]
            if blocks := _BLOCK.findall(part):
                yield f"{page.name}: {part.partition('\n')[0].strip('# ')}", blocks


def _masked(text: str) -> str:
    """Blank out code, whose comments look like headings."""
    code = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    return code.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


SECTIONS = dict(sections())
FOLDERS = {
    name: {found[1]: block for block in blocks if (found := _NAME.match(block))}
    for name, blocks in SECTIONS.items()
}
FRAGMENTS = [
    block for blocks in SECTIONS.values() for block in blocks if block.startswith(FRAGMENT)
]


def test_the_page_is_current() -> None:
    """`make docs` has been run since a model or the prose changed."""
    assert policy_docs.PAGE.read_text("utf-8") == policy_docs.page(), "run: make docs"


@pytest.mark.parametrize("path", policy_docs.SCHEMAS, ids=lambda path: path.name)
def test_the_schemas_are_current(path: Path) -> None:
    """`make docs` has been run since a model or the table of roles changed."""
    current = policy_docs.schema_text(policy_docs.SCHEMAS[path])

    assert path.read_text("utf-8") == current, "run: make docs"


def test_the_shipped_files_name_their_schemas() -> None:
    """Editors complete and check them at once."""
    for path in (ROOT / "policies").glob("*.yaml"):
        guarding = path.name == model.GUARDRAILS_FILE
        schema = "guardrails.schema.json" if guarding else "schema.json"

        assert path.read_text("utf-8").startswith(f"# yaml-language-server: $schema={schema}\n")
        assert ROOT / "policies" / schema in policy_docs.SCHEMAS


@pytest.mark.parametrize("folder", [name for name, files in FOLDERS.items() if files])
def test_the_policy_of_a_section_loads(tmp_path: Path, folder: str) -> None:
    """The files that a section shows are a whole policy without a mistake."""
    assert load(written(tmp_path, **FOLDERS[folder])).rules


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_loads_in_a_file(tmp_path: Path, fragment: str) -> None:
    """It lacks no more than its version, and what other files hold."""
    assert load(written(tmp_path, fragment=f"version: 1\n{fragment}", other=GOOD))


def test_every_yaml_block_of_policy_is_a_file_or_a_fragment() -> None:
    """No block on the page of policy goes unread, and those of other pages are YAML."""
    for name, blocks in SECTIONS.items():
        for block in blocks:
            known = _NAME.match(block) or block.startswith(FRAGMENT)
            assert known or not name.startswith(policy_docs.PAGE.name), block
            assert yaml.safe_load(block), block


def test_links_within_the_page_lead_somewhere() -> None:
    """Each anchor is that of a heading, as GitHub derives it."""
    text = policy_docs.PAGE.read_text("utf-8")
    headings = [line.lstrip("# ") for line in _HEADING.findall(_masked(text))]
    anchors = {re.sub(r"[^\w -]", "", one.strip().lower()).replace(" ", "-") for one in headings}

    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors
