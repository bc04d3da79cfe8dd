"""The unmodified SDK, sync and async, against the emulator over real sockets."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.cvm.v20170312 import cvm_client
from tencentcloud.cvm.v20170312 import models as cvm
from tencentcloud.vpc.v20170312 import models as vpc
from tencentcloud.vpc.v20170312 import vpc_client_async

from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.server import SECRET_ID, SECRET_KEY
from hafailover.emulator.world import VIP
from tests.unit.emulator.sdk import REGION, Sdk, emulated, profile

if TYPE_CHECKING:
    from hafailover.emulator.values import Change

A, B = ENIS = ["eni-aaaaaaaa", "eni-bbbbbbbb"]


async def test_moves_an_address_and_reports_the_task() -> None:
    changes: list[Change] = []
    async with emulated() as sdk:
        sdk.emulator.model.listeners.append(changes.append)
        reply = await sdk.call("MigratePrivateIpAddress", **sdk.move())
        task = await sdk.call("DescribeVpcTaskResult", TaskId=reply.RequestId)
        read = await sdk.call("DescribeNetworkInterfaces", NetworkInterfaceIds=ENIS)
    assert task.Status == "SUCCESS"
    carried = {
        eni.NetworkInterfaceId: [ip.PrivateIpAddress for ip in eni.PrivateIpAddressSet]
        for eni in read.NetworkInterfaceSet
    }
    assert carried == {A: ["10.0.1.17"], B: ["10.0.1.16", VIP]}
    assert read.NetworkInterfaceSet[0].Attachment.InstanceId == "ins-aaaaaaaa"
    assert [(c.resource, c.before, c.after, c.caller) for c in changes] == [(VIP, A, B, SECRET_ID)]


async def test_an_effect_is_applied_when_it_is_due_without_any_request() -> None:
    changed = asyncio.Event()
    async with emulated(task_ms=30) as sdk:
        sdk.emulator.model.listeners.append(lambda _change: changed.set())
        reply = await sdk.call("MigratePrivateIpAddress", **sdk.move())
        running = await sdk.call("DescribeVpcTaskResult", TaskId=reply.RequestId)
        await asyncio.wait_for(changed.wait(), 5)
        change = sdk.emulator.model.history[0]
    assert running.Status == "RUNNING"
    assert change.at_ms - change.accepted_ms == 30


async def test_unassign_assign_and_limits() -> None:
    async with emulated() as sdk:
        await sdk.call(
            "UnassignPrivateIpAddresses", NetworkInterfaceId=A, PrivateIpAddresses=[{"PrivateIpAddress": VIP}]
        )
        wanted = [{"PrivateIpAddress": VIP, "Primary": False}]
        reply = await sdk.call("AssignPrivateIpAddresses", NetworkInterfaceId=B, PrivateIpAddresses=wanted)
        limit = await sdk.call("DescribeNetworkInterfaceLimit", InstanceId=B)
        assert sdk.holder() == B
    assert [(ip.PrivateIpAddress, ip.State) for ip in reply.PrivateIpAddressSet] == [(VIP, "PENDING")]
    assert limit.EniPrivateIpAddressQuantity == 10


async def test_a_refusal_is_an_error_with_its_code() -> None:
    async with emulated() as sdk:
        await sdk.call("MigratePrivateIpAddress", **sdk.move())
        code = await sdk.refused("MigratePrivateIpAddress", **sdk.move())
        call = sdk.emulator.service.calls[-1]
    assert code == "UnauthorizedOperation.AttachmentNotFound"
    assert (call.action, call.code, call.caller, call.peer) == (
        "MigratePrivateIpAddress",
        code,
        SECRET_ID,
        "127.0.0.1",
    )


async def test_cvm_and_the_common_client() -> None:
    async with emulated() as sdk:
        credential = Credential(SECRET_ID, SECRET_KEY)
        client = cvm_client.CvmClient(credential, REGION, profile(sdk.emulator))
        found = await asyncio.to_thread(client.DescribeInstances, cvm.DescribeInstancesRequest())
        status = await asyncio.to_thread(client.DescribeInstancesStatus, cvm.DescribeInstancesStatusRequest())
        common = CommonClient("vpc", "2017-03-12", credential, REGION, profile(sdk.emulator))
        raw = await asyncio.to_thread(common.call_json, "DescribeNetworkInterfaces", {"Limit": 1})
        client.request.conn._session.close()
        common.request.conn._session.close()
    assert [(i.InstanceId, i.InstanceState, i.CPU) for i in found.InstanceSet] == [
        ("ins-aaaaaaaa", "RUNNING", 2),
        ("ins-bbbbbbbb", "RUNNING", 2),
    ]
    assert len(status.InstanceStatusSet) == 2
    assert raw["Response"]["TotalCount"] == 2
    assert len(raw["Response"]["NetworkInterfaceSet"]) == 1


async def test_the_async_client_on_one_connection() -> None:
    async with emulated() as sdk:
        credential = Credential(SECRET_ID, SECRET_KEY)
        client = vpc_client_async.VpcClient(credential, REGION, profile(sdk.emulator, keep_alive=True))
        async with client:
            request = vpc.DescribeNetworkInterfacesRequest()
            for _ in range(3):
                reply = await client.DescribeNetworkInterfaces(request)
    assert reply.TotalCount == 2


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (("AKIDnobody", SECRET_KEY, None), "AuthFailure.SecretIdNotFound"),
        ((SECRET_ID, "wrong", None), "AuthFailure.SignatureFailure"),
        ((SECRET_ID, SECRET_KEY, "token"), "AuthFailure.TokenFailure"),
    ],
)
async def test_wrong_keys(key: tuple[str, str, str | None], code: str) -> None:
    async with emulated() as sdk:
        other = Sdk(sdk.emulator, Credential(*key))
        assert await other.refused("DescribeNetworkInterfaces") == code
        other.close()


async def test_a_clock_five_minutes_off() -> None:
    async with emulated(unix_s=lambda: time.time() + 400) as sdk:
        assert await sdk.refused("DescribeNetworkInterfaces") == "AuthFailure.SignatureExpire"


async def test_temporary_keys_from_metadata_work_until_they_expire() -> None:
    async with emulated() as sdk:
        base = (
            f"http://127.0.0.1:{sdk.emulator.metadata_port}/ins-bbbbbbbb/latest/meta-data/cam/security-credentials/"
        )
        async with httpx.AsyncClient(trust_env=False) as web:
            role = (await web.get(base)).text
            key = (await web.get(base + role)).json()
        other = Sdk(sdk.emulator, Credential(key["TmpSecretId"], key["TmpSecretKey"], key["Token"]))
        await other.call("MigratePrivateIpAddress", **sdk.move())
        assert sdk.emulator.model.history[-1].caller == "ins-bbbbbbbb"
        assert sdk.emulator.keys.expire("*", sdk.emulator.service.now_s()) == 1
        assert await other.refused("DescribeNetworkInterfaces") == "AuthFailure.TokenFailure"
        other.close()
    assert key["Code"] == "Success"
    assert key["ExpiredTime"] > time.time() + 3600


# What the SDK makes of each fault of the transport, and whether the move has happened.
TRANSPORT = [
    (Kind.ERROR, "InternalError", A),
    (Kind.THROTTLE, "RequestLimitExceeded", A),
    (Kind.DENIED, "UnauthorizedOperation", A),
    (Kind.EXPIRED, "AuthFailure.TokenFailure", A),
    (Kind.OUTAGE, "ClientNetworkError", A),
    (Kind.RESET_BEFORE, "ClientNetworkError", A),
    (Kind.RESET_AFTER, "ClientNetworkError", B),
    (Kind.HANG_BEFORE, "ClientNetworkError", A),
    (Kind.HANG_AFTER, "ClientNetworkError", B),
    (Kind.HTTP_500_BEFORE, "ServerNetworkError", A),
    (Kind.HTTP_500_AFTER, "ServerNetworkError", B),
    (Kind.TRUNCATED, "ChunkedEncodingError", B),
    (Kind.NOT_JSON, "JSONDecodeError", B),
]


@pytest.mark.parametrize(("kind", "code", "holder"), TRANSPORT, ids=lambda value: getattr(value, "value", None))
async def test_faults_as_the_sdk_sees_them(kind: Kind, code: str, holder: str) -> None:
    async with emulated(timeout_s=0.3) as sdk:
        sdk.emulator.faults.add(Fault(kind, action="Migrate*", count=1))
        assert await sdk.refused("MigratePrivateIpAddress", **sdk.move()) == code
        assert sdk.holder() == holder
        assert (await sdk.call("DescribeNetworkInterfaces")).TotalCount == 2
        assert sdk.emulator.service.calls[-2].fault == kind.value


async def test_a_permission_is_looked_at_before_the_arguments_are() -> None:
    async with emulated() as sdk:
        assert await sdk.refused("AttachNetworkInterface") == "MissingParameter"
        sdk.emulator.faults.add(Fault(Kind.DENIED, action="*NetworkInterface", caller=SECRET_ID))
        sdk.emulator.faults.add(Fault(Kind.DENIED, action="MigratePrivateIpAddress", caller="ins-bbbbbbbb"))
        assert await sdk.refused("AttachNetworkInterface") == "UnauthorizedOperation"
        assert await sdk.refused("MigratePrivateIpAddress") == "MissingParameter"
        key = sdk.emulator.keys.issue("ins-bbbbbbbb", int(time.time()))
        other = Sdk(sdk.emulator, Credential(key.secret_id, key.secret_key, key.token))
        assert await other.refused("MigratePrivateIpAddress") == "UnauthorizedOperation"
        assert await other.refused("AttachNetworkInterface") == "MissingParameter"
        other.close()


async def test_throttling_as_the_gateway_or_the_product_says_it() -> None:
    async with emulated() as sdk:
        rules = sdk.emulator.model.rules
        rules.rate_limits, rules.rates["DescribeSubnets"] = True, 0
        assert await sdk.refused("DescribeSubnets") == "RequestLimitExceeded"
        rules.rate_code = "LimitExceeded.ActionLimited"
        assert await sdk.refused("DescribeSubnets") == "LimitExceeded.ActionLimited"
        sdk.emulator.faults.add(Fault(Kind.THROTTLE, code="LimitExceeded.ActionLimited", count=1))
        assert await sdk.refused("DescribeVpcs") == "LimitExceeded.ActionLimited"
        assert (await sdk.call("DescribeVpcs")).TotalCount == 1


async def test_a_wrong_charset_hides_an_error_from_the_sdk() -> None:
    async with emulated() as sdk:
        sdk.emulator.faults.add(Fault(Kind.CHARSET))
        reply = await sdk.call("DescribeVpcTaskResult", TaskId="none")
    assert reply.Status is None


@pytest.mark.parametrize("kind", [Kind.SLOW_HEAD, Kind.SLOW_BODY])
async def test_a_dribbled_reply_outlives_the_sdks_timeout(kind: Kind) -> None:
    async with emulated(timeout_s=0.1) as sdk:
        sdk.emulator.faults.add(Fault(kind, ms=3))
        started = time.monotonic()
        reply = await sdk.call("MigratePrivateIpAddress", **sdk.move())
        took_s = time.monotonic() - started
    assert reply.RequestId
    assert took_s > 0.1


async def test_tasks_that_stick_fail_or_take_long_and_stale_reads() -> None:
    async with emulated() as sdk:
        service, faults = sdk.emulator.service, sdk.emulator.faults
        faults.add(Fault(Kind.TASK_FAILED, count=1))
        failed = await sdk.call("MigratePrivateIpAddress", **sdk.move())
        faults.add(Fault(Kind.TASK_STUCK, count=1))
        stuck = await sdk.call("MigratePrivateIpAddress", **sdk.move())
        status = [(await sdk.call("DescribeVpcTaskResult", TaskId=r.RequestId)).Status for r in (failed, stuck)]
        assert sdk.holder() == A
        service.model.release_stuck(service.now_ms())
        assert sdk.holder() == B
        faults.add(Fault(Kind.STALE, ms=60_000))
        read = await sdk.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[A])
    assert status == ["FAILED", "RUNNING"]
    assert [ip.PrivateIpAddress for ip in read.NetworkInterfaceSet[0].PrivateIpAddressSet] == ["10.0.1.17", VIP]


async def test_latency_comes_before_the_action_and_adds_up() -> None:
    async with emulated(latency_ms=20) as sdk:
        sdk.emulator.faults.add(Fault(Kind.LATENCY, ms=30))
        await sdk.call("MigratePrivateIpAddress", **sdk.move())
        call, change = sdk.emulator.service.calls[-1], sdk.emulator.model.history[-1]
    assert change.accepted_ms - call.at_ms >= 50


async def test_a_request_costs_little() -> None:
    async with emulated() as sdk:
        api = sdk.emulator._api
        request = await _recorded(sdk)
        started = time.process_time()
        for _ in range(100):
            response = await api.handle(request)
        cost_s = (time.process_time() - started) / 100
    assert response.status == 200
    assert cost_s < 0.003


async def _recorded(sdk: Sdk) -> Any:
    """Return a signed request as the emulator's API got it."""
    api = sdk.emulator._api
    seen: list[Any] = []
    handle = api.handle

    async def recording(request: Any) -> Any:
        seen.append(request)
        return await handle(request)

    api.handle = recording  # type: ignore[method-assign]
    await sdk.call("DescribeNetworkInterfaces", NetworkInterfaceIds=ENIS)
    api.handle = handle  # type: ignore[method-assign]
    return seen[0]
