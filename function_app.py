"""The function app's triggers: they turn bindings into calls of `reconciler.app` and back.

Event Grid -> `event_grid_trigger` -> queue -> `queue_trigger`; a timer sweeps. Where Event Grid
cannot reach the app it fills a queue instead, for `event_queue_trigger` (docs/events.md). The app
is made when this module is imported: a wrong setting or policy then fails the deployment, where it
is seen, and no message is taken from the queue that could not be answered.
"""

from datetime import datetime
from pathlib import Path
from typing import List  # noqa: UP035 (see Texts)

import azure.functions as func
from azure.functions.eventgrid import EventGridEventInConverter

from reconciler import messages
from reconciler.app import EVENT_QUEUE, QUEUE, create
from reconciler.changes import Result
from reconciler.events import decode, decode_message
from reconciler.model import Request

STORAGE = "AzureWebJobsStorage"
# The worker takes `list[str]` for something that is not a type.
Texts = List[str]  # noqa: UP006


class AnyTime(EventGridEventInConverter, binding=None, trigger="eventGridTrigger"):
    """Reads an event whose time is none as one without a time.

    The library's own raises before any trigger is called; Event Grid would deliver the event again
    and again, though its time is no more than a hint.
    """

    @classmethod
    def _parse_datetime(cls, datetime_str: str | None) -> datetime | None:
        try:
            return datetime.fromisoformat(datetime_str or "")
        except (TypeError, ValueError):
            return None


# Its own function for this takes other bindings only.
registry = func.get_binding_registry()  # type: ignore[no-untyped-call]
registry._bindings["eventGridTrigger"] = AnyTime  # noqa: SLF001 (as above)

deployment = create(root=Path(__file__).parent)
app = func.FunctionApp()


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="requests", queue_name=QUEUE, connection=STORAGE)
def event_grid_trigger(event: func.EventGridEvent, requests: func.Out[Texts]) -> None:
    """Enqueue what an event requests; makes no call, so Event Grid never waits."""
    # The binding hands over whichever schema was delivered.
    if isinstance(event, func.CloudEvent):
        event_type, time = event.type, event.time
    else:
        event_type, time = event.event_type, event.event_time
    decoded = decode(
        {
            "eventType": event_type,
            "subject": event.subject,
            "eventTime": time.isoformat() if time else None,
            "data": event.get_json(),
        }
    )
    if decoded:
        _enqueue(deployment.requests(decoded), requests)


@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
@app.queue_output(arg_name="requests", queue_name=QUEUE, connection=STORAGE)
def queue_trigger(message: func.QueueMessage, requests: func.Out[Texts]) -> None:
    """Answer one request; what it leads to goes back into the queue, now or after a delay."""
    _pass_on(deployment.handle(messages.decode(message.get_body().decode())), requests)


@app.timer_trigger(arg_name="timer", schedule=deployment.settings.sweep_schedule)
@app.queue_output(arg_name="requests", queue_name=QUEUE, connection=STORAGE)
def timer_trigger(timer: func.TimerRequest, requests: func.Out[Texts]) -> None:  # noqa: ARG001 (the binding asks for it)
    """Find what events missed, and what policy no longer asks for."""
    # One that is past due is a run of the schedule that was missed: it comes once.
    _pass_on(deployment.sweep(), requests)


@app.queue_trigger(arg_name="message", queue_name=EVENT_QUEUE, connection=STORAGE)
@app.queue_output(arg_name="requests", queue_name=QUEUE, connection=STORAGE)
def event_queue_trigger(message: func.QueueMessage, requests: func.Out[Texts]) -> None:
    """Do as `event_grid_trigger`, for events that Event Grid has put into a queue."""
    events = decode_message(message.get_body())
    requested = [request for event in events for request in deployment.requests(event)]
    _enqueue(tuple(dict.fromkeys(requested)), requests)


def _pass_on(result: Result, requests: func.Out[Texts]) -> None:
    """Put what an answer leads to into the queue: a copy for later, and what is due now."""
    if result.again and result.again_after:
        deployment.defer(result.again, result.again_after)
    _enqueue(result.requests, requests)


def _enqueue(requested: tuple[Request, ...], requests: func.Out[Texts]) -> None:
    if requested:
        requests.set([messages.encode(request) for request in requested])
