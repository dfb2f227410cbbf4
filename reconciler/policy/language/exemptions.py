"""What policy keeps its hands off, and until when."""

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator

from reconciler.ids import ResourceId
from reconciler.policy.language import shapes, texts
from reconciler.policy.language.entry import SUBSCRIPTION, Entry


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    # A year alone is a number, and one in quotes would still not be a date.
    text = str(value) if isinstance(value, int) else texts.only_text(value)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Weeks, and days without dashes, are ISO dates too.
    if day is None or text != day.isoformat():
        raise ValueError(f"'{text}' is not a date: write one such as 2027-01-31")
    return day


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the reason is empty; say who asked for it, and why")
    return text.strip()


_Day = Annotated[
    date,
    PlainValidator(_day),
    PlainSerializer(date.isoformat, return_type=str),
    shapes.DAY,
]


class Exemption(Entry):
    """A place where nothing is added and nothing removed, whatever rules say."""

    scope: texts.Within = Field(
        title="Scope",
        description=(
            "A resource or identity, or a group or subscription of them, exactly. All that would "
            "be done to them is withheld; what others are granted there is not."
        ),
        examples=[f"{SUBSCRIPTION}/resourceGroups/rg-forensics"],
    )
    reason: Annotated[str, AfterValidator(_not_blank), shapes.REASON] = Field(
        title="Reason",
        description="Why; every plan shows it.",
        examples=["forensics, ticket 4711"],
    )
    expires: _Day = Field(
        title="Expires",
        description="The last day, in UTC, on which it is in force.",
        examples=["2027-01-31"],
    )

    def covers(self, place: ResourceId) -> bool:
        """Tell whether it speaks of a place, be it in force or not."""
        return self.scope.contains(place)

    def in_force(self, at: datetime) -> bool:
        """Tell whether it still holds at a time."""
        return at.astimezone(UTC).date() <= self.expires
