"""A client that asks the address every few milliseconds and writes down who answered.

Run inside the client's namespace: `python -m tests.lab.prober ADDRESS[,ADDRESS]... PORT INTERVAL_MS MAX_S`. It
probes until its standard input ends (or MAX_S have passed), waits for late answers, and writes one JSON object to
standard output. Of several addresses each probe asks all, and is answered once all of them have answered.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.lab.realtime import run_at_once

if TYPE_CHECKING:
    from collections.abc import Sequence

END_PROBES = 50
_STAMP = struct.Struct("=ii")  # the number of the probe and the place of the address: 8 bytes, as `service` returns
_DRAIN_S = 0.3  # how long an answer to the last probe is waited for


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a client saw. Times are CLOCK_MONOTONIC in nanoseconds, one clock for all processes of a machine.

    `gap_ms` is the longest time between two answered probes (by their sending) with a lost one between them;
    without a lost probe it is the interval. `switches` are the probes at which another host began to answer.
    `answered_at_end`: one of the last END_PROBES was. `late_ms` is by how much the prober itself was ever late: a
    measure of the instrument, not of the pair.
    """

    sent: int
    lost: int
    gap_ms: float
    gap_start_ns: int
    gap_end_ns: int
    late_ms: float
    answered_at_end: bool
    answers: dict[str, int] = field(default_factory=dict)
    switches: list[tuple[int, str]] = field(default_factory=list)


def summarise(sent_ns: list[int], answered_by: list[str], interval_ms: float, late_ns: int) -> ProbeReport:
    """Turn raw probes into a report. `answered_by` is the empty string where no answer came."""
    answers: dict[str, int] = {}
    switches: list[tuple[int, str]] = []
    gap = (int(interval_ms * 1e6), 0, 0)
    last = -1
    for index, who in enumerate(answered_by):
        if not who:
            continue
        answers[who] = answers.get(who, 0) + 1
        if not switches or switches[-1][1] != who:
            switches.append((sent_ns[index], who))
        if last < index - 1:
            start = sent_ns[max(last, 0)]
            gap = max(gap, (sent_ns[index] - start, start, sent_ns[index]))
        last = index
    if sent_ns and last < len(sent_ns) - 1:  # it never came back
        start = sent_ns[max(last, 0)]
        gap = max(gap, (sent_ns[-1] - start, start, sent_ns[-1]))
    lost = sum(1 for who in answered_by if not who)
    at_end = any(answered_by[-END_PROBES:])
    return ProbeReport(len(sent_ns), lost, gap[0] / 1e6, gap[1], gap[2], late_ns / 1e6, at_end, answers, switches)


class _Prober:
    def __init__(self, addresses: list[str], port: int, interval_ns: int) -> None:
        self.targets = [(socket.AF_INET6 if ":" in each else socket.AF_INET, (each, port)) for each in addresses]
        self.interval_ns = interval_ns
        self.sent_ns: list[int] = []
        self.answers: list[dict[int, str]] = []  # of each probe: by the place of the address, who has answered
        self.late_ns = 0
        self.socks = {family: socket.socket(family, socket.SOCK_DGRAM) for family, _ in self.targets}
        for sock in self.socks.values():
            sock.setblocking(False)

    @property
    def answered_by(self) -> list[str]:
        """Of each probe: who has answered, "" where not all addresses have; several hosts with a "+" between."""
        most = len(self.targets)
        return ["+".join(sorted(set(each.values()))) if len(each) == most else "" for each in self.answers]

    def send(self, due_ns: int) -> None:
        now = time.monotonic_ns()
        self.late_ns = max(self.late_ns, now - due_ns)
        for place, (family, target) in enumerate(self.targets):
            try:
                self.socks[family].sendto(_STAMP.pack(len(self.sent_ns), place), target)
            except OSError as error:  # an ICMP error that came for an earlier one; this probe counts as lost
                sys.stderr.write(f"{error}\n")
        self.sent_ns.append(now)
        self.answers.append({})

    def receive(self, sock: socket.socket) -> None:
        for _ in range(64):
            try:
                data, _source = sock.recvfrom(64)
            except BlockingIOError:
                return
            except OSError:
                continue
            index, place = _STAMP.unpack_from(data)
            if 0 <= index < len(self.answers):
                self.answers[index][place] = data[_STAMP.size :].decode()

    def receive_from(self, ready: Sequence[object]) -> None:
        for sock in self.socks.values():
            if sock in ready:
                self.receive(sock)

    def listen_until(self, deadline_ns: int) -> bool:
        """Take answers until then. Returns False once the standard input has ended."""
        while (left := deadline_ns - time.monotonic_ns()) > 0:
            ready, _, _ = select.select([*self.socks.values(), sys.stdin], [], [], left / 1e9)
            self.receive_from(ready)
            if sys.stdin in ready:
                return False
        return True

    def run(self, max_s: float) -> None:
        due = time.monotonic_ns()
        for _ in range(int(max_s * 1e9 / self.interval_ns)):
            self.send(due)
            due += self.interval_ns
            if not self.listen_until(due):
                break
        end = time.monotonic_ns() + int(_DRAIN_S * 1e9)
        while (left := end - time.monotonic_ns()) > 0:
            self.receive_from(select.select([*self.socks.values()], [], [], left / 1e9)[0])


def main(addresses: list[str], port: int, interval_ms: float, max_s: float) -> None:
    """Probe and report."""
    prober = _Prober(addresses, port, int(interval_ms * 1e6))
    run_at_once()
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    prober.run(max_s)
    report = summarise(prober.sent_ns, prober.answered_by, interval_ms, prober.late_ns)
    json.dump({name: getattr(report, name) for name in ProbeReport.__slots__}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1].split(","), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
