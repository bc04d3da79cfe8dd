"""The API keys that the emulated cloud accepts: permanent ones, and temporary ones of instances' roles.

Times are Unix seconds. Secrets are made from a seed, so a run can be repeated; whoever opens the emulator to a
network gives a random one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from hashlib import sha256

from hafailover.emulator.values import ApiError

MAX_KEYS = 1024
LIFETIME_S = 7200


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `caller` is who it stands for: its own id, or the instance whose role it was issued for.

    `token` and `expires_s` belong to a temporary key; a permanent one has "" and None.
    """

    secret_id: str
    secret_key: str
    caller: str
    token: str = ""
    expires_s: int | None = None


class Keys:
    """All keys; the oldest temporary ones are forgotten beyond a thousand."""

    def __init__(self, seed: str = "") -> None:
        self.lifetime_s = LIFETIME_S
        self._seed = seed
        self._serial = 0
        self._keys: OrderedDict[str, Key] = OrderedDict()
        self._current: dict[str, str] = {}

    def add(self, secret_id: str, secret_key: str) -> None:
        """Accept a permanent key."""
        self._keys[secret_id] = Key(secret_id, secret_key, secret_id)

    def issue(self, instance_id: str, now_s: int) -> Key:
        """Return the temporary key of an instance's role, a new one once half of its lifetime has gone."""
        current = self._keys.get(self._current.get(instance_id, ""))
        if current and current.expires_s and current.expires_s - now_s > self.lifetime_s // 2:
            return current
        self._serial += 1
        text = sha256(f"{self._seed}/{instance_id}/{self._serial}".encode()).hexdigest()
        secret_id, secret_key = f"AKID{text[:32]}", text[32:]
        token = sha256(secret_key.encode()).hexdigest() * 4
        key = Key(secret_id, secret_key, instance_id, token, now_s + self.lifetime_s)
        self._keys[key.secret_id] = key
        self._current[instance_id] = key.secret_id
        if len(self._keys) > MAX_KEYS:
            oldest = next(name for name, old in self._keys.items() if old.token)
            del self._keys[oldest]
        return key

    def find(self, secret_id: str, token: str, now_s: int) -> Key:
        """Return the key of a request. Raises ApiError where it is unknown, expired or has another token."""
        key = self._keys.get(secret_id)
        if key is None:
            raise ApiError("AuthFailure.SecretIdNotFound", "The SecretId is not found.")
        expired = key.expires_s is not None and key.expires_s <= now_s
        if expired or key.token != token:
            raise ApiError("AuthFailure.TokenFailure", "The token is invalid or has expired.")
        return key

    def expire(self, caller: str, now_s: int) -> int:
        """Let the temporary keys of an instance ("*": of all) expire; return how many there were."""
        gone = [key for key in self._keys.values() if key.token and caller in ("*", key.caller)]
        for key in gone:
            self._keys[key.secret_id] = replace(key, expires_s=now_s)
        return len(gone)
