"""What a system costs while nothing happens: memory, CPU and API calls of the pair at rest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.systems import FIRST, Hafailover, Keepalived
from tests.lab.lab import Lab, pause

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CHILD_TIMES = slice(13, 15)  # cutime, cstime: after the command's name in /proc/PID/stat, proc(5)


@dataclass(frozen=True, slots=True)
class Footprint:
    """The master's processes and what they have started, over `seconds`.

    Resident memory is in MiB at the end, CPU in per cent of one core. In a lab the sender of a packet also pays for
    the router and for the receiver's network stack.
    """

    system: str
    seconds: float
    rss_mib: float
    cpu_percent: float
    api_calls: int

    def __str__(self) -> str:
        return (
            f"{self.system} at rest for {self.seconds:g} s: RSS {self.rss_mib:.1f} MiB, "
            f"CPU {self.cpu_percent:.2f} % of a core, {self.api_calls} API calls by the pair"
        )


def _cpu_s(pids: list[int]) -> float:
    """Return the seconds that these processes and their ended children have used.

    The own time of each thread is exact (schedstat, nanoseconds), that of children is in ticks.
    """
    total = 0.0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += sum(int(field) for field in fields[_CHILD_TIMES]) / _TICKS_PER_S
    return total


def rss_mib(pids: list[int]) -> float:
    """Return the resident memory of these processes together, in MiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024


def measure_footprint(name: str, seconds: float) -> Footprint:
    """Let a pair rest for so long and say what its master used."""
    with Lab() as lab:
        system = Keepalived(lab) if name == Keepalived.name else Hafailover(lab)
        system.start()
        pids = system.processes(FIRST)
        calls, cpu_s = len(lab.cloud.arrivals()), _cpu_s(pids)
        pause(seconds)
        used_s = _cpu_s(pids) - cpu_s
        calls = len(lab.cloud.arrivals()) - calls
        return Footprint(name, seconds, rss_mib(pids), 100 * used_s / seconds, calls)
