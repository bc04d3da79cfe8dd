from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.control.protocol import parse_request
from hafailover.daemon import operator
from hafailover.daemon.operator import Operator
from hafailover.election.effects import Answer, FailoverFinished
from hafailover.election.events import DrainAsked, Event, FailoverAsked, PauseAsked, ResumeAsked
from hafailover.election.reasons import Reason
from hafailover.election.values import GroupName, NodeName
from hafailover.errors import ControlError
from hafailover.observe.history import History
from tests.unit.daemon.stage import until

if TYPE_CHECKING:
    from collections.abc import Mapping

VIP, A, B = GroupName("vip"), NodeName("web-a"), NodeName("web-b")


@dataclass
class Desk:
    """An operator; what it asked of the core, which answers only when the test says so."""

    group: dict[str, Any] = field(
        default_factory=lambda: {
            "name": "vip",
            "state": "MASTER",
            "master": "web-a",
            "term": 1,
            "why_label": "held",
            "successor": None,
            "addresses": [{"address": "10.0.1.100", "holder": "web-a"}],
            "nodes": [{"node": "web-b", "state": "BACKUP", "eligible": True, "why": "it is drained"}],
            "paused": True,
            "pause_left_s": 1800.0,
            "paused_by": ["web-a"],
        }
    )
    asked: list[Event] = field(default_factory=list)
    answers: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)
    unsaved: str = ""
    history: History = field(default_factory=History)
    steps: list[Mapping[str, Any]] = field(default_factory=list)
    overruled: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.operator = Operator(
            self.asked.append, self, self.status, self.history, self.reload, self.overruled.append
        )

    async def reload(self) -> dict[str, Any]:
        return {"changed": ["log.level"]}

    def status(self) -> dict[str, Any]:
        return {
            "node": "web-a",
            "peers": [{"node": "web-b"}],
            "groups": [{**self.group, "name": "other"}, self.group],
        }

    def begin(self, line: bytes) -> asyncio.Task[Mapping[str, Any]]:
        return asyncio.ensure_future(self.operator.handle(parse_request(line), self.steps.append))

    async def asks(self, count: int = 1) -> Any:
        await until(lambda: len(self.asked) == count)
        return self.asked[-1]

    def answer(self, request_id: int, reason: Reason = Reason.ACCEPTED) -> None:
        accepted = reason is Reason.ACCEPTED
        self.answers.pop(request_id).set_result(Answer(request_id, accepted=accepted, reason=reason))

    async def accepted(self, line: bytes) -> asyncio.Task[Mapping[str, Any]]:
        """Begin a request, have the core accept it, and return what goes on from there."""
        task = self.begin(line)
        self.answer((await self.asks()).request_id)
        return task


def finished(term: int) -> FailoverFinished:
    phases: dict[str, Any] = {"detect_ms": 0, "guard_ms": 0, "cloud_ms": 600, "guest_ms": 1, "verify_ms": 2}
    return FailoverFinished(VIP, Reason.OPERATOR, A, B, term, **phases, moves=1)


async def test_the_status_is_passed_on() -> None:
    desk = Desk()
    assert await desk.begin(b'{"command": "status"}') == desk.status()


async def test_the_history_of_a_group_and_its_end() -> None:
    desk = Desk()
    for term in (1, 2, 3):
        desk.history.record(finished(term), at_ms=0)
    reply = await desk.begin(b'{"command": "history", "group": "vip", "limit": 2}')
    assert [record["term"] for record in reply["failovers"]] == [3, 2]
    assert await desk.begin(b'{"command": "history", "group": "other"}') == {"failovers": []}
    told = 'there is no group "db"; groups: other, vip'
    refused = {"ok": False, "error": told, "reason": "unknown_group"}
    assert await desk.begin(b'{"command": "history", "group": "db"}') == refused


