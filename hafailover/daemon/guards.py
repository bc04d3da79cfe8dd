"""The guards that are asked before an unplanned claim. Each answers in time or counts as not knowing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hafailover.checks.connect import connect
from hafailover.cloud import fencing
from hafailover.election.values import GuardVerdict
from hafailover.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.cloud.client import Cloud

# What the hypervisor says of an instance that can serve nobody (CVM API, InstanceState). RUNNING proves nothing: a
# kernel that has panicked runs too.
OFF = fencing.OFF | {"TERMINATING"}


async def ask_vip(addresses: Sequence[str], port: int, timeout_s: float) -> GuardVerdict:
    """Ask whether the service still answers on the group's addresses: a connection to any of them objects.

    Refused or unanswered is evidence that it does not.
    """
    answers = await asyncio.gather(*(_answers(address, port, timeout_s) for address in addresses))
    return GuardVerdict.DENY if any(answers) else GuardVerdict.ALLOW


async def _answers(address: str, port: int, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            sock = await connect(address, port)
    except (TimeoutError, OSError):
        return False
    sock.close()
    return True


async def ask_cloud(cloud: Cloud, instance_id: str | None, timeout_s: float) -> GuardVerdict:
    """Ask whether the cloud knows that the holder's instance is off."""
    if instance_id is None:
        return GuardVerdict.UNKNOWN
    try:
        async with asyncio.timeout(timeout_s):
            state = await cloud.instance_state(instance_id)
    except (TimeoutError, CloudError):
        return GuardVerdict.UNKNOWN
    return GuardVerdict.ALLOW if state in OFF else GuardVerdict.UNKNOWN
