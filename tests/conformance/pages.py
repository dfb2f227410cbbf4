"""The pages of recorded lists: which follow on which, and how long the server made them."""

from collections.abc import Iterator
from urllib.parse import unquote_plus

from tests.conformance.recordings import TRIMMED, Exchange, Json, Recording

_LONGEST = 1000


class Pages:
    """One recording's lists."""

    def __init__(self, recording: Recording) -> None:
        self._by_url = {_key(each.url): each for each in recording.exchanges}

    def from_here(self, exchange: Exchange) -> Iterator[Exchange]:
        """Yield an exchange, and those that bring the further pages of its list."""
        seen: set[str] = set()
        page: Exchange | None = exchange
        while page is not None and page.url not in seen:
            yield page
            seen.add(page.url)
            page = self._by_url.get(_key(_link(page)))


def switches(exchange: Exchange) -> Json:
    """Return the switches by which a list has pages as long as this one."""
    rows = len(exchange.body["value"]) if _link(exchange) else _LONGEST
    # The page may be one of several that are empty.
    return {"page_size": max(rows, 1), "empty_pages": 0 if rows else 100}


def _link(exchange: Exchange) -> str:
    """Return the link of a page that is shown whole."""
    body = exchange.body
    whole = isinstance(body, dict) and isinstance(body.get("value"), list) and TRIMMED not in body
    return str(body.get("nextLink") or "") if whole else ""


def _key(url: str) -> str:
    return unquote_plus(url).lower()
