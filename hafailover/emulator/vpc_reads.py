"""What is told of VPCs, subnets, security groups and HAVIPs, which no request changes here."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hafailover.emulator.params import Params
from hafailover.emulator.reads import CREATED
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hafailover.emulator.network import HaVip, Network, SecurityGroup, Subnet, Vpc

Content = dict[str, Any]
_T = TypeVar("_T")

ROUTES = "rtb-aaaaaaaa"
HAVIP_FILTER_VALUES = 5
SUBNET_FILTERS: Mapping[str, str] = {
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
    "cidr-block": "CidrBlock",
    "is-default": "IsDefault",
    "subnet-name": "SubnetName",
    "zone": "Zone",
}
VPC_FILTERS: Mapping[str, str] = {
    "vpc-name": "VpcName",
    "vpc-id": "VpcId",
    "cidr-block": "CidrBlock",
    "is-default": "IsDefault",
}
GROUP_FILTERS: Mapping[str, str] = {
    "security-group-id": "SecurityGroupId",
    "security-group-name": "SecurityGroupName",
    "project-id": "ProjectId",
}
HAVIP_FILTERS: Mapping[str, str] = {
    "havip-id": "HaVipId",
    "havip-name": "HaVipName",
    "vpc-id": "VpcId",
    "subnet-id": "SubnetId",
    "vip": "Vip",
    "address-ip": "AddressIp",
    "check-associate": "CheckAssociate",
}
# Filter of the members of a HAVIP's drift range -> the field of a HaVipAssociation.
MEMBER_FILTERS: Mapping[str, str] = {
    "havip-association.instance-id": "InstanceId",
    "havip-association.instance-type": "InstanceType",
}
FUZZY = frozenset({"vpc-name"})  # a part of the text will do


def describe_subnets(network: Network, raw: Mapping[str, Any]) -> Content:
    """DescribeSubnets: by ids or by filters; Offset and Limit are strings."""
    return _listed(
        raw, ("SubnetIds", "subnet"), network.subnets, partial(_subnet, network), SUBNET_FILTERS, "SubnetSet"
    )


def describe_vpcs(network: Network, raw: Mapping[str, Any]) -> Content:
    """DescribeVpcs: by ids or by filters; Offset and Limit are strings."""
    return _listed(raw, ("VpcIds", "vpc"), network.vpcs, _vpc, VPC_FILTERS, "VpcSet")


def describe_security_groups(network: Network, raw: Mapping[str, Any]) -> Content:
    """DescribeSecurityGroups: by ids or by filters; Offset and Limit are strings."""
    by = ("SecurityGroupIds", "sg")
    return _listed(raw, by, network.security_groups, _group, GROUP_FILTERS, "SecurityGroupSet")


def _listed(
    raw: Mapping[str, Any],
    by: tuple[str, str],
    there: Mapping[str, _T],
    show: Callable[[_T], Content],
    fields: Mapping[str, str],
    key: str,
) -> Content:
    """List what there is, by ids (`by`: their parameter and their prefix) or by the filters in `fields`."""
    params = Params(raw, (by[0], "Filters", "Offset", "Limit"))
    ids = _ids(params, *by, there)
    filters = params.filters(fields, "InvalidParameter.FilterInvalidKey")
    shown = [show(each) for name, each in there.items() if not ids or name in ids]
    found = [each for each in shown if _fits(each, filters, fields)]
    return {"TotalCount": len(found), key: found[params.text_page()]}


def describe_havips(network: Network, raw: Mapping[str, Any]) -> Content:
    """DescribeHaVips: by ids or by filters; one that there is not is no error, and Offset and Limit are numbers."""
    params = Params(raw, ("HaVipIds", "Filters", "Offset", "Limit"))
    ids = _ids(params, "HaVipIds", "havip")
    known = {**HAVIP_FILTERS, **MEMBER_FILTERS}
    filters = params.filters(known, "InvalidParameter.FilterInvalidKey", HAVIP_FILTER_VALUES)
    shown = [_havip(network, havip) for havip in network.havips.values() if not ids or havip.id in ids]
    found = [each for each in shown if _fits(each, filters, HAVIP_FILTERS) and _has_member(each, filters)]
    return {"TotalCount": len(found), "HaVipSet": found[params.page()]}


def _ids(params: Params, name: str, prefix: str, there: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """Return the ids that are asked for, each of which is `there`, if that is given."""
    ids = params.ids(name, prefix)
    if ids and params.has("Filters"):
        raise ApiError("InvalidParameter.Coexist", f"{name} and Filters exclude each other.")
    for wanted in ids if there is not None else ():
        if wanted not in (there or {}):
            raise ApiError("ResourceNotFound", f"{wanted} does not exist.")
    return ids


def _fits(shown: Content, filters: Mapping[str, tuple[str, ...]], fields: Mapping[str, str]) -> bool:
    return all(
        _matches(_text(shown[fields[name]]), values, fuzzy=name in FUZZY)
        for name, values in filters.items()
        if name in fields
    )


def _has_member(shown: Content, filters: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether a HAVIP's drift range has members as its filters say."""
    return all(
        any(member[MEMBER_FILTERS[name]] in values for member in shown["HaVipAssociationSet"])
        for name, values in filters.items()
        if name in MEMBER_FILTERS
    )


