"""A VPC made of network namespaces: one router in the middle, one veth pair per host, no bridge.

What a VPC does and a LAN does not is kept:

- An address reaches the port to which the cloud has bound it, whoever claims it by ARP. The router answers
  every ARP request itself (proxy ARP), so the hosts see a flat subnet and gratuitous ARP changes nothing.
- A packet whose source is not bound to the port it comes from is dropped (strict reverse path filter; what is on
  its way when an address moves is let through for `DRAIN_S`, by a routing table that each port has for that).
- There is no multicast between hosts.

A secondary ENI is a veth pair too, but one that comes and goes: see `routes`. What the fabric has of it are its
`Slot`s, one for each host that may get it, so that the rules for its packets are there before it is.

IPv6, where it is asked for, is all by way of the gateway's link-local address, as in a VPC: hosts know no other
neighbour, and the router's word on whose an address is is all there is to it.

The API (`API`) and the metadata service (`METADATA`) live on the router. All addresses exist only in
namespaces that a `Fabric` has made and removes again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hafailover.guest.interface import GATEWAY6

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUBNET_BITS = 24
BLOCK6 = "2001:db8:1::/64"
GATEWAY = "10.0.1.1"
API = "10.0.255.10"
METADATA = "169.254.0.23"
HEARTBEAT_PORT = 7694
TOOLS = ("ip", "nft", "sysctl", "nsenter", "unshare", "setpriv")
DRAIN_S = 0.02
FIRST_TABLE = 101
VOID = "void"  # where the router sends what is bound to nobody

_FILTER = """
table inet lab {{
  set lost {{ type ifname; }}
  set no_cloud {{ type ifname; }}
  set no_echo {{ type ifname; }}
  set no_heartbeat {{ type ifname . ifname; }}
  chain pre {{
    type filter hook prerouting priority raw;
    {marks}
    iifname @lost drop
    ip6 saddr {block6} fib saddr . mark . iif oif missing drop
    iifname @no_cloud ip daddr {{ {api}, {metadata} }} drop
    iifname @no_echo ip daddr {gateway} icmp type echo-request drop
  }}
  chain forward {{
    type filter hook forward priority filter;
    iifname . oifname @no_heartbeat udp dport {port} drop
    iifname . oifname @no_heartbeat ip protocol 112 drop
  }}
  chain post {{
    type filter hook postrouting priority raw;
    oifname @lost drop
    oifname {void} drop
  }}
}}
"""


class LabError(Exception):
    """The lab itself does not work: nothing is said about the program under test."""


@dataclass(frozen=True, slots=True)
class Port:
    """One host's place in the subnet. `name` is at most 10 characters (it becomes part of interface names)."""

    name: str
    address: str
    mac: str

    @property
    def address6(self) -> str:
        """The address that it has in a fabric with IPv6."""
        return f"2001:db8:1::{self.address.rpartition('.')[2]}"


@dataclass(frozen=True, slots=True)
class Slot:
    """What a secondary ENI is made of while a host has it.

    `link` is the router's interface, with the table `drain_table`; `guest_link` is that of the host, which is in
    `namespace`.
    """

    link: str
    drain_table: int
    namespace: str
    guest_link: str
    mac: str


