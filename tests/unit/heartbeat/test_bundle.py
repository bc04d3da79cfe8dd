from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.errors import WireError
from hafailover.heartbeat.bundle import MAGIC, MAX_BUNDLE, MAX_PARTS, pack, unpack
from hafailover.heartbeat.wire import MAX_DATAGRAM, MIN_DATAGRAM, Reject

SMALLEST = bytes(MIN_DATAGRAM)


def reason(payload: bytes) -> str:
    with pytest.raises(WireError) as caught:
        unpack(payload)
    return caught.value.reason


@given(st.lists(st.binary(min_size=MIN_DATAGRAM, max_size=MAX_DATAGRAM), min_size=1, max_size=5))
def test_what_was_packed_is_unpacked(datagrams: list[bytes]) -> None:
    assert unpack(pack(datagrams)) == tuple(datagrams)


@given(st.binary(max_size=400))
def test_of_any_bytes_comes_a_bundle_or_a_reason(payload: bytes) -> None:
    for data in (payload, MAGIC + payload):
        found: tuple[bytes, ...] | str
        try:
            found = unpack(data)
        except WireError as error:
            found = error.reason
        assert found in set(Reject) if isinstance(found, str) else pack(found) == data


def test_the_largest_bundle_is_bounded_and_the_next_larger_is_none() -> None:
    largest = pack([bytes(MAX_DATAGRAM)] * MAX_PARTS)
    assert len(largest) == MAX_BUNDLE
    assert len(unpack(largest)) == MAX_PARTS
    assert reason(largest + b"\0") == Reject.TOO_LONG
    for count in (0, MAX_PARTS + 1):
        with pytest.raises(ValueError, match=f"{count} datagrams in one bundle"):
            pack([SMALLEST] * count)


def test_what_is_no_bundle_is_rejected_by_reason() -> None:
    part = len(SMALLEST).to_bytes(2, "big") + SMALLEST
    assert reason(b"HAF\x01" + part) == Reject.BAD_MAGIC
    assert reason(b"HAB\x02" + part) == Reject.BAD_VERSION
    assert reason(MAGIC) == Reject.TOO_SHORT
    assert reason(MAGIC + part[:-1]) == Reject.MALFORMED
    assert reason(MAGIC + part + b"\0") == Reject.MALFORMED
    assert reason(MAGIC + (MIN_DATAGRAM - 1).to_bytes(2, "big") + SMALLEST[:-1]) == Reject.MALFORMED
    assert reason(MAGIC + (MAX_DATAGRAM + 1).to_bytes(2, "big") + bytes(MAX_DATAGRAM + 1)) == Reject.MALFORMED
    assert reason(MAGIC + part * (MAX_PARTS + 1)) == Reject.MALFORMED
