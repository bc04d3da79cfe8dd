"""The failovers that this node has brought about, failed at, or given: the last hundred.

A record's `result` is one of

    done    this node became master by a move
    lost    its claim ended because another node was faster
    void    its claim ended because this node was no longer entitled to it
    gave    it handed over, and the successor is master
    kept    it wanted to hand over, and the successor did not take over
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hafailover.election.effects import ClaimFailed, FailoverFinished, HandoverEnded
from hafailover.election.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hafailover.election.effects import Evidence

    Ended = ClaimFailed | FailoverFinished | HandoverEnded

MAX_RECORDS = 100
OPERATOR = "operator"  # who decided, where it was no node
_BY_OPERATOR = (Reason.OPERATOR, Reason.DRAINED)


class History:
    """A ring of failover records, each in the shape of `last_failover` in `status --json`.

    `drain_reason` says why this node has drained itself, "" where an operator has drained it.
    """

    def __init__(self, max_records: int = MAX_RECORDS) -> None:
        self._records: deque[dict[str, Any]] = deque(maxlen=max_records)
        self._last: dict[str, dict[str, Any]] = {}
        self.drain_reason: Callable[[], str] = lambda: ""

    def restore(self, records: Iterable[dict[str, Any]]) -> None:
        """Take over what an earlier run of the daemon has kept, the oldest first."""
        for record in records:
            self._keep(record)

    def record(self, ended: Ended, at_ms: int) -> dict[str, Any]:
        """Keep what has just ended, at `at_ms` of the wall clock (since the epoch); return its record."""
        record = to_json(ended, at_ms)
        if ended.reason is Reason.DRAINED and (reason := self.drain_reason()):
            record |= {"why": f"{ended.reason.value}: {reason}", "decided_by": ended.source}
        self._keep(record)
        return record

    def _keep(self, record: dict[str, Any]) -> None:
        self._records.append(record)
        if record["result"] == "done":
            self._last[record["group"]] = record

    def last(self, group: str) -> dict[str, Any] | None:
        """Return the group's last failover that succeeded; it is kept however many others have had since."""
        return self._last.get(group)

    def records(self, group: str | None = None, limit: int = MAX_RECORDS) -> Sequence[dict[str, Any]]:
        """Return at most `limit` records, the newest first, of one group or of all."""
        chosen = [record for record in reversed(self._records) if group in (None, record["group"])]
        return chosen[:limit]


def to_json(ended: Ended, at_ms: int) -> dict[str, Any]:
    """Return the record: `reason` is the label, `why` the sentence, phases are in seconds."""
    result, decided_by = _judge(ended)
    record: dict[str, Any] = {
        "at": timestamp(at_ms),
        "group": ended.group,
        "result": result,
        "reason": ended.reason.label,
        "why": ended.reason.value,
        "decided_by": decided_by,
        "from": ended.source,
        "to": ended.target,
        "term": ended.term,
        "phases_s": _phases(ended),
    }
    if not isinstance(ended, FailoverFinished):
        record |= {"ended": ended.ended.label, "ended_why": ended.ended.value}
    if not isinstance(ended, HandoverEnded):
        record |= {"moves": ended.moves, "evidence": _evidence(ended.evidence)}
    return record


def _judge(ended: Ended) -> tuple[str, str | None]:
    """Return how it ended, and who decided: a node, the operator, or the giver where it was handed over."""
    if isinstance(ended, HandoverEnded):
        result = "gave" if ended.ended is Reason.HANDOVER_DONE else "kept"
        return result, OPERATOR if ended.reason in _BY_OPERATOR else ended.source
    decided_by = ended.source if ended.reason is Reason.HANDED_OVER else ended.target
    if isinstance(ended, FailoverFinished):
        return "done", decided_by
    return "lost" if ended.ended is Reason.CLAIM_LOST else "void", decided_by


def _phases(ended: Ended) -> dict[str, float]:
    match ended:
        case FailoverFinished():
            names = ("detect", "guard", "fence", "cloud", "verify", "guest")
            return {name: getattr(ended, f"{name}_ms") / 1000 for name in names}
        case ClaimFailed():
            return {"claim": ended.spent_ms / 1000}
        case HandoverEnded():
            return {"handover": ended.spent_ms / 1000}


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "silence_s": None if evidence.silence_ms is None else evidence.silence_ms / 1000,
        "said": None if evidence.said is None else evidence.said.value,
        "guards": {name: None if verdict is None else verdict.value for name, verdict in evidence.guards},
        "checks": {name: state.value for name, state in evidence.checks},
    }


def timestamp(at_ms: int) -> str:
    """Return milliseconds since the epoch as ISO 8601 in UTC, such as 2026-01-01T00:00:00.000Z."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
