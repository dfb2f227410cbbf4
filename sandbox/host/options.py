"""What `host.json` says about queues; `triggers` obeys it."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class QueueOptions:
    """The section `extensions.queues`, with the defaults of version 2 (documented: host.json)."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta()
    base64: bool = True

    @classmethod
    def read(cls, app_dir: Path) -> Self:
        """Read the app's `host.json`; the defaults hold where it or a key is missing.

        Raises:
            ValueError: the file is not JSON, or a value is of the wrong form.
        """
        file = app_dir / "host.json"
        whole = json.loads(file.read_text("utf-8")) if file.exists() else {}
        section = whole.get("extensions", {}).get("queues", {})
        batch_size = int(section.get("batchSize", cls.batch_size))
        return cls(
            batch_size=batch_size,
            new_batch_threshold=int(section.get("newBatchThreshold", batch_size // 2)),
            max_dequeue_count=int(section.get("maxDequeueCount", cls.max_dequeue_count)),
            visibility_timeout=_span(section.get("visibilityTimeout", "00:00:00")),
            base64=section.get("messageEncoding", "base64") == "base64",
        )


def _span(text: str) -> timedelta:
    hours, minutes, seconds = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
