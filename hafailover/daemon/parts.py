"""What a daemon is made of, once all of it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.guest.network import NullGuest

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.cloud.client import Cloud
    from hafailover.config.model import Group, Node
    from hafailover.daemon.directory import Directory
    from hafailover.daemon.gateway import Gateway
    from hafailover.election.values import Resource
    from hafailover.guest.network import GuestNetwork
    from hafailover.heartbeat.path import Path
    from hafailover.observe.history import History
    from hafailover.observe.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Parts:
    """The rooms, ready for use. `holder_of` gives the holder's id of a group as last read, None if unknown.

    On a witness `cloud` and `guest` are there and not used: `eni_id` is empty, and `directory` knows no ENI.
    """

    me: Node
    eni_id: str
    resources: tuple[Resource, ...]
    paths: tuple[Path, ...]
    cloud: Cloud
    directory: Directory
    guest: GuestNetwork
    gateway: Gateway
    metrics: Metrics
    history: History
    holder_of: Callable[[str], str | None]

    def guest_of(self, group: Group) -> GuestNetwork:
        """Return the guest's network, or one that leaves it alone where the group says so."""
        return self.guest if group.guest == "netlink" else NullGuest()
