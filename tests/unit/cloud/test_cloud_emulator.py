"""The cloud client against the emulator: real signatures, real tasks, and every fault that it can be given."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.cloud import tasks
from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import credential_source
from hafailover.cloud.metadata import Metadata
from hafailover.election.values import (
    MoveResult,
    Outcome,
    Refusal,
    Resource,
    ResourceKind,
    Sighting,
)
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world import PAIR, VIP, build
from hafailover.errors import CloudError
from tests.unit.cloud.stub import settings, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hafailover.cloud.api import ApiCall
    from hafailover.cloud.credentials import CredentialSource
    from hafailover.emulator.network import Network

A, B = (node.eni_id for node in PAIR)
ADDRESS = Resource(ResourceKind.ADDRESS, VIP)
MIGRATE = "MigratePrivateIpAddress"
APPLIED = MoveResult(Outcome.APPLIED)


@dataclass
class Rig:
    """An emulated region and the client of one of its instances."""

    emulator: Emulator
    cloud: Cloud
    calls: list[ApiCall]
    credentials: CredentialSource

    def befall(self, kind: Kind, action: str = MIGRATE, **what: Any) -> None:
        self.emulator.faults.add(Fault(kind, action=action, **what))

    def holder(self) -> str | None:
        return self.emulator.model.holder_of(VIP, self.emulator.service.now_ms())

    async def move(self, source: str | None = A, target: str = B, deadline_s: float = 5) -> MoveResult:
        return await self.cloud.move(ADDRESS, source, target, deadline_s=deadline_s)

    def writes(self) -> list[str]:
        return [call.action for call in self.emulator.service.calls if not call.action.startswith("Describe")]


@asynccontextmanager
async def rig(*, task_ms: int = 0, network: Network | None = None, **changes: Any) -> AsyncIterator[Rig]:
    sources = {"127.0.0.1": PAIR[1].instance_id}
    emulator = Emulator(network or build(), Options(latency_ms=0, task_ms=task_ms, sources=sources))
    await emulator.start()
    url = f"http://127.0.0.1:{emulator.api_port}"
    metadata = Metadata(f"http://127.0.0.1:{emulator.metadata_port}")
    environ = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
    chosen = settings(url, **{"timeout_ms": 1000, **changes})
    credentials = credential_source(chosen, metadata, environ)
    calls: list[ApiCall] = []
    rng = random.Random(1)  # noqa: S311 - jitter is not a secret
    cloud = Cloud(chosen, credentials, region="ap-guangzhou", observer=calls.append, rng=rng)
    try:
        yield Rig(emulator, cloud, calls, credentials)
    finally:
        await cloud.close()
        await metadata.close()
        await emulator.close()


@pytest.fixture(autouse=True)
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FIRST_POLL_S", 0.005)
    monkeypatch.setattr(tasks, "LAST_POLL_S", 0.02)


@pytest.mark.parametrize("strategy", ["migrate", "reassign"])
async def test_an_address_moves_there_and_back(strategy: str) -> None:
    async with rig(task_ms=20, strategy=strategy) as at:
        assert await at.cloud.read([ADDRESS], [A, B]) == (Sighting(ADDRESS, A),)
        assert await at.move() == APPLIED
        assert await at.cloud.read([ADDRESS], [A, B]) == (Sighting(ADDRESS, B),)
        assert await at.move(B, A) == APPLIED
        assert at.holder() == A


async def test_a_read_during_the_move_is_not_settled() -> None:
    async with rig(task_ms=200) as at:
        task = asyncio.create_task(at.move())
        await until(lambda: any(call.action == MIGRATE for call in at.calls))
        (sighting,) = await at.cloud.read([ADDRESS], [A, B])
        assert not sighting.settled
        assert await task == APPLIED


async def test_a_stale_belief_is_refused_and_moves_nothing() -> None:
    async with rig() as at:
        result = await at.move(B, "eni-bbbbbbbb" if A == "eni-bbbbbbbb" else A)
        assert (result.outcome, result.refusal) == (Outcome.REFUSED, Refusal.CONFLICT)
        result = await at.move(None, B)
        assert result == MoveResult(Outcome.REFUSED, "ResourceInUse", Refusal.CONFLICT)
        assert at.holder() == A


@pytest.mark.parametrize(
    ("kind", "outcome", "code", "holder"),
    [
        (Kind.THROTTLE, Outcome.THROTTLED, "RequestLimitExceeded", A),
        (Kind.ERROR, Outcome.UNKNOWN, "InternalError", A),
        (Kind.HTTP_500_BEFORE, Outcome.UNKNOWN, "ServerNetworkError", A),
        (Kind.HTTP_500_AFTER, Outcome.UNKNOWN, "ServerNetworkError", B),
        (Kind.RESET_BEFORE, Outcome.UNKNOWN, "ClientNetworkError", A),
        (Kind.RESET_AFTER, Outcome.UNKNOWN, "ClientNetworkError", B),
        (Kind.HANG_BEFORE, Outcome.UNKNOWN, "ClientTimeout", A),
        (Kind.HANG_AFTER, Outcome.UNKNOWN, "ClientTimeout", B),
        (Kind.TRUNCATED, Outcome.UNKNOWN, "ClientNetworkError", B),
        (Kind.NOT_JSON, Outcome.UNKNOWN, "ClientBadReply", B),
        (Kind.TASK_FAILED, Outcome.REFUSED, "TaskFailed", A),
        (Kind.TASK_STUCK, Outcome.UNKNOWN, "ClientTimeout", A),
        (Kind.EXPIRED, Outcome.REFUSED, "AuthFailure.TokenFailure", A),
        (Kind.CHARSET, Outcome.APPLIED, "", B),
    ],
)
async def test_a_fault_ends_as_what_it_proves_and_one_write(
    kind: Kind, outcome: Outcome, code: str, holder: str
) -> None:
    never_ends = kind in (Kind.HANG_BEFORE, Kind.HANG_AFTER, Kind.TASK_STUCK)
    async with rig(timeout_ms=200 if never_ends else 2000) as at:
        at.befall(kind)
        result = await at.move(deadline_s=0.3 if never_ends else 5)
        assert (result.outcome, result.code) == (outcome, code)
        assert at.writes().count(MIGRATE) == 1
        assert at.holder() == holder


async def test_an_error_under_another_content_type_is_still_an_error() -> None:
    async with rig() as at:
        at.befall(Kind.CHARSET)
        result = await at.move(B, A)
        assert result.refusal is Refusal.CONFLICT


async def test_throttled_and_failing_polls_do_not_fail_the_move() -> None:
    async with rig() as at:
        for kind in (Kind.THROTTLE, Kind.RESET_BEFORE, Kind.NOT_JSON):
            at.befall(kind, "DescribeVpcTaskResult", count=1)
        assert await at.move() == APPLIED


async def test_a_slow_answer_is_cut_off_at_the_deadline() -> None:
    async with rig(timeout_ms=100) as at:
        at.befall(Kind.SLOW_BODY, "DescribeNetworkInterfaces", ms=20)
        with pytest.raises(CloudError) as caught:
            await at.cloud.read([ADDRESS], [A, B])
        assert caught.value.code == "ClientTimeout"
        assert at.calls[0].seconds < 5


async def test_role_credentials_survive_their_expiry() -> None:
    async with rig(credentials="role") as at:
        assert await at.cloud.read([ADDRESS], [A, B]) == (Sighting(ADDRESS, A),)
        at.emulator.keys.expire("*", at.emulator.service.now_s())
        assert await at.cloud.read([ADDRESS], [A, B]) == (Sighting(ADDRESS, A),)
        assert [call.code for call in at.calls] == ["OK", "AuthFailure.TokenFailure", "OK"]
        assert await at.move() == APPLIED


async def test_a_metadata_service_that_is_down_ends_as_a_code() -> None:
    async with rig(credentials="role") as at:
        at.emulator.settings.metadata_down = True
        result = await at.move()
        assert result == MoveResult(Outcome.REFUSED, "ClientCredentials", Refusal.PERMISSION)
        assert at.writes() == []


async def test_several_addresses_move_one_after_the_other_once_one_was_turned_away() -> None:
    async with rig(task_ms=10) as at:
        extra = [Resource(ResourceKind.ADDRESS, f"10.0.1.{number}") for number in range(101, 104)]
        results = await asyncio.gather(*(at.cloud.move(each, None, B, deadline_s=5) for each in extra), at.move())
        assert results == [APPLIED] * 4
        assert sum("Mutex" in call.code for call in at.calls) == 1


async def test_enis_and_instances_as_they_are() -> None:
    async with rig() as at:
        (own,) = await at.cloud.describe_enis(instance_id=PAIR[0].instance_id)
        assert (own.id, own.instance_id, own.primary) == (A, PAIR[0].instance_id, True)
        assert {each.ip for each in own.addresses} == {PAIR[0].address, VIP}
        assert own.mac == own.mac.lower() != ""
        assert len(await at.cloud.describe_enis([A, B, "eni-gone0000"])) == 2
        assert await at.cloud.instance_state(PAIR[0].instance_id) == "RUNNING"
        with pytest.raises(CloudError):
            await at.cloud.instance_state("ins-gone0000")


async def test_any_program_of_faults_ends_as_an_outcome_with_at_most_one_write_each() -> None:
    rng = random.Random(7)  # noqa: S311 - a repeatable choice
    kinds = [kind for kind in Kind if kind not in (Kind.LATENCY, Kind.STALE)]
    async with rig(timeout_ms=40) as at:
        for _ in range(15):
            at.emulator.faults.remove()
            await asyncio.sleep(0.01)  # what an earlier move left under way comes to its end
            for _ in range(rng.randrange(3)):
                at.befall(rng.choice(kinds), rng.choice(["*", MIGRATE, "DescribeVpcTaskResult"]), count=2, ms=5)
            before = at.writes().count(MIGRATE)
            holder = at.holder()
            target = B if holder == A else A
            result = await at.move(holder, target, deadline_s=0.08)
            assert at.writes().count(MIGRATE) - before <= 1
            if result.outcome is not Outcome.UNKNOWN:
                assert at.holder() == (target if result.outcome is Outcome.APPLIED else holder)
