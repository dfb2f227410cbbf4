"""Relays events to one queue, that queue's messages to another, and ticks to a third."""  # noqa: INP001 - a folder of its own, as a function app is.

import json
from typing import List  # noqa: UP035 - see Texts.

import azure.functions as func

app = func.FunctionApp()

# The worker takes `list[str]` for something that is not a type.
Texts = List[str]  # noqa: UP006 - see above.


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="requests", queue_name="work", connection="AzureWebJobsStorage")
def event_grid_trigger(event: func.EventGridEvent, requests: func.Out[Texts]) -> None:
    """Ask for the event's subject, and for its data when there are any."""
    if event.subject == "nothing":
        return
    if event.subject == "boom":
        raise ValueError(f"cannot relay {event.id}")
    requests.set([json.dumps({"subject": event.subject}), json.dumps(event.get_json())])


@app.queue_trigger(arg_name="message", queue_name="work", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="done", queue_name="done", connection="AzureWebJobsStorage")
def queue_trigger(message: func.QueueMessage, done: func.Out[Texts]) -> None:
    """Pass the message on with what the host said about it."""
    body = message.get_body().decode()
    if "boom" in body:
        raise RuntimeError(f"cannot do {body}")
    about = {
        "body": body,
        "id": message.id,
        "attempt": message.dequeue_count,
        "inserted": message.insertion_time.isoformat(),
        "expires": message.expiration_time.isoformat(),
        "visible": message.time_next_visible.isoformat(),
        "receipt": message.pop_receipt,
    }
    done.set([json.dumps(about)])


@app.timer_trigger(arg_name="timer", schedule="%SWEEP%")
@app.queue_output(arg_name="requests", queue_name="ticks", connection="AzureWebJobsStorage")
def timer_trigger(timer: func.TimerRequest, requests: func.Out[Texts]) -> None:
    """Say whether the tick came late."""
    requests.set([f"past due: {timer.past_due}"])
