"""A network namespace for one test, and what `ip` says in it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
VIP, VIP6 = "10.0.1.100", "2001:db8:1::100"
MAC = "02:00:0a:00:01:11"


def ip(*args: str) -> str:
    return subprocess.run(("ip", *args), check=True, capture_output=True, text=True, timeout=10).stdout


def addresses(device: str, family: str = "-4") -> list[str]:
    """Return the addresses of a device with their prefixes, without IPv6's link-local ones."""
    lines = ip("-o", family, "addr", "show", "dev", device).splitlines()
    found = [line.split()[3] for line in lines]
    return [address for address in found if not address.startswith("fe80:")]


@contextmanager
def new_namespace() -> Iterator[None]:
    """Put this thread into a namespace of its own: what it opens and starts belongs there."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"no network namespace here: {os.strerror(ctypes.get_errno())}")
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)


def sysctl(name: str, value: str | None = None) -> str:
    """Set a value below /proc/sys/net where one is given, and return what it is."""
    path = Path("/proc/sys/net", name)
    if value is not None:
        path.write_text(value)
    return path.read_text().strip()
