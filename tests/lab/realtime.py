"""The measuring instruments run before everything else, so that a busy machine does not look like an outage."""

from __future__ import annotations

import contextlib
import os


def run_at_once() -> None:
    """Ask for the lowest real-time priority; go on without it where that is not allowed."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
