"""What is told of a task: by DescribeVpcTaskResult under the request's id, of an EIP's under a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hafailover.emulator import eip_writes, power
from hafailover.emulator.params import Params
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.tasks import TaskBook

# Switching power is told by DescribeInstances.
WITHOUT_TASK_ID = frozenset({*power.PARSERS, *eip_writes.PARSERS})
MAX_NUMBER = 2**63 - 1


def describe_vpc_task_result(tasks: TaskBook, raw: Mapping[str, Any]) -> dict[str, Any]:
    """DescribeVpcTaskResult: how the write of that request stands."""
    task_id = Params(raw, ("TaskId",)).text("TaskId")
    task = tasks.get(task_id)
    if task is None or task.action in WITHOUT_TASK_ID:
        raise ApiError("ResourceNotFound", f"There is no task {task_id}.")
    return {"Status": task.status.value, "Output": task.error or task.status.value, "Result": []}


def describe_task_result(tasks: TaskBook, raw: Mapping[str, Any]) -> dict[str, Any]:
    """DescribeTaskResult: how the binding of an EIP stands; `DealName` is of orders, which there are not."""
    params = Params(raw, ("TaskId", "DealName"))
    if not params.has("TaskId"):
        raise ApiError("MissingParameter", "The request is missing the parameter `TaskId`.")
    number = params.integer("TaskId", 0, 0, MAX_NUMBER)
    for task in tasks:
        if task.action in eip_writes.PARSERS and eip_writes.task_number(task.id) == number:
            return {"TaskId": number, "Result": task.status.value}
    raise ApiError("InvalidParameter", f"There is no task {number}.")


TASK_READS: Mapping[str, Callable[[TaskBook, Mapping[str, Any]], dict[str, Any]]] = {
    "DescribeVpcTaskResult": describe_vpc_task_result,
    "DescribeTaskResult": describe_task_result,
}
