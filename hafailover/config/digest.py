"""A short name for what a file says, carried in heartbeats: nodes whose files differ see that at once.

Only what is not a default counts, so that a newer version with more keys still agrees with an older one, and
writing out a default changes nothing. Key material does not count; the names of the key files do.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hafailover.config.model import Config

LENGTH = 8
# What each machine may well have otherwise, without any consequence for its peers.
_OF_THIS_MACHINE = frozenset({"path", "digest", "keys", "metrics", "control", "state", "log"})


def digest(config: Config) -> bytes:
    """Return the first 8 bytes of SHA-256 over the canonical JSON of what the configuration says."""
    said = {name: value for name, value in _plain(config).items() if name not in _OF_THIS_MACHINE}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()[:LENGTH]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any part of the model
    if is_dataclass(value):
        return {each.name: _plain(said) for each, said in _said(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, str | int | None) else str(value)


def _said(value: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - any dataclass of the model
    """Return the fields whose values are not their defaults."""
    pairs = [(each, getattr(value, each.name)) for each in fields(value)]
    return [(each, said) for each, said in pairs if said != _default(each)]


def _default(each: Any) -> Any:  # noqa: ANN401 - a dataclasses.Field of any type
    return each.default if each.default_factory is MISSING else each.default_factory()
