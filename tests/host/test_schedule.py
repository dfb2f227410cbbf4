"""Timer schedules."""

from datetime import UTC, datetime

import pytest

from sandbox.host.timers import parse


@pytest.mark.parametrize(
    ("expression", "moment", "following"),
    [
        ("0 */15 * * * *", "2026-01-01T12:00:00", "2026-01-01T12:15:00"),
        ("*/10 * * * * *", "2026-01-01T12:00:09", "2026-01-01T12:00:10"),
        ("*/10 * * * * *", "2026-01-01T12:00:10.5", "2026-01-01T12:00:20"),
        ("0 0 3 * * *", "2026-12-31T03:00:00", "2027-01-01T03:00:00"),
        ("0 30 9 * * 1-5", "2026-01-02T10:00:00", "2026-01-05T09:30:00"),
        ("0 0 0 * * 0", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("5,50 0 8-9 * * *", "2026-01-01T08:00:05", "2026-01-01T08:00:50"),
        ("0 0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_a_schedule_fires_next_at_its_first_fitting_later_moment(
    expression: str, moment: str, following: str
) -> None:
    """Every field has to fit, and the moment itself is past."""
    found = parse(expression).after(datetime.fromisoformat(moment).replace(tzinfo=UTC))

    assert found == datetime.fromisoformat(following).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("*/15 * * * *", "5 fields instead of six"),
        ("", "0 fields instead of six"),
        ("0 0 25 * * *", "hour '25' is not within 0 to 23"),
        ("0 0 9-5 * * *", "hour '9-5' is not within 0 to 23"),
        ("0 0 0 * JAN *", "month 'JAN' is not a form"),
        ("0 */0 * * * *", "minute '\\*/0' is not a form"),
        ("0 0 0 1-31/2 * *", "day '1-31/2' is not a form"),
    ],
)
def test_an_expression_that_is_not_understood_is_an_error(expression: str, reason: str) -> None:
    """Nothing is guessed, and the message names the field."""
    with pytest.raises(ValueError, match=reason):
        parse(expression)


def test_a_schedule_that_never_fires_is_an_error() -> None:
    """There is no 31 February."""
    with pytest.raises(ValueError, match="never fires"):
        parse("0 0 0 31 2 *").after(datetime(2026, 1, 1, tzinfo=UTC))