@pytest.mark.parametrize(("to", "target"), [(b"null", None), (b'"web-b"', B)])
async def test_a_failover_is_passed_to_the_core_and_accepted(to: bytes, target: NodeName | None) -> None:
    desk = Desk()
    task = desk.begin(b'{"command": "failover", "group": "vip", "to": %s}' % to)
    assert await desk.asks() == FailoverAsked(1, VIP, target)
    assert not task.done()
    desk.answer(1)
    assert await task == {"reason": "accepted", "master": None}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.NO_CANDIDATE, "no other node could take over: web-b: it is drained"),
        (Reason.TARGET_NOT_READY, "web-b could not take over: it is drained"),
        (Reason.UNKNOWN_GROUP, 'there is no group "vip"; groups: other, vip'),
        (Reason.UNKNOWN_NODE, 'there is no node "web-b"; nodes: web-a, web-b'),
        (Reason.BUSY, Reason.BUSY.value),
    ],
)
async def test_a_refusal_names_the_reason_in_this_case(reason: Reason, told: str) -> None:
    desk = Desk()
    task = desk.begin(b'{"command": "failover", "group": "vip", "to": "web-b"}')
    desk.answer((await desk.asks()).request_id, reason)
    assert await task == {"ok": False, "error": told, "reason": reason.label}


@pytest.mark.parametrize(("command", "drained"), [("drain", True), ("undrain", False)])
async def test_a_drain_and_its_end_are_passed_to_the_core(command: str, drained: bool) -> None:  # noqa: FBT001 - a parameter of the test
    desk = Desk()
    task = desk.begin(b'{"command": "%s"}' % command.encode())
    assert await desk.asks() == DrainAsked(1, drained)
    desk.answer(1)
    reply = await task
    assert (reply["drained"], [each["name"] for each in reply["groups"]]) == (drained, ["other", "vip"])
    assert desk.overruled == [drained]


async def test_a_drain_that_nobody_has_asked_for_overrules_nothing() -> None:
    desk = Desk()
    task = asyncio.ensure_future(desk.operator.drain(drained=True))
    assert await desk.asks() == DrainAsked(1, drained=True)
    desk.answer(1)
    await task
    assert desk.overruled == []


@pytest.mark.parametrize(
    ("command", "done"),
    [
        ("drain", "this node is drained"),
        ("undrain", "this node takes part again"),
        ("pause", "paused"),
        ("resume", "resumed"),
    ],
)
async def test_what_a_restart_would_forget_is_not_acknowledged(command: str, done: str) -> None:
    desk = Desk(unsaved="No space left on device")
    reply = await (await desk.accepted(b'{"command": "%s"}' % command.encode()))
    told = f"{done}, but a restart will forget it: not on disk (No space left on device)"
    assert reply == {"ok": False, "error": told, "reason": "not_saved"}


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b'{"command": "pause", "group": "vip", "for_s": 1800}', PauseAsked(1, VIP, 1_800_000)),
        (b'{"command": "pause", "group": "vip"}', PauseAsked(1, VIP, None)),
        (b'{"command": "resume", "group": "vip"}', ResumeAsked(1, VIP)),
    ],
)
async def test_a_pause_is_passed_to_the_core_and_told_as_it_then_is(line: bytes, event: Event) -> None:
    desk = Desk()
    task = desk.begin(line)
    assert await desk.asks() == event
    desk.answer(1)
    told = {"name": "vip", "paused": True, "pause_left_s": 1800.0, "paused_by": ["web-a"]}
    assert await task == {"groups": [told]}


async def test_a_pause_of_an_unknown_group_is_refused() -> None:
    desk = Desk()
    task = desk.begin(b'{"command": "pause", "group": "nope"}')
    desk.answer((await desk.asks()).request_id, Reason.UNKNOWN_GROUP)
    assert (await task)["reason"] == "unknown_group"


async def test_each_of_two_requests_at_once_gets_its_own_answer() -> None:
    desk = Desk()
    first = desk.begin(b'{"command": "drain"}')
    await desk.asks()
    second = desk.begin(b'{"command": "undrain"}')
    await desk.asks(2)
    desk.answer(1)
    assert (await first)["drained"] is True
    desk.answer(2)
    assert (await second)["drained"] is False


async def test_a_core_that_does_not_answer_is_said_so_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "ANSWER_S", 0.02)
    desk = Desk()
    with pytest.raises(ControlError, match=r"did not answer within 0\.02 s"):
        await desk.begin(b'{"command": "drain"}')
    assert desk.answers == {}


async def test_waiting_ends_when_the_other_node_is_master_and_this_one_is_out() -> None:
    desk = Desk()
    task = await desk.accepted(b'{"command": "failover", "group": "vip", "wait": true, "timeout_s": 30}')
    for change in ({"state": "RELEASING"}, {"master": None}, {"master": "web-b"}):
        desk.group.update(change)
        await asyncio.sleep(2.5 * operator.LOOK_S)
        assert not task.done()
    desk.group.update(state="BACKUP", term=2)
    assert await task == {"group": "vip", "master": "web-b", "term": 2, "phases_s": {}}


