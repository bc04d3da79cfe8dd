"""Where the file's nodes are in the cloud: the ENI of each, and its instance where ENIs move."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hafailover.daemon import translate
from hafailover.daemon.directory import find_enis, find_instances

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.cloud.client import Cloud
    from hafailover.config.model import Config, Node
    from hafailover.election.values import Member


@dataclass(frozen=True, slots=True)
class Places:
    """As far as they are known, by the nodes' names. `instance_id` is that of `me`, where the metadata told it."""

    me: Node
    instance_id: str | None
    cloud: Cloud
    enis: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=dict)

    async def of(self, config: Config) -> Places:
        """Return the places of a file's nodes; the cloud is asked, however long that takes, for what is not known.

        Raises StartError where it does not know either.
        """
        enis = {node.name: self.enis[node.name] for node in config.nodes if node.name in self.enis}
        found = await find_enis(
            [node for node in config.nodes if node.name not in enis], self.me, self.instance_id, self.cloud
        )
        enis |= found
        instances = {name: instance for name, instance in self.instances.items() if name in enis}
        if self.me.role != "witness" and config.enis:
            unknown = [node for node in config.nodes if node.name not in instances]
            instances |= await find_instances(unknown, enis, self.cloud)
        return replace(self, enis=enis, instances=instances)

    def members(self, config: Config) -> tuple[Member, ...]:
        """Return the nodes of the file whose places these are, as the election sees them."""
        return translate.members(config, self.enis, self.instances)
