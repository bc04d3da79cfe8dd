from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hafailover.config import loader, model
from hafailover.daemon.checkers import Checkers
from hafailover.daemon.reload import Reloader
from hafailover.election.events import CheckChanged, Event
from hafailover.election.values import CheckState, GroupName
from hafailover.errors import StartError
from tests.unit.daemon.stage import until

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from hafailover.config.model import Config

FILE = """\
[cluster]
name = "web"
key_file = "{folder}/cluster.key"
[cloud]
region = "ap-guangzhou"
credentials = "env"
[[node]]
name = "web-a"
address = "127.0.0.1:7694"
eni = "eni-aaaaaaaa"
[[node]]
name = "web-b"
address = "127.0.0.2:7694"
eni = "eni-bbbbbbbb"
[[group]]
name = "vip"
addresses = ["10.0.1.100"]
guest = "none"
guards = []
"""


@dataclass
class Desk:
    """A reloader of a file in a folder, and what it did."""

    folder: Path
    applied: list[Config] = field(default_factory=list)
    told: list[bool] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        key = self.folder / "cluster.key"
        key.write_text(secrets.token_hex(32) + "\n")
        key.chmod(0o600)
        self.path = self.folder / "config.toml"
        self.write("")
        self.config = loader.load(self.path, "web-a")
        self.reloader = Reloader(self.config, "web-a", "web-a", self.apply, self.told.append)

    def write(self, more: str, **replaced: str) -> None:
        text = FILE.format(folder=self.folder) + more
        for old, new in replaced.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        self.path.write_text(text)

    async def apply(self, old: Config, new: Config) -> dict[str, object]:
        assert old is (self.applied or [self.config])[-1]
        if self.refuses:
            raise StartError("another family")
        self.applied.append(new)
        return {"dismissed": []}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_the_same_file_is_no_change(desk: Desk) -> None:
    assert await desk.reloader.reload() == {
        "changed": [],
        "config_digest": desk.config.digest.hex(),
        "dismissed": [],
    }
    assert desk.told == [True]


async def test_a_good_file_is_applied_and_said_key_by_key(desk: Desk) -> None:
    desk.write('hold_down = "5s"\npreempt = true\n[log]\nlevel = "debug"\n')
    with capture_logs() as logs:
        reply = await desk.reloader.reload()
    assert reply["changed"] == ["log.level", 'group "vip".preempt', 'group "vip".hold_down']
    assert logs == [{"event": "reload", "log_level": "info", **reply}]
    (applied,) = desk.applied
    assert (applied.groups[0].hold_down_ms, applied.log.level) == (5_000, "debug")
    assert reply["config_digest"] == applied.digest.hex() != desk.config.digest.hex()
    assert (await desk.reloader.reload())["changed"] == [], "what was applied is what the next file is held against"


async def test_a_bad_file_changes_nothing_and_is_told_with_every_error(desk: Desk) -> None:
    desk.write('hold_down = "soon"\npreempt = 7\n')
    reply = await desk.reloader.reload()
    assert (reply["ok"], reply["reason"]) == (False, "bad_configuration")
    assert [problem["key"] for problem in reply["problems"]] == ['group "vip".hold_down', 'group "vip".preempt']
    assert all(problem["key"] in reply["error"] for problem in reply["problems"])
    assert (desk.applied, desk.told) == ([], [False])
    desk.path.unlink()
    assert (await desk.reloader.reload())["reason"] == "bad_configuration"


async def test_what_needs_a_restart_is_named_and_nothing_is_half_done(desk: Desk) -> None:
    desk.write('preempt = true\n[log]\nformat = "json"\n', web="other")
    reply = await desk.reloader.reload()
    assert (reply["ok"], reply["reason"]) == (False, "needs_restart")
    assert reply["needs_restart"] == ["cluster.name", "log.format"]
    assert reply["error"].endswith("needs a restart: cluster.name, log.format")
    assert (desk.applied, desk.told) == ([], [False])


async def test_what_the_daemon_cannot_take_in_after_all_is_refused(desk: Desk) -> None:
    desk.write("preempt = true\n")
    desk.refuses = True
    reply = await desk.reloader.reload()
    assert (reply["reason"], reply["error"]) == ("not_applied", "nothing has changed: another family")
    desk.refuses = False
    assert (await desk.reloader.reload())["changed"] == ['group "vip".preempt']


# -- the checks --------------------------------------------------------------------------------------------------


class Bench:
    """Checks that run, and what they say."""

    def __init__(self) -> None:
        self.posted: list[Event] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.checkers = Checkers(self.spawn, self.posted.append, lambda _group, _result: None)

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def close(self) -> None:
        self.checkers.configure(())
        await asyncio.gather(*self.tasks, return_exceptions=True)


def group(*checks: model.Check) -> model.Group:
    return model.Group("vip", checks=checks)


def script(name: str, program: str) -> model.Check:
    return model.Check(name, "script", interval_ms=50, timeout_ms=5_000, fall=1, command=(program,))


def says(name: str, state: CheckState) -> CheckChanged:
    return CheckChanged(GroupName("vip"), name, state)


async def test_a_check_is_replaced_where_it_is_another_and_goes_on_where_it_is_not() -> None:
    bench = Bench()
    same, old, new = script("same", "/bin/true"), script("one", "/bin/true"), script("one", "/bin/false")
    bench.checkers.configure([group(same, old)])
    await until(lambda: len(bench.posted) == 2)
    bench.checkers.configure([group(same, new, script("more", "/bin/true"))])
    await until(lambda: len(bench.posted) == 4)
    assert set(bench.posted[2:]) == {says("one", CheckState.DOWN), says("more", CheckState.UP)}
    await until(bench.tasks[1].done)
    assert [task.done() for task in bench.tasks] == [False, True, False, False]
    bench.checkers.configure([])
    await until(lambda: all(task.done() for task in bench.tasks))
    await bench.close()
