"""A world file says what the emulated cloud starts with; everything that is wrong with it is told with its key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hafailover.cloud.quota import Quota
from hafailover.emulator.faults import Kind
from hafailover.emulator.model import Model
from hafailover.emulator.network import EipState, InstanceState
from hafailover.emulator.world_file import parse
from hafailover.errors import ConfigError
from tests.unit.emulator.sdk import emulated

DOCUMENT = Path(__file__).parents[3] / "docs" / "emulator.md"
EXAMPLE = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
A, B = "ins-aaaaaaaa", "ins-bbbbbbbb"
MINIMAL = """
[[instance]]
id = "ins-aaaaaaaa"
[[eni]]
id = "eni-aaaaaaaa"
instance = "ins-aaaaaaaa"
primary = true
addresses = ["10.0.1.17"]
"""


def example() -> str:
    assert EXAMPLE is not None
    return EXAMPLE[1]


def told(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "world.toml")
    assert {problem.file for problem in caught.value.problems} == {"world.toml"}
    return [(problem.key, problem.message) for problem in caught.value.problems]


def test_the_documented_example() -> None:
    world = parse(example(), "world.toml")
    network = world.network
    assert network.region == "ap-guangzhou"
    assert str(network.vpcs["vpc-aaaaaaaa"].ipv6_cidr) == "2001:db8:1::/56"
    assert (network.instances[A].cpu, network.instances[A].zone) == (4, "ap-guangzhou-3")
    assert (network.instances[A].quota, network.instances[B].quota) == (Quota(4, 10), Quota(4, 10))
    assert network.instances[B].own_quota == Quota(4, 10)
    enis = network.enis_of(A)
    assert [(eni.id, eni.primary, eni.device_index) for eni in enis] == [
        ("eni-aaaaaaaa", True, 0),
        ("eni-cccccccc", False, 1),
    ]
    assert [(ip.address, ip.primary) for ip in enis[1].ips] == [("10.0.1.50", True), ("10.0.1.51", False)]
    assert [ip.address for ip in enis[1].ipv6s] == ["2001:db8:1::50"]
    eip = network.eips["eip-aaaaaaaa"]
    assert (network.state_of(eip), network.holder_of(eip.id)) == (EipState.BIND, "10.0.1.51")
    assert network.havips["havip-aaaaaaaa"].drift_range == (B,)
    assert network.security_groups["sg-aaaaaaaa"].name == "web"
    assert network.instances[A].termination_time == "2030-01-01 12:00:00"
    repair = network.repairs["rep-aaaaaaaa"]
    assert (repair.instance, repair.planned, repair.status) == (B, "2030-01-02 12:00:00", 1)
    (fault,) = world.faults
    assert (fault.kind, fault.caller, fault.action, fault.code) == (
        Kind.DENIED,
        B,
        "MigrateNetworkInterface",
        "UnauthorizedOperation",
    )


def test_a_file_need_not_say_what_there_usually_is() -> None:
    network = parse(MINIMAL, "world.toml").network
    assert list(network.subnets) == ["subnet-aaaaaaaa"]
    assert network.enis["eni-aaaaaaaa"].security_groups == ("sg-aaaaaaaa",)
    assert network.instances[A].own_quota is None
    Model(network).request("DescribeNetworkInterfaces", {}, "x", 0)


def test_other_zones_states_and_detached_enis() -> None:
    more = """
