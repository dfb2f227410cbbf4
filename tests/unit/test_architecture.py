"""docs/architecture.md shows the house as it is."""

import re
import tomllib

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PRODUCT = ROOT / "reconciler"
MOST_FILES = 3
"""How many files of the product or the sandbox a common change may touch."""

_PATH = re.compile(r"`([\w./-]+(?:\.(?:py|md|csv|txt|toml)|/))`")


def section(heading: str) -> str:
    """Return the text below a heading."""
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_path_on_the_page_exists() -> None:
    paths = set(_PATH.findall(PAGE)) - {"reconciler/"}

    assert [path for path in sorted(paths) if not exists(path)] == []


def exists(path: str) -> bool:
    """Return whether a path is there, in the product or in the repository."""
    places = [folder / path for folder in (PRODUCT, ROOT)]
    return any(place.is_dir() if path.endswith("/") else place.is_file() for place in places)


def test_every_module_of_the_product_is_on_the_page() -> None:
    """A package is named by its folder."""
    paths = {path.relative_to(PRODUCT).as_posix() for path in PRODUCT.rglob("*.py")}
    modules = {path.removesuffix("__init__.py") for path in paths} - {""}

    assert sorted(modules - set(_PATH.findall(PAGE))) == []


def test_the_drawing_names_files_that_exist() -> None:
    drawing = PAGE.partition("```mermaid")[2].partition("```")[0]
    labels = re.findall(r"\w+\[([^\]()]+)\]", drawing)
    paths = [path for label in labels for path in label.split(", ") if "." in path or "/" in path]

    assert len(paths) > 9
    assert [path for path in paths if not exists(path)] == []


def test_the_floors_are_those_of_the_import_contract() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each.get("containers") == ["reconciler"]]

    shown = [set(re.findall(r"`(\w+)`", floor)) for floor, _ in rows("Floors")]

    assert shown == [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_the_walk_passes_every_step_between_trigger_and_outcome() -> None:
    steps = re.findall(
        r"^\d+\. \*\*([\w ]+)\*\*", section("One event, from trigger to write"), re.MULTILINE
    )

    assert steps == [
        "Trigger",
        "Route",
        "Queue",
        "Handle",
        "Loop",
        "Observe",
        "Desired",
        "Plan",
        "Apply",
        "Look again",
        "Outcome",
    ]


def test_every_kind_of_change_goes_into_few_files_and_names_its_test() -> None:
    changes = rows("Where do I put ...?")

    assert len(changes) == 10
    for kind, files, tests in changes:
        assert 1 <= len(_PATH.findall(files)) <= MOST_FILES, kind
        assert all(path.startswith("tests/") for path in _PATH.findall(tests)), kind
        assert _PATH.findall(tests), kind
