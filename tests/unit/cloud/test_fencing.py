"""An instance counts as off when the cloud has said so, and for no other reason; a stop is sent after looking."""

from __future__ import annotations

import asyncio
import json
import random
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.cvm.v20170312 import models as cvm

from hafailover.cloud import fencing
from hafailover.election.values import FenceResult
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.network import InstanceState
from hafailover.emulator.world import PAIR
from tests.unit.cloud.stub import answer, error, http, until
from tests.unit.cloud.test_cloud_emulator import rig

if TYPE_CHECKING:
    from tests.unit.cloud.stub import Asked, MakeBench
    from tests.unit.cloud.test_cloud_emulator import Rig

A = PAIR[0].instance_id
STOP, STATUS = "StopInstances", "DescribeInstancesStatus"
STOPPED = FenceResult(stopped=True)


@pytest.fixture(autouse=True)
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fencing, "_FIRST_POLL_S", 0.005)
    monkeypatch.setattr(fencing, "_LAST_POLL_S", 0.02)


def power(at: Rig, power_ms: int = 0, state: InstanceState | None = None) -> None:
    at.emulator.model.rules.power_ms = power_ms
    if state is not None:
        at.emulator.model.set_instance_state(A, state, at.emulator.service.now_ms())


def state(at: Rig) -> str:
    at.emulator.model.advance(at.emulator.service.now_ms())
    return at.emulator.model.network.instances[A].state.value


async def test_a_running_instance_is_looked_at_stopped_and_looked_at_until_it_is_off() -> None:
    async with rig() as at:
        power(at, 500)
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED
        assert state(at) == "STOPPED"
        actions = [call.action for call in at.calls]
        assert actions[:2] == [STATUS, STOP]
        assert actions.count(STOP) == 1
        assert set(actions[2:]) == {STATUS}
        assert len(actions) > 3


async def test_the_stop_is_a_hard_one_that_keeps_the_resources_and_dies_soon(make_bench: MakeBench) -> None:
    states = iter(["RUNNING", "STOPPED"])

    def play(asked: Asked) -> bytes:
        said = (
            {}
            if asked.action == STOP
            else {"InstanceStatusSet": [{"InstanceId": A, "InstanceState": next(states)}]}
        )
        body = json.dumps({"Response": {"RequestId": "req-1", **said}}).encode()
        return http(body, extra=f"Date: {formatdate(usegmt=True)}\r\n")

    bench = await make_bench(play)
    assert await bench.cloud.stop_instance(A, deadline_s=10) == STOPPED
    read, stop, _ = bench.stub.asked
    assert int(stop.headers["x-tc-timestamp"]) < int(read.headers["x-tc-timestamp"]) - 200
    wanted = {"InstanceIds": [A], "StopType": "HARD", "StoppedMode": "KEEP_CHARGING"}
    assert stop.body == wanted
    request = cvm.StopInstancesRequest()
    request._deserialize(wanted)  # warns of a field that the API does not have
    assert "/cvm/" in stop.headers["authorization"]


@pytest.mark.parametrize("given", [InstanceState.STOPPED, InstanceState.SHUTDOWN, InstanceState.LAUNCH_FAILED])
async def test_what_is_off_already_costs_one_reading(given: InstanceState) -> None:
    async with rig() as at:
        power(at, state=given)
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED
        assert [call.action for call in at.calls] == [STATUS]


async def test_one_that_is_being_stopped_by_somebody_else_is_waited_for() -> None:
    async with rig() as at:
        power(at, 80)
        at.emulator.service.request(STOP, {"InstanceIds": [A]}, "somebody")
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED
        assert STOP not in [call.action for call in at.calls]


