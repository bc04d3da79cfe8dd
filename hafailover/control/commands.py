"""The commands that talk to the daemon. Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not reachable."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hafailover.config import duration
from hafailover.control import client, protocol, report, watch
from hafailover.errors import HafailoverError, UnreachableError
from hafailover.words import clean

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Mapping

    Reply = Mapping[str, Any]

DEFAULT_SOCKET = Path("/run/hafailover/control.sock")
STATUS_TIMEOUT_S = 5.0
CHANGE_TIMEOUT_S = 10.0
WATCH_INTERVAL_S = 1.0
ANSWER_MARGIN_S = 10.0
MIN_TIMEOUT_S = 0.1
MAX_TIMEOUT_S = 3600
MAX_LIMIT = 1000
MIN_PAUSE_MS = 1_000
MAX_PAUSE_MS = 30 * 24 * 3_600_000
UNREACHABLE = "unreachable"


def add_common_arguments(parser: ArgumentParser) -> None:
    """Add what every command that talks to the daemon takes."""
    parser.add_argument(
        "--socket", type=Path, default=DEFAULT_SOCKET, metavar="PATH", help="control socket (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")


def add_status_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `hafailover status`."""
    add_common_arguments(parser)
    parser.add_argument(
        "--watch",
        action="store_true",
        help="until Ctrl-C: on a terminal every second, elsewhere when something has changed",
    )


def run_status(args: Namespace) -> int:
    """Print who is master and why; return the exit code."""
    if not args.watch:
        return _run(args, {"command": "status"}, STATUS_TIMEOUT_S, _show_status)
    screen = watch.Screen(as_json=args.json, show=_show_status)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            code, reply = _ask(args, {"command": "status"}, STATUS_TIMEOUT_S)
            _emit(screen.draw(reply, reachable=code == 0))
            time.sleep(WATCH_INTERVAL_S)
    return 0


def add_failover_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `hafailover failover`."""
    parser.add_argument("group", metavar="GROUP", help="the group to hand over")
    parser.add_argument("--to", metavar="NODE", help="the new master (default: the best candidate)")
    parser.add_argument(
        "--wait", action="store_true", help="show each step; return when the new master is in place"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="longest wait (%(default)g)"
    )
    add_common_arguments(parser)


def run_failover(args: Namespace) -> int:
    """Ask for a planned hand-over; return the exit code."""
    message = {
        "command": "failover",
        "group": args.group,
        "to": args.to,
        "wait": args.wait,
        "progress": args.wait and not args.json,  # a script gets one object, as ever
        "timeout_s": args.timeout,
    }
    return _run(args, message, args.timeout + ANSWER_MARGIN_S, report.handed_over)


def add_drain_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `hafailover drain` and `hafailover undrain`."""
    add_common_arguments(parser)


def run_drain(args: Namespace) -> int:
    """Let this node give everything up and stay out; return the exit code."""
    return _run(args, {"command": "drain"}, CHANGE_TIMEOUT_S, report.drained)


def run_undrain(args: Namespace) -> int:
    """Let this node take part again; return the exit code."""
    return _run(args, {"command": "undrain"}, CHANGE_TIMEOUT_S, report.drained)


def add_pause_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `hafailover pause`."""
    add_resume_arguments(parser)
    parser.add_argument(
        "--for", dest="for_s", type=_pause_s, metavar="DURATION", help='such as "30m" (default: until `resume`)'
    )


def run_pause(args: Namespace) -> int:
    """Have nothing move by itself, on any node that hears of it; return the exit code."""
    message = {"command": "pause", "group": args.group, "for_s": args.for_s}
    return _run(args, message, CHANGE_TIMEOUT_S, report.paused)


def add_resume_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `hafailover resume`."""
    parser.add_argument("group", nargs="?", metavar="GROUP", help="only this group (default: all)")
    add_common_arguments(parser)


def run_resume(args: Namespace) -> int:
    """End this node's pause; return the exit code."""
    return _run(args, {"command": "resume", "group": args.group}, CHANGE_TIMEOUT_S, report.paused)


def add_reload_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `hafailover reload`."""
    add_common_arguments(parser)


def run_reload(args: Namespace) -> int:
    """Have the daemon read its file again; return the exit code."""
    return _run(args, {"command": "reload"}, CHANGE_TIMEOUT_S, report.reloaded)


def add_history_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `hafailover history`."""
    parser.add_argument("group", nargs="?", metavar="GROUP", help="only the failovers of this group")
    parser.add_argument(
        "--limit", type=_limit, default=20, metavar="COUNT", help="how many, the newest first (%(default)s)"
    )
    add_common_arguments(parser)


def run_history(args: Namespace) -> int:
    """Print the failovers in which this node took over; return the exit code."""
    message = {"command": "history", "group": args.group, "limit": args.limit}
    return _run(args, message, STATUS_TIMEOUT_S, report.history)


def _pause_s(text: str) -> float:
    try:
        value_ms = duration.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} {error}") from None
    if not MIN_PAUSE_MS <= value_ms <= MAX_PAUSE_MS:
        raise ArgumentTypeError(f'{text!r} is not a duration from 1s to 720h, such as "30m"')
    return value_ms / 1000


def _limit(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a whole number, 1 to {MAX_LIMIT}")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not MIN_TIMEOUT_S <= value <= MAX_TIMEOUT_S:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, {MIN_TIMEOUT_S} to {MAX_TIMEOUT_S}")
    return value


def _run(args: Namespace, message: Mapping[str, object], timeout_s: float, show: Callable[[Reply], str]) -> int:
    """Send one request, print what came of it and return the exit code; with --json always as one line."""
    code, reply = _ask(args, message, timeout_s)
    if args.json:
        _emit(json.dumps(reply) + "\n")
    elif reply["ok"]:
        _emit(show(reply))
    else:
        lines = str(reply.get("error") or "").split("\n")
        sys.stderr.write("".join(f"hafailover: {clean(line)}\n" for line in lines))
    return code or (0 if reply["ok"] else 1)


def _ask(args: Namespace, message: Mapping[str, object], timeout_s: float) -> tuple[int, Reply]:
    """Return the reply and 0, or the exit code of what kept it away with a refusal that says so."""
    try:
        reply = client.request(args.socket, message, timeout_s, _show_step)
    except HafailoverError as error:
        label = UNREACHABLE if isinstance(error, UnreachableError) else protocol.FAILED
        return error.exit_code, protocol.refusal(label, str(error))
    return 0, reply


def _show_step(step: Reply) -> None:
    _emit(report.step(step))


def _emit(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `hafailover status | head`: what is left to flush at exit must go nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _show_status(reply: Reply) -> str:
    on_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return report.render(reply, colored=on_terminal and not os.environ.get("NO_COLOR"))
