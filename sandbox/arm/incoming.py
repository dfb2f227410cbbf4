"""A request as WSGI hands it to the application, and what is found out about it on the way."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.arm import errors
from sandbox.world.state import Principal

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?", re.IGNORECASE)
_SLASHES = re.compile("/{2,}")

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"

type Environ = dict[str, Any]


class Incoming:
    """One request."""

    def __init__(self, environ: Environ, request_id: str) -> None:
        self._environ = environ
        self.id = request_id
        self.method: str = environ["REQUEST_METHOD"]
        # WSGI hands paths over as latin-1; ids are UTF-8.
        sent = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        self.target = f"{sent}?{environ['QUERY_STRING']}"
        # Clients that put a scope into a template begin with two slashes, and ARM reads one
        # (cloud-custodian LockActionTest.test_lock_action_resource).
        self.path = _SLASHES.sub("/", sent)
        options = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
        self.query = {name.lower(): value for name, value in options}
        self.origin = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
        self.headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        self.arm = True
        """Whether it is for ARM, as far as is known."""
        self.caller: Principal | None = None
        self.remaining: dict[str, str] = {}
        """Headers that tell what is left of ARM's limits."""

    @property
    def correlation_id(self) -> str:
        """The client's own correlation id, or the request's (documented)."""
        return self.headers.get("x-ms-correlation-request-id") or self.id

    def echoes(self) -> dict[str, str]:
        """Return the headers by which a client finds its request again (documented)."""
        found = {
            "x-ms-request-id": self.id,
            "x-ms-correlation-request-id": self.correlation_id,
        }
        asked = self.headers.get("x-ms-return-client-request-id", "").lower() == "true"
        if asked and "x-ms-client-request-id" in self.headers:
            found["x-ms-client-request-id"] = self.headers["x-ms-client-request-id"]
        return found

    def body(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body: JSON, None, or beside ARM a form; raises ``AzureError`` 400 or 415."""
        length = int(self._environ.get("CONTENT_LENGTH") or 0)
        if not length:
            return None
        raw: bytes = self._environ["wsgi.input"].read(length)
        kind = self._environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if self.arm and kind != _JSON:
            # Known from a provider that answers in ARM's place (ARO-RP).
            raise errors.AzureError(
                415,
                "UnsupportedMediaType",
                f"The content media type '{kind}' is not supported. Only '{_JSON}' is supported.",
                gateway=True,
            )
        if kind == _FORM and not raw.lstrip().startswith(b"{"):
            # What curl sends as a form unless told otherwise may well be JSON.
            return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            return json.loads(raw)
        except ValueError:
            raise errors.bad_content("the body is not JSON") from None

    def check_version(self) -> None:
        """Raise ``AzureError`` 400 unless it names an api-version."""
        version = self.query.get("api-version", "")
        if not version:
            raise errors.AzureError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
                gateway=True,
            )
        if not _VERSION.fullmatch(version):
            raise errors.AzureError(
                400,
                "InvalidApiVersionParameter",
                f"The api-version '{version}' is invalid.",
                gateway=True,
            )
