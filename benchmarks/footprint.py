"""What a system costs while nothing happens: memory, CPU and API calls of the pair at rest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.systems import FIRST, Hafailover, Keepalived
from tests.lab.lab import Lab, pause

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_TIMES = slice(11, 15)  # utime, stime, cutime, cstime: after the command's name in /proc/PID/stat, proc(5)


@dataclass(frozen=True, slots=True)
class Footprint:
    """The master's processes and what they have started, over `seconds`.

    Resident memory is in MiB at the end, CPU in per cent of one core, with what the kernel took of it: in a lab the
    sender of a packet also pays for the router and for the receiver's network stack.
    """

    system: str
    seconds: float
    rss_mib: float
    cpu_percent: float
    kernel_percent: float
    api_calls: int

    def __str__(self) -> str:
        return (
            f"{self.system} at rest for {self.seconds:g} s: RSS {self.rss_mib:.1f} MiB, "
            f"CPU {self.cpu_percent:.2f} % of a core ({self.kernel_percent:.2f} % in the kernel), {self.api_calls} API calls by the pair"
        )


def _cpu_s(pids: list[int]) -> tuple[float, float]:
    """Return the seconds that these processes have used, in all and in the kernel."""
    user = kernel = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        own_user, own_kernel, child_user, child_kernel = (int(field) for field in fields[_TIMES])
        user += own_user + child_user
        kernel += own_kernel + child_kernel
    return (user + kernel) / _TICKS_PER_S, kernel / _TICKS_PER_S


def _rss_mib(pids: list[int]) -> float:
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
        calls, (all_s, kernel_s) = len(lab.cloud.arrivals()), _cpu_s(pids)
        pause(seconds)
        later_s, later_kernel_s = _cpu_s(pids)
        return Footprint(
            system=name,
            seconds=seconds,
            rss_mib=_rss_mib(pids),
            cpu_percent=100 * (later_s - all_s) / seconds,
            kernel_percent=100 * (later_kernel_s - kernel_s) / seconds,
            api_calls=len(lab.cloud.arrivals()) - calls,
        )
