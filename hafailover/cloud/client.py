"""The cloud as the daemon sees it: who holds what, and moves that end in one of four ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.cloud import binder, fencing
from hafailover.cloud.api import OK, Api, ApiCall
from hafailover.cloud.dating import GRAIN_S, life_s
from hafailover.cloud.mover import Mover
from hafailover.cloud.outcome import CLIENT_CREDENTIALS, Remedy, classify
from hafailover.cloud.plan import sightings
from hafailover.cloud.replies import Eni, TaskStatus, parse_enis, parse_instance_state, parse_task
from hafailover.cloud.tasks import TaskWatch
from hafailover.election.values import FenceResult, MoveResult, Resource, ResourceKind, Sighting
from hafailover.errors import CloudError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from hafailover.cloud.credentials import CredentialSource
    from hafailover.cloud.eips import Binding
    from hafailover.cloud.plan import Call
    from hafailover.config.model import Cloud as Settings

PAGE = 100  # ENIs per DescribeNetworkInterfaces, the API's maximum
_VALUES = 5  # in a filter; CVM's documents allow no more, VPC's do not say


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
        self._watch = TaskWatch(self._task, self._arrived, rng)
        self._mover = Mover(
            self._send,
            self._watch,
            strategy=settings.strategy,
            life_s=life_s(settings.timeout_ms / 1000) + GRAIN_S,
            rng=rng,
        )

    async def warm(self) -> None:
        """Open a connection and have credentials ready, so that the next request can leave at once."""
        await self._api.warm()

    async def close(self) -> None:
        """End what is under way, and close all connections."""
        await self._mover.close()
        await self._watch.close()
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
        families: dict[str, list[str]] = {"address-ip": [], "address-ipv6": []}
        for address in addresses:
            families["address-ipv6" if ":" in address else "address-ip"].append(address)
        pages = [
            (name, wanted[start : start + _VALUES])
            for name, wanted in families.items()
            for start in range(0, len(wanted), _VALUES)
        ]
        for name, wanted in pages:
            filters: list[dict[str, object]] = [
                {"Name": name, "Values": wanted},
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

    async def write(self, action: str, parameters: dict[str, object]) -> dict[str, object]:
        """Send a write once and return its answer: that it is accepted, not that it is done. Raises CloudError."""
        return await self._api.call(action, parameters, expiring=True)

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

    async def bind_eip(self, lost: Binding, *, deadline_s: float) -> str:
        """Bind an EIP to its address again; see `binder`. Raises nothing but CancelledError."""
        return await binder.bind(self._api, lost, deadline_s=deadline_s)

    async def move(self, resource: Resource, expected: str | None, target: str, *, deadline_s: float) -> MoveResult:
        """Move a resource from the holder just seen (None: nobody) to the target, within the deadline.

        Each write is sent once. Raises nothing but CancelledError: whatever the API or the network does is
        an outcome.
        """
        return await self._mover.move(resource, expected, target, deadline_s=deadline_s)

    async def _send(self, action: str, parameters: dict[str, object]) -> str:
        return str((await self.write(action, parameters))["RequestId"])

    async def _task(self, task_id: str) -> TaskStatus:
        return parse_task(await self._api.call("DescribeVpcTaskResult", {"TaskId": task_id}))

    async def _arrived(self, calls: Sequence[Call]) -> list[Call]:
        """Return which of the calls the holders show as done, by one reading. Raises CloudError."""
        resources = [resource for call in calls for resource in call.resources]
        targets = [call.target for call in calls if call.resources[0].kind is ResourceKind.ADDRESS]
        seen = {each.resource: each for each in await self.read(resources, targets)}
        return [call for call in calls if all(_is_at(seen[each], call.target) for each in call.resources)]


def _is_at(sighting: Sighting, holder: str) -> bool:
    return sighting.settled and sighting.holder == holder
