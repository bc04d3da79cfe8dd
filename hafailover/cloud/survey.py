"""What else the cloud can say of the ground that a failover stands on: subnets, quotas, HAVIPs, protection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.cloud.client import PAGE
from hafailover.cloud.replies import (
    Eni,
    HaVip,
    Limits,
    Size,
    Subnet,
    parse_enis,
    parse_havips,
    parse_limits,
    parse_sizes,
    parse_subnets,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.cloud.client import Cloud

_VALUES = 5  # in a filter of DescribeHaVips


async def subnets(cloud: Cloud, subnet_ids: Sequence[str]) -> tuple[Subnet, ...]:
    """Describe up to 100 subnets by their ids (DescribeSubnets). This and all below raise CloudError."""
    return parse_subnets(await cloud.ask("DescribeSubnets", {"SubnetIds": list(subnet_ids[:PAGE])}))


async def limits(cloud: Cloud, instance_id: str) -> Limits:
    """Return the quota of an instance (DescribeNetworkInterfaceLimit)."""
    return parse_limits(await cloud.ask("DescribeNetworkInterfaceLimit", {"InstanceId": instance_id}))


async def havips(cloud: Cloud, vpc_ids: Sequence[str]) -> tuple[HaVip, ...]:
    """Return up to 100 HAVIPs of these VPCs, of which the API looks at five (DescribeHaVips)."""
    filters = [{"Name": "vpc-id", "Values": list(vpc_ids[:_VALUES])}]
    return parse_havips(await cloud.ask("DescribeHaVips", {"Filters": filters, "Offset": 0, "Limit": PAGE}))


async def protected(cloud: Cloud, eni_ids: Sequence[str]) -> frozenset[str]:
    """Return which of up to 100 ENIs have traffic protection; only a filter of DescribeNetworkInterfaces tells."""
    filters: list[dict[str, object]] = [
        {"Name": "network-interface-id", "Values": list(eni_ids[:PAGE])},
        {"Name": "traffic-protection", "Values": ["TRUE"]},
    ]
    parameters: dict[str, object] = {"Filters": filters, "Offset": 0, "Limit": PAGE}
    return frozenset(eni.id for eni in parse_enis(await cloud.ask("DescribeNetworkInterfaces", parameters)))


async def named(cloud: Cloud, name: str, vpc_id: str) -> tuple[Eni, ...]:
    """Return up to 100 ENIs of a VPC that have exactly this name (DescribeNetworkInterfaces)."""
    filters: list[dict[str, object]] = [
        {"Name": "network-interface-name", "Values": [name]},
        {"Name": "vpc-id", "Values": [vpc_id]},
    ]
    parameters: dict[str, object] = {"Filters": filters, "Offset": 0, "Limit": PAGE}
    found = parse_enis(await cloud.ask("DescribeNetworkInterfaces", parameters))
    return tuple(eni for eni in found if eni.name == name)


async def sizes(cloud: Cloud, instance_ids: Sequence[str]) -> tuple[Size, ...]:
    """Return the cores and memory of up to 100 instances (DescribeInstances)."""
    parameters: dict[str, object] = {"InstanceIds": list(instance_ids[:PAGE]), "Offset": 0, "Limit": PAGE}
    return parse_sizes(await cloud.ask("DescribeInstances", parameters, "cvm"))
