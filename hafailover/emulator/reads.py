"""What the Describe actions of VPC and CVM answer: a function of the network and the request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.emulator import eni_filters
from hafailover.emulator.network import EniState
from hafailover.emulator.params import MAX_IDS, Filters, Params
from hafailover.emulator.quota import UNATTACHED
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hafailover.cloud.quota import Quota
    from hafailover.emulator.network import Eni, Instance, Network, PrivateIp

Content = dict[str, Any]

CREATED = "2025-01-01 00:00:00"
CREATED_ISO = "2025-01-01T00:00:00Z"
ACCOUNT_ID = "100000000001"


def _primary_ips(network: Network, instance: Instance) -> list[str]:
    return [ip.address for eni in network.enis_of(instance.id) if eni.primary for ip in eni.ips]


INSTANCE_FILTERS: Mapping[str, Callable[[Network, Instance], Iterable[str]]] = {
    "zone": lambda _network, instance: (instance.zone,),
    "vpc-id": lambda _network, instance: (instance.vpc_id,),
    "subnet-id": lambda _network, instance: (instance.subnet_id,),
    "instance-id": lambda _network, instance: (instance.id,),
    "instance-name": lambda _network, instance: (instance.name,),
    "instance-state": lambda _network, instance: (instance.state.value,),
    "private-ip-address": _primary_ips,
}


def describe_network_interfaces(
    network: Network, raw: Mapping[str, Any], *, strict_ids: bool, migrating: str = EniState.DETACHING.value
) -> Content:
    """DescribeNetworkInterfaces: by ids or by filters; an unknown id is an error where `strict_ids`.

    `migrating` is the State of an ENI that migrates, as long as it is on its old instance.
    """
    params = Params(raw, ("NetworkInterfaceIds", "Filters", "Offset", "Limit"))
    ids = params.ids("NetworkInterfaceIds", "eni")
    if ids and params.has("Filters"):
        raise ApiError("InvalidParameter.Coexist", "NetworkInterfaceIds and Filters exclude each other.")
    filters = params.filters(eni_filters.KNOWN, "InvalidParameter.FilterInvalidKey")
    if strict_ids:
        _all_exist(ids, network.enis, "ResourceNotFound")
    named = (eni for eni in network.enis.values() if not ids or eni.id in ids)
    enis = [eni for eni in named if eni_filters.fits(network, eni, filters)]
    return {
        "TotalCount": len(enis),
        "NetworkInterfaceSet": [render_eni(network, _as_seen(eni, migrating)) for eni in enis[params.page()]],
    }


def _as_seen(eni: Eni, migrating: str) -> Eni:
    on_its_way = eni.state is EniState.DETACHING and eni.bound_for is not None
    return replace(eni, state=EniState(migrating)) if on_its_way else eni


def render_eni(network: Network, eni: Eni) -> Content:
    """Return a NetworkInterface; an attached one is AVAILABLE too, only NetworkInterfaceState says INUSE."""
    at_rest = eni.state is EniState.AVAILABLE
    return {
        "NetworkInterfaceId": eni.id,
        "NetworkInterfaceName": eni.name,
        "NetworkInterfaceDescription": eni.description,
        "SubnetId": eni.subnet_id,
        "VpcId": eni.vpc_id,
        "GroupSet": list(eni.security_groups),
        "Primary": eni.primary,
        "MacAddress": eni.mac,
        "State": eni.state.value,
        "NetworkInterfaceState": "INUSE" if at_rest and eni.instance_id else eni.state.value,
        "PrivateIpAddressSet": [render_ip(network, eni.vpc_id, ip) for ip in eni.ips],
        "Attachment": _attachment(eni),
        "Zone": network.zone_of(eni),
        "CreatedTime": CREATED,
        "Ipv6AddressSet": [render_ipv6(ip) for ip in eni.ipv6s],
        "TagSet": [],
        "EniType": int(eni.primary),
        "Business": "cvm",
        "CdcId": "",
        "AttachType": 0,
        "ResourceId": eni.instance_id or "",
        "QosLevel": "DEFAULT",
    }


def _attachment(eni: Eni) -> Content | None:
    if eni.instance_id is None:
        return None
    return {
        "InstanceId": eni.instance_id,
        "DeviceIndex": eni.device_index,
        "InstanceAccountId": ACCOUNT_ID,
        "AttachTime": CREATED,
    }


def render_ip(network: Network, vpc_id: str, ip: PrivateIp) -> Content:
    """Return a PrivateIpAddressSpecification."""
    eip = network.eip_of(vpc_id, ip.address)
    return {
        "PrivateIpAddress": ip.address,
        "Primary": ip.primary,
        "PublicIpAddress": eip.address if eip else "",
        "AddressId": eip.id if eip else "",
        "Description": ip.description,
        "IsWanIpBlocked": False,
        "State": ip.state.value,
        "QosLevel": "DEFAULT",
    }


def render_ipv6(ip: PrivateIp) -> Content:
    """Return an Ipv6Address."""
    return {
        "Address": ip.address,
        "Primary": ip.primary,
        "AddressId": "",
        "Description": ip.description,
        "IsWanIpBlocked": False,
        "State": ip.state.value,
        "PublicIpAddress": "",
        "AddressType": "GUA",
    }


def quota_for(network: Network, eni: Eni) -> Quota | None:
    """Return the quota that holds for an ENI: that of its instance, or the general one while detached."""
    return UNATTACHED if eni.instance_id is None else network.instances[eni.instance_id].quota


def describe_network_interface_limit(network: Network, raw: Mapping[str, Any]) -> Content:
    """DescribeNetworkInterfaceLimit of an instance or an ENI; EniQuantity of an ENI is 0."""
    wanted = Params(raw, ("InstanceId",)).id("InstanceId", "ins", "eni")
    if wanted in network.instances:
        quota = network.instances[wanted].quota
    elif wanted in network.enis:
        of_instance = quota_for(network, network.enis[wanted])
        quota = replace(of_instance, enis=0) if of_instance else None
    else:
        code = "InvalidInstanceId.NotFound" if wanted.startswith("ins-") else "ResourceNotFound"
        raise ApiError(code, f"{wanted} does not exist.")
    if quota is None:
        raise ApiError("ResourceNotFound", f"The quota of {wanted} is not known.")
    return _limits(quota.enis, quota.private_ips)


def _limits(enis: int, private_ips: int) -> Content:
    return {
        "EniQuantity": enis,
        "EniPrivateIpAddressQuantity": private_ips,
        "ExtendEniQuantity": 0,
        "ExtendEniPrivateIpAddressQuantity": 0,
        "SubEniQuantity": 0,
        "SubEniPrivateIpAddressQuantity": 0,
    }


def describe_instances(network: Network, raw: Mapping[str, Any]) -> Content:
    """CVM DescribeInstances: by ids or by filters."""
    params = Params(raw, ("InstanceIds", "Filters", "Offset", "Limit"))
    ids = instance_ids(params, network)
    if ids and params.has("Filters"):
        raise ApiError("InvalidParameterCombination", "InstanceIds and Filters exclude each other.")
    filters = params.filters(INSTANCE_FILTERS, "InvalidFilter")
    found = [i for i in _instances(network, ids) if _instance_fits(network, i, filters)]
    return {
        "TotalCount": len(found),
        "InstanceSet": [render_instance(network, instance) for instance in found[params.page()]],
    }


def describe_instances_status(network: Network, raw: Mapping[str, Any]) -> Content:
    """CVM DescribeInstancesStatus."""
    params = Params(raw, ("InstanceIds", "Offset", "Limit"))
    found = _instances(network, instance_ids(params, network))
    page = found[params.page()]
    return {
        "TotalCount": len(found),
        "InstanceStatusSet": [{"InstanceId": i.id, "InstanceState": i.state.value} for i in page],
    }


def instance_ids(params: Params, network: Network) -> tuple[str, ...]:
    """Return the request's InstanceIds, each of which exists. Raises ApiError."""
    ids = params.ids("InstanceIds", "ins", malformed="InvalidInstanceId.Malformed")
    _all_exist(ids, network.instances, "InvalidInstanceId.NotFound")
    return ids


