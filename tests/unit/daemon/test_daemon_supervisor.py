"""The parts of a daemon's life that two healthy processes do not show."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.cloud.metadata import Metadata
from hafailover.config import model
from hafailover.daemon import supervisor, translate, whoami
from hafailover.daemon.directory import Directory
from hafailover.daemon.observer import Observer
from hafailover.daemon.runner import Inbox
from hafailover.daemon.supervisor import Daemon
from hafailover.election.events import AddressVanished
from hafailover.election.values import GroupName, Memory, Resource, ResourceKind
from hafailover.emulator.world import REGION
from hafailover.errors import StartError
from hafailover.observe.sink import Sink
from tests.unit.daemon.stage import FIRST, KEYS, NODES, NONE, PATIENCE_S, SECOND, config

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.emulator.server import Emulator

WITNESS = model.Node("judge", "127.0.0.3", 7694, role="witness")
ENIS = {"web-a": FIRST.eni_id, "web-b": SECOND.eni_id}


def daemon(folder: Path, *groups: model.Group, node: str | None = "web-a", **sections: Any) -> Daemon:
    return Daemon(config(folder, *groups, **sections), node, Sink(io.StringIO()))


class Endless:
    """A runner that is never done."""

    def __init__(self) -> None:
        self.cancelled = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_a_task_that_fails_for_an_unforeseen_reason_ends_the_daemon(tmp_path: Path) -> None:
    async def fail() -> None:
        raise LookupError("nobody foresaw this")

    made, runner = daemon(tmp_path), Endless()
    made._failed = asyncio.get_running_loop().create_future()
    living = asyncio.ensure_future(made._until_left(runner))  # type: ignore[arg-type] # all that it asks of a runner
    await asyncio.sleep(0)
    made._spawn(fail())
    with pytest.raises(LookupError, match="nobody foresaw this"):
        await asyncio.wait_for(living, PATIENCE_S)
    await asyncio.sleep(0)
    assert runner.cancelled


async def test_a_task_that_ends_or_is_cancelled_ends_nothing_else(tmp_path: Path) -> None:
    made = daemon(tmp_path)
    made._failed = asyncio.get_running_loop().create_future()
    made._spawn(asyncio.sleep(0))
    made._spawn(asyncio.Event().wait())  # type: ignore[arg-type] # its result does not matter
    await asyncio.sleep(0.01)
    assert len(made._tasks) == 1
    closed: list[str] = []

    async def close() -> None:
        closed.append("first opened")

    made._closing.extend((close, lambda: closed.append("last opened")))
    await made._close()
    assert closed == ["last opened", "first opened"]
    assert not made._tasks
    assert not made._failed.done()


async def test_the_instance_id_is_asked_for_where_it_decides_something(emulator: Emulator, tmp_path: Path) -> None:
    metadata = Metadata(f"http://127.0.0.1:{emulator.metadata_port}")
    env = model.Cloud(credentials="env")
    assert await whoami.find_me(config(tmp_path, cloud=env), "web-a", metadata) == (NODES[0], None)
    emulator.settings.metadata_down = True
    with pytest.raises(StartError, match="the metadata service does not answer"):
        await whoami.find_me(config(tmp_path, cloud=env), None, metadata)
    for cloud in (model.Cloud(), model.Cloud(credentials="role:other")):
        with capture_logs() as logs:
            assert await whoami.find_me(config(tmp_path, cloud=cloud), "web-b", metadata) == (NODES[1], None)
        assert [line["event"] for line in logs] == ["metadata_unavailable"]
    await metadata.close()


async def test_a_region_that_nobody_tells_is_a_start_error(emulator: Emulator, tmp_path: Path) -> None:
    metadata = Metadata(f"http://127.0.0.1:{emulator.metadata_port}")
    emulator.settings.metadata_down = True
    credentials = EnvironmentCredentials(KEYS)
    made = daemon(tmp_path, cloud=model.Cloud(credentials="env"))
    observer = Observer(made._config, NODES[0], credentials, made._sink)
    with pytest.raises(StartError, match=r"in which region this is .*; set cloud\.region"):
        await made._open_cloud(metadata, credentials, observer)
    told = daemon(tmp_path, cloud=model.Cloud(region=REGION, credentials="env"))
    await told._open_cloud(metadata, credentials, observer)
    await told._close()
    await metadata.close()


def test_an_address_that_others_remove_is_told_to_its_group(tmp_path: Path) -> None:
    groups = (NONE, replace(NONE, name="db", addresses=("10.0.1.101",)))
    made = daemon(tmp_path, *groups)
    node = made._make_node(NODES[0], translate.members(made._config, ENIS, {}), Memory())
    directory = Directory(ENIS.values())
    inbox = Inbox()
    with capture_logs() as logs:
        made._vanished(node, directory, inbox, "10.0.1.101")
        made._vanished(node, directory, inbox, "10.0.1.102")
    address = Resource(ResourceKind.ADDRESS, "10.0.1.101")
    assert inbox.take() == AddressVanished(GroupName("db"), address)
    assert inbox.take() is None
    assert [line["resource"] for line in logs] == ["10.0.1.101", "10.0.1.102"]
    assert supervisor._holder(node, "db") is None  # never read