async def test_one_that_is_stopped_between_looking_and_stopping(make_bench: MakeBench) -> None:
    states = iter(["RUNNING", "STOPPING", "STOPPING", "STOPPED"])

    def play(asked: Asked) -> bytes:
        if asked.action == STATUS:
            return answer(InstanceStatusSet=[{"InstanceId": A, "InstanceState": next(states)}])
        return error("UnsupportedOperation.InstanceStateStopping")

    bench = await make_bench(play)
    assert await bench.cloud.stop_instance(A, deadline_s=10) == STOPPED
    assert bench.stub.actions == [STATUS, STOP, STATUS, STATUS, STATUS]


async def test_one_that_is_starting_is_stopped_once_it_runs() -> None:
    async with rig() as at:
        power(at, 60, InstanceState.STOPPED)
        at.emulator.service.request("StartInstances", {"InstanceIds": [A]}, "somebody")
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED
        told = [change.after for change in at.emulator.model.power_history]
        assert told[-3:] == ["RUNNING", "STOPPING", "STOPPED"]


@pytest.mark.parametrize(
    ("kind", "stops"),
    [
        (Kind.RESET_AFTER, 1),
        (Kind.HTTP_500_AFTER, 1),
        (Kind.TRUNCATED, 1),
        (Kind.RESET_BEFORE, 2),
        (Kind.HTTP_500_BEFORE, 2),
        (Kind.THROTTLE, 2),
        (Kind.EXPIRED, 2),
    ],
)
async def test_a_stop_without_an_answer_is_followed_by_a_look(kind: Kind, stops: int) -> None:
    async with rig() as at:
        power(at, 20)
        at.befall(kind, STOP, count=1)
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED
        actions = [call.action for call in at.calls]
        assert actions.count(STOP) == stops
        assert all(actions[place - 1] == STATUS for place, action in enumerate(actions) if action == STOP)


@pytest.mark.parametrize("kind", [Kind.THROTTLE, Kind.RESET_BEFORE, Kind.NOT_JSON, Kind.EXPIRED, Kind.OUTAGE])
async def test_a_reading_that_fails_is_repeated_and_nothing_is_stopped_unseen(kind: Kind) -> None:
    async with rig() as at:
        power(at)
        at.befall(kind, STATUS, count=2)
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED
        codes = [(call.action, call.code == "OK") for call in at.calls[:4]]
        assert codes == [(STATUS, False), (STATUS, False), (STATUS, True), (STOP, True)]


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (STOP, "UnauthorizedOperation"),
        (STATUS, "UnauthorizedOperation"),
        (STOP, "InvalidInstance.NotSupported"),
        (STOP, "UnsupportedOperation.InstanceStateCorrupted"),
        (STOP, "UnsupportedOperation.InstanceStateBanning"),
    ],
)
async def test_what_can_never_work_ends_at_once(action: str, code: str) -> None:
    async with rig() as at:
        at.befall(Kind.ERROR, action, code=code)
        assert await at.cloud.stop_instance(A, deadline_s=30) == FenceResult(stopped=False, code=code)
        assert state(at) == "RUNNING"
        assert len(at.calls) == (2 if action == STOP else 1)


async def test_an_unknown_instance_is_not_one_that_is_off() -> None:
    async with rig() as at:
        result = await at.cloud.stop_instance("ins-gone0000", deadline_s=30)
        assert result == FenceResult(stopped=False, code="InvalidInstanceId.NotFound")


async def test_one_that_is_destroyed_meanwhile_is_off(make_bench: MakeBench) -> None:
    left = ["RUNNING", "TERMINATING"]

    def play(asked: Asked) -> bytes:
        if asked.action == STOP:
            return answer()
        if left:
            return answer(InstanceStatusSet=[{"InstanceId": A, "InstanceState": left.pop(0)}])
        return error("InvalidInstanceId.NotFound")

    bench = await make_bench(play)
    assert await bench.cloud.stop_instance(A, deadline_s=10) == STOPPED
    assert bench.stub.actions == [STATUS, STOP, STATUS, STATUS]