def _instances(network: Network, ids: tuple[str, ...]) -> list[Instance]:
    return [instance for instance in network.instances.values() if not ids or instance.id in ids]


def _instance_fits(network: Network, instance: Instance, filters: Filters) -> bool:
    return all(
        any(value in values for value in INSTANCE_FILTERS[name](network, instance))
        for name, values in filters.items()
    )


def render_instance(network: Network, instance: Instance) -> Content:
    """Return an Instance with the fields that are of use here; its addresses are the primary ENI's."""
    groups = [group for eni in network.enis_of(instance.id) if eni.primary for group in eni.security_groups]
    operation, operation_state, operation_id = instance.operation
    return {
        "InstanceId": instance.id,
        "InstanceName": instance.name,
        "InstanceType": instance.type,
        "InstanceState": instance.state.value,
        "RestrictState": "NORMAL",
        "Placement": {"Zone": instance.zone, "ProjectId": 0},
        "VirtualPrivateCloud": {"VpcId": instance.vpc_id, "SubnetId": instance.subnet_id},
        "PrivateIpAddresses": _primary_ips(network, instance),
        "PublicIpAddresses": None,
        "SecurityGroupIds": groups,
        "CPU": instance.cpu,
        "Memory": instance.memory_gb,
        "CamRoleName": instance.role,
        "StopChargingMode": "NOT_APPLICABLE",
        "CreatedTime": CREATED_ISO,
        "Uuid": f"00000000-0000-4000-8000-0000{instance.id.removeprefix('ins-')}",
        "LatestOperation": operation or None,
        "LatestOperationState": operation_state or None,
        "LatestOperationRequestId": operation_id or None,
    }


def _all_exist(ids: tuple[str, ...], there: Mapping[str, object], code: str) -> None:
    for wanted in ids[:MAX_IDS]:
        if wanted not in there:
            raise ApiError(code, f"{wanted} does not exist.")
