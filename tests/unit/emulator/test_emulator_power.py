"""Instances are switched as the CVM API documents it: checked first, then done while nobody waits for an answer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cvm.v20170312 import cvm_client, errorcodes
from tencentcloud.cvm.v20170312 import models as cvm

from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.model import Model, Rules
from hafailover.emulator.network import InstanceState
from hafailover.emulator.power import REFUSALS, STEPS
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.values import ApiError, Fate, Handling, PowerChange
from hafailover.emulator.world import PAIR, REGION, build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

A, B = (node.instance_id for node in PAIR)
POWER_MS = 3000


def cloud(**rules: Any) -> Model:
    return Model(build(), rules=Rules(**{"power_ms": POWER_MS, **rules}))


def switch(model: Model, now: int, action: str = "StopInstances", **fields: Any) -> str:
    handling = fields.pop("handling", Handling())
    reply = model.request(action, {"InstanceIds": [A], **fields}, "x", now, handling)
    return str(reply["RequestId"])


def states(model: Model, now: int) -> list[str]:
    reply = model.request("DescribeInstancesStatus", {}, "x", now)
    return [each["InstanceState"] for each in reply["InstanceStatusSet"]]


def operation(model: Model, now: int) -> tuple[str, str, str]:
    (found,) = model.request("DescribeInstances", {"InstanceIds": [A]}, "x", now)["InstanceSet"]
    return found["LatestOperation"], found["LatestOperationState"], found["LatestOperationRequestId"]


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_a_stop_takes_its_time_and_says_whose_it_was() -> None:
    model = cloud()
    heard: list[PowerChange] = []
    model.power_listeners.append(heard.append)
    request = switch(model, 100, StopType="HARD", StoppedMode="KEEP_CHARGING")
    assert states(model, 100 + POWER_MS - 1) == ["STOPPING", "RUNNING"]
    assert operation(model, 200) == ("StopInstances", "OPERATING", request)
    assert states(model, 100 + POWER_MS) == ["STOPPED", "RUNNING"]
    assert operation(model, 5000) == ("StopInstances", "SUCCESS", request)
    told = [PowerChange(100, A, "RUNNING", "STOPPING"), PowerChange(100 + POWER_MS, A, "STOPPING", "STOPPED")]
    assert list(model.power_history) == heard == told
    assert not model.history  # who holds an address has not changed by that
    with refused("ResourceNotFound"):
        model.request("DescribeVpcTaskResult", {"TaskId": request}, "x", 6000)


@pytest.mark.parametrize("action", STEPS)
@pytest.mark.parametrize("state", InstanceState)
def test_each_action_needs_its_state(action: str, state: InstanceState) -> None:
    model = cloud()
    model.set_instance_state(A, state, 0)
    needed, passing, last = STEPS[action]
    if state is needed:
        switch(model, 1, action)
        assert states(model, 1)[0] == passing.value
        assert states(model, 1 + POWER_MS)[0] == last.value
    else:
        with refused(REFUSALS[state]):
            switch(model, 1, action)
        assert states(model, 1 + POWER_MS)[0] == state.value


def test_every_refusal_is_one_of_the_api() -> None:
    known = {value for value in vars(errorcodes).values() if isinstance(value, str)}
    assert set(REFUSALS.values()) <= known
    assert set(REFUSALS) == set(InstanceState)


def test_a_second_stop_while_the_first_is_under_way() -> None:
    model = cloud()
    switch(model, 0)
    with refused("UnsupportedOperation.InstanceStateStopping"):
        switch(model, 1)
    model.set_instance_state(A, InstanceState.RUNNING, 2)
    with refused("OperationDenied.InstanceOperationInProgress"):
        switch(model, 3)
    assert states(model, POWER_MS) == ["RUNNING", "RUNNING"]  # what was set by hand meanwhile is left alone


def test_all_or_none_of_a_batch() -> None:
    model = cloud()
    model.set_instance_state(B, InstanceState.STOPPED, 0)
    with refused("UnsupportedOperation.InstanceStateStopped"):
        switch(model, 1, InstanceIds=[A, B])
    assert states(model, POWER_MS + 1) == ["RUNNING", "STOPPED"]
    model.set_instance_state(B, InstanceState.RUNNING, 5000)
    switch(model, 5000, InstanceIds=[A, B, A])
    assert states(model, 5000 + POWER_MS) == ["STOPPED", "STOPPED"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"InstanceIds": []}, "MissingParameter"),
        ({"InstanceIds": ["x"]}, "InvalidInstanceId.Malformed"),
        ({"InstanceIds": ["ins-zzzzzzzz"]}, "InvalidInstanceId.NotFound"),
        ({"InstanceIds": [A] * 101}, "InvalidParameterValue.LimitExceeded"),
        ({"StopType": "ASAP"}, "InvalidParameterValue"),
        ({"StopType": "HARD", "ForceStop": True}, "InvalidParameterCombination"),
        ({"ForceStop": 1}, "InvalidParameter"),
        ({"StoppedMode": "FREE"}, "InvalidParameterValue"),
        ({"StoppedMode": "STOP_CHARGING"}, "UnsupportedOperation.StoppedModeStopCharging"),
        ({"ClientToken": "t"}, "UnknownParameter"),
    ],
)
def test_what_a_stop_cannot_be(fields: dict[str, Any], code: str) -> None:
    model = cloud()
    with refused(code):
        switch(model, 0, **fields)
    assert states(model, POWER_MS) == ["RUNNING", "RUNNING"]


def test_a_stop_that_fails_or_sticks() -> None:
    model = cloud()
    request = switch(model, 0, handling=Handling(fate=Fate.FAIL))
    assert states(model, POWER_MS)[0] == "RUNNING"
    assert operation(model, POWER_MS) == ("StopInstances", "FAILED", request)
    switch(model, 4000, handling=Handling(fate=Fate.STICK))
    assert states(model, 99_000)[0] == "STOPPING"
    assert model.release_stuck(99_000) == 1
    assert states(model, 99_000)[0] == "STOPPED"
    switch(model, 100_000, "StartInstances", handling=Handling(task_ms=7))
    assert states(model, 100_006)[0] == "STARTING"
    assert states(model, 100_007)[0] == "RUNNING"


def test_an_instance_that_is_off_keeps_its_addresses_and_can_lose_them() -> None:
    model = cloud(power_ms=0, task_ms=0)
    switch(model, 0)
    first, second = PAIR
    fields = {"SourceNetworkInterfaceId": first.eni_id, "DestinationNetworkInterfaceId": second.eni_id}
    model.request("MigratePrivateIpAddress", {**fields, "PrivateIpAddress": "10.0.1.100"}, "x", 1)
    assert model.holder_of("10.0.1.100", 2) == second.eni_id


class Sdk:
    """The generated client of the CVM API, its calls in a thread."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{emulator.api_port}", reqTimeout=5)
        credential = Credential(SECRET_ID, SECRET_KEY)
        self.client = cvm_client.CvmClient(credential, REGION, ClientProfile(httpProfile=http))

    async def call(self, action: str, **fields: Any) -> Any:
        request = getattr(cvm, f"{action}Request")()
        for name, value in fields.items():
            setattr(request, name, value)
        return await asyncio.to_thread(getattr(self.client, action), request)

    async def state(self) -> str:
        reply = await self.call("DescribeInstancesStatus", InstanceIds=[A])
        return str(reply.InstanceStatusSet[0].InstanceState)


