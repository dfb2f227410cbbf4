"""Azure's weaknesses as switches, all off by default, and the one place that makes them happen.

A seed's ``faults:``, the control routes and tests set the switches; the world and the services ask
the world's `FaultInjector` what happens. ``docs/faults.md`` explains each switch with an example.
"""

import contextlib
import datetime as dt
import json
import random
import re
import threading
from collections.abc import Callable
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

from sandbox.arm import errors
from sandbox.arm.routing import Json, Reply

LONGEST = 366 * 86400  # The most seconds that a switch takes; a calendar has an end.

type Seconds = Annotated[float, Field(ge=0, le=LONGEST)]
type Chance = Annotated[float, Field(ge=0, le=1)]


def _shown_span(span: float | tuple[float, float]) -> float | list[float]:
    return list(span) if isinstance(span, tuple) else span


def _parsed_span(value: object) -> float | tuple[float, float]:
    limits = tuple(value) if isinstance(value, list | tuple) else (value, value)
    try:
        least, most = (_SECONDS.validate_python(limit) for limit in limits)
    except ValueError:  # Another number of them, or one that is none.
        least, most = 1.0, 0.0
    if least > most:
        raise ValueError(f"must be seconds, at most {LONGEST}, or [least, most]")
    return least if least == most else (least, most)


_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds, config=ConfigDict(strict=True))
type Span = Annotated[
    float | tuple[float, float], PlainValidator(_parsed_span), PlainSerializer(_shown_span)
]
"""Seconds, or the least and the most of them: then each thing has its own, by the world's seed."""


class FaultsError(Exception):
    """A switch that does not exist or cannot be set so; the message names it."""


class DroppedError(ConnectionError):
    """The connection is closed without an answer; the entrances turn it into just that."""


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


