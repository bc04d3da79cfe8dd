from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.cvm.v20170312 import models as cvm
from tencentcloud.vpc.v20170312 import models as vpc

from hafailover.cloud.replies import (
    Address,
    Eni,
    HaVip,
    Limits,
    Size,
    Subnet,
    TaskStatus,
    parse_created_eni,
    parse_enis,
    parse_havips,
    parse_instance_state,
    parse_limits,
    parse_sizes,
    parse_subnets,
    parse_task,
)
from hafailover.errors import CloudError

ENI: dict[str, Any] = {
    "NetworkInterfaceId": "eni-aaaaaaaa",
    "MacAddress": "20:90:6F:63:98:CC",
    "Primary": False,
    "State": "AVAILABLE",
    "SubnetId": "subnet-11111111",
    "Zone": "ap-guangzhou-3",
    "GroupSet": ["sg-1", "sg-2"],
    "Attachment": {"InstanceId": "ins-aaaaaaaa", "DeviceIndex": 1},
    "PrivateIpAddressSet": [
        {"PrivateIpAddress": "10.0.0.17", "Primary": True, "State": "AVAILABLE", "AddressId": "eip-1"},
        {"PrivateIpAddress": "10.0.0.100", "Primary": False, "State": "MIGRATING", "AddressId": ""},
    ],
    "SomethingNew": {"of": ["any", "shape"]},
}
REPLY: dict[str, Any] = {"TotalCount": 1, "NetworkInterfaceSet": [ENI], "RequestId": "r"}