async def test_each_step_of_a_hand_over_is_told_once() -> None:
    desk = Desk()
    task = await desk.accepted(b'{"command": "failover", "group": "vip", "wait": true, "progress": true}')
    peer, address = desk.group["nodes"][0], desk.group["addresses"][0]
    for change in (
        lambda: desk.group.update(state="RELEASING", successor="web-b"),
        lambda: peer.update(state="CLAIMING"),
        lambda: address.update(holder="web-b"),
        lambda: peer.update(state="MASTER"),
    ):
        change()
        await asyncio.sleep(2.5 * operator.LOOK_S)
    desk.group.update(state="BACKUP", master="web-b")
    await task
    assert [(step["progress"], step["text"]) for step in desk.steps] == [
        ("release", "web-a hands over, and serves until the cloud has switched"),
        ("claim", "web-b has its guest ready and asks the cloud"),
        ("cloud", "the cloud has 10.0.1.100 on web-b"),
        ("master", "web-b is master"),
    ]
    assert [step["after_s"] for step in desk.steps] == sorted(step["after_s"] for step in desk.steps)


@pytest.mark.parametrize(
    ("state", "successor", "eligible", "fate"),
    [
        ("RELEASING", "web-b", True, "is handed over to web-b"),
        ("RELEASING", None, True, "goes quiet"),
        ("MASTER", None, True, "is about to be handed over"),
        ("MASTER", None, False, "stays here until another node could take over"),
        ("BACKUP", None, True, "is on web-a"),
    ],
)
async def test_a_drain_says_what_becomes_of_each_group(
    state: str,
    successor: str | None,
    eligible: bool,  # noqa: FBT001 - a parameter of the test
    fate: str,
) -> None:
    desk = Desk()
    desk.group.update(state=state, successor=successor, nodes=[{"node": "web-b", "eligible": eligible}])
    task = desk.begin(b'{"command": "drain"}')
    await desk.asks()
    desk.answer(1)
    assert (await task)["groups"][1] == {"name": "vip", "state": state, "successor": successor, "fate": fate}


async def test_waiting_on_the_node_that_takes_over_tells_the_phases() -> None:
    desk = Desk()
    desk.group.update(state="BACKUP")
    task = await desk.accepted(b'{"command": "failover", "group": "vip", "wait": true}')
    desk.group.update(state="CLAIMING", master="web-b")
    desk.history.record(finished(2), at_ms=0)
    await asyncio.sleep(2.5 * operator.LOOK_S)
    assert not task.done()
    desk.group.update(state="MASTER", term=2)
    reply = await task
    assert (reply["master"], reply["term"]) == ("web-b", 2)
    assert reply["phases_s"]["cloud"] == 0.6


async def test_phases_of_an_older_failover_are_not_told() -> None:
    desk = Desk()
    desk.history.record(finished(1), at_ms=0)
    task = await desk.accepted(b'{"command": "failover", "group": "vip", "wait": true}')
    desk.group.update(state="BACKUP", master="web-b", term=2)
    assert (await task)["phases_s"] == {}


async def test_waiting_ends_with_a_hand_over_that_failed() -> None:
    desk = Desk()
    task = await desk.accepted(b'{"command": "failover", "group": "vip", "wait": true}')
    desk.group.update(why_label=Reason.HANDOVER_FAILED.label)
    assert await task == {"ok": False, "error": Reason.HANDOVER_FAILED.value, "reason": "handover_failed"}


async def test_waiting_has_an_end() -> None:
    desk = Desk()
    task = await desk.accepted(b'{"command": "failover", "group": "vip", "wait": true, "timeout_s": 0.1}')
    with pytest.raises(ControlError, match=r"no other node was master of vip within 0\.1 s"):
        await task


async def test_a_reload_is_answered_by_who_carries_it_out() -> None:
    assert await Desk().begin(b'{"command": "reload"}') == {"changed": ["log.level"]}


async def test_waiting_ends_with_the_group() -> None:
    desk = Desk()
    task = await desk.accepted(b'{"command": "failover", "group": "vip", "wait": true}')
    desk.group["name"] = "renamed"  # by a reload
    reply = await task
    assert (reply["ok"], reply["reason"]) == (False, "unknown_group")
