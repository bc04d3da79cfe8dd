"""Powering an instance off, and the proof of it: StopInstances, then DescribeInstancesStatus until it says STOPPED.

The state is read first, and a stop is only sent after a reading that shows the instance on. That costs one request
(about 100 ms) of something that takes seconds, and it is worth that:

- What is off already costs no write, and no permission for one.
- A stop sent without looking may hit an instance that somebody has just mended and started again. For the same
  reason it is dated to die soon (`dating`), and whoever tries again looks again.

Nothing is concluded from a stop, be it accepted, refused or unanswered: the next reading decides. One that still
says RUNNING may be older than an accepted stop, so that one is not repeated for a while. To repeat an unanswered
one does no harm that the first could not do: the instance is to be off, and a second stop of it is refused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hafailover.cloud.outcome import CLIENT_TIMEOUT, Remedy, classify
from hafailover.cloud.replies import parse_instance_state
from hafailover.election.values import FenceResult, Refusal
from hafailover.errors import CloudError

if TYPE_CHECKING:
    from hafailover.cloud.api import Api

STOP = "StopInstances"
STATUS = "DescribeInstancesStatus"

# The states of an instance that runs nothing (CVM API, InstanceState).
OFF = frozenset({"STOPPED", "SHUTDOWN", "LAUNCH_FAILED"})
# In these it is about to become something else, and a stop would be refused.
PASSING = frozenset({"PENDING", "STARTING", "STOPPING", "REBOOTING", "TERMINATING"})
_GONE = frozenset({"InvalidInstanceId.NotFound", "ResourceNotFound"})

_FIRST_POLL_S = 0.2
_LAST_POLL_S = 1.0
_POLL_GROWTH = 1.5
_PATIENCE_S = 3.0  # with a stop that was accepted and has no effect yet


async def stop_instance(api: Api, instance_id: str, *, deadline_s: float) -> FenceResult:
    """Power an instance off within the deadline; `stopped` only where the cloud has said that it is.

    Raises nothing but CancelledError. An instance that the cloud does not know is not one that is off: the id, the
    region or the account may be wrong.
    """
    attempt = _Attempt(api, instance_id)
    try:
        async with asyncio.timeout(deadline_s):
            return await attempt.run()
    except TimeoutError:
        return FenceResult(stopped=False, code=attempt.code)


class _Attempt:
    """One attempt: what the cloud has said so far, and when the next stop may be sent."""

    def __init__(self, api: Api, instance_id: str) -> None:
        self._api = api
        self._instance_id = instance_id
        self._failures: dict[str, str] = {}  # by action, the code of its last call where that failed
        self._terminating = False
        self._quiet_until_s = 0.0

    @property
    def code(self) -> str:
        """Why the instance is not known to be off."""
        return self._failures.get(STOP) or self._failures.get(STATUS) or CLIENT_TIMEOUT

    async def run(self) -> FenceResult:
        """Look and stop in turns until it is off or cannot be; the caller's deadline bounds it."""
        delay_s = _FIRST_POLL_S
        while True:
            try:
                if await self._is_off():
                    return FenceResult(stopped=True)
            except CloudError as error:
                if error.code in _GONE and self._terminating:
                    return FenceResult(stopped=True)
                if self._is_final(error.code):
                    return FenceResult(stopped=False, code=error.code)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * _POLL_GROWTH, _LAST_POLL_S)

    async def _is_off(self) -> bool:
        """Read the state, and send a stop where that makes sense. Raises CloudError."""
        selection: dict[str, object] = {"InstanceIds": [self._instance_id]}
        response = await self._call(STATUS, {**selection, "Offset": 0, "Limit": 1})
        state = parse_instance_state(response, self._instance_id)
        self._terminating = state == "TERMINATING"
        if state not in OFF | PASSING and self._clock() >= self._quiet_until_s:
            await self._call(STOP, {**selection, "StopType": "HARD", "StoppedMode": "KEEP_CHARGING"})
            self._quiet_until_s = self._clock() + _PATIENCE_S
        return state in OFF

    async def _call(self, action: str, parameters: dict[str, object]) -> dict[str, object]:
        try:
            response = await self._api.call(action, parameters, service="cvm", expiring=action == STOP)
        except CloudError as error:
            self._failures[action] = error.code
            raise
        self._failures.pop(action, None)
        return response

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()

    @staticmethod
    def _is_final(code: str) -> bool:
        """Whether to go on cannot help: it is not allowed, or not possible; a conflict may have settled it."""
        kind = classify(code, STOP)
        passes = kind.remedy in (Remedy.REFRESH_CREDENTIALS, Remedy.SYNC_CLOCK)  # with new keys, by the API's clock
        return kind.refusal not in (None, Refusal.CONFLICT) and not passes
