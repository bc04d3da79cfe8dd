"""The writes that have their effect at once: names, descriptions and security groups of ENIs.

The documents say of none of them that it is asynchronous; there is no task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.emulator.params import MAX_IDS, Params
from hafailover.emulator.values import ApiError
from hafailover.emulator.writing import known_eni

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.network import Eni, Network

MAX_LABEL = 60  # bytes, of names and descriptions


def label(params: Params, name: str, default: str) -> str:
    """Return a name or description; `default` where the field was not sent. Raises ApiError."""
    text = params.text(name) if params.has(name) else default
    if len(text.encode(errors="replace")) > MAX_LABEL:
        raise ApiError("InvalidParameterValue.TooLong", f"`{name}` is longer than {MAX_LABEL} bytes.")
    return text


def known_groups(params: Params, network: Network) -> tuple[str, ...]:
    """Return the SecurityGroupIds of a request, each of which exists. Raises ApiError."""
    groups = tuple(dict.fromkeys(params.ids("SecurityGroupIds", "sg")))
    for group in groups:
        if group not in network.security_groups:
            raise ApiError("ResourceNotFound", f"{group} does not exist.")
    return groups


def modify(raw: Mapping[str, Any], network: Network) -> Network:
    """ModifyNetworkInterfaceAttribute: what is named; security groups replace those that there are."""
    fields = ("NetworkInterfaceId", "NetworkInterfaceName", "NetworkInterfaceDescription", "SecurityGroupIds")
    params = Params(raw, (*fields, "TrunkingFlag"))
    eni = known_eni(network, params.id("NetworkInterfaceId", "eni"))
    if params.has("TrunkingFlag"):
        code = "UnsupportedOperation.SubEniNotSupportTrunking"
        raise ApiError(code, "Trunking is not emulated.")
    changed = replace(
        eni,
        name=label(params, "NetworkInterfaceName", eni.name),
        description=label(params, "NetworkInterfaceDescription", eni.description),
        security_groups=known_groups(params, network) or eni.security_groups,
    )
    return network.with_enis(changed)


def associate(raw: Mapping[str, Any], network: Network) -> Network:
    """AssociateNetworkInterfaceSecurityGroups: added behind those that an ENI has; not of a primary ENI."""
    enis, groups = _both(raw, network)
    for eni in enis:
        if eni.primary:
            raise ApiError("UnsupportedOperation", f"{eni.id} is a primary ENI.")
    added = (replace(eni, security_groups=tuple(dict.fromkeys((*eni.security_groups, *groups)))) for eni in enis)
    return network.with_enis(*added)


def disassociate(raw: Mapping[str, Any], network: Network) -> Network:
    """DisassociateNetworkInterfaceSecurityGroups: one at least has to stay."""
    enis, groups = _both(raw, network)
    kept = [
        replace(eni, security_groups=tuple(each for each in eni.security_groups if each not in groups))
        for eni in enis
    ]
    for eni in kept:
        if not eni.security_groups:
            raise ApiError("UnsupportedOperation", f"{eni.id} would have no security group.")
    return network.with_enis(*kept)


def _both(raw: Mapping[str, Any], network: Network) -> tuple[list[Eni], tuple[str, ...]]:
    params = Params(raw, ("NetworkInterfaceIds", "SecurityGroupIds"))
    for name in ("NetworkInterfaceIds", "SecurityGroupIds"):
        if not params.list(name, MAX_IDS):
            raise ApiError("MissingParameter", f"The request is missing the parameter `{name}`.")
    enis = [known_eni(network, eni_id) for eni_id in params.ids("NetworkInterfaceIds", "eni")]
    return enis, known_groups(params, network)


AT_ONCE: Mapping[str, Callable[[Mapping[str, Any], Network], Network]] = {
    "ModifyNetworkInterfaceAttribute": modify,
    "AssociateNetworkInterfaceSecurityGroups": associate,
    "DisassociateNetworkInterfaceSecurityGroups": disassociate,
}