@asynccontextmanager
async def emulated() -> AsyncIterator[Sdk]:
    emulator = Emulator(build(), Options(latency_ms=0, task_ms=0))
    emulator.model.rules.power_ms = 0
    await emulator.start()
    sdk = Sdk(emulator)
    try:
        yield sdk
    finally:
        sdk.client.request.conn._session.close()
        await emulator.close()


async def test_the_generated_client_stops_starts_and_reboots() -> None:
    async with emulated() as sdk:
        reply = await sdk.call("StopInstances", InstanceIds=[A], StopType="HARD", StoppedMode="KEEP_CHARGING")
        assert await sdk.state() == "STOPPED"
        (found,) = (await sdk.call("DescribeInstances", InstanceIds=[A])).InstanceSet
        assert (found.LatestOperationState, found.LatestOperationRequestId) == ("SUCCESS", reply.RequestId)
        await sdk.call("StartInstances", InstanceIds=[A])
        await sdk.call("RebootInstances", InstanceIds=[A], StopType="SOFT")
        assert await sdk.state() == "RUNNING"
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{sdk.emulator.api_port}/_emulator/power"
            told = [(each["before"], each["after"]) for each in (await client.get(url)).json()]
    assert told[:2] == [("RUNNING", "STOPPING"), ("STOPPING", "STOPPED")]
    assert len(told) == 6


@pytest.mark.parametrize(
    "code", ["UnauthorizedOperation", "InvalidInstance.NotSupported", "UnsupportedOperation.InstanceStateCorrupted"]
)
async def test_a_stop_is_refused_where_a_fault_says_so(code: str) -> None:
    async with emulated() as sdk:
        sdk.emulator.faults.add(Fault(Kind.ERROR, action="StopInstances", code=code))
        with pytest.raises(TencentCloudSDKException) as caught:
            await sdk.call("StopInstances", InstanceIds=[A])
        assert caught.value.code == code
        assert await sdk.state() == "RUNNING"


async def test_a_stop_counts_as_a_write_for_the_faults() -> None:
    async with emulated() as sdk:
        sdk.emulator.faults.add(Fault(Kind.TASK_STUCK, action="writes", count=1))
        await sdk.call("StopInstances", InstanceIds=[A])
        assert await sdk.state() == "STOPPING"


async def test_the_vpc_endpoint_switches_nothing() -> None:
    async with emulated() as sdk:
        sdk.client._service = "vpc"
        with pytest.raises(TencentCloudSDKException) as caught:
            await sdk.call("StopInstances", InstanceIds=[A])
        assert caught.value.code == "InvalidAction"
