"""A secondary ENI as the guest is to have it, and what of that follows from its MAC address alone. PURE.

What is put into the kernel for an ENI carries a number of ours (`PROTOCOL`) and lies in a table whose number
follows from the MAC address (`table_of`): so what a crash has left behind is known as ours, and whose it is,
without a note and although the link is long gone. By its number a table also tells whether it is that of an ENI
that moves, which goes with all it has, or of a node's own, of which only the rules and the table are ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PROTOCOL: Final = 76  # of routes and rules (rt_protos of iproute2): nobody else's; `ip rule` shows "proto 76"
PRIORITY: Final = 7694  # of the rules: after the local table (0), before the main one (32766)
TABLE_BASE: Final = PROTOCOL << 24
OWN_TABLE_BASE: Final = (PROTOCOL + 1) << 24
GATEWAY6: Final = "fe80::feee:ffff:feff:ffff"

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Interface:
    """A secondary ENI as the guest is to have it.

    `mac` is lower case with colons. `addresses` are all private addresses of the ENI, the primary one first,
    IPv4 and then IPv6. `prefix` (0..32) is that of its IPv4 subnet and `gateway` the subnet's first address.
    `gateway6` is the next hop of all IPv6 traffic, the same in every VPC (Tencent's guide for IPv6 on Linux).
    `own` is whether it is a node's own one, which does not move.
    """

    mac: str
    addresses: tuple[str, ...]
    prefix: int
    gateway: str
    gateway6: str = GATEWAY6
    own: bool = False

    @property
    def table(self) -> int:
        """The number of the ENI's route table."""
        return table_of(self.mac, own=self.own)


def table_of(mac: str, *, own: bool = False) -> int:
    """Return the number of the route table of the ENI with this MAC address (lower case, with colons).

    It is a fixed number plus the low 24 bits of the address, the high ones being the cloud's own.
    """
    return (OWN_TABLE_BASE if own else TABLE_BASE) | int(mac.replace(":", ""), 16) & 0xFFFFFF


def is_moving(table: int) -> bool:
    """Tell whether a table is that of an ENI that moves."""
    return table & ~0xFFFFFF == TABLE_BASE


def is_own(table: int) -> bool:
    """Tell whether a table is that of a node's own ENI."""
    return table & ~0xFFFFFF == OWN_TABLE_BASE


def is_mac(text: str) -> bool:
    """Tell whether this is a MAC address, lower case with colons; no IP address looks like one."""
    return _MAC.fullmatch(text) is not None
