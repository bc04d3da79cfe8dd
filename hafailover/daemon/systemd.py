"""What passes between the daemon and systemd: sd_notify(3), the watchdog, and whether a stop is half a restart.

Without systemd, in the foreground or in a container, all of it is silent and every stop is a stop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog
from jeepney import DBusAddress, Properties, new_method_call
from jeepney.io.asyncio import open_dbus_router
from jeepney.wrappers import unwrap_msg

from hafailover.daemon import clock
from hafailover.daemon.runner import QUIET_TURNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jeepney.io.asyncio import DBusRouter

    from hafailover.election.node import Node
    from hafailover.election.values import State

ASK_S = 0.3  # a stop does not wait longer than this to learn that it is a restart
FEEDS_PER_LIMIT = 3  # so often within its limit the watchdog is fed, while the loop turns
STATUS_EVERY_MS = 1_000  # how often, besides changes of this node's own roles, the status line is made anew
MOST_NAMED = 4  # with more groups than these the status line counts them
_ITSELF = 0  # Manager.GetUnitByPID: the caller
_NO_JOB = 0
_RESTARTS = ("restart", "try-restart")

log = structlog.get_logger()


class Notifier:
    """Tells systemd how the service does; `address` is $NOTIFY_SOCKET, empty where nobody is to be told.

    `watchdog_us` is $WATCHDOG_USEC, 0 where there is no watchdog; `interval_ms` how often a quiet loop turns.
    """

    def __init__(self, address: str, watchdog_us: int, interval_ms: int) -> None:
        self._address = address
        self._asked_us = watchdog_us
        self._told_us = watchdog_us  # the limit that systemd has
        self._limit_us = 0
        self._feed_at_ms = 0
        self._ready = False
        self._states: tuple[State, ...] = ()
        self._status = ""
        self._status_at_ms = 0
        self.configure(interval_ms)

    def configure(self, interval_ms: int) -> None:
        """Take another interval; where it needs another limit, systemd is told of that at the next turn."""
        self._limit_us = self._asked_us and max(self._asked_us, QUIET_TURNS * interval_ms * 1000)
        self._feed_at_ms = 0

    def turned(self, node: Node) -> None:
        """Take in that the core's loop has turned once in full: the only food of the watchdog.

        The first turn makes the service ready: the doors are open by then, and whoever knocks is answered.
        """
        if not self._address:
            return
        now = clock.now_ms()
        if not self._ready:
            self._ready = True
            self._send("READY=1")
        if self._limit_us != self._told_us:
            self._told_us = self._limit_us
            self._send(f"WATCHDOG_USEC={self._limit_us}")
        self._tell_status(node, now)
        if self._limit_us and now >= self._feed_at_ms:
            self._feed_at_ms = now + self._limit_us // (1000 * FEEDS_PER_LIMIT)
            self._send("WATCHDOG=1")

    def _tell_status(self, node: Node, now: int) -> None:
        states = tuple([group.state for group in node.groups.values()])
        if states == self._states and now < self._status_at_ms:
            return
        self._states, self._status_at_ms = states, now + STATUS_EVERY_MS
        status = status_line(node, now)
        if status != self._status:
            self._status = status
            self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """Say that the configuration is being read again; `reloaded` must follow, whatever came of it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Say that reading it again has ended."""
        self._send("READY=1")

    def stopping(self, patience_s: float) -> None:
        """Say that the end has begun, and after how many seconds at most it is reached."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(patience_s * 1e6)}")

    def _send(self, *lines: str) -> None:
        """Send one datagram; never waits. systemd not taking it must not hold up a failover."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("systemd_not_told", said=lines[0], error=error.strerror or str(error))


def notifier(environment: Mapping[str, str], interval_ms: int) -> Notifier:
    """Make the notifier that the environment asks for; a watchdog that is meant for another process is not fed."""
    limit, meant = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    own = meant in ("", str(os.getpid())) and limit.isascii() and limit.isdigit()
    return Notifier(environment.get("NOTIFY_SOCKET", ""), int(limit) if own else 0, interval_ms)


def status_line(node: Node, now: int) -> str:
    """Return who is what, for `systemctl status`: "vip MASTER, db BACKUP (web-b is master)"."""
    groups = tuple(node.groups.values())
    if len(groups) > MOST_NAMED:
        counts = Counter(group.state.value for group in groups)
        said = [f"{number} {state}" for state, number in sorted(counts.items())]
        return f"{len(groups)} groups: {', '.join(said)}"
    said = []
    for group in groups:
        heard = None if group.state.serves else group.heard_master(now)
        said.append(f"{group.name} {group.state.value}" + (f" ({heard.peer.name} is master)" if heard else ""))
    return ", ".join(said)


async def is_restart(environment: Mapping[str, str]) -> bool:
    """Return whether systemd stops this service in order to start it again; False wherever that is not certain.

    A shutdown replaces a restart that is under way by a stop, so nothing else need be asked about it.
    """
    if "INVOCATION_ID" not in environment:
        return False
    try:
        async with asyncio.timeout(ASK_S), open_dbus_router(bus="SYSTEM") as router:
            job = await _job_type(router)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in asking, the answer is the same
        log.warning("job_unknown", error=str(error) or f"no answer within {ASK_S:g} s", taken_for="stop")
        return False
    return job in _RESTARTS


async def _job_type(router: DBusRouter) -> str:
    """Return the type of the job that this service's unit has (org.freedesktop.systemd1(5)), empty for none."""
    manager = _systemd("/org/freedesktop/systemd1", "Manager")
    call = new_method_call(manager, "GetUnitByPID", "u", (_ITSELF,))
    (unit,) = unwrap_msg(await router.send_and_get_reply(call))
    number, path = await _property(router, _systemd(unit, "Unit"), "Job")
    return "" if number == _NO_JOB else str(await _property(router, _systemd(path, "Job"), "JobType"))


async def _property(router: DBusRouter, of: DBusAddress, name: str) -> Any:  # noqa: ANN401 - D-Bus says of what type
    ((_signature, value),) = unwrap_msg(await router.send_and_get_reply(Properties(of).get(name)))
    return value


def _systemd(path: str, interface: str) -> DBusAddress:
    return DBusAddress(path, "org.freedesktop.systemd1", f"org.freedesktop.systemd1.{interface}")
