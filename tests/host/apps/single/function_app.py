"""Has a function with the relay's name and a single text as its output."""  # noqa: INP001 - a folder of its own.

import azure.functions as func

app = func.FunctionApp()


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="requests", queue_name="elsewhere", connection="AzureWebJobsStorage")
def event_grid_trigger(event: func.EventGridEvent, requests: func.Out[str]) -> None:
    """Pass the subject on as it is."""
    requests.set(event.subject)
