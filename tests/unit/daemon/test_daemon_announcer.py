"""What a node tells the broker, and how often, over a link that keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from hafailover.daemon import announcer
from hafailover.daemon.announcer import Announcer
from hafailover.election.effects import Refrained, RoleChanged
from hafailover.election.reasons import Reason
from hafailover.election.values import GroupName, State
from hafailover.observe.history import to_json
from tests.unit.heartbeat.test_mqtt_path import Wire
from tests.unit.observe.schema import problems
from tests.unit.observe.test_observe_bulletin import FINISHED, STATUS

if TYPE_CHECKING:
    from hafailover.broker.link import Link

VIP = GroupName("vip")


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "GAP_S", 0)


class Board(Wire):
    """A link that keeps events too."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[dict[str, Any]] = []

    def post(self, topic: str, payload: bytes) -> None:
        assert topic == "t/web/event/web-a"
        self.posted.append(json.loads(payload))


class Desk:
    """An announcer with a status that a test may change."""

    def __init__(self) -> None:
        self.board = Board()
        self.status = copy.deepcopy(STATUS)
        self.announcer = Announcer(
            cast("Link", self.board),
            root="t/web",
            cluster="web",
            node="web-a",
            boot="0011223344556677",
            status=lambda: self.status,
        )

    def kept(self) -> list[str]:
        kept, self.board.kept = self.board.kept, []
        return [topic for topic, _ in kept]

    async def run(self, seconds: float = 0.02) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.announcer.run()


async def test_everything_is_told_once_and_again_on_a_new_connection() -> None:
    desk = Desk()
    desk.board.ups[0](1)
    await desk.run()
    for topic, payload in desk.board.kept:
        assert problems(json.loads(payload), "group" if topic.endswith("/vip") else "node") == []
    assert desk.kept() == ["t/web/status/web-a", "t/web/status/web-a/vip"]
    desk.announcer.refrained(Refrained(VIP, Reason.GUARD_DENIED))
    await desk.run()
    assert desk.kept() == []
    desk.board.ups[0](2)
    await desk.run()
    assert len(desk.kept()) == 2


async def test_what_has_changed_is_told_and_nothing_else() -> None:
    desk = Desk()
    desk.board.ups[0](1)
    await desk.run()
    desk.kept()
    desk.status["groups"][0]["eligible"] = True
    desk.status["groups"][0]["hold_down_s"] = 1.0
    desk.announcer.role(RoleChanged(VIP, State.BACKUP, State.MASTER, Reason.CLAIM_DONE, 3))
    await desk.run()
    assert desk.kept() == ["t/web/status/web-a/vip"]


async def test_without_a_broker_no_status_is_looked_at() -> None:
    desk = Desk()
    desk.board.state.connected = False
    desk.status.clear()
    desk.announcer.refrained(Refrained(VIP, Reason.GUARD_DENIED))
    await desk.run()
    assert desk.kept() == []


async def test_each_event_has_a_number_of_its_own_and_fits_its_schema() -> None:
    desk = Desk()
    desk.announcer.role(RoleChanged(VIP, State.BACKUP, State.CLAIMING, Reason.MASTER_DEAD, 3))
    desk.announcer.refrained(Refrained(VIP, Reason.GUARD_DENIED))
    desk.announcer.failover(to_json(FINISHED, 0))
    posted = desk.board.posted
    assert [each["event"] for each in posted] == ["role", "held_back", "failover"]
    assert [each["id"].rpartition("-")[2] for each in posted] == ["1", "2", "3"]
    assert [problems(each, each["event"]) for each in posted] == [[], [], []]


async def test_of_a_group_that_has_gone_the_broker_keeps_nothing() -> None:
    desk = Desk()
    desk.board.ups[0](1)
    await desk.run()
    desk.board.kept.clear()
    group = desk.status["groups"].pop()
    desk.announcer.forget("vip")
    await desk.run()
    assert ("t/web/status/web-a/vip", b"") in desk.board.kept
    desk.board.kept.clear()
    desk.status["groups"].append(group)
    desk.board.ups[0](2)
    await desk.run()
    assert "t/web/status/web-a/vip" in desk.kept(), "it has come again"
