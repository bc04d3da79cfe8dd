"""The cloud client against answers that the test writes: what no emulator would say, and what may never be sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hafailover.cloud import tasks
from hafailover.election.values import (
    MoveResult,
    Outcome,
    Refusal,
    Resource,
    ResourceKind,
    Sighting,
)
from hafailover.errors import CloudError
from tests.unit.cloud.stub import Asked, MakeBench, Script, answer, error, http, until

A, B = "eni-aaaaaaaa", "eni-bbbbbbbb"
VIP = Resource(ResourceKind.ADDRESS, "10.0.1.100")
MIGRATE, ASSIGN, UNASSIGN = "MigratePrivateIpAddress", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"
POLL = "DescribeVpcTaskResult"
READ = "DescribeNetworkInterfaces"
DONE = answer(Status="SUCCESS")


@pytest.fixture(autouse=True)
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FIRST_POLL_S", 0.002)
    monkeypatch.setattr(tasks, "LAST_POLL_S", 0.01)
    monkeypatch.setattr(tasks, "PACE_S", 0.003)


def by_action(**answers: Any) -> Script:
    """Answer each action by its own bytes, or by one after another and then the last for ever."""
    left = {name: [said] if isinstance(said, bytes) else list(said) for name, said in answers.items()}

    def play(asked: Asked) -> bytes:
        said = left[asked.action]
        return said.pop(0) if len(said) > 1 else said[0]

    return play


def eni(eni_id: str, *ips: str) -> dict[str, Any]:
    return {
        "NetworkInterfaceId": eni_id,
        "Primary": True,
        "State": "AVAILABLE",
        "PrivateIpAddressSet": [{"PrivateIpAddress": ip, "Primary": False, "State": "AVAILABLE"} for ip in ips],
    }


def enis(*listed: dict[str, Any]) -> bytes:
    return answer(TotalCount=len(listed), NetworkInterfaceSet=list(listed))


async def test_a_move_is_one_write_and_polls_until_the_task_has_ended(make_bench: MakeBench) -> None:
    tasks = [error("ResourceNotFound"), answer(Status="RUNNING"), error("RequestLimitExceeded"), DONE]
    bench = await make_bench(by_action(**{MIGRATE: answer(), POLL: tasks}))
    assert await bench.cloud.move(VIP, A, B, deadline_s=5) == MoveResult(Outcome.APPLIED)
    assert bench.stub.actions == [MIGRATE, POLL, POLL, POLL, POLL]
    assert bench.stub.asked[0].body == {
        "SourceNetworkInterfaceId": A,
        "DestinationNetworkInterfaceId": B,
        "PrivateIpAddress": VIP.id,
    }
    assert bench.stub.asked[1].body == {"TaskId": "req-1"}


async def test_a_resource_that_is_there_already_needs_no_call(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action())
    assert await bench.cloud.move(VIP, B, B, deadline_s=5) == MoveResult(Outcome.APPLIED)
    assert bench.stub.asked == []


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (
            error("UnauthorizedOperation.AttachmentNotFound"),
            MoveResult(Outcome.REFUSED, "UnauthorizedOperation.AttachmentNotFound", Refusal.CONFLICT),
        ),
        (error("LimitExceeded"), MoveResult(Outcome.REFUSED, "LimitExceeded", Refusal.QUOTA)),
        (error("RequestLimitExceeded"), MoveResult(Outcome.THROTTLED, "RequestLimitExceeded")),
        (error("InternalError"), MoveResult(Outcome.UNKNOWN, "InternalError")),
        (http(b"", status="500 No"), MoveResult(Outcome.UNKNOWN, "ServerNetworkError")),
        (http(b"null"), MoveResult(Outcome.UNKNOWN, "ClientBadReply")),
        (b"", MoveResult(Outcome.UNKNOWN, "ClientTimeout")),
    ],
)
async def test_a_write_is_sent_once_however_it_ends(make_bench: MakeBench, said: bytes, result: MoveResult) -> None:
    bench = await make_bench(by_action(**{MIGRATE: said}), timeout_ms=2000 if said else 200)
    ended = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert replace(ended, open_ms=0) == result
    assert (ended.open_ms > 0) == (said == b""), "only what was never answered may still be accepted"
    assert bench.stub.actions == [MIGRATE]


async def test_an_api_that_cannot_be_reached_has_not_been_asked(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(), endpoint="http://127.0.0.1:1")
    result = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert result == MoveResult(Outcome.THROTTLED, "ClientConnectError")


async def test_a_failed_task_asks_for_a_new_look(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{MIGRATE: answer(), POLL: answer(Status="FAILED")}))
    result = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert result == MoveResult(Outcome.REFUSED, "TaskFailed", Refusal.CONFLICT)


async def test_a_task_that_does_not_end_in_time_is_unknown(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{MIGRATE: answer(), POLL: answer(Status="RUNNING")}))
    result = await bench.cloud.move(VIP, A, B, deadline_s=0.1)
    assert result == MoveResult(Outcome.UNKNOWN, "ClientTimeout")
    assert bench.stub.actions.count(MIGRATE) == 1


async def test_a_key_that_may_not_ask_for_tasks_leaves_it_to_a_read(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{MIGRATE: answer(), POLL: error("UnauthorizedOperation")}))
    result = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert result == MoveResult(Outcome.UNKNOWN, "UnauthorizedOperation")
    assert bench.stub.actions == [MIGRATE, POLL]


@pytest.mark.parametrize("code", ["ResourceNotFound", "InvalidParameterValue"])
async def test_a_task_that_stays_unknown_leaves_it_to_a_read(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(tasks, "TASK_LAG_S", 0.05)
    bench = await make_bench(by_action(**{MIGRATE: answer(), POLL: error(code)}))
    result = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert result == MoveResult(Outcome.UNKNOWN, code)
    assert bench.stub.actions.count(POLL) > 1


async def test_a_token_that_ends_while_polling_does_not_end_the_move(make_bench: MakeBench) -> None:
    tasks = [error("AuthFailure.TokenFailure"), http(b"?"), DONE]
    bench = await make_bench(by_action(**{MIGRATE: answer(), POLL: tasks}))
    assert await bench.cloud.move(VIP, A, B, deadline_s=5) == MoveResult(Outcome.APPLIED)


async def test_nobodys_address_is_assigned(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{ASSIGN: answer(), POLL: DONE}))
    assert await bench.cloud.move(VIP, None, B, deadline_s=5) == MoveResult(Outcome.APPLIED)
    body = bench.stub.asked[0].body
    assert len(body.pop("ClientToken")) == 32
    assert body == {"NetworkInterfaceId": B, "PrivateIpAddresses": [{"PrivateIpAddress": VIP.id}]}


async def test_reassign_releases_and_then_takes(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{UNASSIGN: answer(), ASSIGN: answer(), POLL: DONE}), strategy="reassign")
    assert await bench.cloud.move(VIP, A, B, deadline_s=5) == MoveResult(Outcome.APPLIED)
    assert bench.stub.actions == [UNASSIGN, POLL, ASSIGN, POLL]
    assert bench.stub.asked[0].body["NetworkInterfaceId"] == A


@pytest.mark.parametrize(
    ("said", "outcome", "code", "refusal"),
    [
        (error("ResourceInUse"), Outcome.REFUSED, "ResourceInUse", Refusal.CONFLICT),
        (error("LimitExceeded.ActionLimited"), Outcome.THROTTLED, "LimitExceeded.ActionLimited", None),
        (http(b"", status="500 No"), Outcome.UNKNOWN, "ServerNetworkError", None),
    ],
)
async def test_a_released_address_that_was_not_taken_is_reported_as_half_done(
    make_bench: MakeBench, said: bytes, outcome: Outcome, code: str, refusal: Refusal | None
) -> None:
    bench = await make_bench(by_action(**{UNASSIGN: answer(), ASSIGN: said, POLL: DONE}), strategy="reassign")
    result = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert result == MoveResult(outcome, code, refusal, half_done=True, holder=None)


async def test_a_release_that_was_refused_is_not_half_done(make_bench: MakeBench) -> None:
    said = error("UnsupportedOperation.AttachmentNotFound")
    bench = await make_bench(by_action(**{UNASSIGN: said}), strategy="reassign")
    result = await bench.cloud.move(VIP, A, B, deadline_s=5)
    assert (result.refusal, result.half_done) == (Refusal.CONFLICT, False)
    assert bench.stub.actions == [UNASSIGN]


async def test_a_move_whose_turn_did_not_come_has_not_been_sent(make_bench: MakeBench) -> None:
    busy = error("UnsupportedOperation.MutexOperationTaskRunning")
    bench = await make_bench(by_action(**{MIGRATE: [answer(), busy, answer()], POLL: answer(Status="RUNNING")}))
    first = asyncio.create_task(bench.cloud.move(VIP, A, B, deadline_s=1.5))
    await until(lambda: MIGRATE in bench.stub.actions)
    others = [Resource(ResourceKind.ADDRESS, f"10.0.1.{number}") for number in (101, 102)]
    ended = [await bench.cloud.move(each, B, A, deadline_s=0.4) for each in others]
    assert [(each.outcome, each.code) for each in ended] == [(Outcome.THROTTLED, "ClientBusy")] * 2
    assert (await first).outcome is Outcome.UNKNOWN
    assert bench.stub.actions.count(MIGRATE) == 2


async def test_a_cancelled_move_ends_as_cancelled_and_frees_the_eni(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{MIGRATE: answer(), POLL: [answer(Status="RUNNING")] * 3 + [DONE]}))
    task = asyncio.create_task(bench.cloud.move(VIP, A, B, deadline_s=5))
    await asyncio.sleep(0.004)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bench.cloud.move(VIP, A, B, deadline_s=5) == MoveResult(Outcome.APPLIED)


async def test_one_read_answers_for_all_resources(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{READ: enis(eni(A, VIP.id), eni(B), eni("eni-cccccccc"))}))
    moving = Resource(ResourceKind.ENI, "eni-cccccccc")
    assert await bench.cloud.read([VIP, moving], [A, B, A]) == (Sighting(VIP, A), Sighting(moving, None))
    assert bench.stub.asked[0].body == {
        "NetworkInterfaceIds": [A, B, "eni-cccccccc"],
        "Offset": 0,
        "Limit": 100,
    }


async def test_an_eni_that_is_gone_does_not_hide_the_others(make_bench: MakeBench) -> None:
    def play(asked: Asked) -> bytes:
        ids = asked.body["NetworkInterfaceIds"]
        return error("ResourceNotFound") if B in ids else enis(eni(A, VIP.id))

    bench = await make_bench(play)
    assert await bench.cloud.read([VIP], [A, B]) == (Sighting(VIP, A),)
    assert len(bench.stub.asked) == 3


async def test_more_enis_than_a_page_are_read_in_pages(make_bench: MakeBench) -> None:
    ids = [f"eni-{number:08}" for number in range(150)]
    bench = await make_bench(lambda asked: enis(*(eni(each) for each in asked.body["NetworkInterfaceIds"])))
    assert [each.id for each in await bench.cloud.describe_enis(ids)] == ids
    assert [len(asked.body["NetworkInterfaceIds"]) for asked in bench.stub.asked] == [100, 50]


async def test_the_enis_of_an_instance(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{READ: enis(eni(A))}))
    assert [each.id for each in await bench.cloud.describe_enis(instance_id="ins-a")] == [A]
    assert bench.stub.asked[0].body["Filters"] == [{"Name": "attachment.instance-id", "Values": ["ins-a"]}]


async def test_a_read_that_fails_says_with_what_code(make_bench: MakeBench) -> None:
    bench = await make_bench(by_action(**{READ: error("RequestLimitExceeded", "slow down")}))
    with pytest.raises(CloudError, match="slow down") as caught:
        await bench.cloud.read([VIP], [A, B])
    assert caught.value.code == "RequestLimitExceeded"
    assert len(bench.stub.asked) == 1


async def test_a_read_with_a_key_that_has_ended_is_repeated_once(make_bench: MakeBench) -> None:
    refused = error("AuthFailure.TokenFailure")
    bench = await make_bench(by_action(**{READ: [refused, enis(eni(A, VIP.id)), refused]}))
    assert await bench.cloud.read([VIP], [A]) == (Sighting(VIP, A),)
    with pytest.raises(CloudError):
        await bench.cloud.read([VIP], [A])
    assert bench.codes == ["AuthFailure.TokenFailure", "OK", *["AuthFailure.TokenFailure"] * 2]


async def test_the_state_of_an_instance(make_bench: MakeBench) -> None:
    states = [{"InstanceId": "ins-a", "InstanceState": "STOPPED"}]
    bench = await make_bench(lambda _: answer(TotalCount=1, InstanceStatusSet=states))
    assert await bench.cloud.instance_state("ins-a") == "STOPPED"
    assert bench.stub.actions == ["DescribeInstancesStatus"]
    assert bench.stub.asked[0].body == {"InstanceIds": ["ins-a"], "Offset": 0, "Limit": 1}
