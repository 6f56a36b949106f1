"""Read the clocks of this host; no other module does."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Read wall time for the record, monotonic time for every bound."""

    def utc(self) -> str:
        """Return the time in RFC 3339, UTC, with milliseconds."""
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic(self) -> float:
        """Return seconds; only differences mean anything."""
        return time.monotonic()
