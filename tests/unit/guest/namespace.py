"""A network namespace for one test, and what `ip` says in it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
VIP, VIP6 = "10.0.1.100", "2001:db8:1::100"
MAC = "02:00:0a:00:01:11"
ENI, ENI_TABLE = "20:90:6f:00:0a:01", "1275070977"  # 0x4c000a01


def ip(*args: str) -> str:
    return subprocess.run(("ip", *args), check=True, capture_output=True, text=True, timeout=10).stdout


def addresses(device: str, family: str = "-4") -> list[str]:
    """Return the addresses of a device with their prefixes, without IPv6's link-local ones."""
    lines = ip("-o", family, "addr", "show", "dev", device).splitlines()
    found = [line.split()[3] for line in lines]
    return [address for address in found if not address.startswith("fe80:")]


def attach(mac: str = ENI, name: str = "eth2", *prefixed: str) -> None:
    ip("link", "add", name, "address", mac, "type", "veth", "peer", "name", f"wire-{name}")
    ip("link", "set", f"wire-{name}", "up")
    for address in prefixed:
        ip("addr", "add", address, "dev", name)


def rules() -> tuple[str, ...]:
    shown = [line for family in ("-4", "-6") for line in ip(family, "rule").splitlines()]
    return tuple(sorted(line.replace("\t", " ") for line in shown if "proto 76" in line))


def routes(table: str = ENI_TABLE) -> tuple[str, ...]:
    """Return a table's routes; that of no routes is none."""
    shown = [
        subprocess.run(("ip", family, "route", "show", "table", table), capture_output=True, text=True, check=False)
        for family in ("-4", "-6")
    ]
    lines = [
        " ".join(word for word in line.split() if word != "linkdown")
        for done in shown
        for line in done.stdout.splitlines()
    ]
    return tuple(sorted(line for line in lines if not line.startswith("fe80::/64")))


def is_up(name: str = "eth2") -> bool:
    return "UP" in ip("-o", "link", "show", "dev", name).partition("<")[2].partition(">")[0].split(",")


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


class Vpc:
    """The other end of a node's cards, where clients are: what has the source of another card is dropped there."""

    GATEWAY6 = "fe80::feee:ffff:feff:ffff"
    CLIENT, CLIENT6 = "203.0.113.5", "2001:db8:ffff::5"

    def __init__(self, name: str) -> None:
        self._name = name

    def ip(self, *args: str) -> str:
        """Run ip(8) there."""
        return ip("-n", self._name, *args)

    def bind(self, card: str, *bound: str) -> None:
        """Connect a card of the node, and let these addresses be its own."""
        wire = f"wire-{card}"
        ip("link", "set", wire, "netns", self._name)
        argv = ("ip", "netns", "exec", self._name, "sysctl", "-qw", f"net.ipv4.conf.{wire}.rp_filter=1")
        subprocess.run(argv, check=True, timeout=10)
        self.ip("link", "set", wire, "up")
        self.ip("addr", "add", f"{self.GATEWAY6}/64", "dev", wire, "nodad")
        for address in bound:
            self.ip("route", "add", address, "dev", wire)

    def client(self, address: str, port: int) -> subprocess.Popen[str]:
        """Start a client that connects, says so, and then says how its connection ends."""
        self.ip("neigh", "flush", "all")  # a failure of before would be told of this one
        argv = ("ip", "netns", "exec", self._name, sys.executable, "-c", _CLIENT, address, str(port))
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


_CLIENT = """
import socket, sys
try:
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
    print(sock.recv(5).decode(), flush=True)
    sock.settimeout(3)
    sock.recv(1)
    print("closed", flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
"""


@contextmanager
def new_vpc() -> Iterator[Vpc]:
    """Make a VPC for the node whose namespace this thread is in."""
    name = f"hafailover-test-{os.getpid()}"
    ip("netns", "add", name)
    try:
        vpc = Vpc(name)
        vpc.ip("link", "set", "lo", "up")
        for address in ("10.0.1.1/32", "10.0.2.1/32", f"{vpc.CLIENT}/32", f"{vpc.CLIENT6}/128"):
            vpc.ip("addr", "add", address, "dev", "lo")
        yield vpc
    finally:
        ip("netns", "del", name)
