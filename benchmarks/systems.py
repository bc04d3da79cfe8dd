"""The two systems that are compared, behind the same verbs, each on the two hosts of a lab of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmarks.reference import keepalived
from hafailover.emulator.world import REGION
from tests.lab.cloud import API_PORT
from tests.lab.fabric import API, LabError, sweep, why_not
from tests.lab.lab import ADDRESS, ENI, SERVICE_PORT, pause
from tests.lab.pair import GROUP, Pair, PairSettings
from tests.lab.processes import Process
from tests.lab.service import process_name

if TYPE_CHECKING:
    from tests.lab.lab import Lab

FIRST, SECOND = "web-a", "web-b"
SETTLE_S = 2.5  # the recipe's own script takes about a second and a half after a start


def ready() -> bool:
    """Return whether both can be put into a lab here, with what an earlier run left swept away; say why not."""
    reason = why_not() or ("" if keepalived.version() else "keepalived is not installed")
    if reason:
        print(f"the benchmark cannot run: {reason}", file=sys.stderr)
        return False
    sweep()
    return True


class System(Protocol):
    """What an event does to a system. `web-a` is master once `start` has returned."""

    name: str

    def start(self) -> None:
        """Start both sides and wait until they are at rest."""

    def stop(self, host: str) -> None:
        """End one side as `systemctl stop` does; does not wait."""

    def kill(self, host: str) -> None:
        """End one side as a crash does."""

    def restart(self, host: str) -> None:
        """Start a side that has ended."""

    def freeze(self, host: str) -> None:
        """Stop the processes of one side, not its service."""

    def thaw(self, host: str) -> None:
        """Let them go on."""

    def hand_over(self) -> None:
        """Give the address to web-b on purpose, in the way that the system has for that."""

    def processes(self, host: str) -> list[int]:
        """Return the ids of the processes that make up one side."""

    def call_ms(self) -> float | None:
        """Return the milliseconds from web-b's decision to its first move's arrival at the API, or None."""


class Keepalived:
    """keepalived 2.2 in unicast mode with the vendor's recipe as its notify script."""

    name = "keepalived"

    def __init__(self, lab: Lab, *, tracks_process: bool = False) -> None:
        self.lab = lab
        self._tracks_process = tracks_process

    def start(self) -> None:
        """Start web-a, then web-b: neither preempts, so the first is master."""
        self.restart(FIRST)
        self.lab.wait_carries(FIRST)
        self.restart(SECOND)
        pause(SETTLE_S)

    def restart(self, host: str) -> None:
        """Start one side."""
        peer = SECOND if host == FIRST else FIRST
        hosts = self.lab.hosts
        side = keepalived.Side(
            name=host,
            own=hosts[host].port.address,
            peer=hosts[peer].port.address,
            own_eni=ENI[host],
            peer_eni=ENI[peer],
            priority=100 if host == FIRST else 90,
        )
        secret_id, secret_key = self.lab.cloud.keys_of(host)
        cloud = keepalived.Cloud(f"{API}:{API_PORT}", REGION, secret_id, secret_key)
        directory = hosts[host].directory
        if not self._tracks_process:
            hosts[host].start("keepalived", keepalived.prepare(side, cloud, ADDRESS, SERVICE_PORT, directory))
            return
        tracked = keepalived.Tracked(process_name(host), hosts[host].namespace)
        argv = keepalived.prepare(side, cloud, ADDRESS, SERVICE_PORT, directory, tracked)
        hosts[host].processes["keepalived"] = Process(argv, directory / "keepalived.log")

    def stop(self, host: str) -> None:
        """Send SIGTERM: keepalived says goodbye to its peer with priority 0."""
        self.lab.hosts[host].processes["keepalived"].signal(signal.SIGTERM)

    def kill(self, host: str) -> None:
        """Kill both of its processes."""
        self.lab.hosts[host].kill("keepalived")

    def freeze(self, host: str) -> None:
        """Stop the parent, the VRRP child and the scripts."""
        send(self.lab.hosts[host].processes["keepalived"].pid, signal.SIGSTOP)

    def thaw(self, host: str) -> None:
        """Let them go on."""
        send(self.lab.hosts[host].processes["keepalived"].pid, signal.SIGCONT)

    def hand_over(self) -> None:
        """Stop the master: keepalived has no other planned hand-over that needs no second file."""
        self.stop(FIRST)

    def processes(self, host: str) -> list[int]:
        """Return the parent's and the VRRP child's ids, without the scripts that come and go."""
        return family(self.lab.hosts[host].processes["keepalived"].pid)[:2]

    def call_ms(self) -> None:
        """Nothing in keepalived says when it decided."""


class Hafailover:
    """This program."""

    name = "hafailover"

    def __init__(self, lab: Lab, settings: PairSettings | None = None) -> None:
        self.lab = lab
        self.pair = Pair(lab, settings)

    def start(self) -> None:
        """Start both daemons."""
        self.pair.start()
        pause(0.5)

    def restart(self, host: str) -> None:
        """Start one daemon."""
        self.pair.start_daemon(host)

    def stop(self, host: str) -> None:
        """Send SIGTERM."""
        self.pair.daemon(host).signal(signal.SIGTERM)

    def kill(self, host: str) -> None:
        """Send SIGKILL."""
        self.pair.kill_daemon(host)

    def freeze(self, host: str) -> None:
        """Send SIGSTOP."""
        send(self.pair.daemon(host).pid, signal.SIGSTOP)

    def thaw(self, host: str) -> None:
        """Send SIGCONT."""
        send(self.pair.daemon(host).pid, signal.SIGCONT)

    def hand_over(self) -> None:
        """Ask for it on the command line, and wait."""
        done = self.pair.run(FIRST, "failover", GROUP, "--wait")
        if done.returncode != 0:
            raise LabError(f"hafailover failover: {done.stderr.strip()}")

    def processes(self, host: str) -> list[int]:
        """Return the daemon's id, and those of what it has started."""
        return family(self.pair.daemon(host).pid)

    def call_ms(self) -> float | None:
        """See `System`. The daemon's log has whole milliseconds, so up to one too many is counted."""
        decided = next((entry for entry in self.pair.log(SECOND) if entry.get("new") == "CLAIMING"), None)
        if decided is None:
            return None
        decided_ns = _monotonic_ns(decided["time"])
        own = self.lab.hosts[SECOND].port.address
        calls = [call.at_ns for call in self.lab.cloud.arrivals() if call.peer == own and call.writes]
        return next(((at_ns - decided_ns) / 1e6 for at_ns in calls if at_ns >= decided_ns), None)


def _monotonic_ns(wall: str) -> int:
    """Return the instant of an ISO 8601 time on this machine's monotonic clock."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    return int(datetime.fromisoformat(wall).timestamp() * 1e9) - offset_ns


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, its children and their children."""
    for member in family(pid):
        with contextlib.suppress(ProcessLookupError):  # a script that has ended meanwhile
            os.kill(member, number)


def family(pid: int) -> list[int]:
    """Return a process's id and those of its children and their children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]
