"""`status --watch`: on a terminal the table is drawn anew in its place, elsewhere printed when it has changed.

What only ages (uptime, how long ago a peer was heard, counters) is no change.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from hafailover.words import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Reply = Mapping[str, Any]

_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_AGES = {
    *("uptime_s", "read_age_s", "log_lines_lost", "last_seen_s", "rtt_s", "loss", "sent", "received", "refused"),
    *("send_errors", "hold_down_s", "pause_left_s", "detail", "rejected", "age_s"),
}


class Screen:
    """What is watched, and what of it was shown last; `show` gives the text of a status."""

    def __init__(self, *, as_json: bool, show: Callable[[Reply], str]) -> None:
        self._as_json = as_json
        self._show = show
        self._shown: object = None

    def draw(self, reply: Reply, *, reachable: bool) -> str:
        """Return what to write now; nothing where nothing has changed."""
        if sys.stdout.isatty() and not self._as_json:
            return _in_place(self._text(reply, reachable=reachable))
        lasting = _without_ages(reply)
        if lasting == self._shown:
            return ""
        first, self._shown = self._shown is None, lasting
        if self._as_json:
            return json.dumps(reply) + "\n"
        return ("" if first else "\n") + self._text(reply, reachable=reachable)

    def _text(self, reply: Reply, *, reachable: bool) -> str:
        return self._show(reply) if reachable and reply["ok"] else f"hafailover: {clean(reply.get('error'))}\n"


def _in_place(text: str) -> str:
    """Return what draws the text from the top of the screen, cut to its height."""
    height = shutil.get_terminal_size().lines
    lines = text.splitlines()
    if len(lines) >= height:
        hidden = len(lines) - height + 2
        lines = [*lines[: height - 2], f"... {hidden} more lines"]
    return _HOME + "".join(f"{line}{_REST_OF_LINE}\n" for line in lines) + _REST_OF_SCREEN


def _without_ages(value: Any) -> Any:  # noqa: ANN401 - any part of a reply
    if isinstance(value, dict):
        return {key: _without_ages(each) for key, each in value.items() if key not in _AGES}
    return [_without_ages(each) for each in value] if isinstance(value, list) else value
