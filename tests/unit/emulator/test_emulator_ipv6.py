"""IPv6 addresses are given to ENIs and taken away; there is no way to migrate one but with its ENI."""

from __future__ import annotations

from typing import Any

import pytest
from tencentcloud.vpc.v20170312 import errorcodes

from hafailover.emulator.model import Model, Rules
from hafailover.emulator.network import IpState
from hafailover.emulator.values import ApiError, Fate, Handling
from hafailover.emulator.world import PAIR, EniSpec, NodeSpec, build
from tests.unit.emulator.sdk import emulated

A, B = (node.eni_id for node in PAIR)
HELD = "eni-cccccccc"
BLOCK = "2001:db8:1::/64"
SIX, OTHER = "2001:db8:1::64", "2001:db8:1::65"
TASK_MS = 500
MUTEX = "UnsupportedOperation.MutexOperationTaskRunning"
WORLD = build(ipv6_cidr=BLOCK, enis=(EniSpec(HELD, ("10.0.1.50",), PAIR[0].instance_id, (SIX,)),))


def cloud(**rules: Any) -> Model:
    return Model(WORLD, rules=Rules(**{"task_ms": TASK_MS, **rules}))


def addresses(*ips: str) -> list[dict[str, Any]]:
    return [{"Address": ip} for ip in ips]


def assign(model: Model, now: int, eni: str = B, handling: Handling | None = None, **fields: Any) -> dict[str, Any]:
    asked = {"NetworkInterfaceId": eni, **fields}
    return model.request("AssignIpv6Addresses", asked, "x", now, handling or Handling())


def unassign(model: Model, now: int, eni: str, *ips: str) -> dict[str, Any]:
    fields = {"NetworkInterfaceId": eni, "Ipv6Addresses": addresses(*ips)}
    return model.request("UnassignIpv6Addresses", fields, "x", now)


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_an_address_is_pending_and_nobodys_until_the_effect() -> None:
    model = cloud()
    reply = assign(model, 0, Ipv6Addresses=[{"Address": "2001:DB8:1:0::65", "Description": "d"}])
    (shown,) = reply["Ipv6AddressSet"]
    assert (shown["Address"], shown["State"], shown["Primary"]) == (OTHER, "PENDING", False)
    assert shown["Description"] == "d"
    assert model.holder_of(OTHER, TASK_MS - 1) is None
    assert model.holder_of(OTHER, TASK_MS) == B
    assert [(c.resource, c.before, c.after, c.action) for c in model.history] == [
        (OTHER, None, B, "AssignIpv6Addresses")
    ]
    assert [ip.address for ip in model.network.enis[B].ips] == ["10.0.1.16"]


def test_one_that_is_taken_away_stays_until_the_effect() -> None:
    model = cloud()
    unassign(model, 0, HELD, SIX)
    ip = model.network.enis[HELD].ip(SIX)
    assert ip is not None
    assert ip.state is IpState.DELETING
    assert model.holder_of(SIX, TASK_MS - 1) == HELD
    assert model.holder_of(SIX, TASK_MS) is None
    assign(model, TASK_MS, Ipv6Addresses=addresses(SIX))
    assert model.holder_of(SIX, 2 * TASK_MS) == B


def test_one_moves_with_its_eni_or_by_hand() -> None:
    model = cloud(task_ms=0)
    model.attach(HELD, PAIR[1].instance_id, 0)
    assert model.holder_of(SIX, 0) == HELD
    model.move(SIX, A, 1)
    assert model.holder_of(SIX, 1) == A
    assert [ip.address for ip in model.network.enis[HELD].all_ips] == ["10.0.1.50"]


def test_the_cloud_chooses_the_first_free_ones() -> None:
    reply = assign(cloud(), 0, Ipv6AddressCount=2, Ipv6Addresses=addresses("2001:db8:1::2"))
    chosen = [ip["Address"] for ip in reply["Ipv6AddressSet"]]
    assert chosen == ["2001:db8:1::2", "2001:db8:1::3", "2001:db8:1::4"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "MissingParameter"),
    ({"Ipv6Addresses": addresses(SIX)}, "ResourceInUse.Address"),
    ({"Ipv6Addresses": addresses("2001:db8:2::5")}, "InvalidParameterValue.Range"),
    ({"Ipv6Addresses": addresses("2001:db8:1::1")}, "InvalidParameterValue.Reserved"),
    ({"Ipv6Addresses": addresses(OTHER, OTHER.upper())}, "InvalidParameterValue"),
    ({"Ipv6Addresses": addresses("10.0.1.9")}, "InvalidParameterValue.Malformed"),
    ({"Ipv6Addresses": addresses(f"{OTHER}%eth0")}, "InvalidParameterValue.Malformed"),
    ({"Ipv6Addresses": [OTHER]}, "InvalidParameter"),
    ({"Ipv6Addresses": [{"Address": OTHER, "Primary": True}]}, "UnsupportedOperation"),
    ({"Ipv6AddressCount": 11}, "InvalidParameterValue.Range"),
    ({"Ipv6AddressCount": 1, "eni": "eni-zzzzzzzz"}, "ResourceNotFound"),
    ({"Ipv6AddressCount": 1, "QosLevel": "AU"}, "UnknownParameter"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSED)
