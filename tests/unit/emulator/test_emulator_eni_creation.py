"""ENIs are created and deleted as the VPC API documents it, and their names and security groups changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tencentcloud.vpc.v20170312 import errorcodes

from hafailover.emulator.model import Model, Rules
from hafailover.emulator.network import Eip, InstanceState, SecurityGroup
from hafailover.emulator.values import ApiError, Change, Fate, Handling
from hafailover.emulator.world import PAIR, VIP, EniSpec, NodeSpec, build, mac_of
from tests.unit.emulator.sdk import emulated

A, B = (node.instance_id for node in PAIR)
PRIMARY = PAIR[0].eni_id
HELD, LOOSE = "eni-cccccccc", "eni-dddddddd"
TASK_MS = 500
SUBNET, VPC, GROUP, GROUP2 = "subnet-aaaaaaaa", "vpc-aaaaaaaa", "sg-aaaaaaaa", "sg-bbbbbbbb"
PLACE = {"VpcId": VPC, "SubnetId": SUBNET, "NetworkInterfaceName": "new"}
ENIS = (EniSpec(HELD, ("10.0.1.50",), A), EniSpec(LOOSE, ("10.0.1.60", "10.0.1.61"), None, ("2001:db8:1::60",)))
WORLD = build(ipv6_cidr="2001:db8:1::/64", enis=ENIS)
WORLD = replace(WORLD, security_groups={**WORLD.security_groups, GROUP2: SecurityGroup(GROUP2, "open")})


def cloud(**rules: Any) -> Model:
    return Model(WORLD, rules=Rules(**{"task_ms": TASK_MS, **rules}))


def create(model: Model, now: int, handling: Handling | None = None, **fields: Any) -> dict[str, Any]:
    action = "CreateAndAttachNetworkInterface" if "InstanceId" in fields else "CreateNetworkInterface"
    return model.request(action, {**PLACE, **fields}, "x", now, handling or Handling())


def delete(model: Model, now: int, eni: str = LOOSE, handling: Handling | None = None) -> str:
    fields = {"NetworkInterfaceId": eni}
    return str(model.request("DeleteNetworkInterface", fields, "x", now, handling or Handling())["RequestId"])


def status(model: Model, task: str, now: int) -> str:
    return str(model.request("DescribeVpcTaskResult", {"TaskId": task}, "x", now)["Status"])


def ips(*addresses: str, primary: str = "") -> list[dict[str, Any]]:
    return [{"PrivateIpAddress": address, "Primary": address == primary} for address in addresses]


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_a_new_eni_is_pending_until_the_effect() -> None:
    model = cloud()
    reply = create(model, 0, PrivateIpAddresses=ips("10.0.1.70", "10.0.1.71", primary="10.0.1.71"))
    shown = reply["NetworkInterface"]
    eni_id = shown["NetworkInterfaceId"]
    assert (shown["State"], shown["Attachment"], shown["Zone"], shown["GroupSet"]) == ("PENDING", None, "", [])
    assert shown["MacAddress"] == mac_of(eni_id)
    addresses = [(ip["PrivateIpAddress"], ip["Primary"], ip["State"]) for ip in shown["PrivateIpAddressSet"]]
    assert addresses == [("10.0.1.71", True, "PENDING"), ("10.0.1.70", False, "PENDING")]
    assert model.holder_of("10.0.1.70", TASK_MS - 1) is None
    assert model.holder_of("10.0.1.70", TASK_MS) == eni_id
    eni = model.network.enis[eni_id]
    assert (eni.state.value, eni.primary, {ip.state.value for ip in eni.ips}) == ("AVAILABLE", False, {"AVAILABLE"})
    assert [(c.resource, c.after) for c in model.history] == [("10.0.1.71", eni_id), ("10.0.1.70", eni_id)]
    assert status(model, reply["RequestId"], TASK_MS) == "SUCCESS"


def test_one_that_is_attached_at_once_says_so_before_it_is() -> None:
    model = cloud()
    fields: dict[str, Any] = {
        "SecurityGroupIds": [GROUP2],
        "NetworkInterfaceDescription": "d",
        "TrafficProtection": True,
    }
    reply = create(model, 0, InstanceId=B, **fields)
    eni_id = reply["NetworkInterface"]["NetworkInterfaceId"]
    assert reply["NetworkInterface"]["Attachment"]["InstanceId"] == B
    assert model.holder_of(eni_id, TASK_MS - 1) is None
    assert model.holder_of(eni_id, TASK_MS) == B
    eni = model.network.enis[eni_id]
    assert (eni.device_index, eni.security_groups, eni.description) == (1, (GROUP2,), "d")
    assert eni.traffic_protection
    change = next(change for change in model.history if change.resource == eni_id)
    assert change == Change(TASK_MS, eni_id, None, B, "x", "CreateAndAttachNetworkInterface", reply["RequestId"], 0)


def test_the_cloud_chooses_what_is_left_to_it_and_a_primary_address_besides() -> None:
    model = cloud(task_ms=0)
    reply = create(model, 0, SecondaryPrivateIpAddressCount=2, Ipv6AddressCount=1, QosLevel="AU")
    shown = reply["NetworkInterface"]
    addresses = [(ip["PrivateIpAddress"], ip["Primary"]) for ip in shown["PrivateIpAddressSet"]]
    assert [primary for _, primary in addresses] == [True, False, False]
    assert {address for address, _ in addresses} == {"10.0.1.2", "10.0.1.3", "10.0.1.4"}
    assert [ip["Address"] for ip in shown["Ipv6AddressSet"]] == ["2001:db8:1::2"]
    assert model.holder_of("2001:db8:1::2", 0) == shown["NetworkInterfaceId"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"NetworkInterfaceName": None}, "MissingParameter"),
    ({"NetworkInterfaceName": "x" * 61}, "InvalidParameterValue.TooLong"),
    ({"NetworkInterfaceDescription": "é" * 31}, "InvalidParameterValue.TooLong"),
    ({"VpcId": "vpc-zzzzzzzz"}, "ResourceNotFound"),
    ({"SubnetId": "subnet-zzzzzzzz"}, "ResourceNotFound"),
    ({"SubnetId": "10.0.1.0/24"}, "InvalidParameterValue.Malformed"),
    ({"SecurityGroupIds": ["sg-zzzzzzzz"]}, "ResourceNotFound"),
    ({"SecurityGroupIds": ["open"]}, "InvalidParameterValue.Malformed"),
    ({"QosLevel": "best"}, "InvalidParameterValue"),
    ({"PrivateIpAddresses": ips("10.0.2.1")}, "InvalidParameterValue.Range"),
    ({"PrivateIpAddresses": ips("10.0.1.255")}, "InvalidParameterValue.Reserved"),
    ({"PrivateIpAddresses": ips(VIP)}, "ResourceInUse"),
    ({"PrivateIpAddresses": ips(*(f"10.0.1.{n}" for n in range(70, 81)))}, "InvalidParameterValue.LimitExceeded"),
    (
        {"PrivateIpAddresses": [{"PrivateIpAddress": f"10.0.1.{n}", "Primary": True} for n in (70, 71)]},
        "InvalidParameterValue",
    ),
    ({"Ipv6Addresses": [{"Address": "2001:db8:1::70", "Primary": True}]}, "UnsupportedOperation"),
    ({"Ipv6Addresses": [{"Address": "2001:db8:1::60"}]}, "ResourceInUse.Address"),
    ({"TrafficProtection": "yes"}, "InvalidParameter"),
    ({"ClientToken": "x" * 65}, "InvalidParameterValue.Malformed"),
    ({"InstanceId": "ins-zzzzzzzz"}, "ResourceNotFound"),
    ({"InstanceId": A, "SecondaryPrivateIpAddressCount": 10}, "LimitExceeded"),
    ({"InstanceId": A, "AttachType": 2}, "InvalidParameterValue.Range"),
    ({"InstanceId": A, "TrunkingFlag": "x"}, "UnknownParameter"),
    ({"AttachType": 0}, "UnknownParameter"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSED)
def test_what_cannot_be_created(fields: dict[str, Any], code: str) -> None:
    model = cloud()
    with refused(code):
        create(model, 0, **fields)
    assert model.network is WORLD
    assert code in vars(errorcodes).values() or code == "UnknownParameter"


def test_a_subnet_of_another_vpc() -> None:
    other = replace(WORLD.vpcs[VPC], id="vpc-bbbbbbbb")
    model = Model(replace(WORLD, vpcs={**WORLD.vpcs, other.id: other}))
    with refused("UnsupportedOperation.ResourceMismatch"):
        create(model, 0, VpcId=other.id)


def test_where_it_could_not_be_attached() -> None:
    for changes, code in (
        ({"vpc_id": "vpc-bbbbbbbb"}, "UnsupportedOperation.VpcMismatch"),
        ({"zone": "ap-guangzhou-4"}, "UnsupportedOperation.ZoneMismatch"),
        ({"state": InstanceState.STARTING}, "UnsupportedOperation.InvalidState"),
        ({"cpu": 1, "memory_gb": 1}, "LimitExceeded"),
    ):
        model = Model(WORLD.with_instance(replace(WORLD.instances[A], **changes)))
        with refused(code):
            create(model, 0, InstanceId=A)


def test_one_that_can_no_longer_be_attached_is_gone_again() -> None:
    model = cloud()
    task = create(model, 0, InstanceId=B)["RequestId"]
    model.set_instance_state(B, InstanceState.STOPPING, 1)
    assert status(model, task, TASK_MS) == "FAILED"
    assert model.network.enis == WORLD.enis
    assert not model.history


def test_a_vpc_and_an_instance_have_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    small = NodeSpec("c", "ins-cccccccc", "eni-eeeeeeee", "10.0.1.18", cpu=1, memory_gb=1)
    model = Model(build((*PAIR, small)), rules=Rules(task_ms=TASK_MS))
    create(model, 0, InstanceId=small.instance_id)
    with refused("LimitExceeded"):
        create(model, 1, InstanceId=small.instance_id)
    monkeypatch.setattr("hafailover.emulator.eni_creation.MAX_VPC_ENIS", 4)
    with refused("LimitExceeded.NetworkInterfaceLimitExceeded"):
        create(model, 1)


def test_an_address_that_is_being_worked_on_is_in_use() -> None:
    model = cloud()
    fields = {"NetworkInterfaceId": LOOSE, "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.1.61"}]}
    model.request("UnassignPrivateIpAddresses", fields, "x", 0)
    with refused("ResourceInUse"):
        create(model, 1, PrivateIpAddresses=ips("10.0.1.61"))
    create(model, TASK_MS, PrivateIpAddresses=ips("10.0.1.61"))


def test_a_client_token_makes_one_eni_of_two_requests() -> None:
    model = cloud()
    first = create(model, 0, ClientToken="t")["NetworkInterface"]
    with refused("UnsupportedOperation.IdempotentProcessing"):
        create(model, 1, ClientToken="t")
    again = create(model, TASK_MS, ClientToken="t")["NetworkInterface"]
    with refused("UnsupportedOperation.IdempotentParameterMismatch"):
        create(model, TASK_MS, ClientToken="t", NetworkInterfaceName="other")
    assert first == again
    assert len(model.network.enis) == len(WORLD.enis) + 1


def test_one_that_was_attached_by_hand_before_it_was_there_stays_so() -> None:
    model = cloud()
    eni = create(model, 0)["NetworkInterface"]["NetworkInterfaceId"]
    with refused("UnsupportedOperation.InvalidState"):
        model.request("AttachNetworkInterface", {"NetworkInterfaceId": eni, "InstanceId": A}, "x", 1)
    model.attach(eni, B, 2)
    assert model.holder_of(eni, TASK_MS) == B


def test_tasks_made_to_fail_leave_things_as_they_were() -> None:
    for ask in (create, delete):
        model = cloud()
        ask(model, 0, handling=Handling(fate=Fate.FAIL))
        assert model.network != WORLD
        model.advance(TASK_MS)
        assert model.network == WORLD


def test_an_eni_that_is_deleted_gives_its_addresses_back() -> None:
    model = Model(
        WORLD.with_eip(Eip("eip-aaaaaaaa", "203.0.113.9", VPC, "10.0.1.61")), rules=Rules(task_ms=TASK_MS)
    )
    task = delete(model, 0)
    assert model.network.enis[LOOSE].state.value == "DELETING"
    assert model.holder_of("10.0.1.61", TASK_MS - 1) == LOOSE
    assert model.holder_of("10.0.1.61", TASK_MS) is None
    assert status(model, task, TASK_MS) == "SUCCESS"
    assert LOOSE not in model.network.enis
    told = {(c.resource, c.before, c.after) for c in model.history}
    assert ("eip-aaaaaaaa", "10.0.1.61", None) in told
    assert ("2001:db8:1::60", LOOSE, None) in told
    with refused("ResourceNotFound"):
        delete(model, TASK_MS)
    create(model, TASK_MS, PrivateIpAddresses=ips("10.0.1.60", "10.0.1.61"))


def test_what_cannot_be_deleted() -> None:
    model = cloud()
    for eni, code in (
        (PRIMARY, "UnsupportedOperation"),
        (HELD, "ResourceInUse"),
        ("eni-zzzzzzzz", "ResourceNotFound"),
        ("eni-1", "InvalidParameterValue.Malformed"),
    ):
        with refused(code):
            delete(model, 0, eni)
    model.request(
        "AssignPrivateIpAddresses", {"NetworkInterfaceId": LOOSE, "SecondaryPrivateIpAddressCount": 1}, "x", 0
    )
    with refused("UnsupportedOperation.MutexOperationTaskRunning"):
        delete(model, 1)
    delete(model, TASK_MS)
    with refused("UnsupportedOperation.InvalidState"):
        delete(model, TASK_MS + 1)


def test_what_changed_while_it_was_being_deleted() -> None:
    model = cloud()
    task = delete(model, 0)
    model.attach(LOOSE, B, 1)
    assert status(model, task, TASK_MS) == "FAILED"
    assert model.network.holder_of(LOOSE) == B
    model = cloud()
    task = delete(model, 0)
    model._keep(model.network.without_eni(LOOSE), 1)
    assert status(model, task, TASK_MS) == "FAILED"


def attributes(model: Model, eni: str = HELD) -> tuple[str, str, tuple[str, ...]]:
    found = model.network.enis[eni]
    return found.name, found.description, found.security_groups


def test_names_descriptions_and_security_groups_are_changed_at_once() -> None:
    model = cloud()
    asked = {"NetworkInterfaceId": HELD}
    before = attributes(model)
    model.request("ModifyNetworkInterfaceAttribute", {**asked, "NetworkInterfaceName": "n"}, "x", 0)
    assert attributes(model) == ("n", *before[1:])
    changes: dict[str, Any] = {"NetworkInterfaceDescription": "d", "SecurityGroupIds": [GROUP2]}
    reply = model.request("ModifyNetworkInterfaceAttribute", {**asked, **changes}, "x", 0)
    assert attributes(model) == ("n", "d", (GROUP2,))
    assert set(reply) == {"RequestId"}
    for changes, code in (
        ({"NetworkInterfaceName": "x" * 61}, "InvalidParameterValue.TooLong"),
        ({"TrunkingFlag": "on"}, "UnsupportedOperation.SubEniNotSupportTrunking"),
        ({"NetworkInterfaceId": "eni-zzzzzzzz"}, "ResourceNotFound"),
    ):
        with refused(code):
            model.request("ModifyNetworkInterfaceAttribute", {**asked, **changes}, "x", 0)


def groups(model: Model, action: str, *which: str, eni: str = HELD) -> None:
    fields = {"NetworkInterfaceIds": [eni, LOOSE], "SecurityGroupIds": list(which)}
    model.request(f"{action}NetworkInterfaceSecurityGroups", fields, "x", 0)


def test_security_groups_are_added_and_taken_away() -> None:
    model = cloud()
    groups(model, "Associate", GROUP2, GROUP)
    assert attributes(model)[2] == attributes(model, LOOSE)[2] == (GROUP, GROUP2)
    groups(model, "Disassociate", GROUP)
    assert attributes(model)[2] == (GROUP2,)
    for action, which, eni, code in (
        ("Disassociate", (GROUP2,), HELD, "UnsupportedOperation"),
        ("Associate", (GROUP2,), PRIMARY, "UnsupportedOperation"),
        ("Associate", ("sg-zzzzzzzz",), HELD, "ResourceNotFound"),
        ("Associate", (GROUP,), "eni-zzzzzzzz", "ResourceNotFound"),
        ("Associate", (), HELD, "MissingParameter"),
    ):
        with refused(code):
            groups(model, action, *which, eni=eni)


async def test_the_sdk_provisions_an_eni_and_takes_it_away_again() -> None:
    async with emulated(WORLD) as sdk:
        reply = await sdk.call("CreateAndAttachNetworkInterface", **PLACE, InstanceId=B, ClientToken="t")
        eni = reply.NetworkInterface.NetworkInterfaceId
        done = await sdk.call("DescribeVpcTaskResult", TaskId=reply.RequestId)
        there = await sdk.eni(eni)
        both = {"NetworkInterfaceIds": [eni], "SecurityGroupIds": [GROUP]}
        await sdk.call("AssociateNetworkInterfaceSecurityGroups", **both)
        grouped = (await sdk.eni(eni)).GroupSet
        in_use = await sdk.refused("DeleteNetworkInterface", NetworkInterfaceId=eni)
        await sdk.call("DetachNetworkInterface", NetworkInterfaceId=eni, InstanceId=B)
        deleted = await sdk.task("DeleteNetworkInterface", NetworkInterfaceId=eni)
        made = await sdk.call("CreateNetworkInterface", **PLACE)
    assert (reply.NetworkInterface.State, done.Status, there.State) == ("PENDING", "SUCCESS", "AVAILABLE")
    assert there.Attachment.InstanceId == B
    assert (grouped, in_use, deleted) == ([GROUP], "ResourceInUse", "SUCCESS")
    assert made.NetworkInterface.NetworkInterfaceId != eni