async def test_one_that_is_being_destroyed_is_not_off_yet(make_bench: MakeBench) -> None:
    left = ["TERMINATING", ""]

    def play(asked: Asked) -> bytes:
        state = left.pop(0) if left else "RUNNING"
        if asked.action == STATUS and not state:
            return error("RequestLimitExceeded")
        if asked.action == STATUS:
            return answer(InstanceStatusSet=[{"InstanceId": A, "InstanceState": state}])
        return error("UnauthorizedOperation")

    bench = await make_bench(play)
    result = await bench.cloud.stop_instance(A, deadline_s=10)
    assert result == FenceResult(stopped=False, code="UnauthorizedOperation")


@pytest.mark.parametrize(
    ("kind", "action", "code"),
    [
        (Kind.TASK_STUCK, STOP, "ClientTimeout"),
        (Kind.THROTTLE, STOP, "RequestLimitExceeded"),
        (Kind.THROTTLE, STATUS, "RequestLimitExceeded"),
        (Kind.HANG_BEFORE, STOP, "ClientTimeout"),
        (Kind.HANG_AFTER, STATUS, "ClientTimeout"),
        (Kind.TASK_FAILED, STOP, "ClientTimeout"),
    ],
)
async def test_what_does_not_end_in_time_says_why(kind: Kind, action: str, code: str) -> None:
    async with rig(timeout_ms=200) as at:
        power(at)
        at.befall(kind, action)
        started_s = time.monotonic()
        assert await at.cloud.stop_instance(A, deadline_s=0.3) == FenceResult(stopped=False, code=code)
        assert time.monotonic() - started_s < 5
        assert state(at) != "STOPPED"


async def test_what_was_overcome_is_not_the_reason() -> None:
    async with rig() as at:
        at.befall(Kind.THROTTLE, STOP, count=1)
        at.befall(Kind.TASK_STUCK, STOP)
        result = await at.cloud.stop_instance(A, deadline_s=0.5)
        assert result == FenceResult(stopped=False, code="ClientTimeout")
        assert [call.action for call in at.calls].count(STOP) == 2


async def test_a_stop_that_was_accepted_is_repeated_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig() as at:
        power(at)
        at.befall(Kind.TASK_FAILED, STOP, count=1)
        assert (await at.cloud.stop_instance(A, deadline_s=0.3)).stopped is False
        assert [call.action for call in at.calls].count(STOP) == 1
        monkeypatch.setattr(fencing, "_PATIENCE_S", 0.05)
        at.befall(Kind.TASK_FAILED, STOP, count=1)
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED


async def test_a_stale_reading_sends_no_second_stop() -> None:
    async with rig() as at:
        power(at)
        at.befall(Kind.STALE, STATUS, ms=60_000, count=4)
        assert await at.cloud.stop_instance(A, deadline_s=10) == STOPPED
        assert [call.action for call in at.calls].count(STOP) == 1


async def test_who_gives_up_leaves_nothing_behind() -> None:
    async with rig() as at:
        power(at, 60_000)
        task = asyncio.create_task(at.cloud.stop_instance(A, deadline_s=60))
        await until(lambda: any(call.action == STOP for call in at.calls))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_no_program_of_faults_makes_it_take_for_off_what_is_on() -> None:
    rng = random.Random(11)  # noqa: S311 - a repeatable choice
    kinds = [kind for kind in Kind if kind not in (Kind.LATENCY, Kind.STALE)]
    ends: set[bool] = set()
    async with rig(timeout_ms=40) as at:
        for _ in range(15):
            at.emulator.faults.remove()
            at.emulator.model.release_stuck(at.emulator.service.now_ms())
            power(at, rng.choice([0, 10]), InstanceState.RUNNING)
            for _ in range(rng.randrange(4)):
                fault: dict[str, Any] = {"count": rng.randrange(1, 4), "ms": 5}
                at.emulator.faults.add(Fault(rng.choice(kinds), action=rng.choice(["*", STOP, STATUS]), **fault))
            result = await at.cloud.stop_instance(A, deadline_s=0.25)
            assert not result.stopped or state(at) == "STOPPED"
            ends.add(result.stopped)
    assert True in ends
