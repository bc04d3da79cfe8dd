"""The lab's instruments for what two guests do, on made-up records: no namespace, no root."""

from __future__ import annotations

import socket
import struct

from tests.lab.guests import changes, intervals, overlap_ms

MS = 1_000_000


def _message(kind: int, address: str) -> bytes:
    label = struct.pack("=HH", 9, 3) + b"eth0\0" + b"\0" * 3  # padded to a multiple of four
    local = struct.pack("=HH", 8, 2) + socket.inet_aton(address)
    body = b"\0" * 8 + label + local
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_changes_of_other_addresses_are_not_counted() -> None:
    data = _message(20, "10.0.1.100") + _message(20, "10.0.1.17") + _message(21, "10.0.1.100")
    assert list(changes(data, socket.inet_aton("10.0.1.100"))) == [True, False]


def test_torn_message_ends_the_reading() -> None:
    assert list(changes(b"\0" * 40, socket.inet_aton("10.0.1.100"))) == []


def test_address_that_is_said_anew_is_one_interval() -> None:
    events = [(0, False), (10, True), (20, True), (30, False), (40, True)]
    assert intervals(events, 50) == [(10, 30), (40, 50)]


def test_overlap_is_the_longest_of_any_two_hosts() -> None:
    one, two, three = [(0, 10 * MS), (50 * MS, 60 * MS)], [(8 * MS, 20 * MS)], [(55 * MS, 70 * MS)]
    assert overlap_ms([one, two, three]) == 5.0
    assert overlap_ms([one]) == 0.0
    assert overlap_ms([one, [(10 * MS, 50 * MS)]]) == 0.0
