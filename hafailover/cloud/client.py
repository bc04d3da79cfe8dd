"""The cloud as the daemon sees it: who holds what, and moves that end in one of four ways."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hafailover.cloud import fencing
from hafailover.cloud.api import OK, Api, ApiCall
from hafailover.cloud.dating import GRAIN_S, life_s
from hafailover.cloud.outcome import (
    CLIENT_BUSY,
    CLIENT_CREDENTIALS,
    CLIENT_TIMEOUT,
    TASK_FAILED,
    Remedy,
    classify,
)
from hafailover.cloud.plan import next_call, sightings, touched
from hafailover.cloud.replies import Eni, TaskStatus, parse_enis, parse_instance_state, parse_task
from hafailover.election.values import FenceResult, MoveResult, Outcome, Refusal, Resource, ResourceKind, Sighting
from hafailover.errors import CloudError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from hafailover.cloud.credentials import CredentialSource
    from hafailover.cloud.plan import Call
    from hafailover.config.model import Cloud as Settings

PAGE = 100  # ENIs per DescribeNetworkInterfaces, the API's maximum
_VALUES = 5  # in a filter; CVM's documents allow no more, VPC's do not say
_MAX_CALLS = 2  # a move is one call, or a release and a take

# The task query allows 20 requests a second for all users of a key together.
_FIRST_POLL_S = 0.1
_LAST_POLL_S = 1.0
_POLL_GROWTH = 1.6
_POLL_JITTER = 0.2
_TASK_LAG_S = 5.0  # how long a task may be unknown after its acceptance


@dataclass(slots=True)
class _Progress:
    """How far a move has come: who holds the resource now, and whether a write has no proven end yet."""

    holder: str | None
    started: bool = False
    in_flight: bool = False
    accepted: bool = False

    def tag(self, result: MoveResult) -> MoveResult:
        """Add to the end of a move what it left half done."""
        return replace(result, half_done=True, holder=self.holder) if self.started else result

    def cut_short(self, life_s: float) -> MoveResult:
        """Say how a move ended whose time was up, while a request that was sent may be accepted for `life_s`."""
        if self.in_flight:
            open_ms = 0 if self.accepted else round(1000 * life_s)
            return self.tag(MoveResult(Outcome.UNKNOWN, CLIENT_TIMEOUT, open_ms=open_ms))
        return self.tag(MoveResult(Outcome.THROTTLED, CLIENT_BUSY))


class Cloud:
    """One region's VPC and CVM APIs. All methods are for one event loop; `close` ends it."""

    def __init__(
        self,
        settings: Settings,
        credentials: CredentialSource,
        *,
        region: str,
        observer: Callable[[ApiCall], None],
        rng: random.Random,
    ) -> None:
        self._api = Api(settings, credentials, region, observer)
        self._strategy = settings.strategy
        self._life_s = life_s(settings.timeout_ms / 1000) + GRAIN_S
        self._rng = rng
        self._locks: dict[str, asyncio.Lock] = {}

    async def warm(self) -> None:
        """Open a connection and have credentials ready, so that the next request can leave at once."""
        await self._api.warm()

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def describe_enis(
        self, eni_ids: Sequence[str] = (), *, instance_id: str | None = None, address: str | None = None
    ) -> tuple[Eni, ...]:
        """Describe the ENIs of these ids that exist, or those of an instance or address. Raises CloudError."""
        if instance_id is not None:
            return await self._describe({"Filters": [{"Name": "attachment.instance-id", "Values": [instance_id]}]})
        if address is not None:
            exact = {"Name": "ip-exact-match", "Values": ["TRUE"]}
            return await self._describe({"Filters": [{"Name": "address-ip", "Values": [address]}, exact]})
        ids = list(dict.fromkeys(eni_ids))
        pages = [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]
        return tuple([eni for page in pages for eni in await self._describe_page(page)])

    async def carriers(self, addresses: Sequence[str], subnet_ids: Sequence[str]) -> tuple[Eni, ...]:
        """Describe whichever ENIs of these subnets carry any of the addresses. Raises CloudError.

        One address alone would match the end of others too, of which there are none within a subnet.
        """
        found: list[Eni] = []
        for start in range(0, len(addresses), _VALUES):
            wanted = list(addresses[start : start + _VALUES])
            filters: list[dict[str, object]] = [
                {"Name": "address-ip", "Values": wanted},
                {"Name": "subnet-id", "Values": list(subnet_ids[:_VALUES])},
            ]
            found += await self._describe({"Filters": filters})
        return tuple(found)

    async def _describe(self, selection: dict[str, object]) -> tuple[Eni, ...]:
        parameters = {**selection, "Offset": 0, "Limit": PAGE}
        return parse_enis(await self.ask("DescribeNetworkInterfaces", parameters))

    async def ask(self, action: str, parameters: dict[str, object], service: str = "vpc") -> dict[str, object]:
        """Make a read and return its answer, not looked at yet. Raises CloudError.

        A key that the API no longer knows is replaced, and the question repeated, once.
        """
        try:
            return await self._api.call(action, parameters, service=service)
        except CloudError as error:
            remedy = classify(error.code, action).remedy
            if remedy is not Remedy.REFRESH_CREDENTIALS or error.code == CLIENT_CREDENTIALS:
                raise
        return await self._api.call(action, parameters, service=service)

    async def probe(self, action: str, parameters: dict[str, object], service: str = "vpc") -> str:
        """Make a request that must be refused, and return the code of the refusal: "OK" where it was not.

        It is sent once, and dated like a write. Raises nothing but CancelledError.
        """
        try:
            await self._api.call(action, parameters, service=service, expiring=True)
        except CloudError as error:
            return error.code
        return OK

    async def _describe_page(self, ids: list[str]) -> tuple[Eni, ...]:
        """Describe up to a page of ENIs. One that is gone must not hide the others: ask for each alone then."""
        try:
            enis = await self._describe({"NetworkInterfaceIds": ids})
        except CloudError as error:
            if error.code != "ResourceNotFound":
                raise
            if len(ids) == 1:
                return ()
            return tuple([eni for one in ids for eni in await self._describe_page([one])])
        return tuple(eni for eni in enis if eni.id in ids)

    async def read(self, resources: Sequence[Resource], eni_ids: Sequence[str]) -> tuple[Sighting, ...]:
        """Say who holds each resource, by one request per 100 ENIs. Raises CloudError.

        `eni_ids` are the nodes' ENIs; the ENIs among the resources need not be in it.
        """
        moving = [resource.id for resource in resources if resource.kind is ResourceKind.ENI]
        return sightings(resources, await self.describe_enis([*eni_ids, *moving]))

    async def instance_state(self, instance_id: str) -> str:
        """Return an instance's state, such as RUNNING (DescribeInstancesStatus). Raises CloudError."""
        parameters: dict[str, object] = {"InstanceIds": [instance_id], "Offset": 0, "Limit": 1}
        response = await self.ask("DescribeInstancesStatus", parameters, "cvm")
        return parse_instance_state(response, instance_id)

    async def stop_instance(self, instance_id: str, *, deadline_s: float) -> FenceResult:
        """Power an instance off and wait until the cloud confirms that it is, within the deadline; see `fencing`.

        Raises nothing but CancelledError.
        """
        return await fencing.stop_instance(self._api, instance_id, deadline_s=deadline_s)

    async def move(self, resource: Resource, expected: str | None, target: str, *, deadline_s: float) -> MoveResult:
        """Move a resource from the holder just seen (None: nobody) to the target, within the deadline.

        Each write is sent once. Raises nothing but CancelledError: whatever the API or the network does is
        an outcome.
        """
        progress = _Progress(expected)
        try:
            async with asyncio.timeout(deadline_s), AsyncExitStack() as stack:
                for eni_id in touched(resource, expected, target):
                    await stack.enter_async_context(self._locks.setdefault(eni_id, asyncio.Lock()))
                return await self._carry_out(resource, target, progress)
        except TimeoutError:
            return progress.cut_short(self._life_s)

    async def _carry_out(self, resource: Resource, target: str, progress: _Progress) -> MoveResult:
        for _ in range(_MAX_CALLS):
            call = next_call(resource, progress.holder, target, self._strategy)
            if call is None:
                break
            progress.in_flight, progress.accepted = True, False
            result = await self._write(call, progress)
            progress.in_flight = False
            if result.outcome is not Outcome.APPLIED:
                return progress.tag(result)
            progress.holder, progress.started = call.holder_after, True
        return MoveResult(Outcome.APPLIED)

    async def _write(self, call: Call, progress: _Progress) -> MoveResult:
        try:
            response = await self._api.call(call.action, call.parameters, expiring=True)
        except CloudError as error:
            kind = classify(error.code, call.action)
            return MoveResult(kind.outcome, error.code, kind.refusal, open_ms=round(1000 * error.open_s))
        progress.accepted = True
        return await self._task_end(str(response["RequestId"]))

    async def _task_end(self, task_id: str) -> MoveResult:
        """Wait for the end of an accepted write; the caller's deadline bounds it."""
        clock = asyncio.get_running_loop().time
        lag_ends_s = clock() + _TASK_LAG_S
        delay_s = _FIRST_POLL_S
        while True:
            await asyncio.sleep(delay_s * self._rng.uniform(1 - _POLL_JITTER, 1 + _POLL_JITTER))
            delay_s = min(delay_s * _POLL_GROWTH, _LAST_POLL_S)
            try:
                status = parse_task(await self._api.call("DescribeVpcTaskResult", {"TaskId": task_id}))
            except CloudError as error:
                if _futile(error.code, lag_over=clock() > lag_ends_s):
                    return MoveResult(Outcome.UNKNOWN, error.code)
                continue
            if status is TaskStatus.SUCCESS:
                return MoveResult(Outcome.APPLIED)
            if status is TaskStatus.FAILED:
                return MoveResult(Outcome.REFUSED, TASK_FAILED, Refusal.CONFLICT)


def _futile(code: str, *, lag_over: bool) -> bool:
    """Whether asking again for a task's end cannot help; reading the holder is the better question then."""
    kind = classify(code, "DescribeVpcTaskResult")
    if kind.refusal is Refusal.PERMISSION:
        return kind.remedy is not Remedy.REFRESH_CREDENTIALS
    return lag_over and (kind.refusal is not None or code == "ResourceNotFound")