[[subnet]]
id = "subnet-aaaaaaaa"
name = "front"
zone = "ap-guangzhou-3"
cidr = "10.0.1.0/25"
[[subnet]]
id = "subnet-bbbbbbbb"
zone = "ap-guangzhou-4"
cidr = "10.0.1.128/25"
[[instance]]
id = "ins-bbbbbbbb"
subnet = "subnet-bbbbbbbb"
state = "STOPPED"
[[eni]]
id = "eni-bbbbbbbb"
subnet = "subnet-bbbbbbbb"
instance = "ins-bbbbbbbb"
primary = true
addresses = ["10.0.1.130"]
[[eni]]
id = "eni-cccccccc"
name = "spare"
addresses = ["10.0.1.18"]
traffic_protection = true
[[eip]]
id = "eip-aaaaaaaa"
address = "203.0.113.10"
[[havip]]
id = "havip-aaaaaaaa"
vip = "10.0.1.19"
[[fault]]
kind = "stale"
ms = 60000
count = 2
"""
    world = parse(MINIMAL + more, "world.toml")
    network = world.network
    assert (network.instances[B].zone, network.instances[B].state) == ("ap-guangzhou-4", InstanceState.STOPPED)
    spare = network.enis["eni-cccccccc"]
    assert (spare.name, spare.instance_id, spare.device_index, spare.traffic_protection) == ("spare", None, 0, True)
    assert network.state_of(network.eips["eip-aaaaaaaa"]) is EipState.UNBIND
    assert (world.faults[0].ms, world.faults[0].count) == (60000, 2)


UNKNOWN = MINIMAL.replace("primary = true", 'subnet = "subnet-zzzzzzzz"\nprimary = true')
WRONG: list[tuple[str, tuple[str, str]]] = [
    ("", ("instance", "missing; needed: 1 to 200 [[instance]] tables")),
    ("x", ("", "is not TOML")),
    (MINIMAL + "colour = 1", ("eni[1].colour", "unknown key")),
    (MINIMAL.replace("10.0.1.17", "10.0.1.x"), ("eni[1].addresses[1]", "allowed: an IPv4 address")),
    (MINIMAL + 'ipv6 = ["fe80::1%eth0"]', ("eni[1].ipv6[1]", "has a scope")),
    (MINIMAL + 'ipv6 = ["2001:db8::5"]', ("eni[1].ipv6", "is not one for ENIs within None")),
    (MINIMAL + 'security_groups = ["sg-zzzzzzzz"]', ("eni[1].security_groups", "there is no sg-zzzzzzzz")),
    (UNKNOWN, ("eni[1].subnet", "there is no subnet-zzzzzzzz in this file")),
    (MINIMAL + '[[instance]]\nid = "ins-aaaaaaaa"', ("instance[1].id", "ins-aaaaaaaa is there 2 times")),
    (MINIMAL + '[[instance]]\nid = "ins-bbbbbbbb"', ("instance[2].id", "has 0 primary ENIs; allowed: one")),
    (MINIMAL.replace("10.0.1.17", "10.0.2.17"), ("eni[1].addresses", "is not one for ENIs within 10.0.1.0/24")),
    (MINIMAL.replace("10.0.1.17", "10.0.1.1"), ("eni[1].addresses", "10.0.1.1 is not one for ENIs")),
    (
        MINIMAL + '[[eni]]\nid = "eni-bbbbbbbb"\naddresses = ["10.0.1.17"]',
        ("eni[1].addresses", "10.0.1.17 is there more than once"),
    ),
    (
        MINIMAL + '[[eni]]\nid = "eni-bbbbbbbb"\nprimary = true\naddresses = ["10.0.1.18"]',
        ("eni[2].primary", "is a primary ENI without an instance"),
    ),
    (
        MINIMAL + '[[subnet]]\nid = "subnet-aaaaaaaa"\nzone = "ap-guangzhou-3"\ncidr = "10.9.1.0/24"',
        ("subnet[1].cidr", "10.9.1.0/24 is not within 10.0.1.0/24 of vpc-aaaaaaaa"),
    ),
    (
        MINIMAL
        + '[[subnet]]\nid = "subnet-aaaaaaaa"\nzone = "ap-guangzhou-3"\ncidr = "10.0.1.0/24"'
        + '\nipv6_cidr = "2001:db8::/64"',
        ("subnet[1].ipv6_cidr", "2001:db8::/64 is not within any block of vpc-aaaaaaaa"),
    ),
    (
        MINIMAL + '[[eip]]\nid = "eip-aaaaaaaa"\naddress = "203.0.113.10"\nbound_to = "10.0.1.99"',
        ("eip[1].bound_to", "no ENI has 10.0.1.99"),
    ),
    (
        MINIMAL
        + '[[eip]]\nid = "eip-aaaaaaaa"\naddress = "203.0.113.10"\nbound_to = "10.0.1.17"\n'
        + '[[eip]]\nid = "eip-bbbbbbbb"\nname = "b"\naddress = "203.0.113.11"\nbound_to = "10.0.1.17"',
        ('eip "b".bound_to', "10.0.1.17 has an EIP already"),
    ),
    (
        MINIMAL + '[[havip]]\nid = "havip-aaaaaaaa"\nvip = "10.0.2.1"',
        ("havip[1].vip", "10.0.2.1 is not within 10.0.1.0/24"),
    ),
    (
        MINIMAL.replace("[[eni]]", "most_enis = 3\n[[eni]]"),
        ("instance[1].most_enis", "most_enis and most_addresses are given together"),
    ),
    (MINIMAL + '[[fault]]\nkind = "stale"\nms = 60001', ("fault[1].ms", "allowed for stale: up to 60000")),
    (MINIMAL + '[[fault]]\nkind = "luck"', ("fault[1].kind", '"luck" is not known')),
]


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[key or "file" for _, (key, _) in WRONG])
def test_what_is_wrong_is_told_with_its_key(text: str, problem: tuple[str, str]) -> None:
    problems = told(text)
    assert [key for key, message in problems if problem[1] in message][:1] == [problem[0]], problems


def test_an_eni_and_its_instance_are_in_one_zone() -> None:
    text = (
        MINIMAL
        + """
[[subnet]]
id = "subnet-aaaaaaaa"
zone = "ap-guangzhou-3"
cidr = "10.0.1.0/25"
[[subnet]]
id = "subnet-bbbbbbbb"
zone = "ap-guangzhou-4"
cidr = "10.0.1.128/25"
[[eni]]
id = "eni-bbbbbbbb"
subnet = "subnet-bbbbbbbb"
instance = "ins-aaaaaaaa"
addresses = ["10.0.1.130"]
"""
    )
    assert told(text) == [
        ("eni[2].instance", "ins-aaaaaaaa is in ap-guangzhou-3 of vpc-aaaaaaaa, and eni-bbbbbbbb is not")
    ]


async def test_the_sdk_finds_what_the_file_says() -> None:
    world = parse(example(), "world.toml")
    async with emulated(world.network) as sdk:
        for fault in world.faults:
            sdk.emulator.faults.add(fault)
        held: Any = await sdk.eni("eni-cccccccc")
        (eip,) = (await sdk.call("DescribeAddresses")).AddressSet
        (havip,) = (await sdk.call("DescribeHaVips")).HaVipSet
        limit = await sdk.call("DescribeNetworkInterfaceLimit", InstanceId=B)
        refused = await sdk.refused("DetachNetworkInterface", NetworkInterfaceId="eni-bbbbbbbb", InstanceId=B)
    assert [ip.PublicIpAddress for ip in held.PrivateIpAddressSet] == ["", "203.0.113.10"]
    assert held.Ipv6AddressSet[0].Address == "2001:db8:1::50"
    assert (eip.AddressStatus, eip.InstanceId) == ("BIND", A)
    assert havip.HaVipAssociationSet[0].InstanceId == B
    assert (limit.EniQuantity, limit.EniPrivateIpAddressQuantity) == (4, 10)
    assert refused == "UnsupportedOperation"
