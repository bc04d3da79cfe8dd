"""VPCs, subnets, security groups and HAVIPs are listed as the documents say, and a drift range holds an ENI."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hafailover.emulator.model import Model
from hafailover.emulator.network import HaVip, InstanceState, SecurityGroup
from hafailover.emulator.values import ApiError
from hafailover.emulator.world import EIP_ADDRESS, PAIR, VIP, EniSpec, build
from tests.unit.emulator.sdk import emulated

A, B = (node.instance_id for node in PAIR)
PRIMARY = PAIR[0].eni_id
HELD = "eni-cccccccc"
LISTED = {
    "Subnets": ("SubnetSet", "SubnetId"),
    "Vpcs": ("VpcSet", "VpcId"),
    "SecurityGroups": ("SecurityGroupSet", "SecurityGroupId"),
    "HaVips": ("HaVipSet", "HaVipId"),
}
IDS = {"Subnets": "SubnetIds", "Vpcs": "VpcIds", "SecurityGroups": "SecurityGroupIds", "HaVips": "HaVipIds"}


def world(**eni: Any) -> Model:
    network = build(ipv6_cidr="2001:db8:1::/64", eip_for=VIP, enis=(EniSpec(HELD, ("10.0.1.50",), A),))
    first = network.subnets["subnet-aaaaaaaa"]
    second = replace(first, id="subnet-bbbbbbbb", name="other", zone="ap-guangzhou-4", ipv6_cidr=None)
    vpc = network.vpcs["vpc-aaaaaaaa"]
    return Model(
        replace(
            network.with_enis(replace(network.enis[HELD], **eni)),
            subnets={first.id: first, second.id: second},
            vpcs={vpc.id: vpc, "vpc-bbbbbbbb": replace(vpc, id="vpc-bbbbbbbb", name="office", ipv6_cidr=None)},
            security_groups={**network.security_groups, "sg-bbbbbbbb": SecurityGroup("sg-bbbbbbbb", "open")},
        )
    )


def with_havips(*havips: HaVip, **eni: Any) -> Model:
    network = world(**eni).network
    return Model(replace(network, havips={havip.id: havip for havip in havips}))


HAVIP = HaVip("havip-aaaaaaaa", "vip", VIP, "vpc-aaaaaaaa", "subnet-aaaaaaaa", HELD, (HELD,))
UNBOUND = HaVip("havip-bbbbbbbb", "spare", "10.0.1.201", "vpc-aaaaaaaa", "subnet-aaaaaaaa", None, (B,))


def listed(what: str, *filters: tuple[str, list[str]], **fields: Any) -> list[str]:
    asked = {"Filters": [{"Name": name, "Values": values} for name, values in filters]} if filters else {}
    model = with_havips(HAVIP, UNBOUND, replace(UNBOUND, id="havip-cccccccc", drift_range=()))
    reply = model.request(f"Describe{what}", {**asked, **fields}, "x", 0)
    items, key = LISTED[what]
    assert reply["TotalCount"] >= len(reply[items])
    return [each[key][-8:] for each in reply[items]]


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


@pytest.mark.parametrize(
    ("what", "name", "value", "found"),
    [
        ("Subnets", "subnet-id", "subnet-aaaaaaaa", "a"),
        ("Subnets", "vpc-id", "vpc-aaaaaaaa", "ab"),
        ("Subnets", "cidr-block", "10.0.1.0/24", "ab"),
        ("Subnets", "is-default", "false", "ab"),
        ("Subnets", "subnet-name", "oth", ""),
        ("Subnets", "zone", "ap-guangzhou-4", "b"),
        ("Vpcs", "vpc-name", "ffi", "b"),  # a part will do
        ("Vpcs", "vpc-id", "vpc-aaaaaaaa", "a"),
        ("Vpcs", "cidr-block", "10.0.0.0/8", ""),
        ("Vpcs", "is-default", "true", ""),
        ("SecurityGroups", "security-group-id", "sg-aaaaaaaa", "a"),
        ("SecurityGroups", "security-group-name", "open", "b"),
        ("SecurityGroups", "project-id", "0", "ab"),
        ("HaVips", "havip-id", "havip-aaaaaaaa", "a"),
        ("HaVips", "havip-name", "spare", "bc"),
        ("HaVips", "vpc-id", "vpc-aaaaaaaa", "abc"),
        ("HaVips", "subnet-id", "subnet-bbbbbbbb", ""),
        ("HaVips", "vip", VIP, "a"),
        ("HaVips", "address-ip", EIP_ADDRESS, "a"),
        ("HaVips", "check-associate", "true", "ab"),
        ("HaVips", "havip-association.instance-id", HELD, "a"),
        ("HaVips", "havip-association.instance-type", "CVM", "b"),
    ],
)
def test_filters(what: str, name: str, value: str, found: str) -> None:
    assert listed(what, (name, [value])) == [letter * 8 for letter in found]


@pytest.mark.parametrize("what", LISTED)
def test_pages_and_ids(what: str) -> None:
    one, second = (1, 1) if what == "HaVips" else ("1", "1")
    assert listed(what, Limit=one)[0] == "a" * 8
    assert listed(what, Offset=second, Limit=one) == ["b" * 8]
    prefix = LISTED[what][1].removesuffix("Id").lower().replace("securitygroup", "sg")
    assert listed(what, **{IDS[what]: [f"{prefix}-bbbbbbbb"]}) == ["b" * 8]
    unknown = {IDS[what]: [f"{prefix}-zzzzzzzz"]}
    if what == "HaVips":
        assert listed(what, **unknown) == []
    else:
        with refused("ResourceNotFound"):
            listed(what, **unknown)
    with refused("InvalidParameterValue.Malformed"):
        listed(what, **{IDS[what]: ["x"]})
    with refused("InvalidParameter.Coexist"):
        listed(what, ("vpc-id", []), **{IDS[what]: [f"{prefix}-bbbbbbbb"]})
    with refused("InvalidParameter.FilterInvalidKey"):
        listed(what, ("colour", ["red"]))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Limit": 20}, "InvalidParameter"),
        ({"Limit": "0"}, "InvalidParameterValue.Range"),
        ({"Limit": "101"}, "InvalidParameterValue.Range"),
        ({"Offset": "-1"}, "InvalidParameterValue.Malformed"),
        ({"Offset": "٣"}, "InvalidParameterValue.Malformed"),
        ({"Offset": "9" * 11}, "InvalidParameterValue.Malformed"),
    ],
)
def test_offset_and_limit_are_strings(fields: dict[str, Any], code: str) -> None:
    with refused(code):
        listed("Subnets", **fields)


def test_havip_filters_have_at_most_five_values() -> None:
    with refused("InvalidParameterValue.LimitExceeded"):
        listed("HaVips", ("vip", ["x"] * 6))


def test_a_drift_range_holds_an_eni() -> None:
    detach = {"NetworkInterfaceId": HELD, "InstanceId": A}
    migrate = {"NetworkInterfaceId": HELD, "SourceInstanceId": A, "DestinationInstanceId": B}
    for held in (HAVIP, replace(HAVIP, drift_range=("eni-zzzzzzzz", A))):
        model = with_havips(UNBOUND, held)
        for action, fields in (("Detach", detach), ("Migrate", migrate)):
            with refused("UnsupportedOperation.InstanceAssociateHavip"):
                model.request(f"{action}NetworkInterface", fields, "x", 0)
    with_havips(UNBOUND).request("DetachNetworkInterface", detach, "x", 0)


def test_traffic_protection_holds_an_eni_while_its_instance_runs() -> None:
    model = world(traffic_protection=True)
    detach = {"NetworkInterfaceId": HELD, "InstanceId": A}
    with refused("OperationDenied.TrafficExceedThreshold"):
        model.request("DetachNetworkInterface", detach, "x", 0)
    by = [{"Name": "traffic-protection", "Values": ["TRUE"]}]
    found = model.request("DescribeNetworkInterfaces", {"Filters": by}, "x", 0)["NetworkInterfaceSet"]
    assert [eni["NetworkInterfaceId"] for eni in found] == [HELD]
    model.set_instance_state(A, InstanceState.STOPPED, 1)
    model.request("DetachNetworkInterface", detach, "x", 1)


async def test_the_sdk_lists_them() -> None:
    network = with_havips(HAVIP, UNBOUND).network
    async with emulated(network) as sdk:
        subnets = await sdk.call("DescribeSubnets", Offset="0", Limit="1")
        vpcs = await sdk.call("DescribeVpcs", VpcIds=["vpc-aaaaaaaa"])
        groups = await sdk.call("DescribeSecurityGroups")
        havips = await sdk.call("DescribeHaVips")
    subnet = subnets.SubnetSet[0]
    assert (subnets.TotalCount, subnet.Zone, subnet.Ipv6CidrBlock) == (2, "ap-guangzhou-3", "2001:db8:1::/64")
    assert (subnet.TotalIpAddressCount, subnet.AvailableIpAddressCount) == (253, 253 - 4)
    assert (vpcs.VpcSet[0].VpcName, vpcs.VpcSet[0].CidrBlock) == ("vpc", "10.0.1.0/24")
    assert [group.SecurityGroupName for group in groups.SecurityGroupSet] == ["default", "open"]
    first, second = havips.HaVipSet
    assert (first.State, first.InstanceId, first.AddressIp) == ("AVAILABLE", A, EIP_ADDRESS)
    assert [(m.InstanceId, m.InstanceType) for m in first.HaVipAssociationSet] == [(HELD, "ENI")]
    assert (second.State, second.NetworkInterfaceId) == ("UNBIND", "")
