"""What the demo prints: a line for everything that happens, with the time since the act began."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Line = dict[str, Any]

BAR_CHARS = 64

# Events of the log that tell the story, and how each is told; everything else stays in the log.
TELL: Mapping[str, Callable[[Line], str]] = {
    "role": lambda line: f"{line['old']} -> {line['new']}: {line['why']}",
    "no_claim": lambda line: f"does not claim: {line['why']}",
    "guard": lambda line: f"guard {line['guard']} says {line['verdict']}",
    "move": lambda line: f"asks the cloud: {line['resource']} from {line['expected']} to {line['target']}",
    "move_ended": lambda line: f"the cloud says {line['outcome']} {line['code']}".rstrip(),
    "cannot_go_on": lambda line: str(line["error"]),
    "output": lambda line: str(line["text"]),
}


class Timeline:
    """Prints; times are relative to `begin`."""

    def __init__(self) -> None:
        self._began_s = time.time()
        self._first_s: dict[str, float] = {}

    def title(self, text: str) -> None:
        """Begin an act."""
        self.say(f"\n{text}")

    def begin(self) -> None:
        """Set the clock to 0."""
        self._began_s = time.time()
        self._first_s = {}

    def say(self, text: str) -> None:
        """Print a line."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def note(self, who: str, text: str, at_s: float | None = None) -> None:
        """Print what somebody does; `at_s` is a time of day, now where it is not given."""
        since_s = (time.time() if at_s is None else at_s) - self._began_s
        self.say(f"  {since_s:7.3f} s  {who:<7}{text}")

    def hear(self, who: str, line: Line) -> None:
        """Print a line of a daemon's log if it belongs to the story."""
        tell = TELL.get(str(line.get("event")))
        if tell is None:
            return
        at = line.get("time")
        at_s = datetime.fromisoformat(at).timestamp() if at else time.time()
        self._first_s.setdefault(str(line.get("new", line["event"])), at_s - self._began_s)
        self.note(who, tell(line), at_s)

    def split(self, outage_s: float, guard_s: float) -> None:
        """Print how the outage of this act, which began with it, divides into its phases; as a bar and in figures.

        The daemon's own record counts the cloud's part until the daemon knows; the client's ends with the effect.
        """
        if outage_s <= 0:
            return
        decided_s = self._first_s.get("CLAIMING", 0.0)
        asked_s = self._first_s.get("move", decided_s)
        parts = (
            ("detection", "#", decided_s - guard_s),
            ("guard", "?", guard_s),
            ("guest", "+", asked_s - decided_s),
            ("cloud", "=", outage_s - asked_s),
        )
        bar = "".join(mark * round(BAR_CHARS * seconds / outage_s) for _, mark, seconds in parts)
        words = ", ".join(f"{name} {mark} {seconds * 1000:.0f} ms" for name, mark, seconds in parts)
        self.say(f"  {bar}\n  {words}")
