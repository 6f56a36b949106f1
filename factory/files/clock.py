"""The one door to time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Implements `files.ports.Clock`."""

    def utc(self) -> str:
        """RFC 3339 in UTC with milliseconds."""
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic(self) -> float:
        """Seconds; only differences mean anything."""
        return time.monotonic()
