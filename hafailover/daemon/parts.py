"""What a daemon is made of, once all of it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.guest.network import NullGuest

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from hafailover.cloud.client import Cloud
    from hafailover.config.model import Group, Node
    from hafailover.daemon.announcer import Announcer
    from hafailover.daemon.directory import Directory
    from hafailover.daemon.eipkeeper import EipKeeper
    from hafailover.daemon.gateway import Gateway
    from hafailover.election.values import NodeName, Sighting
    from hafailover.guest.network import GuestNetwork
    from hafailover.heartbeat.mqtt import MqttPath
    from hafailover.heartbeat.path import Path
    from hafailover.observe.history import History
    from hafailover.observe.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Parts:
    """The rooms, ready for use. `disk` runs what is written to the state directory, one after another.

    `priority_of` tells a group's effective priority on this node, `holder_of` who holds a group's first resource as
    last read, None if unknown; `master_of` which node was its master last, or holds it. `mqtt` is the broker's
    path, `announcer` tells the broker what happens.

    On a witness `cloud` and `guest` are there and not used: `eni_id` is empty, and `directory` knows no ENI.
    """

    me: Node
    eni_id: str
    paths: tuple[Path, ...]
    cloud: Cloud
    directory: Directory
    guest: GuestNetwork
    gateway: Gateway
    metrics: Metrics
    history: History
    disk: Executor
    eips: EipKeeper
    priority_of: Callable[[str], int]
    holder_of: Callable[[str], Sighting | None]
    master_of: Callable[[str], NodeName | None]
    mqtt: MqttPath | None = None
    announcer: Announcer | None = None

    def instance_of(self, group: str) -> str | None:
        """Return the instance of the node that holds a group, as last read, None where it is not known."""
        seen = self.holder_of(group)
        if seen is None or seen.holder is None:
            return None
        return self.directory.instance_behind(seen.resource, seen.holder)

    def guest_of(self, group: Group) -> GuestNetwork:
        """Return the guest's network, or one that leaves it alone where the group says so."""
        return self.guest if group.guest == "netlink" else NullGuest()
