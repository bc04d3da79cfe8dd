"""What is announced for an instance: DescribeTaskInfo and the metadata service say what was put there."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.cvm.v20170312 import cvm_client
from tencentcloud.cvm.v20170312 import models as cvm

from hafailover.emulator.model import Model
from hafailover.emulator.network import Repair
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.values import ApiError
from hafailover.emulator.world import PAIR, REGION, build
from tests.unit.emulator.sdk import profile

A, B = (node.instance_id for node in PAIR)
FIRST = Repair("rep-aaaaaaaa", A, planned="2025-03-02 12:00:00", created="2025-03-01 12:00:00")
SECOND = Repair("rep-bbbbbbbb", B, type=101, status=3, planned="2025-03-01 12:00:00", created="2025-02-27 12:00:00")
TODAY = Repair("rep-cccccccc", B, status=4)
EVER = {"StartDate": "2025-01-01 00:00:00"}


def listed(**fields: Any) -> list[str]:
    model = Model(build())
    for repair in (FIRST, SECOND, TODAY):
        model.put_repair(repair, 0)
    reply = model.request("DescribeTaskInfo", fields, "x", 1)
    assert reply["TotalCount"] >= len(reply["RepairTaskInfoSet"])
    return [task["TaskId"][-1] for task in reply["RepairTaskInfoSet"]]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, "c"),
        (EVER, "cba"),
        ({"StartDate": "2025-02-28 00:00:00"}, "ca"),
        ({**EVER, "EndDate": "2025-02-28 00:00:00"}, "cb"),
        ({**EVER, "TaskStatus": [1, 4]}, "ca"),
        ({**EVER, "TaskTypeIds": [101]}, "b"),
        ({**EVER, "TaskIds": ["rep-aaaaaaaa"]}, "a"),
        ({**EVER, "InstanceIds": [B]}, "cb"),
        ({**EVER, "InstanceIds": ["ins-zzzzzzzz"]}, ""),
        ({**EVER, "Aliases": ["web-a"]}, "a"),
        ({**EVER, "Product": "CVM"}, "cba"),
        ({**EVER, "Product": "CDH"}, ""),
        ({**EVER, "Order": 1}, "abc"),
        ({**EVER, "OrderField": "AuthTime"}, "cba"),
        ({**EVER, "OrderField": "EndTime", "Limit": 1}, "a"),
    ],
)
def test_every_filter_does_what_it_says(fields: dict[str, Any], found: str) -> None:
    assert listed(**fields) == list(found)


@pytest.mark.parametrize(
    "wrong",
    [
        {"TaskStatus": [7]},
        {"TaskStatus": ["1"]},
        {"TaskTypeIds": [True]},
        {"Aliases": [1]},
        {"Product": "TKE"},
        {"StartDate": "yesterday"},
        {"OrderField": "TaskId"},
        {"Order": 2},
        {"TaskIds": ["ins-aaaaaaaa"]},
    ],
)
def test_what_the_documents_do_not_allow_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="InvalidParameterValue"):
        listed(**wrong)


def test_only_for_instances_that_there_are() -> None:
    model = Model(build())
    with pytest.raises(ApiError, match="NotFound"):
        model.put_repair(Repair("rep-aaaaaaaa", "ins-zzzzzzzz"), 0)
    with pytest.raises(ApiError, match="NotFound"):
        model.announce_termination("ins-zzzzzzzz", "", 0)


async def test_the_sdk_reads_a_task_that_was_put_there_by_hand() -> None:
    emulator = Emulator(build(), Options(latency_ms=0, task_ms=0))
    await emulator.start()
    client = cvm_client.CvmClient(Credential(SECRET_ID, SECRET_KEY), REGION, profile(emulator))
    request = cvm.DescribeTaskInfoRequest()
    request.InstanceIds = [A]
    try:
        async with httpx.AsyncClient() as web:
            url = f"http://127.0.0.1:{emulator.api_port}/_emulator"
            body = {"id": "rep-aaaaaaaa", "instance": A, "planned": "2025-03-02 12:00:00"}
            put = await web.post(f"{url}/repair", json=body)
            wrong = [
                (await web.post(f"{url}/repair", json={**body, **change})).status_code
                for change in ({"id": "x"}, {"status": 9}, {"planned": "soon"}, {"instance": "ins-zzzzzzzz"})
            ]
        found = await asyncio.to_thread(client.DescribeTaskInfo, request)
        client.request.conn._session.close()
    finally:
        await emulator.close()
    assert [each["id"] for each in put.json()["repairs"]] == ["rep-aaaaaaaa"]
    assert wrong == [400] * 4
    (task,) = found.RepairTaskInfoSet
    assert (task.InstanceId, task.TaskStatus, task.AuthTime, task.LanIp) == (A, 1, body["planned"], PAIR[0].address)


async def test_metadata_has_the_end_of_a_spot_instance_while_it_is_announced() -> None:
    emulator = Emulator(build(), Options(latency_ms=0, task_ms=0))
    await emulator.start()
    try:
        async with httpx.AsyncClient() as web:
            admin = f"http://127.0.0.1:{emulator.api_port}/_emulator"
            path = f"http://127.0.0.1:{emulator.metadata_port}/{A}/latest/meta-data/spot/termination-time"
            assert (await web.get(path)).status_code == 404
            said = await web.post(f"{admin}/termination", json={"instance": A, "at": "2025-03-02 12:00:00"})
            assert said.json()["terminations"] == {A: "2025-03-02 12:00:00"}
            assert (await web.get(path)).text == "2025-03-02 12:00:00"
            other = path.replace(A, B)
            assert (await web.get(other)).status_code == 404
            await web.post(f"{admin}/termination", json={"instance": A, "at": None})
            assert (await web.get(path)).status_code == 404
            assert (await web.get(f"{admin}/announced")).json() == {"terminations": {}, "repairs": []}
    finally:
        await emulator.close()
