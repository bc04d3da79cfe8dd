"""A client that asks the address every few milliseconds and writes down who answered.

Run inside the client's namespace: `python -m tests.lab.prober ADDRESS PORT INTERVAL_MS MAX_S`. It probes
until its standard input ends (or MAX_S have passed), waits for late answers, and writes one JSON object to
standard output.
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

from tests.lab.realtime import run_at_once

END_PROBES = 50
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
    def __init__(self, target: tuple[str, int], interval_ns: int) -> None:
        self.target = target
        self.interval_ns = interval_ns
        self.sent_ns: list[int] = []
        self.answered_by: list[str] = []
        self.late_ns = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)

    def send(self, due_ns: int) -> None:
        now = time.monotonic_ns()
        self.late_ns = max(self.late_ns, now - due_ns)
        try:
            self.sock.sendto(struct.pack("=q", len(self.sent_ns)), self.target)
        except OSError as error:  # an ICMP error that came for an earlier one; this probe counts as lost
            sys.stderr.write(f"{error}\n")
        self.sent_ns.append(now)
        self.answered_by.append("")

    def receive(self) -> None:
        for _ in range(64):
            try:
                data, _source = self.sock.recvfrom(64)
            except BlockingIOError:
                return
            except OSError:
                continue
            index = struct.unpack("=q", data[:8])[0]
            if 0 <= index < len(self.answered_by):
                self.answered_by[index] = data[8:].decode()

    def listen_until(self, deadline_ns: int) -> bool:
        """Take answers until then. Returns False once the standard input has ended."""
        while (left := deadline_ns - time.monotonic_ns()) > 0:
            ready, _, _ = select.select([self.sock, sys.stdin], [], [], left / 1e9)
            if self.sock in ready:
                self.receive()
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
            select.select([self.sock], [], [], left / 1e9)
            self.receive()


def main(address: str, port: int, interval_ms: float, max_s: float) -> None:
    """Probe and report."""
    prober = _Prober((address, port), int(interval_ms * 1e6))
    run_at_once()
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    prober.run(max_s)
    report = summarise(prober.sent_ns, prober.answered_by, interval_ms, prober.late_ns)
    json.dump({name: getattr(report, name) for name in ProbeReport.__slots__}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