def _matches(text: str, values: Iterable[str], *, fuzzy: bool) -> bool:
    return any(value in text if fuzzy else value == text for value in values)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _subnet(network: Network, subnet: Subnet) -> Content:
    total = subnet.cidr.num_addresses - 3
    used = sum(len(eni.ips) for eni in network.enis.values() if eni.subnet_id == subnet.id)
    return {
        "VpcId": subnet.vpc_id,
        "SubnetId": subnet.id,
        "SubnetName": subnet.name,
        "CidrBlock": str(subnet.cidr),
        "IsDefault": False,
        "EnableBroadcast": False,
        "Zone": subnet.zone,
        "RouteTableId": ROUTES,
        "CreatedTime": CREATED,
        "AvailableIpAddressCount": total - used,
        "TotalIpAddressCount": total,
        "Ipv6CidrBlock": str(subnet.ipv6_cidr or ""),
        "NetworkAclId": "",
        "IsRemoteVpcSnat": False,
        "TagSet": [],
        "CdcId": "",
        "IsCdcSubnet": 0,
    }


def _vpc(vpc: Vpc) -> Content:
    return {
        "VpcId": vpc.id,
        "VpcName": vpc.name,
        "CidrBlock": str(vpc.cidr),
        "IsDefault": False,
        "EnableMulticast": False,
        "CreatedTime": CREATED,
        "DnsServerSet": [],
        "DomainName": "",
        "DhcpOptionsId": "",
        "EnableDhcp": True,
        "Ipv6CidrBlock": str(vpc.ipv6_cidr or ""),
        "TagSet": [],
        "AssistantCidrSet": [],
    }


def _group(group: SecurityGroup) -> Content:
    return {
        "SecurityGroupId": group.id,
        "SecurityGroupName": group.name,
        "SecurityGroupDesc": "",
        "ProjectId": "0",
        "IsDefault": False,
        "CreatedTime": CREATED,
        "TagSet": [],
    }


def _havip(network: Network, havip: HaVip) -> Content:
    eni = network.enis.get(havip.eni_id or "")
    eip = network.eip_of(havip.vpc_id, havip.vip)
    return {
        "HaVipId": havip.id,
        "HaVipName": havip.name,
        "Vip": havip.vip,
        "VpcId": havip.vpc_id,
        "SubnetId": havip.subnet_id,
        "NetworkInterfaceId": eni.id if eni else "",
        "InstanceId": (eni.instance_id or "") if eni else "",
        "AddressIp": eip.address if eip else "",
        "State": "AVAILABLE" if eni else "UNBIND",
        "CreatedTime": CREATED,
        "Business": "cvm",
        "HaVipAssociationSet": [
            {"InstanceId": member, "HaVipId": havip.id, "InstanceType": "ENI" if member[:4] == "eni-" else "CVM"}
            for member in havip.drift_range
        ],
        "CheckAssociate": bool(havip.drift_range),
        "CdcId": "",
        "TagSet": [],
    }


READS: Mapping[str, Callable[[Network, Mapping[str, Any]], Content]] = {
    "DescribeSubnets": describe_subnets,
    "DescribeVpcs": describe_vpcs,
    "DescribeSecurityGroups": describe_security_groups,
    "DescribeHaVips": describe_havips,
}
