"""The keeper of the EIPs: what it notes on disk, and what it binds again."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hafailover.cloud import binder
from hafailover.cloud.eips import Binding
from hafailover.daemon import eipkeeper
from hafailover.daemon.eipkeeper import FILE, EipKeeper
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import VIP, build
from hafailover.observe.metrics import Metrics
from tests.unit.daemon.stage import FIRST, SECOND, open_cloud, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hafailover.cloud.client import Cloud

EIP = "eip-aaaaaaaa"
AT_SECOND = Binding(VIP, EIP, SECOND.eni_id)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binder, "_FIRST_POLL_S", 0.005)
    monkeypatch.setattr(eipkeeper, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(eipkeeper, "LAST_RETRY_S", 0.02)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """An EIP is bound to the address, which the second node has."""
    made = Emulator(build(eip_for=VIP), Options(latency_ms=0, task_ms=0))
    await made.start()
    made.model.move(VIP, SECOND.eni_id, made.service.now_ms())
    yield made
    await made.close()


@pytest.fixture
async def cloud(emulator: Emulator) -> AsyncIterator[Cloud]:
    made = open_cloud(emulator)
    yield made
    await made.close()


class Rig:
    """The first node's keeper, at work."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.cloud = cloud
        self.metrics = Metrics("web", "web-a")
        self.disk = ThreadPoolExecutor(1)
        self.keeper = EipKeeper(
            folder, (VIP,), eni_id=FIRST.eni_id, cloud=cloud, metrics=self.metrics, disk=self.disk
        )
        self.running = asyncio.ensure_future(self.keeper.run())

    async def read(self) -> None:
        self.keeper.see(await self.cloud.describe_enis((FIRST.eni_id, SECOND.eni_id)))

    @property
    def missing(self) -> float:
        return next(
            float(line.split()[-1])
            for line in self.metrics.render({}).decode().splitlines()
            if line.startswith("hafailover_eips_missing{")
        )

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self.disk.shutdown()


@pytest.fixture
async def rig(tmp_path: Path, cloud: Cloud) -> AsyncIterator[Rig]:
    made = Rig(tmp_path, cloud)
    yield made
    await made.close()


def release(emulator: Emulator, to: str) -> None:
    """Move the address as a release and a take do, which lose the EIP."""
    now_ms = emulator.service.now_ms()
    emulator.model.move(VIP, None, now_ms)
    emulator.model.move(VIP, to, now_ms)


def bound_to(emulator: Emulator) -> str | None:
    return emulator.model.holder_of(EIP, emulator.service.now_ms())


async def test_what_was_lost_on_the_way_here_is_bound_again(rig: Rig, emulator: Emulator, tmp_path: Path) -> None:
    await rig.read()
    await until((tmp_path / FILE).exists)
    assert eipkeeper.load(tmp_path) == ((AT_SECOND,), "")
    release(emulator, FIRST.eni_id)
    await rig.read()
    assert rig.missing == 1
    await until(lambda: bound_to(emulator) == VIP)
    await until(lambda: rig.missing == 0)
    await rig.read()
    await until(lambda: eipkeeper.load(tmp_path)[0] == (Binding(VIP, EIP, FIRST.eni_id),))


async def test_what_went_to_another_node_is_that_nodes_to_bind(rig: Rig, emulator: Emulator) -> None:
    release(emulator, FIRST.eni_id)
    emulator.model.move(VIP, SECOND.eni_id, emulator.service.now_ms())
    await rig.read()
    assert rig.missing == 0
    assert rig.keeper._book.lost == ()


async def test_an_earlier_run_may_have_been_in_the_middle_of_it(
    cloud: Cloud, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_bytes(eipkeeper.encode((AT_SECOND,)))
    release(emulator, FIRST.eni_id)
    rig = Rig(tmp_path, cloud)
    await rig.read()
    await until(lambda: bound_to(emulator) == VIP)
    await rig.close()


async def test_a_refusal_is_said_and_tried_again(rig: Rig, emulator: Emulator) -> None:
    await rig.read()
    release(emulator, FIRST.eni_id)
    emulator.faults.add(Fault(Kind.ERROR, "AssociateAddress", code="InternalError", count=2))
    with capture_logs() as logs:
        await rig.read()
        await until(lambda: bound_to(emulator) == VIP)
        await until(lambda: rig.missing == 0)
    assert [line["event"] for line in logs] == ["eip_not_bound", "eip_not_bound", "eip_bound"]


async def test_an_eip_that_is_another_addresss_by_now_is_given_up(rig: Rig, emulator: Emulator) -> None:
    await rig.read()
    release(emulator, FIRST.eni_id)
    elsewhere = Binding(SECOND.address, EIP, SECOND.eni_id)
    assert await rig.cloud.bind_eip(elsewhere, deadline_s=5) == ""
    with capture_logs() as logs:
        await rig.read()
        await until(lambda: any(line["event"] == "eip_taken" for line in logs))
    assert bound_to(emulator) == SECOND.address
    await rig.read()
    assert rig.missing == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version": 2, "eips": []}',
        b'{"version": 1}',
        b'{"version": 1, "eips": [["10.0.1.100", "eip-a"]]}',
        b'{"version": 1, "eips": [["10.0.1.100", "eip-a", 7]]}',
        b'{"version": 1, "eips": [["10.0.1.100", "", "eni-a"]]}',
        json.dumps({"version": 1, "eips": [["x" * 65, "eip-a", "eni-a"]]}).encode(),
        b" " * (eipkeeper.MAX_BYTES + 1),
        b"[" * 100_000,
    ],
)
async def test_a_file_that_is_none_is_set_aside(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    known, complaint = eipkeeper.load(tmp_path)
    assert known == ()
    assert "is no list of EIPs" in complaint
    assert (tmp_path / "eips.unreadable").exists()


async def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert eipkeeper.load(tmp_path) == ((), "")
    (tmp_path / FILE).mkdir()
    assert "Is a directory" in eipkeeper.load(tmp_path)[1]


async def test_a_disk_that_takes_nothing_is_said(cloud: Cloud, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    rig = Rig(gone, cloud)
    with capture_logs() as logs:
        await rig.read()
        await until(lambda: bool(logs))
    assert [line["event"] for line in logs] == ["eips_not_saved"]
    await rig.close()


def test_what_is_written_can_be_read() -> None:
    bindings: tuple[Any, ...] = (
        AT_SECOND,
        Binding("10.0.1.101", "eip-b", "eni-b"),
        Binding("10.0.1.102", "eip-c", ""),
    )
    assert eipkeeper.decode(eipkeeper.encode(bindings)) == bindings
