"""Writes down when a host's own network carries the address, as its kernel tells of each change.

Run inside a host's namespace: `python -m tests.lab.guests ADDRESS`. It watches until its standard input ends (or
`MAX_S` have passed) and writes one JSON array to standard output: [start, end] of each time that the address was
there, on CLOCK_MONOTONIC in nanoseconds; the end of the last one may be that of the watching.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from tests.lab.realtime import run_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_S = 120.0
_IPV4_ADDRESSES = 0x10  # RTMGRP_IPV4_IFADDR, linux/rtnetlink.h; the types and IFA_LOCAL are from there too
_NEW, _GONE = 20, 21
_IFA_LOCAL = 2
_HEAD = struct.Struct("=IHHII")
_ADDRESS_HEAD = 8
_ATTRIBUTE = struct.Struct("=HH")


@dataclass(frozen=True, slots=True)
class GuestReport:
    """When each host carried the address, [start, end] in nanoseconds, and the longest time that two did."""

    carried: dict[str, list[tuple[int, int]]]
    both_ms: float


def overlap_ms(carried: Sequence[Sequence[tuple[int, int]]]) -> float:
    """Return the longest time without a break for which some two hosts both carried the address."""
    longest = 0
    for one, other in combinations(carried, 2):
        both = sorted((max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d))
        longest = max((longest, *(end - start for start, end in both)))
    return longest / 1e6


def changes(data: bytes, address: bytes) -> Iterator[bool]:
    """Yield True for each message of a netlink datagram that says that the address has come, False for: gone."""
    place = 0
    while place + _HEAD.size <= len(data):
        length, kind, *_ = _HEAD.unpack_from(data, place)
        if length < _HEAD.size:
            return
        if kind in (_NEW, _GONE) and _local(data[place + _HEAD.size + _ADDRESS_HEAD : place + length]) == address:
            yield kind == _NEW
        place += (length + 3) & ~3


def _local(attributes: bytes) -> bytes:
    place = 0
    while place + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, place)
        if length < _ATTRIBUTE.size:
            break
        if kind == _IFA_LOCAL:
            return attributes[place + _ATTRIBUTE.size : place + length]
        place += (length + 3) & ~3
    return b""


def intervals(events: Sequence[tuple[int, bool]], end_ns: int) -> list[tuple[int, int]]:
    """Turn (when, whether it is there since then) into [start, end] of the times that it was there."""
    steps = [*events, (end_ns, False)]
    found: list[tuple[int, int]] = []
    for (start, there), (end, _) in pairwise(steps):
        if not there:
            continue
        if found and found[-1][1] == start:  # the same address said anew
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def main(address: str) -> None:
    """Watch and report."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    sock.bind((0, _IPV4_ADDRESSES))
    shown = subprocess.run(["ip", "-j", "-4", "addr"], capture_output=True, text=True, check=True, timeout=10)
    there = any(entry["local"] == address for link in json.loads(shown.stdout) for entry in link["addr_info"])
    events = [(time.monotonic_ns(), there)]
    run_at_once()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    end_s = time.monotonic() + MAX_S
    while (left_s := end_s - time.monotonic()) > 0:
        ready, _, _ = select.select([sock, sys.stdin], [], [], left_s)
        if sock in ready:
            now_ns = time.monotonic_ns()
            events += [(now_ns, new) for new in changes(sock.recv(65536), socket.inet_aton(address))]
        if sys.stdin in ready:
            break
    json.dump(intervals(events, time.monotonic_ns()), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
