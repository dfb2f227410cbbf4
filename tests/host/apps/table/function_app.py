"""Asks for a binding that the local host lacks."""  # noqa: INP001 - a folder of its own.

import azure.functions as func

app = func.FunctionApp()


@app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
@app.table_output(arg_name="report", table_name="reports", connection="AzureWebJobsStorage")
def sweep(timer: func.TimerRequest, report: func.Out[str]) -> None:
    """Write a report."""
    report.set(f"past due: {timer.past_due}")
