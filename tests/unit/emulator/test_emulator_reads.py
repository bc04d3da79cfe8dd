from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.cloud.quota import Quota, quota_of
from hafailover.emulator import reads
from hafailover.emulator.quota import UNATTACHED
from hafailover.emulator.values import ApiError
from hafailover.emulator.world import VIP, build, mac_of

if TYPE_CHECKING:
    from hafailover.emulator.network import Network

A, B = "eni-aaaaaaaa", "eni-bbbbbbbb"


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def detached(eni_id: str) -> Network:
    network = build()
    return network.with_enis(replace(network.enis[eni_id], instance_id=None, primary=False))


def enis(network: Network | None = None, **fields: Any) -> list[str]:
    reply = reads.describe_network_interfaces(network or build(eip_for=VIP), fields, strict_ids=False)
    return [eni["NetworkInterfaceId"] for eni in reply["NetworkInterfaceSet"]]


def by(**filters: Any) -> list[dict[str, Any]]:
    return [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (by(address_ip=["1.17"]), [A]),  # one value: the end of an address
        (by(address_ip=["10.0.1.1"]), []),
        (by(address_ip=["17"], ip_exact_match=["TRUE"]), []),
        (by(address_ip=[VIP], ip_exact_match=["TRUE"]), [A]),
        (by(address_ip=["17", "10.0.1.16"]), [B]),  # several values: exact
        (by(address_ip=[VIP], ip_exact_match=["false"]), [A]),
        (by(vpc_id=["vpc-aaaaaaaa"]), [A, B]),
        (by(subnet_id=["subnet-bbbbbbbb"]), []),
        (by(network_interface_id=[B, "eni-zzzzzzzz"]), [B]),
        (by(network_interface_name=["web-a-primary"]), [A]),
        (by(network_interface_description=["x"]), []),
        (by(is_primary=["TRUE"]), [A, B]),
        (by(is_primary=["FALSE"]), []),
        (by(eni_type=["1"], vpc_id=["vpc-bbbbbbbb"]), []),
        ([{"Name": "attachment.instance-id", "Values": ["ins-bbbbbbbb"]}], [B]),
        ([{"Name": "groups.security-group-id", "Values": ["sg-aaaaaaaa"]}], [A, B]),
        (by(eni_type=["0"]) + by(eni_type=["1"]), [A, B]),
        (by(address_ip=["7"]), [A]),  # the trap
        (by(address_ip=[VIP[-3:]], ip_exact_match=["TRUE"]), []),
        (by(address_ip=[VIP[-3:]], ip_exact_match=["false", "TRUE"]), [A]),  # the first counts
        (by(address_ip=[VIP], vpc_id=["vpc-bbbbbbbb"]), []),
        (by(ip_exact_match=["TRUE"]), [A, B]),
        (by(public_address_ip=["203.0.113.10"]), [A]),
        (by(public_address_ip=["203.0.113"]), []),
        (by(address_ipv6=["2001:db8::1"]), []),
        (by(is_primary=["true"]), [A, B]),
        (by(is_primary=["FALSE", "TRUE"]), [A, B]),
        (by(eni_qos=["DEFAULT"]), [A, B]),
        (by(eni_qos=["PT"]), []),
        (by(address_type=["GUA"]), []),
        (by(termination_protection=["false"]), [A, B]),
        (by(traffic_protection=["TRUE"]), []),
        (by(tag_key=["team"]), []),
        ([{"Name": "tag:team", "Values": ["web"]}], []),
    ],
)
def test_filters(filters: list[dict[str, Any]], found: list[str]) -> None:
    assert enis(Filters=filters) == found


def test_ids_and_pages() -> None:
    assert enis(NetworkInterfaceIds=[B]) == [B]
    assert enis(Limit=1) == [A]
    assert enis(Offset=1, Limit=100) == [B]
    assert enis(NetworkInterfaceIds=["eni-zzzzzzzz"]) == []
    with refused("ResourceNotFound"):
        reads.describe_network_interfaces(build(), {"NetworkInterfaceIds": ["eni-zzzzzzzz"]}, strict_ids=True)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"NetworkInterfaceIds": [A], "Filters": []}, "InvalidParameter.Coexist"),
        ({"NetworkInterfaceIds": ["eni-AAAAAAAA"]}, "InvalidParameterValue.Malformed"),
        ({"NetworkInterfaceIds": [A] * 101}, "InvalidParameterValue.LimitExceeded"),
        ({"NetworkInterfaceIds": A}, "InvalidParameter"),
        ({"NetworkInterfaceIds": [1]}, "InvalidParameter"),
        ({"NetworkInterfaceIds": ["x" * 300]}, "InvalidParameterValue.TooLong"),
        ({"Filters": by(colour=["red"])}, "InvalidParameter.FilterInvalidKey"),
        ({"Filters": by(address=[VIP])}, "InvalidParameter.FilterInvalidKey"),
        ({"Filters": ["x"]}, "InvalidParameter.FilterNotDict"),
        ({"Filters": [{"Name": "vpc-id"}]}, "InvalidParameter.FilterNotDict"),
        ({"Filters": [{"Name": "vpc-id", "Values": "x"}]}, "InvalidParameter.FilterValuesNotList"),
        ({"Filters": by(vpc_id=["x"] * 101)}, "InvalidParameterValue.LimitExceeded"),
        ({"Filters": by(vpc_id=["x"]) * 11}, "InvalidParameterValue.LimitExceeded"),
        ({"Limit": 101}, "InvalidParameterValue.Range"),
        ({"Limit": 0}, "InvalidParameterValue.Range"),
        ({"Offset": -1}, "InvalidParameterValue.Range"),
        ({"Limit": "20"}, "InvalidParameter"),
        ({"Limit": True}, "InvalidParameter"),
        ({"MaxResults": 5}, "UnknownParameter"),
    ],
)
def test_refused_reads(fields: dict[str, Any], code: str) -> None:
    with refused(code):
        enis(**fields)


