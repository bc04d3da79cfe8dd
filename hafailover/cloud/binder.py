"""Binds a lost EIP to its address again: look, bind, wait for the task (AssociateAddress, DescribeTaskResult)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hafailover.cloud.eips import may_bind
from hafailover.cloud.outcome import TASK_FAILED
from hafailover.cloud.replies import TaskStatus, parse_bind_task, parse_eip_task, parse_eips
from hafailover.errors import CloudError

if TYPE_CHECKING:
    from hafailover.cloud.api import Api
    from hafailover.cloud.eips import Binding

_FIRST_POLL_S = 0.2
_LAST_POLL_S = 2.0
_POLL_GROWTH = 1.6

TAKEN = "EipTaken"  # our code: the EIP is bound elsewhere, or there is none of that id
WAITS = "EipChanging"  # our code: the cloud is at work on it


async def bind(api: Api, lost: Binding, *, deadline_s: float) -> str:
    """Bind an EIP to its address again; return "" once the cloud says that it is, else a code that says why not.

    `TAKEN` means that it never will be; after any other code it may be tried again later. Raises nothing but
    CancelledError.
    """
    try:
        async with asyncio.timeout(deadline_s):
            return await _bind(api, lost)
    except TimeoutError:
        return WAITS
    except CloudError as error:
        return error.code


async def _bind(api: Api, lost: Binding) -> str:
    response = await api.call("DescribeAddresses", {"AddressIds": [lost.eip_id]})
    eip = next((each for each in parse_eips(response) if each.id == lost.eip_id), None)
    allowed = may_bind(lost, eip)
    if allowed is None:
        return TAKEN
    if not allowed:
        return "" if eip is not None and eip.is_bound_as(lost) else WAITS
    parameters: dict[str, object] = {
        "AddressId": lost.eip_id,
        "NetworkInterfaceId": lost.eni_id,
        "PrivateIpAddress": lost.address,
    }
    return await _task_end(api, parse_bind_task(await api.call("AssociateAddress", parameters, expiring=True)))


async def _task_end(api: Api, task_id: int) -> str:
    delay_s = _FIRST_POLL_S
    while True:
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * _POLL_GROWTH, _LAST_POLL_S)
        status = parse_eip_task(await api.call("DescribeTaskResult", {"TaskId": task_id}))
        if status is not TaskStatus.RUNNING:
            return "" if status is TaskStatus.SUCCESS else TASK_FAILED
