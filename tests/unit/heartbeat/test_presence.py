from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.election.values import NodeName
from hafailover.errors import WireError
from hafailover.heartbeat.auth import Keyring
from hafailover.heartbeat.presence import MAX_CONNECTIONS, MAX_PRESENCE, Presence, PresenceState, decode, encode
from hafailover.heartbeat.wire import Reject

KEYS = Keyring([b"k" * 32])
SAID = Presence(NodeName("web-a"), PresenceState.ONLINE, b"bootboot", 3)


def reason(payload: bytes, cluster: str = "web", keyring: Keyring = KEYS) -> str:
    with pytest.raises(WireError) as caught:
        decode(payload, cluster, keyring)
    return caught.value.reason


def changed(**values: Any) -> bytes:
    return json.dumps({**json.loads(encode(SAID, "web", KEYS)), **values}).encode()


@pytest.mark.parametrize("state", list(PresenceState))
def test_what_was_said_is_read_and_fits(state: PresenceState) -> None:
    longest = Presence(NodeName("n" * 63), state, b"\xff" * 8, MAX_CONNECTIONS)
    payload = encode(longest, "c" * 63, KEYS)
    assert len(payload) <= MAX_PRESENCE
    assert decode(payload, "c" * 63, KEYS) == longest


def test_a_person_can_read_it_and_it_names_no_key() -> None:
    raw = json.loads(encode(SAID, "web", KEYS))
    assert raw.pop("mac") != ""
    assert raw == {"node": "web-a", "state": "online", "boot": b"bootboot".hex(), "connection": 3}


def test_what_others_have_written_is_rejected() -> None:
    payload = encode(SAID, "web", KEYS)
    assert reason(payload, keyring=Keyring([b"x" * 32])) == Reject.BAD_MAC
    assert reason(payload, cluster="other") == Reject.BAD_MAC
    for values in ({"state": "lost"}, {"connection": 4}, {"node": "web-b"}, {"boot": bytes(8).hex()}):
        assert reason(changed(**values)) == Reject.BAD_MAC


def test_while_keys_are_changed_the_old_one_is_good_too() -> None:
    old, new = b"o" * 32, b"n" * 32
    assert decode(encode(SAID, "web", Keyring([old])), "web", Keyring([new, old])) == SAID
    assert Keyring([old, new]) == Keyring([old, new]) != Keyring([new, old])
    assert hash(Keyring([old])) == hash(Keyring([old]))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b'"abc"',
        b"{}",
        b"[" * 500,
        changed(node=1),
        changed(state="away"),
        changed(state=[]),
        changed(boot="00"),
        changed(boot="x"),
        changed(boot=None),
        changed(connection=0),
        changed(connection=MAX_CONNECTIONS + 1),
        changed(connection=True),
        changed(connection=1.0),
        changed(mac="x"),
        changed(more=1),
    ],
)
def test_what_is_none_is_rejected(payload: bytes) -> None:
    assert reason(payload) == Reject.MALFORMED


def test_what_is_too_long_is_not_even_read() -> None:
    assert reason(encode(SAID, "web", KEYS) + b" " * MAX_PRESENCE) == Reject.TOO_LONG


@given(st.binary(max_size=600))
def test_of_any_bytes_comes_a_reason(payload: bytes) -> None:
    assert reason(payload) in set(Reject)


def test_each_connection_and_boot_has_its_own() -> None:
    tags = {
        json.loads(encode(said, "web", KEYS))["mac"]
        for said in (SAID, replace(SAID, connection=4), replace(SAID, boot=b"another!"))
    }
    assert len(tags) == 3
