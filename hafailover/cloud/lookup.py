"""Which ENI is a node's, where the file leaves that to the cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.cloud.client import Cloud
    from hafailover.config.model import Node


async def eni_of(node: Node, instance_id: str | None, cloud: Cloud) -> str | None:
    """Return the ENI of a node, None if there is none or it is not clear which one it is. Raises CloudError.

    It is the configured one, else the primary one of its instance, else the one that has the heartbeat address.
    """
    if node.eni is not None:
        return node.eni
    instance = node.instance_id or instance_id
    if instance is not None:
        enis = await cloud.describe_enis(instance_id=instance)
        found = [eni.id for eni in enis if eni.primary]
    else:
        enis = await cloud.describe_enis(address=node.host)
        found = [eni.id for eni in enis if any(each.ip == node.host for each in eni.addresses)]
    return found[0] if len(found) == 1 else None
