"""Has timers that differ in what happens to them at the start."""  # noqa: INP001 - a folder of its own, as a function app is.

import azure.functions as func

app = func.FunctionApp()
STORAGE = "AzureWebJobsStorage"


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
@app.queue_output(arg_name="rang", queue_name="hourly", connection=STORAGE)
def hourly(timer: func.TimerRequest, rang: func.Out[str]) -> None:
    """Ring every hour, which the host watches over."""
    rang.set(f"past due: {timer.past_due}")


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *", use_monitor=False)
@app.queue_output(arg_name="rang", queue_name="careless", connection=STORAGE)
def careless(timer: func.TimerRequest, rang: func.Out[str]) -> None:
    """Ring every hour, unless it is missed."""
    rang.set(f"past due: {timer.past_due}")


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *", run_on_startup=True)
@app.queue_output(arg_name="rang", queue_name="eager", connection=STORAGE)
def eager(timer: func.TimerRequest, rang: func.Out[str]) -> None:
    """Ring at the start too."""
    rang.set(f"past due: {timer.past_due}")


@app.timer_trigger(arg_name="timer", schedule="*/20 * * * * *")
@app.queue_output(arg_name="rang", queue_name="often", connection=STORAGE)
def often(timer: func.TimerRequest, rang: func.Out[str]) -> None:
    """Ring more often than the host keeps watch."""
    rang.set(f"past due: {timer.past_due}")
