"""Many addresses at once: what leaves together, what waits, and what each of them learns of its own end."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.cloud import lanes, tasks
from hafailover.election.values import MoveResult, Outcome, Refusal, Resource, ResourceKind
from tests.unit.cloud.stub import Asked, Bench, MakeBench, answer, error

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B, C = "eni-aaaaaaaa", "eni-bbbbbbbb", "eni-cccccccc"
MANY = [Resource(ResourceKind.ADDRESS, f"10.0.1.{number}") for number in range(100, 112)]
VIP = MANY[0]
ENI = Resource(ResourceKind.ENI, C)
INS_A, INS_B = "ins-aaaaaaaa", "ins-bbbbbbbb"
MUTEX = "UnsupportedOperation.MutexOperationTaskRunning"
APPLIED = MoveResult(Outcome.APPLIED)
RUNNING, DONE = answer(Status="RUNNING"), answer(Status="SUCCESS")


@pytest.fixture(autouse=True)
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FIRST_POLL_S", 0.002)
    monkeypatch.setattr(tasks, "LAST_POLL_S", 0.01)
    monkeypatch.setattr(tasks, "PACE_S", 0.003)


def named(asked: Asked) -> tuple[str, ...]:
    """Return the addresses that a write names."""
    if "PrivateIpAddress" in asked.body:
        return (asked.body["PrivateIpAddress"],)
    listed = asked.body.get("PrivateIpAddresses") or asked.body.get("Ipv6Addresses") or ()
    return tuple(next(iter(each.values())) for each in listed)


def worked_on(asked: Asked) -> tuple[str, ...]:
    """Return the ENIs that a write names."""
    return tuple(value for key, value in asked.body.items() if key.endswith("NetworkInterfaceId"))


class Sky:
    """A cloud with addresses on ENIs. `serial`: it works on an ENI for one request at a time.

    `most` is how many it has worked on at a time on one ENI.
    """

    def __init__(self, *, serial: bool = False, task_s: float = 0.02, stuck: Sequence[str] = ()) -> None:
        self.serial, self.task_s, self.stuck = serial, task_s, stuck
        self.refusals: dict[str, bytes] = {}
        self.holder: dict[str, str] = {}
        self.running: Counter[str] = Counter()
        self.most = 0
        self.ended: dict[str, bool] = {}
        self.count = 0
        self.background: list[asyncio.Task[None]] = []

    async def play(self, asked: Asked) -> bytes:
        if asked.action == "DescribeVpcTaskResult":
            return DONE if self.ended[asked.body["TaskId"]] else RUNNING
        if asked.action == "DescribeNetworkInterfaces":
            return self.described()
        for address in named(asked):
            if address in self.refusals:
                return self.refusals[address]
        if self.serial and any(self.running[eni] for eni in worked_on(asked)):
            return error(MUTEX)
        self.count += 1
        task_id = f"task-{self.count}"
        self.ended[task_id] = False
        self.running.update(worked_on(asked))
        self.most = max(self.most, *self.running.values())
        self.background.append(asyncio.ensure_future(self.work(asked, task_id)))
        return answer(RequestId=task_id)

    async def work(self, asked: Asked, task_id: str) -> None:
        await asyncio.sleep(self.task_s)
        self.running.subtract(worked_on(asked))
        for address in named(asked):
            self.holder[address] = asked.body.get("DestinationNetworkInterfaceId", B)
        self.ended[task_id] = not set(named(asked)) & set(self.stuck)

    def described(self) -> bytes:
        listed = [
            {"PrivateIpAddress": ip, "Primary": False, "State": "AVAILABLE"} for ip, eni in self.holder.items()
        ]
        eni: dict[str, Any] = {"NetworkInterfaceId": B, "Primary": True, "PrivateIpAddressSet": listed}
        return answer(TotalCount=1, NetworkInterfaceSet=[eni])


async def move_all(
    bench: Bench, *, resources: Sequence[Resource] = MANY, deadline_s: float = 5
) -> list[MoveResult]:
    moves = (bench.cloud.move(each, A, B, deadline_s=deadline_s) for each in resources)
    return await asyncio.gather(*moves)


async def test_migrations_of_one_pair_of_enis_run_side_by_side(make_bench: MakeBench) -> None:
    sky = Sky()
    bench = await make_bench(sky.play)
    assert await move_all(bench) == [APPLIED] * len(MANY)
    assert sky.most == len(MANY)
    assert bench.stub.actions.count("MigratePrivateIpAddress") == len(MANY)


async def test_but_not_more_than_so_many(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes.Lanes.__init__, "__defaults__", (3,))
    sky = Sky()
    bench = await make_bench(sky.play)
    assert await move_all(bench) == [APPLIED] * len(MANY)
    assert sky.most == 3


async def test_where_the_cloud_takes_one_at_a_time_the_others_wait_for_their_turn(make_bench: MakeBench) -> None:
    sky = Sky(serial=True, task_s=0.005)
    bench = await make_bench(sky.play)
    assert await move_all(bench) == [APPLIED] * len(MANY)
    assert sky.most == 1
    assert bench.codes.count(MUTEX) <= len(MANY) - 1, "after the first look they do not crowd any more"


async def test_a_mutex_of_somebody_else_ends_the_move(make_bench: MakeBench) -> None:
    bench = await make_bench(lambda _: error(MUTEX))
    result = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert result == MoveResult(Outcome.THROTTLED, MUTEX, busy=True)
    assert len(bench.stub.asked) == 1


async def test_one_reading_tells_the_end_of_all_once_one_has_ended(make_bench: MakeBench) -> None:
    sky = Sky(stuck=[each.id for each in MANY[1:]])
    bench = await make_bench(sky.play)
    assert await move_all(bench) == [APPLIED] * len(MANY)
    assert bench.stub.actions.count("DescribeNetworkInterfaces") == 1


async def test_a_reading_that_fails_leaves_it_to_the_queries(make_bench: MakeBench) -> None:
    sky = Sky()

    async def play(asked: Asked) -> bytes:
        return error("InternalError") if asked.action == "DescribeNetworkInterfaces" else await sky.play(asked)

    bench = await make_bench(play)
    assert await move_all(bench, resources=MANY[:4]) == [APPLIED] * 4


async def test_releases_and_takes_name_ten_addresses_each(make_bench: MakeBench) -> None:
    sky = Sky(serial=True, task_s=0.005)
    bench = await make_bench(sky.play, strategy="reassign")
    assert await move_all(bench) == [APPLIED] * len(MANY)
    writes = {(each.action, len(named(each))) for each in bench.stub.asked if named(each)}
    assert sorted(writes) == [
        ("AssignPrivateIpAddresses", 2),
        ("AssignPrivateIpAddresses", 10),
        ("UnassignPrivateIpAddresses", 2),
        ("UnassignPrivateIpAddresses", 10),
    ]


@pytest.mark.parametrize(("sky", "most"), [(Sky(serial=True), 1), (Sky(), 2)], ids=["one by one", "freely"])
async def test_batches_run_side_by_side_where_the_cloud_lets_them(
    make_bench: MakeBench, sky: Sky, most: int
) -> None:
    bench = await make_bench(sky.play, strategy="reassign")
    assert await move_all(bench) == [APPLIED] * len(MANY)
    assert sky.most == most
    assert (MUTEX in bench.codes) is sky.serial


async def test_ipv6_addresses_go_by_themselves(make_bench: MakeBench) -> None:
    sky = Sky(serial=True, task_s=0.005)
    bench = await make_bench(sky.play)
    six = [Resource(ResourceKind.ADDRESS, f"2001:db8::{number}") for number in range(3)]
    assert await move_all(bench, resources=[*six, VIP]) == [APPLIED] * 4
    writes = {(each.action, len(named(each))) for each in bench.stub.asked if named(each)}
    assert writes == {("UnassignIpv6Addresses", 3), ("AssignIpv6Addresses", 3), ("MigratePrivateIpAddress", 1)}


async def test_one_that_cannot_go_does_not_keep_the_others(make_bench: MakeBench) -> None:
    sky = Sky(serial=True, task_s=0.005)
    sky.refusals[MANY[3].id] = error("UnsupportedOperation.AttachmentNotFound")
    bench = await make_bench(sky.play, strategy="reassign")
    results = await move_all(bench, resources=MANY[:5])
    gone = MoveResult(Outcome.REFUSED, "UnsupportedOperation.AttachmentNotFound", Refusal.CONFLICT)
    assert results == [APPLIED, APPLIED, APPLIED, gone, APPLIED]


async def test_an_unanswered_release_is_unknown_for_each(make_bench: MakeBench) -> None:
    bench = await make_bench(lambda _: b"", strategy="reassign", timeout_ms=200)
    results = await move_all(bench, resources=MANY[:3])
    assert {(each.outcome, each.half_done, each.open_ms > 0) for each in results} == {
        (Outcome.UNKNOWN, False, True)
    }
    assert len(bench.stub.asked) == 1


async def test_what_waited_for_its_turn_in_vain_was_not_sent_and_is_not(make_bench: MakeBench) -> None:
    sky = Sky(serial=True, task_s=0.6)
    bench = await make_bench(sky.play, strategy="reassign")
    ten = asyncio.ensure_future(move_all(bench, resources=MANY[:10]))
    await asyncio.sleep(0.02)
    late = await move_all(bench, resources=MANY[10:], deadline_s=0.05)
    assert late == [MoveResult(Outcome.THROTTLED, "ClientBusy")] * 2
    assert await ten == [APPLIED] * 10
    assert [len(named(asked)) for asked in bench.stub.asked if named(asked)] == [10, 2, 10]


async def test_a_batch_leaves_without_those_whose_time_was_up(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes.Lanes.__init__, "__defaults__", (1,))
    sky = Sky(task_s=0.1)
    bench = await make_bench(sky.play, strategy="reassign")
    first = asyncio.ensure_future(move_all(bench, resources=MANY[:1]))
    await asyncio.sleep(0.02)
    patient = asyncio.ensure_future(move_all(bench, resources=MANY[1:2]))
    assert (await move_all(bench, resources=MANY[2:3], deadline_s=0.03))[0].code == "ClientBusy"
    assert await first + await patient == [APPLIED] * 2
    assert MANY[2].id not in {ip for asked in bench.stub.asked for ip in named(asked)}


SOURCES = [f"eni-{number:08d}" for number in range(4)]


async def move_from_each(bench: Bench) -> list[MoveResult]:
    """Move an address from each of several ENIs to one, as when several nodes are lost."""
    moves = (bench.cloud.move(MANY[n], source, B, deadline_s=5) for n, source in enumerate(SOURCES))
    return await asyncio.gather(*moves)


async def test_moves_from_several_enis_to_one_run_side_by_side(make_bench: MakeBench) -> None:
    sky = Sky()
    bench = await make_bench(sky.play)
    assert await move_from_each(bench) == [APPLIED] * len(SOURCES)
    assert sky.most == len(SOURCES)


async def test_where_the_cloud_takes_one_at_a_time_that_is_found_out_once(make_bench: MakeBench) -> None:
    sky = Sky(serial=True, task_s=0.005)
    bench = await make_bench(sky.play)
    assert await move_from_each(bench) == [APPLIED] * len(SOURCES)
    refused = bench.codes.count(MUTEX)
    assert 1 <= refused < len(SOURCES)
    assert await move_all(bench, resources=MANY[4:]) == [APPLIED] * 8
    assert bench.codes.count(MUTEX) == refused


async def test_an_eni_is_migrated(make_bench: MakeBench) -> None:
    bench = await make_bench(lambda asked: DONE if "TaskId" in asked.body else answer())
    assert await bench.cloud.move(ENI, INS_A, INS_B, deadline_s=5) == APPLIED
    assert bench.stub.actions == ["MigrateNetworkInterface", "DescribeVpcTaskResult"]
    assert bench.stub.asked[0].body == {
        "NetworkInterfaceId": C,
        "SourceInstanceId": INS_A,
        "DestinationInstanceId": INS_B,
    }


@pytest.mark.parametrize("code", ["UnsupportedOperation", "InvalidAction"])
async def test_an_eni_that_cannot_be_migrated_is_detached_and_attached(make_bench: MakeBench, code: str) -> None:
    def play(asked: Asked) -> bytes:
        if asked.action == "MigrateNetworkInterface":
            return error(code)
        return DONE if "TaskId" in asked.body else answer()

    bench = await make_bench(play)
    assert await bench.cloud.move(ENI, INS_A, INS_B, deadline_s=5) == APPLIED
    writes = [(each.action, each.body["InstanceId"]) for each in bench.stub.asked[1:] if "TaskId" not in each.body]
    assert writes == [("DetachNetworkInterface", INS_A), ("AttachNetworkInterface", INS_B)]
    tokens = {each.body["ClientToken"] for each in bench.stub.asked if "ClientToken" in each.body}
    assert len(tokens) == 2


@pytest.mark.parametrize("code", ["UnsupportedOperation.AttachmentNotFound", "LimitExceeded", "ResourceNotFound"])
async def test_another_refusal_of_an_eni_is_one(make_bench: MakeBench, code: str) -> None:
    bench = await make_bench(lambda _: error(code))
    result = await bench.cloud.move(ENI, INS_A, INS_B, deadline_s=5)
    assert (result.outcome, result.code) == (Outcome.REFUSED, code)
    assert len(bench.stub.asked) == 1


async def test_a_detached_eni_that_could_not_be_attached_is_half_done(make_bench: MakeBench) -> None:
    def play(asked: Asked) -> bytes:
        if asked.action == "AttachNetworkInterface":
            return error("LimitExceeded")
        return DONE if "TaskId" in asked.body else answer()

    bench = await make_bench(play, strategy="reassign")
    result = await bench.cloud.move(ENI, INS_A, INS_B, deadline_s=5)
    assert result == MoveResult(Outcome.REFUSED, "LimitExceeded", Refusal.QUOTA, half_done=True, holder=None)


async def test_a_client_that_is_closed_leaves_nothing_under_way(make_bench: MakeBench) -> None:
    sky = Sky(task_s=0.02, stuck=[each.id for each in MANY])
    bench = await make_bench(sky.play, strategy="reassign")
    moving = asyncio.ensure_future(move_all(bench, resources=MANY[:3]))
    await asyncio.sleep(0.05)
    moving.cancel()
    await bench.cloud.close()
    await asyncio.gather(moving, *sky.background, return_exceptions=True)
    homes = [getattr(task.get_coro(), "cr_code").co_filename for task in asyncio.all_tasks()]  # noqa: B009 - untyped
    assert [home for home in homes if "hafailover/cloud" in home] == []
