"""Takes its time over a message: until the file that it names is there."""  # noqa: INP001 - a folder of its own, as a function app is.

import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()
STORAGE = "AzureWebJobsStorage"


@app.queue_trigger(arg_name="message", queue_name="work", connection=STORAGE)
@app.queue_output(arg_name="done", queue_name="done", connection=STORAGE)
def wait(message: func.QueueMessage, done: func.Out[str]) -> None:
    """Say when it has begun, and wait."""
    file = Path(message.get_body().decode())
    file.with_suffix(".begun").touch()
    while not file.exists():
        time.sleep(0.01)
    done.set(f"attempt {message.dequeue_count}")


@app.queue_trigger(arg_name="message", queue_name="work-poison", connection=STORAGE)
def bury(message: func.QueueMessage) -> None:
    """Fail over what failed before."""
    raise RuntimeError(f"cannot bury {message.get_body().decode()}")
