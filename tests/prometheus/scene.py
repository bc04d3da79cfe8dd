"""A failover before Prometheus' eyes: what the test of the dashboard looks at, and what its picture shows."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.fabric import HEARTBEAT_PORT
from tests.lab.lab import pause
from tests.lab.pair import PairSettings
from tests.lab.processes import inside, wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair
    from tests.prometheus.server import Prometheus

SETTINGS = PairSettings(hooks={"master": 0.2, "backup": 0.1}, metrics_host="0.0.0.0", audit_interval="5s")


@dataclass(frozen=True, slots=True)
class Scene:
    """The stage of a pair and its Prometheus."""

    lab: Lab
    pair: Pair
    prometheus: Prometheus

    def begin(self, seconds: float) -> None:
        """Wait until both daemons are scraped, and let some scrapes pass."""
        wait_for("both are scraped", lambda: self._scraped() == 2, timeout_s=20, pause_s=0.5)
        pause(seconds)

    def _scraped(self) -> int:
        return sum(int(series.value) for series in self.prometheus.ask(['up{job="hafailover"}'])[0])

    def disturb(self, standby: str) -> None:
        """Send nonsense to web-a's port, and keep the two from hearing each other: the standby's guard objects."""
        address = self.lab.hosts["web-a"].port.address
        command = ["bash", "-c", f"echo nonsense > /dev/udp/{address}/{HEARTBEAT_PORT}"]
        subprocess.run(inside(self.lab.fabric.namespace("client"), command), check=True, timeout=10)
        self.lab.part("web-a", "web-b")
        self.pair.wait_said(standby, "no_claim", reason="guard_denied")
        self.lab.join("web-a", "web-b")
        self.pair.wait_peers_alive()

    def lose(self, name: str, other: str, seconds: float) -> None:
        """Lose the master's host, whose successor is throttled once; the host comes back after so many seconds."""
        self.lab.cloud.throttle(1)
        self.lab.fabric.lose(name)
        self.pair.wait_state(other, "MASTER", timeout_s=20)
        pause(seconds)
        self.lab.fabric.regain(name)
        self.pair.wait_state(name, "BACKUP", timeout_s=20)
        self.pair.wait_peers_alive()

    def hand_over(self, target: str, seconds: float) -> None:
        """Ask for a hand-over."""
        self.pair.ask(target, "failover", group="vip", to=target)
        self.pair.wait_state(target, "MASTER", timeout_s=20)
        pause(seconds)

    def fail_service(self, name: str, seconds: float) -> None:
        """Let the service of a host be gone for so many seconds."""
        host = self.lab.hosts[name]
        host.stop_service()
        pause(seconds)
        host.start_service()
        self.pair.wait_state(name, "BACKUP", timeout_s=20)
