"""Answers web requests, and keeps what it was sent in a blob and a queue."""  # noqa: INP001 - a folder of its own, as a function app is.

import json

import azure.functions as func

app = func.FunctionApp()
STORAGE = "AzureWebJobsStorage"


@app.route(route="reports/{year}/by/{group}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def reports(req: func.HttpRequest) -> func.HttpResponse:
    """Say what was asked for, with a header."""
    said = json.dumps([req.method, dict(req.route_params), dict(req.params)])
    answer = func.HttpResponse(said, status_code=203, mimetype="application/json")
    answer.headers["X-Seen"] = req.headers.get("x-sent", "")
    return answer


@app.route(route="reports/latest", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def latest(req: func.HttpRequest) -> str:  # noqa: ARG001 - the binding asks for it.
    """Answer with a bare text."""
    return "the latest"


@app.route(methods=["POST"])
@app.blob_input(arg_name="old", path="%CONTAINER%/report.json", connection=STORAGE)
@app.blob_output(arg_name="new", path="%CONTAINER%/report.json", connection=STORAGE)
@app.queue_output(arg_name="noted", queue_name="noted", connection=STORAGE)
def keep(
    req: func.HttpRequest, old: func.InputStream, new: func.Out[str], noted: func.Out[str]
) -> str:
    """Append the body to the report, and answer with what was there before."""
    before = old.read().decode() if old else "nothing"
    body = req.get_body().decode()
    if body == "fail":
        raise RuntimeError("as asked")
    if body:
        new.set(f"{before},{body}")
        noted.set(body)
    return before


@app.route(auth_level=func.AuthLevel.ADMIN)
def reset(req: func.HttpRequest) -> str:
    """Answer those who may."""
    return f"reset by {req.method}"
