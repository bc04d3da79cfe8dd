"""daemon.statefile: the file's bytes to what is remembered."""

from __future__ import annotations

import json
from typing import Any

from hafailover.daemon.statefile import MAX_TERM, decode, encode
from hafailover.election.values import GroupMemory, GroupName, Memory
from tests.fuzz.source import Source, damaged

LONGEST_ERROR = 1024  # it becomes a line of the log
EXAMPLE: dict[str, Any] = {
    "version": 1,
    "drained": False,
    "groups": {"vip": {"term": 7, "paused": False}, "db": {"term": MAX_TERM, "paused": True}},
}
RAW = 255
SEEDS = (
    bytes([RAW]) + encode(Memory()),
    bytes([RAW]) + encode(Memory(True, (GroupMemory(GroupName("vip"), 7, True), GroupMemory(GroupName("db"))))),
    bytes([RAW]) + json.dumps(EXAMPLE).encode("utf-16"),
    bytes([RAW]) + b"[" * 3000,
    bytes([RAW]) + b'{"version":1,"drained":false,"groups":[]}',
    bytes([RAW]) + b'{"groups":{},"drained":false,"version":"' + b"9" * 2000 + b'"}',
    bytes([0, 0, 1, 2]),
    bytes([0, 3, 1, 2, 4, 200, 7, 5, 5, 5]),
)


def one(data: bytes) -> None:
    """Any content is a memory that encodes to a canonical file, or one of the four documented errors.

    The error's text, which goes to the log, is of bounded length.
    """
    source = Source(data)
    content = source.rest() if source.byte() == RAW else json.dumps(damaged(EXAMPLE, source)).encode()
    try:
        memory = decode(content)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _check_error(error)
        return
    canonical = encode(memory)
    again = decode(canonical)
    assert encode(again) == canonical
    assert set(again.groups) == set(memory.groups)
    assert again.drained is memory.drained
    assert all(type(group.term) is int and 0 <= group.term <= MAX_TERM for group in memory.groups)


def _check_error(error: Exception) -> None:
    assert len(str(error)) <= LONGEST_ERROR, len(str(error))
