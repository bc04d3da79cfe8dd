"""Authentication of datagrams: HMAC-SHA256 (RFC 2104, FIPS 180-4) under a key that the cluster shares. PURE.

The tag is sent whole (32 bytes). While a key is being replaced several are accepted: the first one signs,
each of them verifies, so that nodes can be given the new list one after the other.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from hafailover.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

TAG_BYTES: Final = 32
MIN_KEY_BYTES: Final = 16
MAX_KEYS: Final = 4  # each key more is a hash more for every forged datagram


class Keyring:
    """The keys of a cluster, newest first: 1..4 keys of at least 16 bytes; raises StartError on others."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not 1 <= len(keys) <= MAX_KEYS:
            raise StartError(f"heartbeat keys: {len(keys)} given, 1 to {MAX_KEYS} allowed")
        for place, key in enumerate(keys, start=1):
            if len(key) < MIN_KEY_BYTES:
                raise StartError(f"heartbeat key {place}: {len(key)} bytes, at least {MIN_KEY_BYTES} needed")
        self._keys = tuple(keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyring) and self._keys == other._keys

    def __hash__(self) -> int:
        return hash(self._keys)

    def sign(self, body: bytes) -> bytes:
        """Return the 32-byte tag of the body under the first key."""
        return hmac.digest(self._keys[0], body, "sha256")

    def verify(self, body: bytes, tag: bytes) -> bool:
        """Tell in constant time (per key) whether the tag was made of this body with one of the keys."""
        return any(hmac.compare_digest(hmac.digest(key, body, "sha256"), tag) for key in self._keys)
