"""The failovers that this node has carried out: the last hundred, in memory."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.election.effects import FailoverFinished

MAX_RECORDS = 100


class History:
    """A ring of failover records, each in the shape of `last_failover` in `status --json`."""

    def __init__(self, max_records: int = MAX_RECORDS) -> None:
        self._records: deque[dict[str, Any]] = deque(maxlen=max_records)
        self._last: dict[str, dict[str, Any]] = {}

    def record(self, finished: FailoverFinished, at_ms: int) -> dict[str, Any]:
        """Keep what has just finished, at `at_ms` of the wall clock (since the epoch); return its record."""
        record = to_json(finished, at_ms)
        self._records.append(record)
        self._last[finished.group] = record
        return record

    def last(self, group: str) -> dict[str, Any] | None:
        """Return the group's last failover; it is kept however many other groups have had since."""
        return self._last.get(group)

    def records(self, group: str | None = None, limit: int = MAX_RECORDS) -> Sequence[dict[str, Any]]:
        """Return at most `limit` records, the newest first, of one group or of all."""
        chosen = [record for record in reversed(self._records) if group in (None, record["group"])]
        return chosen[:limit]


def to_json(finished: FailoverFinished, at_ms: int) -> dict[str, Any]:
    """Return the record of a failover: `reason` is the label, `why` the sentence, phases are in seconds."""
    return {
        "at": timestamp(at_ms),
        "group": finished.group,
        "reason": finished.reason.label,
        "why": finished.reason.value,
        "from": finished.source,
        "to": finished.target,
        "term": finished.term,
        "moves": finished.moves,
        "phases_s": {
            "detect": finished.detect_ms / 1000,
            "guard": finished.guard_ms / 1000,
            "fence": finished.fence_ms / 1000,
            "cloud": finished.cloud_ms / 1000,
            "verify": finished.verify_ms / 1000,
            "guest": finished.guest_ms / 1000,
        },
    }


def timestamp(at_ms: int) -> str:
    """Return milliseconds since the epoch as ISO 8601 in UTC, such as 2026-01-01T00:00:00.000Z."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
