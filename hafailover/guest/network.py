"""What the daemon asks of the guest's network, and the answer where it is to be left alone (guest = "none")."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hafailover.errors import GuestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hafailover.config.model import Group
    from hafailover.guest.interface import Interface

_CAP_NET_ADMIN = 12  # linux/capability.h

NO_CAPABILITY = (
    "CAP_NET_ADMIN is missing: the daemon may not change this node's addresses; run it as root or by its"
    ' systemd unit, or set guest = "none"'
)


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface; `mac` is lower case with colons, empty where it has none or was not asked for."""

    index: int
    name: str
    mac: str = ""


class GuestNetwork(Protocol):
    """What the daemon asks of the guest's network: `Guest`, or `NullGuest` where it is to be left alone."""

    async def open(self) -> None:
        """Get ready for the rest."""

    async def close(self) -> None:
        """Let go of the kernel's socket; addresses stay as they are."""

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        """Find an interface by its name, else by its MAC address in upper or lower case."""

    async def arm(self, address: str, link: Link, eni: Interface | None = None) -> None:
        """Answer for the address on this interface; nothing happens where that is so already.

        `eni` describes the node's own ENI where that is a secondary one.
        """

    async def disarm(self, address: str) -> None:
        """Stop answering for the address on every interface; nothing happens where that is so already."""

    async def present(self, addresses: Iterable[str]) -> frozenset[str]:
        """Return those of the addresses that an interface carries."""

    async def plug(self, interface: Interface, *, deadline_s: float) -> None:
        """Have the ENI as described, waiting for its link; nothing changes where that is so already."""

    async def unplug(self, mac: str) -> None:
        """Take off all that `plug` has made for this ENI, and its link down where that is still there."""

    async def unplug_others(self, keep: Iterable[str] = ()) -> None:
        """Do so for every ENI of which the kernel has something of ours, save for these MAC addresses."""

    async def plugged(self, macs: Iterable[str]) -> frozenset[str]:
        """Return those of the ENIs' MAC addresses that are as `plug` was last asked to have them."""

    async def lay(self, group: Group, link: Link) -> None:
        """Have the routes and rules that follow the group's addresses; `link` is where these are."""

    async def lift(self, group: Group) -> None:
        """Take them off; nothing happens where that is so already."""

    async def lift_others(self, keep: Iterable[Group]) -> None:
        """Take off all such routes and rules that are of none of these groups, which are all that there will be."""

    async def lacking(self, group: Group, link: Link) -> Mapping[str, str]:
        """Return those that are not there, as text, each with what is in its way, "" where nothing is."""

    async def watch(self, on_change: Callable[[str], None]) -> None:
        """Call back, for ever, with each armed address that somebody else has removed, or of which the way back.

        Also with an address of a group of whose routes and rules any is gone.

        A plugged ENI that has lost anything of its configuration is told by its MAC address: see
        `interface.is_mac`.
        """


class NullGuest:
    """The network of groups with guest = "none": somebody else looks after it, and all is as it should be."""

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        """Return a link that stands for whatever the others use."""
        return Link(0, name or "none", (mac or "").lower())

    async def arm(self, address: str, link: Link, eni: Interface | None = None) -> None:
        """Do nothing."""

    async def disarm(self, address: str) -> None:
        """Do nothing."""

    async def present(self, addresses: Iterable[str]) -> frozenset[str]:
        """Return all of them: nobody here knows better."""
        return frozenset(addresses)

    async def plug(self, interface: Interface, *, deadline_s: float) -> None:
        """Do nothing."""

    async def unplug(self, mac: str) -> None:
        """Do nothing."""

    async def unplug_others(self, keep: Iterable[str] = ()) -> None:
        """Do nothing."""

    async def plugged(self, macs: Iterable[str]) -> frozenset[str]:
        """Return all of them: nobody here knows better."""
        return frozenset(macs)

    async def lay(self, group: Group, link: Link) -> None:
        """Do nothing."""

    async def lift(self, group: Group) -> None:
        """Do nothing."""

    async def lift_others(self, keep: Iterable[Group]) -> None:
        """Do nothing."""

    async def lacking(self, group: Group, link: Link) -> Mapping[str, str]:  # noqa: ARG002 - nothing is ever missing
        """Return nothing: nobody here knows better."""
        return {}

    async def watch(self, on_change: Callable[[str], None]) -> None:  # noqa: ARG002 - nothing is ever missing
        """Wait for ever."""
        await asyncio.Event().wait()


def require_capability(status: Path = Path("/proc/self/status")) -> None:
    """See that this process may change addresses (CAP_NET_ADMIN, capabilities(7)). Raises GuestError."""
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == "CapEff" and not int(value, 16) >> _CAP_NET_ADMIN & 1:
            raise GuestError(NO_CAPABILITY)
