"""The switches for Azure's weaknesses; fair weather is the default of each.

A seed's ``weather:`` and the control routes set them, the world holds them, and the services ask
it. ``docs/weather.md`` explains them with an example.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

LONGEST = 366 * 86400
"""The most seconds that a switch takes; a calendar has an end."""

type Seconds = Annotated[float, Field(ge=0, le=LONGEST)]
type Chance = Annotated[float, Field(ge=0, le=1)]


def _shown(span: float | tuple[float, float]) -> float | list[float]:
    return list(span) if isinstance(span, tuple) else span


def _span(value: object) -> float | tuple[float, float]:
    found = tuple(value) if isinstance(value, list | tuple) else (value, value)
    try:
        least, most = (_SECONDS.validate_python(each) for each in found)
    except ValueError:  # Another number of them, or one that is none.
        least, most = 1.0, 0.0
    if least > most:
        raise ValueError(f"must be seconds, at most {LONGEST}, or [least, most]")
    return least if least == most else (least, most)


_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds, config=ConfigDict(strict=True))
type Span = Annotated[float | tuple[float, float], PlainValidator(_span), PlainSerializer(_shown)]
"""Seconds, or the least and the most of them: then each thing has its own, by the world's seed."""


class WeatherError(Exception):
    """A switch that does not exist or cannot be set so; the message names it."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


class _Switches(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )


class Fault(_Switches):
    """What happens to some requests: refused, cut off, or accepted and failing late."""

    method: Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "*"] = "*"
    path: Annotated[str, AfterValidator(_pattern)] = ""
    """A regular expression that is found somewhere in the path, without regard to case."""
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    """The status to answer; also that of the error of an operation that fails late."""
    code: str = ""
    """The error's code; empty: the usual one of the status."""
    retry_after: Annotated[int, Field(ge=0, le=LONGEST)] | None = None
    """Seconds for the header ``Retry-After``; none: no such header."""
    drop: bool = False
    """Close the connection instead of answering."""
    done: bool = False
    """Do what the request asks for all the same; only its answer is another, or lost."""
    late: bool = False
    """Accept the request, and let the operation that it starts end as failed."""
    times: Annotated[int, Field(ge=1)] | None = None
    """How often it happens; none: as long as the weather lasts."""
    after: Annotated[int, Field(ge=0)] = 0
    """How many of these requests pass first."""
    probability: Chance = 1.0

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if self.drop == (self.status is not None) and not self.late:
            raise ValueError("one of 'status', 'drop' and 'late' is needed")
        if self.late and (self.drop or self.done):
            raise ValueError("'late' goes with neither 'drop' nor 'done'")
        return self


class Weather(_Switches):
    """All switches. Times are in seconds, chances from 0 to 1."""

    operation_delay: Seconds = 0.2
    """Until an asynchronous operation has ended."""
    operation_jitter: Seconds = 0.0
    """At most so much longer it takes, by chance."""
    replication_delay: Seconds = 0.0
    """Until role assignments know a new principal.

    See facts: Role assignments, recorded: 6 to 61 s.
    """
    typed_replication_delay: Seconds = 0.0
    """The same for those who name its type, which avoids most of it only (facts: Rights)."""
    assignment_lag: Seconds = 0.0
    """Until lists of role assignments show a write; a GET by id shows it at once."""
    index_delay: Span = 0.0
    """Until ARM's own index shows a resource that was made or moved (facts: Visibility, issues)."""
    effect_delay: Span = 0.0
    """Until a right counts that was granted (facts: Visibility, documented: up to ten minutes)."""
    log_delay: Span = 0.0
    """Until the activity log shows an entry (facts: Visibility: 3 to 5.5 minutes recorded)."""
    dead_entry_delay: Span = 0.0
    """Until what carries a deleted identity shows no ids of it.

    See facts: Visibility, issues: up to a week.
    """
    role_filter_delay: Seconds = 0.0
    """How long a custom role just written is missing from filtered lists.

    See facts: Role assignments, recorded.
    """
    client_id_required: bool = False
    """Whether App Service refuses who names no identity (facts: Functions, issues)."""
    credential_write_time: Seconds = 0.0
    """How long a federated credential's write keeps others from its identity."""
    graph_delay: Seconds = 0.0
    """How old Resource Graph's rows are; no bound is promised (facts: Throttling)."""
    graph_missing: Chance = 0.0
    """For each row of Resource Graph: that an answer lacks it and does not say so."""
    graph_truncated: Chance = 0.0
    """For each answer of Resource Graph: that it is cut off, and says so."""
    page_size: Annotated[int, Field(ge=1, le=1000)] = 1000
    """The most rows that a page of ARM's lists has."""
    empty_pages: Annotated[int, Field(ge=0, le=100)] = 0
    """How many pages without a row, but with a next link, come before each one with rows.

    Filtered lists of resources begin so (azure-cli test_sql_db_security_mgmt, recorded)."""
    throttling: bool = False
    """Whether ARM, Compute and Resource Graph count requests and answer 429 (facts: Throttling)."""
    retry_after: bool = True
    """Whether these 429 carry ``Retry-After``; some real ones do not (facts: Errors)."""
    authorization_limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How often a minute each action of Microsoft.Authorization may be asked for, if that counts.

    Nothing is documented; 120 was seen (facts: Throttling, issues)."""
    events_at_end: bool = True
    """Whether an operation's writes are told at its end or when it is accepted.

    At the end is assumed; only then the activity log knows whether it succeeded."""
    events_lost: Chance = 0.0
    """For each resource event: that nobody gets it."""
    events_duplicate: Chance = 0.0
    """That it comes twice."""
    events_late: Chance = 0.0
    """That it comes late."""
    events_late_by: Seconds = 300.0
    """How late such an event is."""
    events_reordered: Chance = 0.0
    """That it waits a moment, so that others overtake it."""
    events_reordered_by: Seconds = 5.0
    """How long such an event waits at most."""
    events_textual: Chance = 0.0
    """That some of its members are JSON in a text, as the oldest events have them.

    See facts: Resource events.
    """
    events_pascal_case: Chance = 0.0
    """That the names in these members begin with a capital (facts: Resource events)."""
    delivery_jitter: Chance = 0.0
    """By what part of its wait a retry is late at most (facts: Delivery, documented)."""
    delivery_skips: Chance = 0.0
    """For each retry: that it is left out (facts: Delivery, documented)."""
    delivery_late_counts: Chance = 0.0
    """That an answer after half a minute, in time for three, still counts (facts: Delivery)."""
    faults: list[Fault] = Field(default_factory=list)
    """What happens to some requests; of several that apply, the first one decides."""

    def changed(self, switches: dict[str, Any]) -> "Weather":
        """Return the weather with some switches set, by the names of its fields or as in seeds.

        Raises ``WeatherError``.
        """
        names = {name: to_camel(name) for name in Weather.model_fields}
        return read(self.to_json() | {names.get(key, key): switches[key] for key in switches})

    def to_json(self) -> dict[str, Any]:
        """Return all switches as a seed spells them."""
        return self.model_dump(mode="json", by_alias=True)


def read(switches: dict[str, Any]) -> Weather:
    """Return fair weather but for some switches as a seed spells them; raises ``WeatherError``."""
    try:
        return Weather.model_validate(switches, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "there is no such switch"
        if first["type"] == "model_type":
            message = "Input should be a mapping"
        raise WeatherError(f"{where}: {message}") from None