def test_an_eni_as_it_is_shown() -> None:
    shown = reads.render_eni(build(eip_for=VIP), build().enis[A])
    assert shown["MacAddress"] == mac_of(A)
    assert (shown["State"], shown["NetworkInterfaceState"], shown["Zone"]) == (
        "AVAILABLE",
        "INUSE",
        "ap-guangzhou-3",
    )
    assert shown["Attachment"]["InstanceId"] == "ins-aaaaaaaa"
    assert [(ip["PrivateIpAddress"], ip["Primary"], ip["AddressId"]) for ip in shown["PrivateIpAddressSet"]] == [
        ("10.0.1.17", True, ""),
        (VIP, False, "eip-aaaaaaaa"),
    ]
    alone = reads.render_eni(detached(A), detached(A).enis[A])
    assert (alone["Attachment"], alone["NetworkInterfaceState"]) == (None, "AVAILABLE")


def test_limits_of_instances_and_enis() -> None:
    def limits(wanted: str, network: Network | None = None) -> tuple[int, int]:
        reply = reads.describe_network_interface_limit(network or build(), {"InstanceId": wanted})
        return reply["EniQuantity"], reply["EniPrivateIpAddressQuantity"]

    assert limits("ins-aaaaaaaa") == (2, 10)
    assert limits(A) == (0, 10)
    assert limits(A, detached(A)) == (0, UNATTACHED.private_ips)
    gap = build().with_instance(replace(build().instances["ins-aaaaaaaa"], cpu=3))
    for wanted in ("ins-aaaaaaaa", A):
        with refused("ResourceNotFound"):
            limits(wanted, gap)
    told = gap.with_instance(replace(gap.instances["ins-aaaaaaaa"], own_quota=Quota(3, 7)))
    assert (limits("ins-aaaaaaaa", told), limits(A, told)) == ((3, 7), (0, 7))
    for wanted, code in (("ins-zzzzzzzz", "InvalidInstanceId.NotFound"), ("eni-zzzzzzzz", "ResourceNotFound")):
        with refused(code):
            limits(wanted)
    with refused("InvalidParameterValue.Malformed"):
        limits("vpc-aaaaaaaa")
    with refused("MissingParameter"):
        reads.describe_network_interface_limit(build(), {})


def instances(**fields: Any) -> list[str]:
    return [i["InstanceId"] for i in reads.describe_instances(build(), fields)["InstanceSet"]]


def test_instances() -> None:
    assert instances() == ["ins-aaaaaaaa", "ins-bbbbbbbb"]
    assert instances(InstanceIds=["ins-bbbbbbbb"]) == ["ins-bbbbbbbb"]
    assert instances(Filters=by(private_ip_address=[VIP])) == ["ins-aaaaaaaa"]
    assert instances(Filters=by(zone=["ap-guangzhou-3"], vpc_id=["vpc-aaaaaaaa"])) == instances()
    assert instances(Filters=by(subnet_id=["subnet-aaaaaaaa"], instance_state=["STOPPED"])) == []
    assert instances(Filters=by(instance_id=["ins-aaaaaaaa"], instance_name=["web-a"])) == ["ins-aaaaaaaa"]
    assert instances(Offset=1) == ["ins-bbbbbbbb"]
    shown = reads.render_instance(build(), build().instances["ins-aaaaaaaa"])
    assert shown["PrivateIpAddresses"] == ["10.0.1.17", VIP]
    assert shown["SecurityGroupIds"] == ["sg-aaaaaaaa"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"InstanceIds": ["ins-aaaaaaaa"], "Filters": by(zone=["z"])}, "InvalidParameterCombination"),
        ({"InstanceIds": ["ins-x"]}, "InvalidInstanceId.Malformed"),
        ({"InstanceIds": ["ins-zzzzzzzz"]}, "InvalidInstanceId.NotFound"),
        ({"Filters": by(colour=["red"])}, "InvalidFilter"),
    ],
)
def test_refused_instances(fields: dict[str, Any], code: str) -> None:
    with refused(code):
        instances(**fields)


@pytest.mark.parametrize(
    ("cpu", "memory_gb", "quota"),
    [
        (1, 1, Quota(2, 2)),
        (1, 2, Quota(2, 6)),
        (2, 4, Quota(2, 10)),
        (3, 6, None),
        (4, 8, Quota(4, 10)),
        (4, 15, Quota(4, 10)),
        (4, 16, None),
        (4, 17, Quota(4, 20)),
        (4, 32, Quota(4, 20)),
        (5, 8, None),
        (6, 48, None),
        (7, 8, None),
        (8, 16, Quota(6, 20)),
        (10, 20, Quota(6, 20)),
        (12, 24, Quota(6, 20)),
        (13, 26, Quota(8, 30)),
        (64, 128, Quota(8, 30)),
    ],
)
def test_quota_table(cpu: int, memory_gb: int, quota: Quota | None) -> None:
    assert quota_of(cpu, memory_gb) == quota
