"""The endpoints as curl sees them: unsigned and malformed requests, /_emulator/, metadata."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from hafailover.emulator import tc3
from hafailover.emulator.admin import Admin
from hafailover.emulator.quota import RATES
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.service import Service
from hafailover.emulator.world import PAIR, VIP, EniSpec, build, mac_of
from hafailover.http1 import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FREE = EniSpec("eni-cccccccc", ("10.0.1.50",))
MAC_A = mac_of("eni-aaaaaaaa")


class Web:
    """A plain HTTP client of one emulator."""

    def __init__(self, emulator: Emulator, client: httpx.AsyncClient) -> None:
        self.emulator = emulator
        self.client = client
        self.api = f"http://127.0.0.1:{emulator.api_port}"
        self.metadata = f"http://127.0.0.1:{emulator.metadata_port}"

    async def get(self, name: str) -> Any:
        return (await self.client.get(f"{self.api}/_emulator/{name}")).json()

    async def post(self, name: str, body: object) -> httpx.Response:
        return await self.client.post(f"{self.api}/_emulator/{name}", json=body)

    async def signed(self, body: bytes = b"{}", service: str = "vpc", **headers: str) -> dict[str, Any]:
        now = int(time.time())
        content = {"content-type": "application/json", "host": self.api.removeprefix("http://")}
        names = ("content-type", "host")
        signature = tc3.signature(tc3.Signed("POST", "", content, body, now), names, service, SECRET_KEY)
        scope = f"{SECRET_ID}/{tc3.date_of(now)}/{service}/tc3_request"
        sent = {
            "content-type": "application/json",
            "x-tc-action": "DescribeNetworkInterfaces",
            "x-tc-version": "2017-03-12",
            "x-tc-region": "ap-guangzhou",
            "x-tc-timestamp": str(now),
            "authorization": f"TC3-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(names)}, "
            f"Signature={signature}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        reply = await self.client.post(self.api, content=body, headers=sent)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        return dict(reply.json()["Response"])

    async def meta(self, path: str) -> str:
        reply = await self.client.get(self.metadata + path)
        return reply.text if reply.status_code == 200 else str(reply.status_code)


@asynccontextmanager
async def web(**options: Any) -> AsyncIterator[Web]:
    emulator = Emulator(build(eip_for=VIP, enis=(FREE,)), Options(**{"latency_ms": 0, "task_ms": 0, **options}))
    await emulator.start()
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield Web(emulator, client)
    finally:
        await emulator.close()


async def test_a_correctly_signed_request_is_answered() -> None:
    async with web() as client:
        reply = await client.signed()
    assert reply["TotalCount"] == 3
    assert len(reply["RequestId"]) == 36


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"x_tc_action": ""}, "MissingParameter"),
        ({"x_tc_region": ""}, "MissingParameter"),
        ({"x_tc_version": "2018-01-01"}, "NoSuchVersion"),
        ({"x_tc_region": "ap-shanghai"}, "UnsupportedRegion"),
        ({"x_tc_action": "DescribeInstances"}, "InvalidAction"),
        ({"service": "cbs"}, "NoSuchProduct"),
        ({"x_tc_timestamp": "soon"}, "AuthFailure.InvalidAuthorization"),
        ({"authorization": "Basic x"}, "AuthFailure.InvalidAuthorization"),
        ({"body": b"{"}, "InvalidRequest"),
        ({"body": b"[" * 100_000}, "InvalidRequest"),
        ({"body": b"[]"}, "InvalidRequest"),
        ({"body": b'{"Limit": 0}'}, "InvalidParameterValue.Range"),
    ],
)
async def test_refusals_are_http_200_with_a_request_id(options: dict[str, Any], code: str) -> None:
    async with web() as client:
        reply = await client.signed(**options)
        logged = client.emulator.service.calls[-1]
    assert reply["Error"]["Code"] == code
    assert len(reply["RequestId"]) == 36
    assert logged.code == code


async def test_other_paths_and_methods() -> None:
    async with web() as client:
        assert (await client.client.get(client.api)).status_code == 200
        assert (await client.client.post(client.api + "/other")).status_code == 404


async def test_state_and_moves_by_hand() -> None:
    async with web() as client:
        state = await client.get("state")
        before, before_eip = state["addresses"][VIP], state["eips"]["203.0.113.10"]
        moved = await client.post("move", {"address": VIP, "eni": "eni-bbbbbbbb"})
        gone = await client.post("move", {"address": VIP, "eni": None})
        history = await client.get("history")
    expected = {"eni": "eni-aaaaaaaa", "instance": "ins-aaaaaaaa", "state": "AVAILABLE", "primary": False}
    assert before == expected
    assert moved.json()["addresses"][VIP]["instance"] == "ins-bbbbbbbb"
    assert VIP not in gone.json()["addresses"]
    told = [(change["resource"], change["after"]) for change in history]
    assert told == [(VIP, "eni-bbbbbbbb"), (VIP, None), ("eip-aaaaaaaa", None)]
    assert before_eip == {"id": "eip-aaaaaaaa", "state": "BIND", "address": VIP}
    assert gone.json()["eips"]["203.0.113.10"]["state"] == "UNBIND"


async def test_enis_are_attached_by_hand() -> None:
    async with web() as client:
        free = {"eni": "eni-cccccccc", "instance": None}
        before = (await client.get("state"))["enis"]["eni-cccccccc"]
        attached = await client.post("attach", {**free, "instance": "ins-bbbbbbbb"})
        detached = await client.post("attach", free)
        history = await client.get("history")
    assert before == {"instance": None, "state": "AVAILABLE", "primary": False}
    assert attached.json()["enis"]["eni-cccccccc"]["instance"] == "ins-bbbbbbbb"
    assert detached.json()["enis"]["eni-cccccccc"]["instance"] is None
    assert [(change["resource"], change["after"]) for change in history] == [
        ("eni-cccccccc", "ins-bbbbbbbb"),
        ("eni-cccccccc", None),
    ]


async def test_faults_are_added_used_up_and_cleared() -> None:
    async with web() as client:
        await client.post("faults", {"kind": "error", "code": "InternalError", "count": 1})
        await client.post("faults", {"kind": "task-stuck"})
        first = await client.signed()
        listed = await client.get("faults")
        cleared = await client.post("faults", {"clear": 2})
        await client.post("faults", {"kind": "latency", "ms": 1})
        assert (await client.post("faults", {"clear": True})).json() == []
        calls = await client.get("calls")
    assert first["Error"]["Code"] == "InternalError"
    assert [fault["kind"] for fault in listed] == ["task-stuck"]
    assert cleared.json() == []
    assert [(call["action"], call["code"], call["fault"]) for call in calls] == [
        ("DescribeNetworkInterfaces", "InternalError", "error")
    ]


async def test_clearing_faults_lets_stuck_tasks_go_on() -> None:
    async with web() as client:
        await client.post("faults", {"kind": "task-stuck"})
        body = {
            "SourceNetworkInterfaceId": "eni-aaaaaaaa",
            "DestinationNetworkInterfaceId": "eni-bbbbbbbb",
            "PrivateIpAddress": VIP,
        }
        await client.signed(json.dumps(body).encode(), x_tc_action="MigratePrivateIpAddress")
        assert (await client.get("state"))["addresses"][VIP]["state"] == "MIGRATING"
        await client.post("faults", {"clear": True})
        assert (await client.get("state"))["addresses"][VIP]["eni"] == "eni-bbbbbbbb"


async def test_settings_are_shown_and_changed() -> None:
    wanted = {
        "latency_ms": 1,
        "task_ms": 2,
        "power_ms": 4,
        "metadata_latency_ms": 3,
        "metadata_down": True,
        "strict_ids": False,
        "migrating_eni": "AVAILABLE",
        "rate_limits": True,
        "rate_code": "LimitExceeded.ActionLimited",
        "serialise": "ip",
        "credential_lifetime_s": 60,
    }
    async with web() as client:
        rates = {"MigratePrivateIpAddress": 2, "DescribeSubnets": 0}
        changed = await client.post("settings", {**wanted, "rates": rates, "expire_credentials": "*"})
        expected = {**wanted, "rates": {**RATES, **rates}}
        assert changed.json() == expected == await client.get("settings")


async def test_instances_are_stopped() -> None:
    async with web() as client:
        reply = await client.post("instance", {"instance": "ins-aaaaaaaa", "state": "STOPPED"})
    assert reply.json()["instances"] == {"ins-aaaaaaaa": "STOPPED", "ins-bbbbbbbb": "RUNNING"}


@pytest.mark.parametrize(
    ("name", "body", "text"),
    [
        ("faults", [], "not a JSON object"),
        ("faults", {"kind": "x"}, "kind is 'x'"),
        ("faults", {"clear": "all"}, "clear is 'all'"),
        ("settings", {"latency_ms": -1}, "latency_ms is -1"),
        ("settings", {"metadata_down": 1}, "metadata_down is 1"),
        ("settings", {"serialise": "none"}, "serialise is 'none'"),
        ("settings", {"rate_code": "Busy"}, "rate_code is 'Busy'"),
        ("settings", {"rates": 5}, "rates is 5"),
        ("settings", {"rates": {"Move": 5}}, "allowed is an object of actions"),
        ("settings", {"rates": {"DescribeSubnets": -1}}, "DescribeSubnets is -1"),
        ("settings", {"expire_credentials": 1}, "expire_credentials is 1"),
        ("settings", {"colour": 1}, "unknown setting 'colour'"),
        ("move", {"address": "x", "eni": None}, "'x' does not appear"),
        ("move", {"address": VIP, "eni": "eni-zzzzzzzz"}, "ResourceNotFound"),
        ("attach", {"eni": "eni-cccccccc", "instance": "ins-zzzzzzzz"}, "ResourceNotFound"),
        ("attach", {"instance": None}, "eni is None, allowed is a string"),
        ("instance", {"instance": "ins-zzzzzzzz", "state": "STOPPED"}, "InvalidInstanceId.NotFound"),
    ],
)
async def test_bad_input_is_a_400_that_says_why(name: str, body: object, text: str) -> None:
    async with web() as client:
        reply = await client.post(name, body)
    assert reply.status_code == 400
    assert text in reply.json()["error"]


async def test_bodies_that_are_no_json() -> None:
    async with web() as client:
        url = f"{client.api}/_emulator/faults"
        replies = [await client.client.post(url, content=body) for body in (b"{", b"[" * 100_000)]
    assert [reply.status_code for reply in replies] == [400, 400]


async def test_what_there_is_and_what_not() -> None:
    async with web() as client:
        listed = await client.get("")
        missing = await client.client.delete(f"{client.api}/_emulator/faults")
    assert "POST /_emulator/faults" in listed
    assert missing.status_code == 404


@pytest.mark.parametrize(("anywhere", "status"), [(False, 403), (True, 200)])
async def test_other_machines_may_only_look_where_allowed(anywhere: bool, status: int) -> None:  # noqa: FBT001
    request = Request("GET", "/_emulator/state", {}, {}, b"", "10.0.1.16")
    assert (await Admin(Service(build()), anywhere=anywhere).handle(request)).status == status


async def test_metadata_by_prefix() -> None:
    base = "/ins-aaaaaaaa/latest/meta-data"
    interface = f"{base}/network/interfaces/macs/{MAC_A}"
    async with web() as client:
        found = {
            path: await client.meta(path)
            for path in (
                f"{base}/instance-id",
                f"{base}/placement/region",
                f"{base}/local-ipv4",
                f"{base}/mac",
                f"{base}/network/interfaces/macs/",
                f"{interface}/local-ipv4s/",
                f"{interface}/local-ipv4s/{VIP}/public-ipv4",
                f"{interface}/local-ipv4s/10.0.1.17/gateway",
                f"{base}/cam/security-credentials/",
                "/ins-aaaaaaaa/",
                "/ins-aaaaaaaa/2017-09-19/meta-data/placement",
            )
        }
    assert list(found.values()) == [
        "ins-aaaaaaaa",
        "ap-guangzhou",
        "10.0.1.17",
        MAC_A,
        f"{MAC_A}/",
        f"10.0.1.17/\n{VIP}/",
        "203.0.113.10",
        "10.0.1.1",
        "hafailover",
        "1.0/\n2017-09-19/\nlatest/\nmeta-data/",
        "region\nzone",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/instance-id",  # nobody has the client's address
        "/ins-zzzzzzzz/latest/meta-data/instance-id",
        "/ins-aaaaaaaa/latest/meta-data/Instance-Id",
        "/ins-aaaaaaaa/latest/meta-data/instance-id/",
        "/ins-aaaaaaaa/latest/meta-data/instance-id/more",
        f"/ins-aaaaaaaa/latest/meta-data/network/interfaces/macs/{MAC_A.lower()}/mac",
        "/ins-bbbbbbbb/latest/meta-data/cam/security-credentials/other",
    ],
)
async def test_what_metadata_does_not_have(path: str) -> None:
    async with web() as client:
        assert await client.meta(path) == "404"


async def test_metadata_by_the_clients_address() -> None:
    path = "/latest/meta-data/instance-id"
    async with web(sources={"127.0.0.1": "ins-bbbbbbbb"}) as client:
        assert await client.meta(path) == "ins-bbbbbbbb"
    emulator = Emulator(build((*PAIR[:1],), (), cidr="10.0.1.0/24"))
    request = Request("GET", path, {}, {}, b"", "10.0.1.17")
    assert (await emulator._metadata.handle(request)).body == b"ins-aaaaaaaa"


async def test_metadata_down_slow_and_read_only() -> None:
    async with web() as client:
        assert (await client.client.post(client.metadata)).status_code == 405
        client.emulator.settings.metadata_latency_ms = 30
        started = time.monotonic()
        await client.meta("/")
        assert time.monotonic() - started >= 0.03
        client.emulator.settings.metadata_down = True
        with pytest.raises(httpx.TransportError):
            await client.meta("/")


async def test_an_instance_without_a_role_has_no_credentials() -> None:
    network = build()
    instance = network.instances["ins-aaaaaaaa"]
    emulator = Emulator(network.with_instance(type(instance)(**{**_fields(instance), "role": ""})))
    request = Request("GET", "/ins-aaaaaaaa/meta-data/cam/security-credentials/", {}, {}, b"", "")
    assert (await emulator._metadata.handle(request)).status == 404


def _fields(instance: Any) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in instance.__slots__}


async def test_a_port_in_use_leaves_nothing_open() -> None:
    async with web() as client:
        second = Emulator(build())
        with pytest.raises(OSError, match="in use"):
            await second.start(metadata=("127.0.0.1", client.emulator.metadata_port))
        with pytest.raises(httpx.ConnectError):
            await client.client.get(f"http://127.0.0.1:{second.api_port}")
