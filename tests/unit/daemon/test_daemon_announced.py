"""A node leaves before what the emulated cloud announces, and comes back when it is over."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hafailover.cloud.announced import Standing, render_time
from hafailover.cloud.metadata import Metadata
from hafailover.config import model
from hafailover.daemon import announced
from hafailover.daemon.announced import FILE, Sources, Watcher
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.network import Repair
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import build
from hafailover.errors import ControlError
from tests.unit.daemon.stage import FIRST, SECOND, config, open_cloud, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hafailover.cloud.client import Cloud

ME, OTHER = FIRST.instance_id, SECOND.instance_id
REPAIR = "rep-aaaaaaaa"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announced, "EVERY_S", {"spot": 0.01, "repair": 0.01})
    monkeypatch.setattr(announced, "LOOK_S", 0.01)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    made = Emulator(build(), Options(latency_ms=0, task_ms=0, sources={"127.0.0.1": ME}))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def cloud(emulator: Emulator) -> AsyncIterator[Cloud]:
    made = open_cloud(emulator)
    yield made
    await made.close()


@pytest.fixture
async def metadata(emulator: Emulator) -> AsyncIterator[Metadata]:
    made = Metadata(f"http://127.0.0.1:{emulator.metadata_port}")
    yield made
    await made.close()


class Node:
    """A watcher at work, on a node that does what it is asked."""

    def __init__(
        self, folder: Path, cloud: Cloud, metadata: Metadata, *sources: Any, instance: str | None = ME
    ) -> None:
        self.config = config(folder, announced=model.Announced(sources))
        self.drained = False
        self.paused = False
        self.asked: list[bool] = []
        self.refuses = False
        self.disk = ThreadPoolExecutor(1)
        self.sources = Sources(cloud, metadata, instance)
        self.watcher = Watcher(self.config, self.sources)
        self.watcher.attach(self.status, self, self.disk)
        self.running: asyncio.Task[None] | None = None

    def status(self) -> dict[str, Any]:
        return {"drained": self.drained, "groups": [{"name": "vip", "paused": self.paused}]}

    async def drain(self, *, drained: bool) -> None:
        self.asked.append(drained)
        if self.refuses:
            raise ControlError("the core is asleep")
        self.drained = drained

    def by_hand(self, *, drained: bool) -> None:
        self.drained = drained
        self.watcher.overrule(drained)

    def start(self) -> None:
        self.running = asyncio.ensure_future(self.watcher.run())

    async def looks(self) -> None:
        """Wait until all sources were asked again."""
        before = dict(self.sources._asked_at_s)
        await until(lambda: all(self.sources._asked_at_s.get(each, 0) > at for each, at in before.items()))
        await asyncio.sleep(0.05)

    async def stop(self) -> None:
        assert self.running is not None
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self.disk.shutdown()


@pytest.fixture
async def make(tmp_path: Path, cloud: Cloud, metadata: Metadata) -> AsyncIterator[Any]:
    made: list[Node] = []

    def one(*sources: Any, started: bool = True, **how: Any) -> Node:
        made.append(Node(tmp_path, cloud, metadata, *sources, **how))
        if started:
            made[-1].start()
        return made[-1]

    yield one
    for node in made:
        if node.running is not None:
            await node.stop()


def ends(emulator: Emulator, in_s: float | None, instance: str = ME) -> None:
    at = "" if in_s is None else render_time(time.time() + in_s)
    emulator.model.announce_termination(instance, at, emulator.service.now_ms())


def repair(emulator: Emulator, in_s: float = 60, **changes: Any) -> None:
    planned = render_time(time.time() + in_s)
    made = render_time(time.time() - 86_400)
    task = replace(Repair(REPAIR, ME, planned=planned, created=made), **changes)
    emulator.model.put_repair(task, emulator.service.now_ms())


async def test_a_spot_instance_leaves_and_comes_back_when_its_end_is_withdrawn(
    emulator: Emulator, make: Any
) -> None:
    node = make("spot")
    await node.looks()
    ends(emulator, 120, OTHER)
    await node.looks()
    assert node.asked == []
    with capture_logs() as logs:
        ends(emulator, 120)
        await until(lambda: node.drained)
        said = node.watcher.as_json()
        assert node.watcher.drain_reason() == f"spot, at {said['events'][0]['at']}"
        ends(emulator, None)
        await until(lambda: not node.drained)
    assert [line["event"] for line in logs] == ["announced_drain", "announced_over"]
    assert logs[0]["source"] == "spot"
    (event,) = said["events"]
    assert (said["sources"], said["drained"], event["at"]) == ({"spot": None}, True, logs[0]["at"])
    assert 60 < event["in_s"] <= 120
    assert node.asked == [True, False]
    assert node.watcher.drain_reason() == ""


async def test_a_repair_is_left_before_it_begins_and_come_back_from(emulator: Emulator, make: Any) -> None:
    node = make("repair")
    repair(emulator, 3600)
    await node.looks()
    assert node.asked == []  # there is time enough
    repair(emulator, status=4)
    await until(lambda: node.drained)
    repair(emulator, status=2)
    await node.looks()
    assert node.drained
    repair(emulator, status=3)
    await until(lambda: not node.drained)
    assert node.asked == [True, False]


@pytest.mark.parametrize("other", [{"instance": OTHER}, {"status": 2}, {"status": 5}, {"planned": ""}])
async def test_other_repairs_are_no_reason(emulator: Emulator, make: Any, other: dict[str, Any]) -> None:
    repair(emulator, **other)
    node = make("repair")
    await node.looks()
    await node.looks()
    assert node.asked == []


async def test_this_instance_is_asked_for_where_nobody_has_named_it(emulator: Emulator, make: Any) -> None:
    repair(emulator)
    node = make("repair", instance=None)
    await until(lambda: node.drained)


async def test_the_api_is_asked_every_five_minutes_at_most(
    emulator: Emulator, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert (announced.EVERY_S["spot"], announced.EVERY_S["repair"]) == (5.0, 300.0)
    node = make("repair", started=False)
    for _ in range(3):
        await node.sources.look(("repair",))
    assert [call.action for call in emulator.service.calls] == ["DescribeTaskInfo"]


async def test_what_cannot_be_asked_is_told_and_changes_nothing(emulator: Emulator, make: Any) -> None:
    ends(emulator, 60)
    node = make("spot", "repair")
    await until(lambda: node.drained)
    with capture_logs() as logs:
        emulator.service.settings.metadata_down = True
        emulator.faults.add(Fault(Kind.DENIED, action="DescribeTaskInfo", count=1000))
        await until(lambda: len(node.sources.errors) == 2)
        await node.looks()
        assert node.drained
        assert "UnauthorizedOperation" in node.watcher.as_json()["sources"]["repair"]
        ends(emulator, None)
        emulator.service.settings.metadata_down = False
        await until(lambda: "spot" not in node.sources.errors)
        await node.looks()
        assert node.drained  # the repairs are still not known
        emulator.faults.remove()
        await until(lambda: not node.drained)
    unread = [line["source"] for line in logs if line["event"] == "announcements_unread"]
    assert sorted(unread) == ["repair", "spot"]  # once each


async def test_an_end_that_is_no_time_is_told(emulator: Emulator, make: Any) -> None:
    emulator.model.announce_termination(ME, "tomorrow", emulator.service.now_ms())
    node = make("spot")
    await until(lambda: "spot" in node.sources.errors)
    assert "tomorrow" in node.sources.errors["spot"]
    assert node.asked == []


async def test_what_an_operator_has_drained_is_not_undrained(emulator: Emulator, make: Any) -> None:
    node = make("spot")
    node.by_hand(drained=True)
    ends(emulator, 60)
    await node.looks()
    ends(emulator, None)
    await node.looks()
    assert (node.drained, node.asked) == (True, [])


async def test_a_node_that_an_operator_drains_besides_stays_drained(emulator: Emulator, make: Any) -> None:
    ends(emulator, 60)
    node = make("spot")
    await until(lambda: node.drained)
    node.by_hand(drained=True)
    ends(emulator, None)
    await node.looks()
    assert (node.drained, node.asked) == (True, [True])


async def test_an_operator_overrules_one_announcement_and_not_the_next(emulator: Emulator, make: Any) -> None:
    ends(emulator, 60)
    node = make("spot")
    await until(lambda: node.drained)
    node.by_hand(drained=False)
    await node.looks()
    assert (node.drained, node.watcher.as_json()["events"][0]["overruled"]) == (False, True)
    await node.stop()
    again = make("spot")
    await again.looks()
    assert again.asked == []  # a restart does not forget it
    ends(emulator, 90)
    await until(lambda: again.drained)
    assert again.watcher._standing.overruled == ()


async def test_a_restart_knows_what_it_has_drained(emulator: Emulator, make: Any) -> None:
    ends(emulator, 60)
    node = make("spot")
    await until(lambda: node.drained)
    await node.stop()
    again = make("spot", started=False)
    again.drained = True
    again.start()
    await again.looks()
    assert (again.drained, again.asked) == (True, [])
    ends(emulator, None)
    await until(lambda: again.asked == [False])


async def test_a_drain_that_did_not_come_about_is_tried_again(emulator: Emulator, make: Any) -> None:
    ends(emulator, 60)
    node = make("spot", started=False)
    node.refuses = True
    with capture_logs() as logs:
        node.start()
        await until(lambda: len(node.asked) == 2)
        node.refuses = False
        await until(lambda: node.drained)
    assert {"event": "announced_failed", "error": "the core is asleep", "log_level": "error"} in logs


async def test_a_paused_node_does_not_leave(emulator: Emulator, make: Any) -> None:
    ends(emulator, 60)
    node = make("spot", started=False)
    node.paused = True
    with capture_logs() as logs:
        node.start()
        await node.looks()
        await node.looks()
        assert node.asked == []
        node.paused = False
        await until(lambda: node.drained)
    assert [line["event"] for line in logs] == ["announced_but_paused", "announced_drain"]


async def test_a_reload_takes_a_source_in_and_away(emulator: Emulator, make: Any) -> None:
    ends(emulator, 60)
    node = make()
    await asyncio.sleep(0.05)
    assert (node.asked, node.watcher.as_json(), list(emulator.service.calls)) == ([], {}, [])
    node.watcher.configure(replace(node.config, announced=model.Announced(("spot",))))
    await until(lambda: node.drained)
    node.watcher.configure(node.config)
    await until(lambda: not node.drained)


async def test_a_disk_that_is_full_keeps_nobody(
    emulator: Emulator, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("hafailover.daemon.statefile.write", full)
    ends(emulator, 60)
    with capture_logs() as logs:
        node = make("spot")
        await until(lambda: node.drained)
        await until(lambda: any(line["event"] == "announced_not_saved" for line in logs))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"version": 2, "drained": true, "overruled": []}',
        b'{"version": 1, "drained": 1, "overruled": []}',
        b'{"version": 1, "drained": true, "overruled": [1]}',
        b"[" * 70_000,
        b"[" * 60_000,
    ],
)
def test_a_file_of_another_shape_is_set_aside(tmp_path: Path, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    standing, complaint = announced.load(tmp_path)
    assert standing == Standing()
    assert "does not say what was done" in complaint
    assert not (tmp_path / FILE).exists()


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert announced.load(tmp_path) == (Standing(), f"{tmp_path / FILE}: Is a directory")


async def test_a_bad_file_is_logged(tmp_path: Path, cloud: Cloud, metadata: Metadata) -> None:
    (tmp_path / FILE).write_bytes(b"{}")
    with capture_logs() as logs:
        Watcher(config(tmp_path), Sources(cloud, metadata, ME))
    assert [line["event"] for line in logs] == ["announced_unreadable"]
