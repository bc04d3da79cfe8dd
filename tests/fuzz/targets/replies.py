"""cloud.replies and cloud.plan: the API's JSON to ENIs, and those to who holds what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hafailover.cloud.outcome import CLIENT_REPLY
from hafailover.cloud.plan import next_call, sightings, touched
from hafailover.cloud.replies import (
    MAX_TEXT,
    Eni,
    Limits,
    TaskStatus,
    parse_enis,
    parse_havips,
    parse_instance_state,
    parse_limits,
    parse_sizes,
    parse_subnets,
    parse_task,
)
from hafailover.election.values import Resource, ResourceKind
from hafailover.errors import CloudError
from tests.fuzz.source import Source, damaged

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_ERROR = 512


def _eni(eni: str, instance: str | None, *ips: str) -> dict[str, Any]:
    return {
        "NetworkInterfaceId": eni,
        "MacAddress": "52:54:00:aa:bb:cc",
        "Attachment": instance and {"InstanceId": instance},
        "Primary": True,
        "State": "AVAILABLE",
        "SubnetId": "subnet-1",
        "Zone": "ap-guangzhou-3",
        "GroupSet": ["sg-1"],
        "PrivateIpAddressSet": [
            {"PrivateIpAddress": ip, "Primary": False, "State": "AVAILABLE", "AddressId": ""} for ip in ips
        ],
    }


ENIS: dict[str, Any] = {
    "NetworkInterfaceSet": [
        _eni("eni-aaaaaaaa", "ins-aaaaaaaa", "10.0.1.17", "10.0.1.100"),
        _eni("eni-bbbbbbbb", "ins-bbbbbbbb", "10.0.1.16"),
        _eni("eni-cccccccc", None, "10.0.2.1"),
    ],
    "TotalCount": 3,
    "RequestId": "1",
}
STATES = {"InstanceStatusSet": [{"InstanceId": "ins-aaaaaaaa", "InstanceState": "RUNNING"}], "RequestId": "1"}
TASK = {"Status": "SUCCESS", "RequestId": "1"}
AROUND = {
    "SubnetSet": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "Zone": "zone-3", "CidrBlock": "10.0.1.0/24"}],
    "HaVipSet": [
        {"HaVipId": "havip-1", "Vip": "10.0.1.9", "HaVipAssociationSet": [{"InstanceId": "ins-aaaaaaaa"}]}
    ],
    "InstanceSet": [{"InstanceId": "ins-aaaaaaaa", "CPU": 2, "Memory": 4}],
    "EniQuantity": 4,
    "EniPrivateIpAddressQuantity": 10,
    "RequestId": "1",
}
RESOURCES = (
    Resource(ResourceKind.ADDRESS, "10.0.1.100"),
    Resource(ResourceKind.ADDRESS, "10.0.1.101"),
    Resource(ResourceKind.ENI, "eni-cccccccc"),
    Resource(ResourceKind.ENI, "eni-dddddddd"),
)
RAW = 255
SEEDS = (
    *(bytes([kind]) for kind in range(4)),
    b"\x00\x02\x00\x05\x03\x08",
    b"\x00\x01\x04\x01\x01\x10\x03\x07\x12\x03\x08",
    bytes([RAW]) + json.dumps(ENIS).encode(),
    bytes([RAW]) + b'{"NetworkInterfaceSet":[],"TotalCount":0}',
    bytes([RAW]) + b'{"Status":"RUNNING"}',
)


def one(data: bytes) -> None:
    """JSON of every type at every place gives values that written as JSON are read as the same values again, or
    a CloudError that this side of the wire has caused; and whatever ENIs come out, each resource is sighted once.
    """
    source = Source(data)
    kind = source.byte()
    answer = _json(source.rest()) if kind == RAW else damaged((ENIS, STATES, TASK, AROUND)[kind % 4], source)
    enis = _bounded(parse_enis, answer)
    if enis is not None:
        assert parse_enis(_written(enis)) == enis
        _sight(enis)
    state = _bounded(lambda each: parse_instance_state(each, "ins-aaaaaaaa"), answer, "ResourceNotFound")
    assert state is None or 0 < len(state) <= MAX_TEXT
    assert isinstance(_bounded(parse_task, answer), TaskStatus | None)
    for parse, kinds in (
        (parse_subnets, tuple),
        (parse_havips, tuple),
        (parse_sizes, tuple),
        (parse_limits, Limits),
    ):
        assert isinstance(_bounded(parse, answer), kinds | None)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _bounded(parse: Callable[[object], Any], answer: object, other: str = CLIENT_REPLY) -> Any:
    try:
        return parse(answer)
    except CloudError as error:
        return _check_error(error, other)


def _check_error(error: CloudError, other: str) -> None:
    assert error.code in (CLIENT_REPLY, other)
    assert len(str(error)) <= LONGEST_ERROR


def _sight(enis: tuple[Eni, ...]) -> None:
    seen = sightings(RESOURCES, enis)
    assert [sighting.resource for sighting in seen] == list(RESOURCES)
    carriers = {eni.id for eni in enis} | {eni.instance_id for eni in enis} | {None}
    for sighting in seen:
        assert sighting.holder in carriers
        _move(sighting.resource, sighting.holder)


def _move(resource: Resource, holder: str | None) -> None:
    """Follow the plan: at most two calls lead to the target, whoever is said to hold the resource."""
    for strategy in ("migrate", "reassign"):
        believed, calls = holder, 0
        while (call := next_call(resource, believed, "target", strategy)) is not None:
            calls += 1
            assert calls <= 2
            assert touched(call)
            assert json.dumps(call.parameters())
            believed = call.holder_after
        assert believed == "target"


def _written(enis: tuple[Eni, ...]) -> dict[str, Any]:
    listed = [
        {
            "NetworkInterfaceId": eni.id,
            "MacAddress": eni.mac,
            "Attachment": {"InstanceId": eni.instance_id},
            "Primary": eni.primary,
            "State": eni.state,
            "SubnetId": eni.subnet_id,
            "VpcId": eni.vpc_id,
            "Zone": eni.zone,
            "GroupSet": list(eni.security_groups),
            "PrivateIpAddressSet": [
                {
                    "PrivateIpAddress": each.ip,
                    "Primary": each.primary,
                    "State": each.state,
                    "AddressId": each.eip_id,
                }
                for each in eni.addresses
            ],
        }
        for eni in enis
    ]
    return {"NetworkInterfaceSet": listed, "TotalCount": len(listed)}
