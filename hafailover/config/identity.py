"""Which node of the file this machine is. The file is the same everywhere, so the machine must say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.config import wording
from hafailover.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.config.model import Config, Node


def find_self(config: Config, *, node_option: str | None, hostname: str, instance_id: str | None) -> Node:
    """Return this machine's node: the one asked for with --node, else by instance id, else by host name.

    `instance_id` is None where the metadata service does not answer. Raises ConfigError where no node fits,
    and where the node that fits has another instance id, as on a clone of its machine: two machines under
    one name would each be taken for the other.
    """
    node = _named(config, node_option, "--node") if node_option is not None else None
    node = node or _by_instance(config, instance_id) or _by_hostname(config, hostname)
    if node is None:
        raise _error(config, "node", f"none is this machine, {_machine(hostname, instance_id)}; {_help(config)}")
    if None not in {node.instance_id, instance_id} and node.instance_id != instance_id:
        message = f"{wording.quote(node.instance_id or '')} is not this machine, {_machine(hostname, instance_id)}"
        raise _error(config, f'node "{node.name}".instance_id', f"{message}; is it a copy of another node?")
    return node


def is_witness(roles: Mapping[str, str | None], *, node_option: str | None, hostname: str) -> bool:
    """Whether this machine is a witness; `roles` gives each node's by its name.

    That must be known before the metadata service and most files are looked at, which a witness can do without.
    So it is told by --node or by its host name, not by an instance id.
    """
    if node_option is not None:
        return roles.get(node_option) == "witness"
    lower = {name.lower(): role for name, role in roles.items()}
    return "witness" in {lower.get(wanted) for wanted in _hostnames(hostname)}


def _named(config: Config, name: str, option: str) -> Node:
    for node in config.nodes:
        if node.name == name:
            return node
    raise _error(config, option, f"{wording.quote(name)} is not a node of this file; {_help(config)}")


def _by_instance(config: Config, instance_id: str | None) -> Node | None:
    return next((node for node in config.nodes if instance_id and node.instance_id == instance_id), None)


def _by_hostname(config: Config, hostname: str) -> Node | None:
    """Compare without case, and the full host name before its first label (RFC 1123 section 2.1)."""
    for wanted in _hostnames(hostname):
        for node in config.nodes:
            if node.name.lower() == wanted:
                return node
    return None


def _hostnames(hostname: str) -> tuple[str, str]:
    return hostname.lower(), hostname.lower().partition(".")[0]


def _machine(hostname: str, instance_id: str | None) -> str:
    instance = f"instance {wording.quote(instance_id)}" if instance_id else "an unknown instance"
    return f"host {wording.quote(hostname)}, {instance}"


def _help(config: Config) -> str:
    names = wording.either(node.name for node in config.nodes)
    return f"allowed: --node with {names}, or an instance_id in the file"


def _error(config: Config, key: str, message: str) -> ConfigError:
    return ConfigError((Problem(str(config.path), key, message),))
