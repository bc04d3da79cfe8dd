"""Which of the file's nodes this machine is."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import structlog

from hafailover.config.identity import find_self, is_witness
from hafailover.errors import ConfigError, MetadataError, StartError

if TYPE_CHECKING:
    from hafailover.cloud.metadata import Metadata
    from hafailover.config.model import Config, Node

METADATA_PATIENCE_S = 3.0

log = structlog.get_logger()


async def find_me(config: Config, node_option: str | None, metadata: Metadata) -> tuple[Node, str | None]:
    """Return this node, and its instance id where the metadata service was asked for it.

    Raises ConfigError where the file names no such node, StartError where that may be for want of an answer.
    """
    hostname = socket.gethostname()
    roles = {node.name: node.role for node in config.nodes}
    witness = is_witness(roles, node_option=node_option, hostname=hostname)
    instance_id = None if witness else await _instance_id(config, node_option, metadata)
    try:
        me = find_self(config, node_option=node_option, hostname=hostname, instance_id=instance_id)
    except ConfigError as error:
        if node_option is not None or instance_id is not None:
            raise
        # Not known to be a mistake in the file, which would keep systemd from trying again.
        raise StartError(f"{error}; and the metadata service does not answer") from None
    return me, instance_id


async def _instance_id(config: Config, node_option: str | None, metadata: Metadata) -> str | None:
    """Return this instance's id; only asked for where it can decide something."""
    if node_option is not None and not config.cloud.credentials.startswith("role"):
        return None
    try:
        async with asyncio.timeout(METADATA_PATIENCE_S):
            return await metadata.instance_id()
    except (MetadataError, TimeoutError) as error:
        log.warning("metadata_unavailable", error=str(error))
        return None