def why_not() -> str:
    """Return why a lab cannot be made here, or an empty string where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"hf{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False, timeout=10)
    if done.returncode != 0:
        return f"network namespaces are not allowed here: {done.stderr.strip()}"
    _run(["ip", "netns", "del", name])
    return ""


def _run(argv: Sequence[str], text: str | None = None) -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def _batch(prefix: Sequence[str], lines: Sequence[str]) -> None:
    _run(["ip", *prefix, "-batch", "-"], "\n".join(lines) + "\n")


def sweep() -> None:
    """Remove namespaces that a lab left behind whose process no longer exists."""
    for line in _run(["ip", "netns", "list"]).splitlines():
        name = line.split()[0]
        owner = name.removeprefix("hf").partition("-")[0]
        if name.startswith("hf") and owner.isdigit() and not Path(f"/proc/{owner}").exists():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=10)


class Fabric:
    """The namespaces of one lab: the router `vpc` and one per port."""

    _count = 0

    def __init__(
        self, ports: Sequence[Port], macs: Sequence[str] = (), cidrs: Sequence[str] = (), *, ipv6: bool = False
    ) -> None:
        """Prepare a fabric; `macs` are those of secondary ENIs, which any host may get, `cidrs` other subnets."""
        Fabric._count += 1
        self.prefix = f"hf{os.getpid()}-{Fabric._count}"
        self.ports = {port.name: port for port in ports}
        self.slots = {
            (mac, name): self._slot(order, mac, name) for order, mac in enumerate(macs) for name in self.ports
        }
        self.gateways = (GATEWAY, *(str(IPv4Network(cidr)[1]) for cidr in cidrs))
        self.ipv6 = ipv6
        self.router = f"{self.prefix}-vpc"
        self._made: list[str] = []

    def namespace(self, name: str) -> str:
        """Return the namespace of a port."""
        return f"{self.prefix}-{name}"

    def drain_table(self, name: str) -> int:
        """Return the routing table, and packet mark, of a port."""
        return FIRST_TABLE + list(self.ports).index(name)

    def _slot(self, order: int, mac: str, name: str) -> Slot:
        host = list(self.ports).index(name)
        table = FIRST_TABLE + (order + 1) * len(self.ports) + host
        return Slot(f"p{order}-{host}", table, self.namespace(name), f"eth{order + 1}", mac)

    @staticmethod
    def link(name: str) -> str:
        """Return the router's interface towards a port."""
        return f"v-{name}"

    def open(self) -> None:
        """Make everything. Raises `LabError`; what was made by then is removed by `close`."""
        for name in (self.router, *(self.namespace(port) for port in self.ports)):
            _run(["ip", "netns", "add", name])
            self._made.append(name)
        _batch(["-n", self.router], [*self._router_links(), *self._router_addresses()])
        for family in ("-4", "-6"):
            tables = [f"rule add fwmark {table} lookup {table}" for _, table in self._tables()]
            _batch([family, "-n", self.router], tables)
        for name in self.ports:
            self._sysctl(self.namespace(name), self._host_settings())
            _batch(["-n", self.namespace(name)], [*self._host_network(name)])
        self._sysctl(self.router, self._router_settings())
        marks = "\n    ".join(f'iifname "{link}" meta mark set {table}' for link, table in self._tables())
        rules = _FILTER.format(
            api=API, metadata=METADATA, gateway=GATEWAY, port=HEARTBEAT_PORT, void=VOID, block6=BLOCK6, marks=marks
        )
        _run(["ip", "netns", "exec", self.router, "nft", "-f", "-"], rules)

    def _tables(self) -> Iterator[tuple[str, int]]:
        """Yield every interface of the router that there may be, with the table for what comes from there."""
        for name in self.ports:
            yield self.link(name), self.drain_table(name)
        for slot in self.slots.values():
            yield slot.link, slot.drain_table

    def close(self) -> None:
        """Remove every namespace; their interfaces go with them."""
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=10)
        self._made.clear()

    def _router_links(self) -> Iterator[str]:
        yield f"link add {VOID} type veth peer name {VOID}-end"  # not every kernel has dummy interfaces
        for name, port in self.ports.items():
            host = self.namespace(name)
            yield f"link add {self.link(name)} type veth peer name eth0 address {port.mac} netns {host}"

    def _router_addresses(self) -> Iterator[str]:
        for address in (*self.gateways, API, METADATA):
            yield f"addr add {address}/32 dev lo"
        for link in ("lo", VOID, f"{VOID}-end", *(self.link(name) for name in self.ports)):
            yield f"link set {link} up"
        for name, port in self.ports.items():
            yield f"route add {port.address}/32 dev {self.link(name)} src {GATEWAY}"
            if self.ipv6:
                yield f"addr add {GATEWAY6}/64 dev {self.link(name)} nodad"
                yield f"route add {port.address6}/128 dev {self.link(name)}"

    def _router_settings(self) -> Iterator[str]:
        yield "net.ipv4.ip_forward=1"
        yield "net.ipv4.conf.all.rp_filter=1"
        yield "net.ipv4.conf.all.src_valid_mark=1"  # the reverse path is looked up with the packet's mark
        yield "net.ipv4.conf.all.send_redirects=0"
        if self.ipv6:
            yield "net.ipv6.conf.all.forwarding=1"
        for link in (*(self.link(name) for name in self.ports), "default"):  # those of slots come later
            yield f"net.ipv4.conf.{link}.proxy_arp=1"
            yield f"net.ipv4.conf.{link}.send_redirects=0"
        for name in self.ports:
            yield f"net.ipv4.neigh.{self.link(name)}.proxy_delay=0"  # else answers wait for up to 0.8 s

    def _host_settings(self) -> Iterator[str]:
        if not self.ipv6:
            yield "net.ipv6.conf.all.disable_ipv6=1"  # no neighbour discovery noise
        yield "net.ipv6.conf.all.accept_ra=0"

    def _host_network(self, name: str) -> Iterator[str]:
        port = self.ports[name]
        yield "link set lo up"
        yield f"addr add {port.address}/{SUBNET_BITS} dev eth0"
        yield "link set eth0 up"
        yield f"route add default via {GATEWAY} dev eth0"
        if self.ipv6:
            yield f"addr add {port.address6}/128 dev eth0 nodad"
            yield f"route add default via {GATEWAY6} dev eth0"

    @staticmethod
    def _sysctl(namespace: str, settings: Iterator[str]) -> None:
        _run(["ip", "netns", "exec", namespace, "sysctl", "-q", "-w", *settings])

    # Faults. Each has its undoing.

    def lose(self, name: str) -> None:
        """Cut a host off from everything. Others see silence, not errors, as with a host that lost its power."""
        self._element("add", "lost", self._links_of(name))

    def regain(self, name: str) -> None:
        """Connect a lost host again."""
        self._element("delete", "lost", self._links_of(name))

    def _links_of(self, name: str) -> str:
        slots = [slot.link for (_, host), slot in self.slots.items() if host == name]
        return ", ".join(f'"{link}"' for link in (self.link(name), *slots))

    def cut_heartbeats(self, source: str, target: str) -> None:
        """Drop heartbeats (and VRRP) from one host to another, in this direction only."""
        self._element("add", "no_heartbeat", f'"{self.link(source)}" . "{self.link(target)}"')

    def mend_heartbeats(self, source: str, target: str) -> None:
        """Let heartbeats through again, in this direction."""
        self._element("delete", "no_heartbeat", f'"{self.link(source)}" . "{self.link(target)}"')

    def cut_cloud(self, name: str) -> None:
        """Drop what a host sends to the API and to the metadata service."""
        self._element("add", "no_cloud", f'"{self.link(name)}"')

    def mend_cloud(self, name: str) -> None:
        """Let a host reach the API and the metadata service again."""
        self._element("delete", "no_cloud", f'"{self.link(name)}"')

    def silence_gateway(self, name: str) -> None:
        """Let the gateway answer a host's pings no longer; it forwards as before."""
        self._element("add", "no_echo", f'"{self.link(name)}"')

    def wake_gateway(self, name: str) -> None:
        """Let the gateway answer a host's pings again."""
        self._element("delete", "no_echo", f'"{self.link(name)}"')

    def _element(self, verb: str, set_name: str, element: str) -> None:
        command = ["nft", verb, "element", "inet", "lab", set_name, "{", element, "}"]
        _run(["ip", "netns", "exec", self.router, *command])

    def guest_addresses(self, name: str) -> set[str]:
        """Return the addresses that a host's own network carries."""
        links = self.show(name, "addr")
        return {entry["local"] for link in links for entry in link.get("addr_info", ())}

    def show(self, name: str, *what: str) -> list[dict[str, Any]]:
        """Return what `ip` has to show of a host's own network, as in ("route", "show", "table", "all")."""
        shown: list[dict[str, Any]] = json.loads(_run(["ip", "-n", self.namespace(name), "-j", *what]) or "[]")
        return shown

    def add_guest_address(self, name: str, address: str) -> None:
        """Give a host's own network an address, as a daemon does."""
        _run(["ip", "-n", self.namespace(name), "addr", "add", f"{address}/32", "dev", "eth0"])