class Answer(_Switches):
    """A whole answer in place of the true one, such as a proxy's."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    body: str = ""
    headers: dict[str, str] = Field(default_factory=dict)


class RequestFault(_Switches):
    """What happens to some requests: refused, answered wrongly, cut off, or failing late."""

    # Which requests.
    method: Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "*"] = "*"
    path: Annotated[str, AfterValidator(_pattern)] = ""  # A regular expression, found in any case.
    times: Annotated[int, Field(ge=1)] | None = None  # None: as long as the switches stay.
    after: Annotated[int, Field(ge=0)] = 0  # How many of these requests pass first.
    probability: Chance = 1.0
    # What they are answered.
    status: Annotated[int, Field(ge=400, le=599)] | None = None  # Also the one of a late failure.
    code: str = ""  # Empty: the usual one of the status.
    retry_after: Annotated[int, Field(ge=0, le=LONGEST)] | None = None  # Seconds.
    answer: Answer | None = None
    drop: bool = False  # Close the connection instead.
    done: bool = False  # Do what is asked all the same.
    late: bool = False  # Accept it, and let the operation that it starts end as failed.
    # What is made of their true answer: half of its text, half of its list, none of it, another
    # type and id; or members that are left out.
    alter: Literal["torn", "half", "empty", "renamed"] | None = None
    without: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        kinds = [self.drop, self.answer is not None, bool(self.alter), bool(self.without)]
        if self.late:
            if any((*kinds, self.done)):
                raise ValueError("'late' goes with neither 'drop', 'done' nor another answer")
        elif sum([*kinds, self.status is not None]) != 1:
            raise ValueError(
                "one of 'status', 'answer', 'alter', 'without', 'drop' and 'late' is needed"
            )
        return self


class Faults(_Switches):
    """All switches. Times are in seconds, chances from 0 to 1."""

    # Operations.
    operation_delay: Seconds = 0.2  # Until an asynchronous operation has ended.
    operation_jitter: Seconds = 0.0  # At most so much longer it takes, by chance.
    # What is visible or counts later (facts: Visibility, Role assignments, Rights, Dead entries).
    replication_delay: Seconds = 0.0  # Until grants know a new principal, and
    typed_replication_delay: Seconds = 0.0  # also where they name its type.
    assignment_lag: Seconds = 0.0  # Until lists show a role assignment; its own GET does at once.
    index_delay: Span = 0.0  # Until ARM's own index shows what was made or moved.
    effect_delay: Span = 0.0  # Until a right counts that was granted.
    log_delay: Span = 0.0  # Until the activity log shows an entry (facts: Activity log).
    dead_entry_delay: Span = 0.0  # Until what carries a deleted identity hides its ids.
    role_filter_delay: Seconds = 0.0  # Until filtered lists show a custom role that was written.
    client_id_required: bool = False  # Who names no identity is refused (facts: Functions).
    # Resource Graph and lists (facts: Resource Graph).
    graph_delay: Seconds = 0.0  # How old its rows are; no bound is promised.
    graph_missing: Chance = 0.0  # For each row: that an answer lacks it and does not say so.
    graph_truncated: Chance = 0.0  # For each answer: that it is cut off, and says so.
    page_size: Annotated[int, Field(ge=1, le=1000)] = 1000  # The most rows of a page of ARM's.
    empty_pages: Annotated[int, Field(ge=0, le=100)] = 0  # So many come before one with rows.
    # Throttling (facts: Throttling).
    throttling: bool = False  # Whether requests are counted and answered 429.
    retry_after: bool = True  # Whether these carry the header (facts: Errors).
    authorization_limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None  # By minute.
    # Events: the chance that each is lost, comes twice, late, overtaken, or in an old form.
    events_at_end: bool = True  # Of an operation: when it has ended, or when it is accepted.
    events_lost: Chance = 0.0
    events_duplicate: Chance = 0.0
    events_late: Chance = 0.0
    events_late_by: Seconds = 300.0
    events_reordered: Chance = 0.0
    events_reordered_by: Seconds = 5.0  # At most.
    events_textual: Chance = 0.0  # Some members are JSON in a text (facts: Resource events).
    events_pascal_case: Chance = 0.0  # The names in these members begin with a capital.
    # Retries of deliveries (facts: Delivery).
    delivery_jitter: Chance = 0.0  # By what part of its wait one is late at most.
    delivery_skips: Chance = 0.0  # That one is left out.
    # Single requests: of several that apply, the first one decides.
    requests: list[RequestFault] = Field(default_factory=list)

    def changed(self, switches: dict[str, Any]) -> "Faults":
        """Return them with some switches set, by the names of the fields or as in seeds.

        Raises ``FaultsError``.
        """
        names = {name: to_camel(name) for name in Faults.model_fields}
        return read(self.to_json() | {names.get(key, key): switches[key] for key in switches})

    def to_json(self) -> dict[str, Any]:
        """Return all switches as a seed spells them."""
        return self.model_dump(mode="json", by_alias=True)


def read(switches: dict[str, Any]) -> Faults:
    """Return the switches that a seed sets, all others off; raises ``FaultsError``."""
    try:
        return Faults.model_validate(switches, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "there is no such switch"
        if first["type"] == "model_type":
            message = "Input should be a mapping"
        raise FaultsError(f"{where}: {message}") from None


# The codes and texts are what Azure is known to say (facts: Errors): those of 409 and 429 from
# issues, the others recorded.
_LATE = ("InternalExecutionError", "An internal execution error occurred. Please retry later.")
_USUAL = {
    409: (
        "ConflictingConcurrentWriteNotAllowed",
        "The operation was interrupted by a conflicting concurrent write on the same entity.",
    ),
    412: ("PreconditionFailed", "The condition specified in If-Match was not met."),
    429: ("TooManyRequests", "The request is being throttled."),
    500: ("InternalServerError", "Encountered internal server error."),
    502: ("BadGatewayConnection", "The network connectivity issue encountered."),
    503: ("ServerTimeout", "The request timed out."),
    504: (
        "GatewayTimeout",
        "The gateway did not receive a response within the specified time period.",
    ),
}
_CONFLICT = 409
_GATEWAY = 500
# There the gateway blames the provider's service (recorded, 502_BadGatewayConnection).
_SERVICE = (502, 504)
# The gateway's own refusal (recorded, 429_ResourceRequestsThrottled).
_OWN_CODE = "ResourceRequestsThrottled"
# Members of events that old ones have in other forms (facts: Resource events).
_PARTS = ("authorization", "claims", "httpRequest")


class FaultInjector:
    """Makes the switches of one world happen, by chances and delays that its seed alone decides."""

    def __init__(self, seed: int, faults: Faults) -> None:
        """Begin with the first request that comes from now on."""
        self._seed = seed
        self.chance = random.Random(seed)
        """Apart from the world's own source, so that bad luck does not change the GUIDs."""
        self._lock = threading.Lock()
        self.faults = faults

    @property
    def faults(self) -> Faults:
        """The switches as they are; a change counts the requests of all faults anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._seen = [0] * len(faults.requests)
        self._happened = [0] * len(faults.requests)

    def happens(self, probability: float) -> bool:
        """Return whether something happens by chance; what is certain draws nothing."""
        return probability > 0 and (probability >= 1 or self.chance.random() < probability)

    def delay(self, span: Span, key: str) -> dt.timedelta:
        """Return the delay that a thing has of a span: always the same, by its key and the seed."""
        if isinstance(span, tuple):
            span = random.Random(f"{self._seed} {key}").uniform(*span)
        return dt.timedelta(seconds=span)

    def operation_time(self) -> dt.timedelta:
        """Return how long an operation takes that starts now."""
        jitter = self.faults.operation_jitter
        more = self.chance.uniform(0, jitter) if jitter else 0.0
        return dt.timedelta(seconds=self.faults.operation_delay + more)

    # Requests.

    def serve(
        self, method: str, path: str, answer: Callable[[errors.AzureError | None], Reply]
    ) -> Reply:
        """Return the answer to a request, or what a fault makes of it.

        ``answer`` does what is asked; an operation that it starts ends with the error that it is
        given. Raises ``AzureError``, the service's own or the fault's, or ``DroppedError``.
        """
        fault = self._next(method, path)
        if fault is None or fault.late:
            return answer(_error(fault) if fault else None)
        if fault.alter or fault.without:
            try:
                reply = answer(None)
            except errors.AzureError as error:
                reply = Reply(error.status, error.body(), error.headers)
            return Reply(reply.status, _altered(fault, reply.body), reply.headers)
        if fault.done:
            with contextlib.suppress(errors.AzureError):
                answer(None)
        if fault.drop:
            raise DroppedError
        if fault.answer:
            headers = {"Content-Type": "application/json", **fault.answer.headers}
            return Reply(fault.answer.status, fault.answer.body.encode(), headers)
        raise _error(fault)

    def _next(self, method: str, path: str) -> RequestFault | None:
        with self._lock:
            for at, fault in enumerate(self._faults.requests):
                if fault.method not in {"*", method}:
                    continue
                if not re.search(fault.path, path, re.IGNORECASE):
                    continue
                if fault.times is not None and self._happened[at] >= fault.times:
                    continue
                self._seen[at] += 1
                if self._seen[at] > fault.after and self.chance.random() < fault.probability:
                    self._happened[at] += 1
                    return fault
        return None

    # Events. Event Grid promises at least once and no order (facts: Delivery, documented). That it
    # loses events is not documented; whoever watches it must bear it nevertheless.

    def event_delays(self) -> list[dt.timedelta]:
        """Return for each copy of the next event how long it takes; none: it is lost."""
        if self.happens(self.faults.events_lost):
            return []
        delays: list[dt.timedelta] = []
        for _ in range(2 if self.happens(self.faults.events_duplicate) else 1):
            late = self.happens(self.faults.events_late)
            seconds = self.faults.events_late_by if late else 0.0
            if self.happens(self.faults.events_reordered):
                seconds += self.chance.uniform(0, self.faults.events_reordered_by)
            delays.append(dt.timedelta(seconds=seconds))
        return delays

    def formed(self, event: Json) -> Json:
        """Return an event in the form that it comes in, which is an old one by chance."""
        data = dict(event["data"])
        parts = [name for name in _PARTS if name in data]
        if self.happens(self.faults.events_pascal_case):
            # A claim's name is the token's own.
            data |= {name: _capitals(data[name]) for name in parts if name != "claims"}
        if not self.happens(self.faults.events_textual):
            return {**event, "data": data}
        data |= {name: json.dumps(data[name]) for name in parts}
        return {**event, "data": data, "dataVersion": ""}

    def retry_wait(self, wait: dt.timedelta, following: dt.timedelta) -> dt.timedelta:
        """Return how long a delivery waits for its next attempt, or the one after that as well."""
        if self.happens(self.faults.delivery_skips):
            wait += following
        jitter = self.faults.delivery_jitter
        return wait * (1 + (self.chance.uniform(0, jitter) if jitter else 0))


def _error(fault: RequestFault) -> errors.AzureError:
    """Return what a fault answers, or what an operation that fails late ends with."""
    status = fault.status or _CONFLICT
    usual = _LATE if fault.late else _USUAL.get(status, ("Refused", "The request was refused."))
    code, text = (fault.code, "Made by a fault.") if fault.code else usual
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if status in _SERVICE:
        headers["x-ms-failure-cause"] = "service"
    own = code == _OWN_CODE or (status >= _GATEWAY and status not in _SERVICE)
    return errors.AzureError(status, code, text, headers=headers, gateway=own)


def _altered(fault: RequestFault, body: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a fault makes of the body of a true answer; only objects are altered."""
    if not isinstance(body, dict):
        return body
    if fault.alter == "torn":
        text = json.dumps(body).encode()
        return text[: len(text) // 2]
    if fault.alter == "renamed":
        return {**body, "type": "Microsoft.Web/sites", "id": f"{body.get('id', '')}x"}
    # ARM lists under one name, Resource Graph under the other.
    lists = {key: body[key] for key in ("value", "data") if isinstance(body.get(key), list)}
    if fault.alter == "half":
        return body | {key: rows[: len(rows) // 2] for key, rows in lists.items()}
    if fault.alter == "empty":
        return body | {key: [] for key in lists}
    return {key: value for key, value in body.items() if key not in fault.without}


def _capitals(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {name[:1].upper() + name[1:]: _capitals(part) for name, part in value.items()}
