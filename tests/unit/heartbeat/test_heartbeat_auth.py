from __future__ import annotations

import hashlib
import hmac

import pytest

from hafailover.errors import StartError
from hafailover.heartbeat.auth import MAX_KEYS, MIN_KEY_BYTES, TAG_BYTES, Keyring

OLD = b"o" * 32
NEW = b"n" * 32


def test_the_tag_is_the_whole_hmac_sha256_of_the_first_key() -> None:
    tag = Keyring([NEW, OLD]).sign(b"body")
    assert tag == hmac.new(NEW, b"body", hashlib.sha256).digest()
    assert len(tag) == TAG_BYTES


def test_while_a_key_is_replaced_both_verify() -> None:
    ring = Keyring([NEW, OLD])
    assert ring.verify(b"body", Keyring([OLD]).sign(b"body"))
    assert ring.verify(b"body", Keyring([NEW]).sign(b"body"))


def test_a_tag_of_another_key_or_body_does_not_verify() -> None:
    tag = Keyring([NEW]).sign(b"body")
    assert not Keyring([OLD]).verify(b"body", tag)
    assert not Keyring([NEW]).verify(b"bodi", tag)
    assert not Keyring([NEW]).verify(b"body", tag[:-1])


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "0 given"),
        ([NEW] * (MAX_KEYS + 1), "5 given"),
        ([NEW, b"s" * (MIN_KEY_BYTES - 1)], "key 2: 15 bytes"),
    ],
)
def test_unusable_keys_are_named_without_being_shown(keys: list[bytes], says: str) -> None:
    with pytest.raises(StartError, match=says) as caught:
        Keyring(keys)
    assert "nnn" not in str(caught.value)
    assert "sss" not in str(caught.value)


def test_the_shortest_key_and_the_most_keys_are_taken() -> None:
    ring = Keyring([NEW, *[bytes([n]) * MIN_KEY_BYTES for n in range(MAX_KEYS - 1)]])
    assert ring.verify(b"x", Keyring([bytes([2]) * MIN_KEY_BYTES]).sign(b"x"))
