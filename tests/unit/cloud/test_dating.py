from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.cloud.dating import MAX_AGE_S, PLAIN_S, Dating, life_s
from hafailover.election.values import Outcome, Resource, ResourceKind
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world import PAIR, VIP, build
from hafailover.errors import CloudError
from tests.unit.cloud.stub import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

A, B = (node.eni_id for node in PAIR)
ADDRESS = Resource(ResourceKind.ADDRESS, VIP)
KEYS = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
TIMEOUT_S = 3.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_is_dated_back_before_the_apis_clock_is_known() -> None:
    dating = Dating(TIMEOUT_S, Clock(), Clock())
    assert not dating.shortens
    assert dating.timestamp(expiring=True) == dating.timestamp(expiring=False) == 1_000_000


def test_a_write_is_dated_so_that_it_dies_when_its_life_is_over() -> None:
    dating = Dating(TIMEOUT_S, Clock(), Clock())
    dating.learn(-40.0)
    assert dating.timestamp(expiring=False) == 1_000_000 - 40
    assert dating.timestamp(expiring=True) + MAX_AGE_S == 1_000_000 - 40 + life_s(TIMEOUT_S)


def test_an_answer_without_a_date_teaches_nothing() -> None:
    dating = Dating(TIMEOUT_S, Clock(), Clock())
    dating.learn(7.0)
    dating.learn(None)
    assert dating.timestamp(expiring=False) == 1_000_007


def test_an_api_with_a_shorter_limit_is_left_alone_for_a_while() -> None:
    steady = Clock()
    dating = Dating(TIMEOUT_S, Clock(), steady)
    dating.learn(0.0)
    dating.found_too_old()
    steady.now_s += PLAIN_S - 1
    assert not dating.shortens
    assert dating.timestamp(expiring=True) == steady.now_s
    steady.now_s += 1
    assert dating.shortens


@pytest.mark.parametrize("step_s", [-3_600.0, -1.0, 290.0, 3_600.0])
def test_a_step_of_the_time_of_day_changes_no_date(step_s: float) -> None:
    clock, steady = Clock(), Clock()
    steady.now_s = 77.0
    dating = Dating(TIMEOUT_S, clock, steady)
    dating.learn(5.0)
    before = dating.timestamp(expiring=True)
    clock.now_s += step_s
    assert dating.timestamp(expiring=True) == before
    steady.now_s += 30
    assert dating.timestamp(expiring=True) == before + 30


def test_the_boot_time_clock_is_the_steady_one() -> None:
    dating = Dating(TIMEOUT_S)
    dating.learn(0.0)
    assert abs(dating.timestamp(expiring=False) - time.time()) < 2


class Rig:
    """An emulated region whose clock is `ahead_s` before this machine's."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.requests: list[httpx.Request] = []
        self.emulator = Emulator(
            build(), Options(latency_ms=0, task_ms=0, unix_s=lambda: time.time() + self.ahead_s)
        )

    async def note(self, request: httpx.Request) -> None:
        self.requests.append(request)

    async def cloud(self) -> Cloud:
        url = f"http://127.0.0.1:{self.emulator.api_port}"
        made = Cloud(
            settings(url),
            EnvironmentCredentials(KEYS),
            region="ap-guangzhou",
            observer=lambda _call: None,
            rng=random.Random(1),  # noqa: S311 - jitter is not a secret
        )
        made._api._http.event_hooks = {"request": [self.note]}
        return made


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.emulator.start()
    yield made
    await made.emulator.close()


async def again(request: httpx.Request) -> dict[str, Any]:
    """Deliver a captured request once more, as a queue on the way might."""
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(request.url, content=request.content, headers=request.headers)
    response: dict[str, Any] = reply.json()["Response"]
    return response


async def test_a_write_that_arrives_late_is_refused_while_a_read_is_still_good(rig: Rig) -> None:
    cloud = await rig.cloud()
    await cloud.describe_enis((A, B))
    moved = await cloud.move(ADDRESS, A, B, deadline_s=5)
    assert moved.outcome is Outcome.APPLIED
    read = rig.requests[0]
    write = next(each for each in rig.requests if each.headers["X-TC-Action"] == "MigratePrivateIpAddress")
    rig.ahead_s = life_s(settings("http://127.0.0.1").timeout_ms / 1000) + 3
    assert (await again(write))["Error"]["Code"] == "AuthFailure.SignatureExpire"
    assert "Error" not in await again(read)
    await cloud.close()


async def test_a_wrong_clock_costs_one_refused_request(rig: Rig) -> None:
    rig.ahead_s = 3600.0
    cloud = await rig.cloud()
    with pytest.raises(CloudError) as refused:
        await cloud.describe_enis((A,))
    assert refused.value.code == "AuthFailure.SignatureExpire"
    assert [eni.id for eni in await cloud.describe_enis((A,))] == [A]
    await cloud.close()


async def test_an_api_that_finds_it_too_old_gets_it_as_it_is_now(rig: Rig) -> None:
    cloud = await rig.cloud()
    await cloud.describe_enis((A, B))
    cloud._api._dating.learn(-life_s(3.0) - 10)  # as an API would look whose limit is shorter than documented
    first = await cloud.move(ADDRESS, A, B, deadline_s=5)
    assert (first.outcome, first.code) == (Outcome.THROTTLED, "ClientExpired")
    second = await cloud.move(ADDRESS, A, B, deadline_s=5)
    assert second.outcome is Outcome.APPLIED
    await cloud.close()
