"""EIPs are bound to private addresses, stay with them when they move, and are lost with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tencentcloud.vpc.v20170312 import errorcodes

from hafailover.emulator.model import Model, Rules
from hafailover.emulator.network import Eip, EipState, Instance
from hafailover.emulator.values import ApiError, Fate, Handling
from hafailover.emulator.world import EIP_ADDRESS, PAIR, VIP, EniSpec, build
from tests.unit.emulator.sdk import emulated

A, B = (node.eni_id for node in PAIR)
INSTANCE_A, INSTANCE_B = (node.instance_id for node in PAIR)
BOUND, FREE = "eip-aaaaaaaa", "eip-bbbbbbbb"
LOOSE = "eni-cccccccc"
LOOSE_IP = "10.0.1.50"
VIP2 = "10.0.1.101"
TASK_MS = 500
MUTEX = "OperationDenied.MutexTaskRunning"
WORLD = build(addresses=(VIP, VIP2), eip_for=VIP, enis=(EniSpec(LOOSE, (LOOSE_IP,)),)).with_eip(
    Eip(FREE, "203.0.113.11", name="spare")
)


def cloud(**rules: Any) -> Model:
    return Model(WORLD, rules=Rules(**{"task_ms": TASK_MS, **rules}))


def bind(model: Model, now: int, eip: str = FREE, handling: Handling | None = None, **fields: Any) -> int:
    fields = fields or {"NetworkInterfaceId": A, "PrivateIpAddress": VIP2}
    reply = model.request("AssociateAddress", {"AddressId": eip, **fields}, "x", now, handling or Handling())
    assert isinstance(reply["TaskId"], str)
    return int(reply["TaskId"])


def unbind(model: Model, now: int, eip: str = BOUND, handling: Handling | None = None, **fields: Any) -> int:
    reply = model.request("DisassociateAddress", {"AddressId": eip, **fields}, "x", now, handling or Handling())
    return int(reply["TaskId"])


def result(model: Model, number: int, now: int) -> str:
    reply = model.request("DescribeTaskResult", {"TaskId": number}, "x", now)
    assert reply["TaskId"] == number
    return str(reply["Result"])


def shown(model: Model, now: int, eip: str) -> tuple[str, str, str, str]:
    (found,) = model.request("DescribeAddresses", {"AddressIds": [eip]}, "x", now)["AddressSet"]
    keys = ("AddressStatus", "PrivateAddressIp", "NetworkInterfaceId", "InstanceId")
    return tuple(found[key] for key in keys)


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_an_eip_is_bound_one_task_time_after_it_was_asked_for() -> None:
    model = cloud()
    task = bind(model, 0)
    assert shown(model, TASK_MS - 1, FREE) == ("BINDING", "", "", "")
    assert result(model, task, TASK_MS - 1) == "RUNNING"
    assert shown(model, TASK_MS, FREE) == ("BIND", VIP2, A, INSTANCE_A)
    assert result(model, task, TASK_MS) == "SUCCESS"
    assert [(c.resource, c.before, c.after, c.action) for c in model.history] == [
        (FREE, None, VIP2, "AssociateAddress")
    ]
    assert model.holder_of(FREE, TASK_MS) == VIP2


def test_and_unbound() -> None:
    model = cloud()
    task = unbind(model, 0)
    assert shown(model, TASK_MS - 1, BOUND) == ("UNBINDING", VIP, A, INSTANCE_A)
    assert shown(model, TASK_MS, BOUND) == ("UNBIND", "", "", "")
    assert result(model, task, TASK_MS) == "SUCCESS"
    bind(model, TASK_MS, BOUND, NetworkInterfaceId=A, PrivateIpAddress=VIP)
    assert shown(model, 2 * TASK_MS, BOUND) == ("BIND", VIP, A, INSTANCE_A)


def test_naming_an_instance_means_its_own_address() -> None:
    model = cloud(task_ms=0)
    bind(model, 0, InstanceId=INSTANCE_B)
    assert shown(model, 1, FREE) == ("BIND", "10.0.1.16", B, INSTANCE_B)
    unbind(model, 2, FREE, ReallocateNormalPublicIp=True)
    assert shown(model, 3, FREE)[0] == "UNBIND"


def test_an_eip_of_an_eni_that_no_instance_has() -> None:
    model = cloud(task_ms=0)
    bind(model, 0, NetworkInterfaceId=LOOSE, PrivateIpAddress=LOOSE_IP)
    assert shown(model, 1, FREE) == ("BIND_ENI", LOOSE_IP, LOOSE, "")
    model.attach(LOOSE, INSTANCE_B, 2)
    assert shown(model, 3, FREE) == ("BIND", LOOSE_IP, LOOSE, INSTANCE_B)
    model.attach(LOOSE, None, 4)
    unbind(model, 5, FREE)
    assert shown(model, 6, FREE)[0] == "UNBIND"


def test_an_eip_follows_its_address_and_is_lost_with_it() -> None:
    model = cloud(task_ms=0)
    fields = {"SourceNetworkInterfaceId": A, "DestinationNetworkInterfaceId": B, "PrivateIpAddress": VIP}
    model.request("MigratePrivateIpAddress", fields, "x", 0)
    assert shown(model, 1, BOUND) == ("BIND", VIP, B, INSTANCE_B)
    fields = {"NetworkInterfaceId": B, "PrivateIpAddresses": [{"PrivateIpAddress": VIP}]}  # type: ignore[dict-item]
    model.request("UnassignPrivateIpAddresses", fields, "x", 2)
    assert shown(model, 3, BOUND) == ("UNBIND", "", "", "")
    assert [(c.resource, c.before, c.after) for c in model.history][1:] == [(VIP, B, None), (BOUND, VIP, None)]


STRANGER = "eip-zzzzzzzz"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (STRANGER, {}, "InvalidAddressId.NotFound"),
    ("203.0.113.11", {}, "InvalidParameterValue.AddressIdMalformed"),
    (BOUND, {}, "UnsupportedOperation.AddressStatusNotPermit"),
    (FREE, {"InstanceRegion": "ap-guangzhou"}, "InvalidParameterValue.MissingAssociateEntity"),
    (FREE, {"InstanceId": INSTANCE_A, "PrivateIpAddress": VIP2}, "InvalidParameterConflict"),
    (FREE, {"InstanceId": INSTANCE_A, "NetworkInterfaceId": A}, "InvalidParameterConflict"),
    (FREE, {"InstanceId": "web-a"}, "InvalidParameterValue.InstanceIdMalformed"),
    (FREE, {"InstanceId": "ins-zzzzzzzz"}, "InvalidInstanceId.NotFound"),
    (FREE, {"NetworkInterfaceId": A}, "MissingParameter"),
    (FREE, {"PrivateIpAddress": VIP2}, "MissingParameter"),
    (FREE, {"NetworkInterfaceId": "eni-1", "PrivateIpAddress": VIP2}, "InvalidNetworkInterfaceId.NotFound"),
    (FREE, {"NetworkInterfaceId": "eni-zzzzzzzz", "PrivateIpAddress": VIP2}, "InvalidNetworkInterfaceId.NotFound"),
    (FREE, {"NetworkInterfaceId": B, "PrivateIpAddress": VIP2}, "InvalidNetworkInterfaceId.NotFound"),
    (FREE, {"NetworkInterfaceId": A, "PrivateIpAddress": VIP}, "InvalidPrivateIpAddress.AlreadyBindEip"),
]


@pytest.mark.parametrize(("eip", "fields", "code"), REFUSED)
def test_what_cannot_be_bound(eip: str, fields: dict[str, Any], code: str) -> None:
    model = cloud()
    with refused(code):
        bind(model, 0, eip, **fields)
    assert model.network is WORLD
    assert code in vars(errorcodes).values()


def test_an_instance_that_has_an_eip_or_no_eni() -> None:
    lone = Instance("ins-cccccccc", "c", "vpc-aaaaaaaa", "subnet-aaaaaaaa", "ap-guangzhou-3", 2, 4)
    world = WORLD.with_instance(lone).with_eip(replace(WORLD.eips[BOUND], private_ip="10.0.1.17"))
    world = world.with_enis(replace(world.enis[LOOSE], instance_id=lone.id, device_index=1))
    model = Model(world)
    with refused("InvalidInstanceId.AlreadyBindEip"):
        bind(model, 0, InstanceId=INSTANCE_A)
    with refused("InvalidParameterValue.ResourceNotSupport"):
        bind(model, 0, InstanceId=lone.id)


def test_what_cannot_be_unbound() -> None:
    model = cloud()
    for eip, code in (
        (FREE, "InvalidAddressIdStatus.NotPermit"),
        (STRANGER, "InvalidAddressId.NotFound"),
        ("eip-1", "InvalidParameterValue.AddressIdMalformed"),
    ):
        with refused(code):
            unbind(model, 0, eip)
    with refused("InvalidParameterValue.OnlySupportedForMasterNetworkCard"):
        unbind(model, 0, ReallocateNormalPublicIp=True)
    with refused("InvalidParameterValue.OnlySupportedForMasterNetworkCard"):
        unbind(model, 0, FREE, ReallocateNormalPublicIp=True)
    with refused("InvalidParameter"):
        unbind(model, 0, ReallocateNormalPublicIp="yes")


def test_one_task_at_a_time_on_an_eip_and_on_its_address() -> None:
    model = cloud()
    bind(model, 0)
    with refused(MUTEX):
        bind(model, 1)
    with refused(MUTEX):
        unbind(model, 1, FREE)
    fields = {"NetworkInterfaceId": A, "PrivateIpAddresses": [{"PrivateIpAddress": VIP2}]}
    with refused("UnsupportedOperation.MutexOperationTaskRunning"):
        model.request("UnassignPrivateIpAddresses", fields, "x", 1)
    model.request("UnassignPrivateIpAddresses", fields, "x", TASK_MS)
    with refused(MUTEX):
        unbind(model, TASK_MS + 1, FREE)


def test_an_address_that_is_only_being_assigned_cannot_have_one() -> None:
    model = cloud()
    model.request(
        "AssignPrivateIpAddresses", {"NetworkInterfaceId": B, "SecondaryPrivateIpAddressCount": 1}, "x", 0
    )
    pending = model.network.enis[B].ips[-1].address
    with refused(MUTEX):
        bind(model, 1, NetworkInterfaceId=B, PrivateIpAddress=pending)
    model.tasks._locked.clear()
    with refused("InvalidNetworkInterfaceId.NotFound"):
        bind(model, 1, NetworkInterfaceId=B, PrivateIpAddress=pending)


def test_an_address_that_went_away_meanwhile_fails_the_binding() -> None:
    model = cloud()
    task = bind(model, 0)
    model.move(VIP2, B, 1)
    assert result(model, task, TASK_MS) == "FAILED"
    assert shown(model, TASK_MS, FREE) == ("UNBIND", "", "", "")


@pytest.mark.parametrize("action", [bind, unbind])
def test_tasks_made_to_fail_leave_things_as_they_were(action: Any) -> None:
    model = cloud()
    task = action(model, 0, handling=Handling(fate=Fate.FAIL))
    assert {eip.passing for eip in model.network.eips.values()} > {None}
    assert result(model, task, TASK_MS) == "FAILED"
    assert model.network == WORLD
    assert not model.history


def test_an_address_that_is_taken_away_by_hand_takes_its_eip_off() -> None:
    model = cloud()
    model.move(VIP, B, 0)
    assert shown(model, 1, BOUND)[:3] == ("BIND", VIP, B)
    model.move(VIP, None, 2)
    assert shown(model, 3, BOUND)[0] == "UNBIND"


def test_the_two_kinds_of_tasks_do_not_know_each_other() -> None:
    model = cloud()
    reply = model.request("AssociateAddress", {"AddressId": FREE, "InstanceId": INSTANCE_A}, "x", 0)
    with refused("ResourceNotFound"):
        model.request("DescribeVpcTaskResult", {"TaskId": reply["RequestId"]}, "x", 1)
    other = model.request(
        "AssignPrivateIpAddresses", {"NetworkInterfaceId": B, "SecondaryPrivateIpAddressCount": 1}, "x", 2
    )
    with refused("InvalidParameter"):
        result(model, int(other["RequestId"][:8], 16), 3)
    for fields, code in (
        ({}, "MissingParameter"),
        ({"DealName": "d"}, "MissingParameter"),
        ({"TaskId": reply["TaskId"]}, "InvalidParameter"),
    ):
        with refused(code):
            model.request("DescribeTaskResult", fields, "x", 4)


def listed(*filters: tuple[str, list[str]], **fields: Any) -> list[str]:
    asked = {"Filters": [{"Name": name, "Values": values} for name, values in filters]} if filters else {}
    reply = cloud().request("DescribeAddresses", {**asked, **fields}, "x", 0)
    return [eip["AddressId"] for eip in reply["AddressSet"]]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("address-id", FREE, [FREE]),
        ("address-name", "spare", [FREE]),
        ("address-ip", EIP_ADDRESS, [BOUND]),
        ("address-status", "UNBIND", [FREE]),
        ("instance-id", INSTANCE_A, [BOUND]),
        ("private-ip-address", VIP, [BOUND]),
        ("network-interface-id", B, []),
        ("instance-type", "ENI", [BOUND]),
        ("instance-type", "CVM", []),
        ("is-arrears", "false", [BOUND, FREE]),
        ("address-type", "EIP", [BOUND, FREE]),
        ("address-isp", "CMCC", []),
    ],
)
def test_filters(name: str, value: str, found: list[str]) -> None:
    assert listed((name, [value])) == found


def test_which_eips_are_listed() -> None:
    assert listed() == [BOUND, FREE]
    assert listed(("address-status", ["BIND", "UNBIND"]), ("address-name", ["spare"])) == [FREE]
    assert listed(AddressIds=[FREE, STRANGER]) == [FREE]
    assert listed(Offset=1, Limit=1) == [FREE]
    assert listed(("address-status", ["BIND"]), AddressIds=[FREE]) == []


@pytest.mark.parametrize(
    ("filters", "fields", "code"),
    [
        ([("address-id", [FREE])], {"AddressIds": [FREE]}, "InvalidParameter"),
        ([("colour", ["red"])], {}, "InvalidParameter.InvalidFilter"),
        ([("address-ip", ["x"])] * 11, {}, "LimitExceeded.NumberOfFilters"),
        ([("address-ip", ["x"] * 101)], {}, "InvalidParameterValue.LimitExceeded"),
        ([], {"AddressIds": ["eip-1"]}, "InvalidParameterValue.AddressIdMalformed"),
        ([], {"AddressIds": [FREE] * 101}, "InvalidParameterValue.LimitExceeded"),
    ],
)
def test_what_cannot_be_listed(filters: list[tuple[str, list[str]]], fields: dict[str, Any], code: str) -> None:
    with refused(code):
        listed(*filters, **fields)


def test_every_state_of_an_eip_is_one_of_the_documents() -> None:
    documented = ["CREATING", "BINDING", "BIND", "UNBINDING", "UNBIND", "OFFLINING", "BIND_ENI"]
    assert {state.value for state in EipState} < set(documented)


async def test_the_sdk_binds_and_unbinds() -> None:
    async with emulated(WORLD) as sdk:
        bound = await sdk.call("AssociateAddress", AddressId=FREE, NetworkInterfaceId=A, PrivateIpAddress=VIP2)
        done = await sdk.call("DescribeTaskResult", TaskId=int(bound.TaskId))
        shown = [
            (ip.PrivateIpAddress, ip.PublicIpAddress, ip.AddressId) for ip in (await sdk.eni(A)).PrivateIpAddressSet
        ]
        again = await sdk.refused("AssociateAddress", AddressId=FREE, InstanceId=INSTANCE_B)
        await sdk.call("DisassociateAddress", AddressId=FREE)
        free = (await sdk.call("DescribeAddresses", AddressIds=[FREE])).AddressSet[0]
    assert (done.TaskId, done.Result) == (int(bound.TaskId), "SUCCESS")
    assert shown[1:] == [(VIP, EIP_ADDRESS, BOUND), (VIP2, "203.0.113.11", FREE)]
    assert again == "UnsupportedOperation.AddressStatusNotPermit"
    assert (free.AddressStatus, free.PrivateAddressIp) == ("UNBIND", "")
