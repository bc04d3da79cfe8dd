"""What DescribeTaskInfo tells of repairs of the instances' hosts (CVM document 213/87933).

There is no clock here: a task without a `created` was made today, and any other before today, which a request
without a StartDate does not list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hafailover.emulator.params import MAX_IDS, Params
from hafailover.emulator.reads import CREATED
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.network import Network, Repair

NUMBERS: Mapping[str, range] = {"TaskStatus": range(1, 7), "TaskTypeIds": range(101, 108)}
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
ORDERS: Mapping[str, Callable[[Repair], str]] = {
    "CreateTime": lambda repair: repair.created,
    "AuthTime": lambda repair: repair.planned,
    "EndTime": lambda _repair: "",
}
KNOWN = (
    *("Limit", "Offset", "Product", "TaskStatus", "TaskTypeIds", "TaskIds", "InstanceIds"),
    *("Aliases", "StartDate", "EndDate", "OrderField", "Order"),
)
WRONG = "InvalidParameterValue"


def describe_task_info(network: Network, raw: Mapping[str, Any]) -> dict[str, Any]:
    """CVM DescribeTaskInfo: by any of its filters; there are only CVMs here."""
    params = Params(raw, KNOWN)
    statuses, types = _numbers(params, "TaskStatus"), _numbers(params, "TaskTypeIds")
    instances = params.ids("InstanceIds", "ins", malformed="InvalidInstanceId.Malformed")
    ids, names = params.ids("TaskIds", "rep", malformed=WRONG), _texts(params, "Aliases")
    _choice(params, "Product", ("CVM", "CDH", "CPM2.0"))
    start, end = _time(params, "StartDate"), _time(params, "EndDate")
    found = [
        repair
        for repair in network.repairs.values()
        if (not statuses or repair.status in statuses)
        and (not types or repair.type in types)
        and (not instances or repair.instance in instances)
        and (not ids or repair.id in ids)
        and (not names or network.instances[repair.instance].name in names)
        and (not repair.created or (start and start <= repair.created and (not end or repair.created <= end)))
        and raw.get("Product") in (None, "", "CVM")
    ]
    order = _choice(params, "OrderField", tuple(ORDERS)) or "CreateTime"
    found.sort(key=ORDERS[order], reverse=params.integer("Order", 0, 0, 1) == 1)
    page = [render(network, repair) for repair in found[params.page()]]
    return {"TotalCount": len(found), "RepairTaskInfoSet": page}


def _numbers(params: Params, name: str) -> tuple[int, ...]:
    values = params.list(name, MAX_IDS)
    if not all(type(value) is int and value in NUMBERS[name] for value in values):
        raise ApiError(WRONG, f"`{name}` is a list of numbers in {NUMBERS[name][0]}..{NUMBERS[name][-1]}.")
    return values


def _texts(params: Params, name: str) -> tuple[str, ...]:
    values = params.list(name, MAX_IDS)
    if not all(isinstance(value, str) for value in values):
        raise ApiError(WRONG, f"`{name}` is a list of strings.")
    return values


def _choice(params: Params, name: str, choices: tuple[str, ...]) -> str:
    value = params.text(name) if params.has(name) else ""
    if value and value not in choices:
        raise ApiError(WRONG, f"`{name}` is one of {', '.join(choices)}.")
    return value


def _time(params: Params, name: str) -> str:
    value = params.text(name) if params.has(name) else ""
    if value and not TIME.fullmatch(value):
        raise ApiError(WRONG, f"`{name}` is a time such as {CREATED}.")
    return value


def render(network: Network, repair: Repair) -> dict[str, Any]:
    """Return a RepairTaskInfo; one that is over has an EndTime."""
    instance = network.instances[repair.instance]
    subnet, vpc = network.subnets[instance.subnet_id], network.vpcs[instance.vpc_id]
    addresses = [ip.address for eni in network.enis_of(instance.id) if eni.primary for ip in eni.ips if ip.primary]
    return {
        "TaskId": repair.id,
        "InstanceId": repair.instance,
        "Alias": instance.name,
        "TaskTypeId": repair.type,
        "TaskTypeName": "",
        "TaskStatus": repair.status,
        "DeviceStatus": repair.status,
        "OperateStatus": repair.status,
        "CreateTime": repair.created or CREATED,
        "AuthTime": repair.planned or None,
        "EndTime": (repair.planned or CREATED) if repair.status in (3, 5, 6) else None,
        "TaskDetail": "The host needs maintenance.",
        "Zone": instance.zone,
        "Region": network.region,
        "VpcId": vpc.id,
        "VpcName": vpc.name,
        "SubnetId": subnet.id,
        "SubnetName": subnet.name,
        "WanIp": "",
        "LanIp": addresses[0] if addresses else "",
        "Product": "CVM",
        "TaskSubType": "",
        "AuthType": "7",
        "AuthSource": "Waiting_auth" if repair.status == 1 else "System_mandatory_auth",
    }