def test_what_cannot_be_assigned(fields: dict[str, Any], code: str) -> None:
    with refused(code):
        assign(cloud(), 0, **fields)
    assert code in vars(errorcodes).values() or code == "UnknownParameter"


def test_a_subnet_without_a_block() -> None:
    for fields in ({"Ipv6AddressCount": 1}, {"Ipv6Addresses": addresses(SIX)}):
        with refused("UnsupportedOperation.UnassignCidrBlock"):
            assign(Model(build()), 0, **fields)
    subnet = build().subnets["subnet-aaaaaaaa"]
    assert not subnet.contains(SIX)
    assert not subnet.reserves(SIX)
    with pytest.raises(ValueError, match=f"{SIX} is not within None"):
        build(enis=(EniSpec(HELD, ("10.0.1.50",), None, (SIX,)),))


def test_an_eni_that_is_full() -> None:
    small = NodeSpec("c", "ins-cccccccc", "eni-dddddddd", "10.0.1.18", cpu=1, memory_gb=1)
    model = Model(build((small,), (), ipv6_cidr=BLOCK))
    with refused("LimitExceeded.Address"):
        assign(model, 0, small.eni_id, Ipv6AddressCount=3)


def test_what_cannot_be_unassigned() -> None:
    model = cloud()
    for eni, ips, code in (
        (B, [SIX], "UnauthorizedOperation.AttachmentNotFound"),
        (HELD, [], "MissingParameter"),
        (HELD, [SIX, SIX], "InvalidParameterValue"),
        (HELD, ["10.0.1.50"], "InvalidParameterValue.Malformed"),
        ("eni-zzzzzzzz", [SIX], "ResourceNotFound"),
    ):
        with refused(code):
            unassign(model, 0, eni, *ips)
    with refused("UnknownParameter"):
        model.request("UnassignIpv6Addresses", {"NetworkInterfaceId": HELD, "InstanceId": "ins-aaaaaaaa"}, "x", 0)


def test_one_write_at_a_time_and_tokens() -> None:
    model = cloud()
    first = assign(model, 0, Ipv6Addresses=addresses(OTHER), ClientToken="t")
    with refused(MUTEX):
        assign(model, 1, Ipv6AddressCount=1)
    again = assign(model, TASK_MS, Ipv6Addresses=addresses(OTHER), ClientToken="t")
    assert again["Ipv6AddressSet"] == first["Ipv6AddressSet"]


def test_tasks_made_to_fail_leave_things_as_they_were() -> None:
    model = cloud()
    assign(model, 0, handling=Handling(fate=Fate.FAIL), Ipv6AddressCount=1)
    assert model.network != WORLD
    model.advance(TASK_MS)
    assert model.network == WORLD


async def test_the_sdk_assigns_finds_and_unassigns() -> None:
    async with emulated(WORLD) as sdk:
        reply = await sdk.call("AssignIpv6Addresses", NetworkInterfaceId=B, Ipv6Addresses=addresses(OTHER))
        task = await sdk.call("DescribeVpcTaskResult", TaskId=reply.RequestId)
        by = [{"Name": "address-ipv6", "Values": [OTHER]}]
        (found,) = (await sdk.call("DescribeNetworkInterfaces", Filters=by)).NetworkInterfaceSet
        gone = await sdk.task("UnassignIpv6Addresses", NetworkInterfaceId=B, Ipv6Addresses=addresses(OTHER))
        again = await sdk.refused("UnassignIpv6Addresses", NetworkInterfaceId=B, Ipv6Addresses=addresses(OTHER))
    assert [(ip.Address, ip.State) for ip in reply.Ipv6AddressSet] == [(OTHER, "PENDING")]
    assert (task.Status, gone) == ("SUCCESS", "SUCCESS")
    assert [(ip.Address, ip.State) for ip in found.Ipv6AddressSet] == [(OTHER, "AVAILABLE")]
    assert found.NetworkInterfaceId == B
    assert again == "UnauthorizedOperation.AttachmentNotFound"
