"""Whatever a request says, the model answers it or refuses it with a code of the API, and stays one cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.cvm.v20170312 import errorcodes as cvm_codes
from tencentcloud.vpc.v20170312 import errorcodes as vpc_codes

from hafailover.emulator.actions import SERVICES
from hafailover.emulator.model import Model, Rules
from hafailover.emulator.network import Eip, HaVip
from hafailover.emulator.values import ApiError
from hafailover.emulator.world import PAIR, VIP, EniSpec, build

if TYPE_CHECKING:
    from collections.abc import Mapping

A, B = (node.instance_id for node in PAIR)
PRIMARY, OTHER = (node.eni_id for node in PAIR)
HELD, LOOSE = "eni-cccccccc", "eni-dddddddd"
EIP, FREE_EIP = "eip-aaaaaaaa", "eip-bbbbbbbb"
FILTERS = [{"Name": "vpc-id", "Values": ["vpc-aaaaaaaa"]}]
ENI_AND_INSTANCE = {"NetworkInterfaceId": LOOSE, "InstanceId": B}
NEW = {"VpcId": "vpc-aaaaaaaa", "SubnetId": "subnet-aaaaaaaa", "NetworkInterfaceName": "new"}
GROUPS = {"NetworkInterfaceIds": [HELD], "SecurityGroupIds": ["sg-aaaaaaaa"]}
PAGE = {"Offset": 0, "Limit": 10}

# A good request of every action.
EXAMPLES: Mapping[str, dict[str, Any]] = {
    "MigratePrivateIpAddress": {
        "SourceNetworkInterfaceId": PRIMARY,
        "DestinationNetworkInterfaceId": OTHER,
        "PrivateIpAddress": VIP,
    },
    "AssignPrivateIpAddresses": {
        "NetworkInterfaceId": OTHER,
        "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.1.70", "Primary": False}],
        "ClientToken": "t",
    },
    "UnassignPrivateIpAddresses": {
        "NetworkInterfaceId": PRIMARY,
        "PrivateIpAddresses": [{"PrivateIpAddress": VIP}],
    },
    "AssignIpv6Addresses": {"NetworkInterfaceId": OTHER, "Ipv6AddressCount": 1},
    "UnassignIpv6Addresses": {"NetworkInterfaceId": HELD, "Ipv6Addresses": [{"Address": "2001:db8:1::50"}]},
    "AttachNetworkInterface": {**ENI_AND_INSTANCE, "AttachType": 0, "ClientToken": "t"},
    "DetachNetworkInterface": {"NetworkInterfaceId": HELD, "InstanceId": A},
    "MigrateNetworkInterface": {"NetworkInterfaceId": HELD, "SourceInstanceId": A, "DestinationInstanceId": B},
    "CreateNetworkInterface": {**NEW, "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.1.80"}]},
    "CreateAndAttachNetworkInterface": {**NEW, "InstanceId": B, "SecondaryPrivateIpAddressCount": 1},
    "DeleteNetworkInterface": {"NetworkInterfaceId": LOOSE},
    "ModifyNetworkInterfaceAttribute": {"NetworkInterfaceId": HELD, "NetworkInterfaceName": "n"},
    "AssociateNetworkInterfaceSecurityGroups": GROUPS,
    "DisassociateNetworkInterfaceSecurityGroups": {**GROUPS, "SecurityGroupIds": ["sg-bbbbbbbb"]},
    "AssociateAddress": {"AddressId": FREE_EIP, "NetworkInterfaceId": HELD, "PrivateIpAddress": "10.0.1.50"},
    "DisassociateAddress": {"AddressId": EIP, "ReallocateNormalPublicIp": False},
    "DescribeNetworkInterfaces": {"Filters": FILTERS, **PAGE},
    "DescribeNetworkInterfaceLimit": {"InstanceId": A},
    "DescribeVpcTaskResult": {"TaskId": "task"},
    "DescribeTaskResult": {"TaskId": 1},
    "DescribeAddresses": {"Filters": [{"Name": "address-status", "Values": ["BIND"]}], **PAGE},
    "DescribeSubnets": {"Filters": FILTERS, "Offset": "0", "Limit": "10"},
    "DescribeVpcs": {"VpcIds": ["vpc-aaaaaaaa"], "Limit": "1"},
    "DescribeSecurityGroups": {"SecurityGroupIds": ["sg-aaaaaaaa"]},
    "DescribeHaVips": {"Filters": FILTERS, **PAGE},
    "DescribeInstances": {"InstanceIds": [A], **PAGE},
    "DescribeInstancesStatus": {"InstanceIds": [A, B]},
    "DescribeTaskInfo": {
        "InstanceIds": [A],
        "TaskStatus": [1, 4],
        "TaskTypeIds": [107],
        "TaskIds": ["rep-aaaaaaaa"],
        "Aliases": ["web-a"],
        "Product": "CVM",
        "StartDate": "2025-01-01 00:00:00",
        "EndDate": "2035-01-01 00:00:00",
        "OrderField": "AuthTime",
        "Order": 1,
        **PAGE,
    },
    "StopInstances": {"InstanceIds": [A], "StopType": "HARD"},
    "StartInstances": {"InstanceIds": [A]},
    "RebootInstances": {"InstanceIds": [A], "ForceReboot": True},
}
# What is not there to be found, and what there has to be switched off first.
REFUSED = {
    "DescribeVpcTaskResult": "ResourceNotFound",
    "DescribeTaskResult": "InvalidParameter",
    "StartInstances": "UnsupportedOperation.InstanceStateRunning",
    "DisassociateNetworkInterfaceSecurityGroups": "ResourceNotFound",
}
CODES = [*vars(vpc_codes).values(), *vars(cvm_codes).values(), "UnknownParameter", ""]


def cloud() -> Model:
    enis = (
        EniSpec(HELD, ("10.0.1.50", "10.0.1.51"), A, ("2001:db8:1::50",)),
        EniSpec(LOOSE, ("10.0.1.60",)),
    )
    network = build(ipv6_cidr="2001:db8:1::/64", eip_for=VIP, enis=enis).with_eip(Eip(FREE_EIP, "203.0.113.11"))
    havip = HaVip("havip-aaaaaaaa", "h", "10.0.1.200", "vpc-aaaaaaaa", "subnet-aaaaaaaa", OTHER, (OTHER,))
    network.havips.update({havip.id: havip})  # type: ignore[attr-defined]
    return Model(network, rules=Rules(task_ms=10))


def test_there_is_an_example_of_every_action() -> None:
    assert set(EXAMPLES) == SERVICES["vpc"] | SERVICES["cvm"]


@pytest.mark.parametrize("action", EXAMPLES)
def test_the_examples_are_good_requests(action: str) -> None:
    model = cloud()
    if action in REFUSED:
        with pytest.raises(ApiError, match=f"^{REFUSED[action]}: "):
            model.request(action, EXAMPLES[action], "x", 0)
    else:
        model.request(action, EXAMPLES[action], "x", 0)
        model.advance(10_000)
    _one_cloud(model)


NAMES = st.sampled_from(
    (PRIMARY, HELD, LOOSE, A, B, VIP, "10.0.1.50", "10.0.1.60", EIP, FREE_EIP, "2001:db8:1::50", "sg-aaaaaaaa")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
REQUESTS = st.sampled_from(sorted(EXAMPLES)).flatmap(
    lambda action: st.tuples(
        st.just(action),
        st.dictionaries(st.sampled_from(sorted(EXAMPLES[action])), VALUES | NAMES, max_size=2),
        st.integers(0, 15),
    )
)


@given(st.lists(REQUESTS, max_size=12))
def test_whatever_is_asked_it_is_answered_or_refused(steps: list[tuple[str, dict[str, Any], int]]) -> None:
    model = cloud()
    now = 0
    for action, damage, wait_ms in steps:
        now += wait_ms
        assert _code(model, action, {**EXAMPLES[action], **damage}, now) in CODES
        _one_cloud(model)
    model.advance(now + 10_000)
    _one_cloud(model)
    assert {eni.state.value for eni in model.network.enis.values()} == {"AVAILABLE"}
    assert {eip.passing for eip in model.network.eips.values()} == {None}


def _code(model: Model, action: str, fields: dict[str, Any], now: int) -> str:
    """Make a request; return the code with which it was refused, "" where it was answered."""
    try:
        model.request(action, fields, "x", now)
    except ApiError as error:
        return error.code if error.request_id else "no request id"
    return ""


def _one_cloud(model: Model) -> None:
    """See that nothing is in two places and nothing in none that there is."""
    network = model.network
    addresses = [ip.address for eni in network.enis.values() for ip in eni.all_ips]
    assert len(addresses) == len(set(addresses))
    for eni in network.enis.values():
        assert eni.instance_id in (None, *network.instances)
        assert [ip.primary for ip in eni.ips] == [True, *[False] * (len(eni.ips) - 1)]
    for instance in network.instances:
        places = [eni.device_index for eni in network.enis_of(instance)]
        assert sorted(set(places)) == places
        assert [eni.primary for eni in network.enis_of(instance)] == [True, *[False] * (len(places) - 1)]
    for eip in network.eips.values():
        assert (eip.private_ip is None) == (network.carrier_of(eip) is None)
