"""docs/failures.md shows every row of the table of failures, as the code has it."""

from reconciler.azure.failures import NO_ANSWER, TABLE, find
from tools import failures


def test_the_page_is_current() -> None:
    """`make docs` has been run since a row changed."""
    assert failures.PAGE.read_text("utf-8") == failures.page(), "run: make docs"


def test_every_row_is_there_with_its_codes_and_its_next_step() -> None:
    """A code that a plan or an event shows can be looked up."""
    lines = [line for line in failures.page().splitlines() if line.startswith("| ")][1:]

    assert len(lines) == len(TABLE)
    for line, row in zip(lines, TABLE, strict=True):
        assert line.startswith(f"| {failures.statuses(row.statuses)} |")
        assert all(f"`{code}`" in line for code in row.codes if code.isalpha())
        assert line.endswith(f"| {row.repeat} | {row.next_step} |")


def test_every_row_is_the_first_that_some_answer_fits() -> None:
    """One that another hides would say something that never happens."""
    for row in TABLE:
        statuses = row.statuses or [400]
        codes = row.codes or ["SomethingNew"]
        texts = ["", "Cannot delete the last RBAC admin assignment", "identityIds"]
        answers = [(status, code, text) for status in statuses for code in codes for text in texts]

        assert any(find(*answer) is row for answer in answers)


def test_every_answer_has_a_row() -> None:
    """Whatever Azure thinks of next."""
    for status in (NO_ANSWER, *range(1, 1000)):
        assert find(status, "SomethingNew").kind