SURROUNDINGS: dict[str, Any] = {
    "SubnetSet": [
        {
            "SubnetId": "subnet-a",
            "VpcId": "vpc-a",
            "Zone": "zone-3",
            "CidrBlock": "10.0.1.0/24",
            "Ipv6CidrBlock": "",
        }
    ],
    "EniQuantity": 4,
    "EniPrivateIpAddressQuantity": 10,
    "HaVipSet": [
        {"HaVipId": "havip-a", "Vip": "10.0.1.9", "HaVipAssociationSet": [{"InstanceId": "ins-a"}]},
        {"HaVipId": "havip-b", "Vip": "", "HaVipAssociationSet": None},
    ],
    "InstanceSet": [{"InstanceId": "ins-a", "CPU": 2, "Memory": 4, "InstanceName": "web"}],
    "RequestId": "r",
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the reply with one value replaced; the path is keys and indices with dots between."""
    reply = copy.deepcopy(REPLY)
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    place: Any = reply
    for step in way:
        place = place[step]
    place[last] = value
    return reply


def test_an_eni_as_documented() -> None:
    assert parse_enis(REPLY) == (
        Eni(
            id="eni-aaaaaaaa",
            mac="20:90:6f:63:98:cc",
            instance_id="ins-aaaaaaaa",
            primary=False,
            state="AVAILABLE",
            subnet_id="subnet-11111111",
            zone="ap-guangzhou-3",
            addresses=(
                Address("10.0.0.17", primary=True, state="AVAILABLE", eip_id="eip-1"),
                Address("10.0.0.100", primary=False, state="MIGRATING"),
            ),
            security_groups=("sg-1", "sg-2"),
        ),
    )


def test_the_name_of_an_eni() -> None:
    assert parse_enis(changed("NetworkInterfaceSet.0.NetworkInterfaceName", "web"))[0].name == "web"
    assert parse_enis(REPLY)[0].name == ""


def test_the_id_of_an_eni_that_is_being_created() -> None:
    made = {"NetworkInterfaceId": "eni-aaaaaaaa", "State": "PENDING", "Zone": "", "GroupSet": []}
    assert parse_created_eni({"NetworkInterface": made, "RequestId": "r"}) == "eni-aaaaaaaa"


@pytest.mark.parametrize("value", [None, [], {}, {"NetworkInterface": None}, {"NetworkInterface": {}}])
def test_a_creation_without_an_id_is_refused(value: Any) -> None:
    with pytest.raises(CloudError) as info:
        parse_created_eni(value)
    assert info.value.code == "ClientBadReply"


DUAL = Subnet("subnet-1", "vpc-1", "zone-1", "10.0.1.0/24", "fd00::/64")


def test_subnets_with_and_without_ipv6() -> None:
    told = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "Zone": "zone-1", "CidrBlock": "10.0.1.0/24"}
    both = [{**told, "Ipv6CidrBlock": "fd00::/64"}, {**told, "Ipv6CidrBlock": ""}, told]
    without = Subnet("subnet-1", "vpc-1", "zone-1", "10.0.1.0/24")
    assert parse_subnets({"SubnetSet": both}) == (DUAL, without, without)


@pytest.mark.parametrize(
    ("address", "objection"),
    [
        ("10.0.1.2", ""),
        ("10.0.1.254", ""),
        ("fd00::1", ""),
        ("10.0.1.0", "the cloud keeps it for itself in subnet-1"),
        ("10.0.1.1", "the cloud keeps it for itself in subnet-1"),
        ("10.0.1.255", "the cloud keeps it for itself in subnet-1"),
        ("10.0.2.2", "it is not within 10.0.1.0/24, the range of subnet-1"),
        ("fd01::2", "it is not within fd00::/64, the range of subnet-1"),
    ],
)
def test_addresses_that_no_eni_of_a_subnet_can_get(address: str, objection: str) -> None:
    assert DUAL.objection(address) == objection


def test_a_subnet_without_ipv6_or_with_a_block_of_an_unknown_spelling() -> None:
    assert Subnet("subnet-1", "v", "z", "10.0.1.0/24").objection("fd00::2") == "subnet-1 has no IPv6 block"
    assert Subnet("subnet-1", "v", "z", "ten").objection("10.0.1.2") == ""


@pytest.mark.parametrize("value", [None, {"InstanceId": ""}, {"InstanceId": None}, {}])
def test_a_detached_eni(value: Any) -> None:
    (eni,) = parse_enis(changed("NetworkInterfaceSet.0.Attachment", value))
    assert eni.instance_id is None


@pytest.mark.parametrize("key", ["GroupSet", "Zone", "MacAddress", "SubnetId", "State"])
def test_what_may_be_missing_while_an_eni_is_made(key: str) -> None:
    (eni,) = parse_enis(changed(f"NetworkInterfaceSet.0.{key}", None))
    assert eni.id == "eni-aaaaaaaa"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("NetworkInterfaceSet", None),
        ("NetworkInterfaceSet", {}),
        ("NetworkInterfaceSet.0", None),
        ("NetworkInterfaceSet.0", "eni-aaaaaaaa"),
        ("TotalCount", 2),
        ("TotalCount", "1"),
        ("TotalCount", True),
        ("TotalCount", None),
        ("NetworkInterfaceSet.0.NetworkInterfaceId", ""),
        ("NetworkInterfaceSet.0.NetworkInterfaceId", 5),
        ("NetworkInterfaceSet.0.NetworkInterfaceId", "e" * 257),
        ("NetworkInterfaceSet.0.Primary", None),
        ("NetworkInterfaceSet.0.Primary", "false"),
        ("NetworkInterfaceSet.0.State", 1),
        ("NetworkInterfaceSet.0.Attachment", "ins-aaaaaaaa"),
        ("NetworkInterfaceSet.0.Attachment.InstanceId", 7),
        ("NetworkInterfaceSet.0.PrivateIpAddressSet", None),
        ("NetworkInterfaceSet.0.PrivateIpAddressSet.1", []),
        ("NetworkInterfaceSet.0.PrivateIpAddressSet.1.PrivateIpAddress", None),
        ("NetworkInterfaceSet.0.PrivateIpAddressSet.1.Primary", 0),
        ("NetworkInterfaceSet.0.PrivateIpAddressSet.1.State", ["AVAILABLE"]),
        ("NetworkInterfaceSet.0.GroupSet", "sg-1"),
        ("NetworkInterfaceSet.0.GroupSet.0", 5),
    ],
)
def test_a_reply_that_cannot_be_believed_is_an_error(path: str, value: Any) -> None:
    with pytest.raises(CloudError) as caught:
        parse_enis(changed(path, value))
    assert caught.value.code == "ClientBadReply"
    assert next(step for step in reversed(path.split(".")) if not step.isdigit()) in str(caught.value)


def test_a_reply_that_lists_an_eni_twice_is_an_error() -> None:
    with pytest.raises(CloudError, match="duplicates"):
        parse_enis({"TotalCount": 2, "NetworkInterfaceSet": [ENI, ENI]})


def test_the_fields_that_are_read_exist_in_the_sdks_models() -> None:
    eni = vpc.NetworkInterface()
    known = {**ENI}
    del known["SomethingNew"]
    eni._deserialize(known)  # warns, which is an error here, about fields that it does not know
    assert eni.Attachment.InstanceId == "ins-aaaaaaaa"
    assert eni.PrivateIpAddressSet[1].State == "MIGRATING"
    assert hasattr(vpc.DescribeNetworkInterfacesResponse(), "TotalCount")
    assert hasattr(vpc.DescribeVpcTaskResultResponse(), "Status")
    assert hasattr(cvm.DescribeInstancesStatusResponse(), "InstanceStatusSet")
    assert hasattr(cvm.InstanceStatus(), "InstanceState")


def test_the_surroundings_as_documented() -> None:
    assert parse_subnets(SURROUNDINGS) == (Subnet("subnet-a", "vpc-a", "zone-3", "10.0.1.0/24"),)
    assert parse_limits(SURROUNDINGS) == Limits(enis=4, private_ips=10)
    assert parse_havips(SURROUNDINGS) == (HaVip("havip-a", "10.0.1.9", ("ins-a",)), HaVip("havip-b", "", ()))
    assert parse_sizes(SURROUNDINGS) == (Size("ins-a", cpu=2, memory_gb=4),)


@pytest.mark.parametrize("value", [None, -1, 2.0, True, "4"])
def test_a_number_that_is_none_cannot_be_believed(value: Any) -> None:
    with pytest.raises(CloudError, match="EniQuantity is not a number of 0 or more"):
        parse_limits({**SURROUNDINGS, "EniQuantity": value})


def test_the_fields_of_the_surroundings_exist_in_the_sdks_models() -> None:
    for key, response in (
        ("SubnetSet", vpc.DescribeSubnetsResponse()),
        ("EniQuantity", vpc.DescribeNetworkInterfaceLimitResponse()),
        ("EniPrivateIpAddressQuantity", vpc.DescribeNetworkInterfaceLimitResponse()),
        ("HaVipSet", vpc.DescribeHaVipsResponse()),
        ("InstanceSet", cvm.DescribeInstancesResponse()),
    ):
        assert hasattr(response, key)
    for made, part in (
        (vpc.Subnet(), SURROUNDINGS["SubnetSet"][0]),
        (vpc.HaVip(), SURROUNDINGS["HaVipSet"][0]),
        (cvm.Instance(), SURROUNDINGS["InstanceSet"][0]),
    ):
        made._deserialize(part)  # warns, which is an error here, about fields that it does not know


def test_instance_states() -> None:
    reply = {"InstanceStatusSet": [{"InstanceId": "ins-a", "InstanceState": "STOPPED"}]}
    assert parse_instance_state(reply, "ins-a") == "STOPPED"
    with pytest.raises(CloudError) as caught:
        parse_instance_state(reply, "ins-b")
    assert caught.value.code == "ResourceNotFound"


def test_task_states() -> None:
    assert parse_task({"Status": "RUNNING"}) is TaskStatus.RUNNING
    for status in ("DONE", "", None, 1):
        with pytest.raises(CloudError, match="Status"):
            parse_task({"Status": status})


SUBNET = SURROUNDINGS["SubnetSet"][0]
KEYS = [*ENI, *REPLY, *SURROUNDINGS, *SUBNET, "PrivateIpAddress", "InstanceId", "Status", "CPU", "x"]
PARSERS = (
    parse_enis,
    parse_task,
    parse_subnets,
    parse_limits,
    parse_havips,
    parse_sizes,
    lambda value: parse_instance_state(value, "ins-a"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)
PATHS = ["TotalCount", "NetworkInterfaceSet", *(f"NetworkInterfaceSet.0.{key}" for key in ENI)]


@given(JSON | st.builds(changed, st.sampled_from(PATHS), JSON))
def test_any_json_is_a_value_or_a_cloud_error(reply: Any) -> None:
    for parse in PARSERS:
        try:
            parsed = parse(reply)
        except CloudError as error:
            assert error.code in ("ClientBadReply", "ResourceNotFound")  # noqa: PT017 - either way is fine
        else:
            assert isinstance(parsed, tuple | TaskStatus | Limits | str)
