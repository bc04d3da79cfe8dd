"""The daemons' log: every line counts for the digest of a life, and some must never appear."""

from __future__ import annotations

from collections import deque
from hashlib import sha256

BUGS = ("control_request_failed", "control_connection_failed", "control_reply_not_json")
KEPT = 200


class Log:
    """The stream that structlog's lines end up in."""

    def __init__(self) -> None:
        self.last: deque[str] = deque(maxlen=KEPT)
        self.bugs: list[str] = []
        self.lines = 0
        self._digest = sha256()

    def write(self, line: str) -> int:
        """Take a line."""
        self.lines += 1
        self._digest.update(line.encode())
        self.last.append(line)
        if any(word in line for word in BUGS):
            self.bugs.append(line)
        return len(line)

    def flush(self) -> None:
        """Nothing waits here."""

    def isatty(self) -> bool:
        """Return that nobody looks."""
        return False

    def fileno(self) -> int:
        """Raise OSError: there is no descriptor."""
        raise OSError("a stream in memory")

    @property
    def digest(self) -> str:
        """The digest of all lines so far."""
        return self._digest.hexdigest()
