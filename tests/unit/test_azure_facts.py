"""docs/azure-facts.md has what code cites, code cites what it has, and each fact has evidence."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "azure-facts.md"
FOLDERS = ("reconciler", "sandbox", "tests", "docs", "tools", "policies")
ENDINGS = {".py", ".md", ".yaml", ".yml", ".txt"}
KINDS = ("recorded: ", "documented: ", "specified: ", "reported: ", "assumed")

_CITATION = re.compile(r"\bfacts: ([^,;:.()<\"'`|]+)")
_NEXT_LINE = re.compile(r"\n[\s#]*")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BULLET = re.compile(r"^- (.+(?:\n  .+)*)$", re.MULTILINE)
_LETTER_AND_DIGIT = re.compile(r"\bfacts [A-D][0-9]", re.IGNORECASE)
_TITLE = re.compile(r"\[([^\[\]]+)\](?![(:])")
_ADDRESS = re.compile(r"^\[([^\]]+)\]: https://learn\.microsoft\.com/\S+$", re.MULTILINE)


def files() -> Iterator[tuple[Path, str]]:
    """Yield every file that may cite a fact, with its text."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in ENDINGS and path != PAGE:
                yield path, path.read_text("utf-8")


def cited(text: str) -> Iterator[str]:
    """Yield the headings that a text cites; a comment or docstring may break a citation."""
    for citation in _CITATION.findall(_NEXT_LINE.sub(" ", text)):
        yield from (heading.strip() for heading in citation.split(" and "))


def evidence(bullet: str) -> str:
    """Return what the last brackets of a fact hold; titles of pages are brackets inside them."""
    text = " ".join(bullet.split())
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        depth += {"]": 1, "[": -1}.get(text[position], 0)
        if depth == 0:
            return text[position + 1 : -1]
    return ""


def test_every_citation_names_a_heading_of_the_page() -> None:
    """A reader who looks a citation up finds it."""
    headings = set(_HEADING.findall(PAGE.read_text("utf-8")))

    unknown = {
        (str(path.relative_to(ROOT)), heading)
        for path, text in files()
        for heading in cited(text)
        if heading not in headings
    }

    assert unknown == set()


def test_every_heading_is_cited() -> None:
    """What no code rests on need not be kept true."""
    headings = _HEADING.findall(PAGE.read_text("utf-8"))

    assert set(headings) - {heading for _, text in files() for heading in cited(text)} == set()
    assert len(headings) == len(set(headings))


def test_every_fact_ends_with_its_evidence() -> None:
    """The kinds are those of the table at the top of the page."""
    bullets = _BULLET.findall(PAGE.read_text("utf-8"))

    assert bullets
    for fact in bullets:
        kinds = evidence(fact).split("; ")
        assert [kind for kind in kinds if not kind.startswith(KINDS)] == [], fact


def test_every_page_that_is_named_has_its_address() -> None:
    """The addresses are listed once, by title, at the end of the page."""
    page = PAGE.read_text("utf-8")
    addresses = _ADDRESS.findall(page)

    named = {title for fact in _BULLET.findall(page) for title in _TITLE.findall(evidence(fact))}

    assert named == set(addresses)
    assert addresses == sorted(addresses)


def test_no_fact_is_cited_by_letter_and_number() -> None:
    """The project has no page whose sections are numbered so."""
    assert [path for path, text in files() if _LETTER_AND_DIGIT.search(text)] == []


def test_a_citation_that_is_broken_over_lines_is_read_as_one() -> None:
    """Comments and docstrings are wrapped."""
    text = (
        "# Late by minutes (facts" + ":\n    # Activity log), see facts" + ": Errors and Lists; so."
    )

    assert list(cited(text)) == ["Activity log", "Errors", "Lists"]
