"""Secondary ENIs on the guest, as the daemon has them set up and taken off, with the cloud's emulator beside it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hafailover.config import model
from hafailover.daemon import arming
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import Resource, ResourceKind
from hafailover.emulator.faults import parse
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import EniSpec, build, mac_of
from hafailover.errors import GuestError
from hafailover.guest.network import NullGuest
from tests.unit.daemon.stage import FIRST, GROUP, SECOND, Stage, config, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from hafailover.cloud.client import Cloud
    from hafailover.guest.interface import Interface

SPECS = tuple(EniSpec(f"eni-cccccc0{order}", (f"10.0.1.10{order}",), FIRST.instance_id) for order in (1, 2))
ENIS = tuple(Resource(ResourceKind.ENI, spec.eni_id) for spec in SPECS)
MACS = tuple(mac_of(spec.eni_id).lower() for spec in SPECS)
MOVING = model.Group("vip", enis=tuple(spec.eni_id for spec in SPECS))


class Kernel(NullGuest):
    """A guest that keeps what is plugged, and refuses to sweep for as long as the test says."""

    def __init__(self) -> None:
        self.plugs: dict[str, Interface] = {}
        self.unplugged: list[str] = []
        self.swept: list[tuple[str, ...]] = []
        self.refuses = False
        self.comes = True
        self.tried = 0
        self.waits = asyncio.Event()
        self.waits.set()

    async def plug(self, interface: Interface, *, deadline_s: float) -> None:
        assert deadline_s > 0
        self.tried += 1
        mine = self.tried
        await self.waits.wait()
        if not self.comes:
            raise GuestError("it has not come")
        if mine < self.tried:
            raise GuestError("it was to be set up otherwise")
        self.plugs[interface.mac] = interface

    async def unplug(self, mac: str) -> None:
        self.unplugged.append(mac)

    async def unplug_others(self, keep: Iterable[str] = ()) -> None:
        self.swept.append(tuple(keep))
        if self.refuses:
            raise GuestError("the kernel refuses")


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    made = Emulator(build(enis=SPECS), Options(latency_ms=0, task_ms=0))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
async def stage(near_cloud: Cloud, kernel: Kernel, tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(config(tmp_path, MOVING), near_cloud, kernel)
    yield made
    await made.close()


async def barrier(stage: Stage, effect: fx.Effect) -> None:
    waiting = stage.performer.perform(effect)
    assert waiting is not None
    await waiting


async def read(stage: Stage) -> None:
    stage.performer.perform(fx.ReadHolders())
    await stage.settle()


def asked(emulator: Emulator) -> Counter[str]:
    return Counter(call.action for call in emulator.service.calls)


async def test_what_an_eni_needs_is_known_before_it_comes(stage: Stage, kernel: Kernel, emulator: Emulator) -> None:
    await read(stage)
    assert asked(emulator)["DescribeSubnets"] == 1
    for eni in ENIS:
        stage.performer.perform(fx.Arm(GROUP, eni))
    await stage.settle()
    assert asked(emulator)["DescribeSubnets"] == 1
    assert [kernel.plugs[mac].addresses for mac in MACS] == [spec.addresses for spec in SPECS]
    assert {(each.prefix, each.gateway) for each in kernel.plugs.values()} == {(24, "10.0.1.1")}
    assert [event.error for event in stage.posted if isinstance(event, ev.GuestArmed)] == ["", ""]


async def test_a_cloud_that_does_not_tell_of_subnets_is_asked_again_and_no_fault_of_the_guest(
    stage: Stage, kernel: Kernel, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "CLOUD_RETRY_S", 0.01)
    emulator.faults.add(parse({"kind": "error", "code": "InternalError", "action": "DescribeSubnets", "count": 2}))
    with capture_logs() as logs:
        await read(stage)
        stage.performer.perform(fx.Arm(GROUP, ENIS[0]))
        armed = await stage.event(ev.GuestArmed)
    assert [line["event"] for line in logs] == ["subnets_unknown", "eni_unknown"]
    assert armed == ev.GuestArmed(GROUP, ENIS[0])
    assert MACS[0] in kernel.plugs


async def test_a_link_that_does_not_come_is_the_guests_fault_where_the_cloud_says_that_it_is_here(
    stage: Stage, kernel: Kernel
) -> None:
    await read(stage)
    kernel.comes = False
    stage.performer.perform(fx.Arm(GROUP, ENIS[0]))
    assert (await stage.event(ev.GuestArmed)).error == "it has not come"


@pytest.mark.parametrize("gone", ["moved", "no answer"])
async def test_and_not_where_it_has_gone_since_or_the_cloud_says_nothing(
    stage: Stage, kernel: Kernel, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    monkeypatch.setattr(arming, "PLUG_RETRY_S", 0.01)
    await read(stage)
    kernel.comes = False
    if gone == "moved":
        emulator.model.attach(SPECS[0].eni_id, SECOND.instance_id, emulator.service.now_ms())
    else:
        emulator.faults.add(parse({"kind": "error", "code": "InternalError"}))
    stage.performer.perform(fx.Arm(GROUP, ENIS[0]))
    await until(lambda: kernel.tried > 2)
    assert not any(isinstance(event, ev.GuestArmed) for event in stage.posted)
    kernel.comes = True
    assert (await stage.event(ev.GuestArmed)).error == ""


async def test_what_an_earlier_run_left_is_taken_off_once_the_cloud_says_whose_it_is(
    stage: Stage, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "DISARM_RETRY_S", 0.01)
    await barrier(stage, fx.StopAnswering(GROUP, ENIS[0]))  # a peer has said so before the first reading
    assert kernel.unplugged == []
    await read(stage)
    await stage.settle()
    assert kernel.unplugged == [MACS[0]]
    await barrier(stage, fx.StopAnswering(GROUP, ENIS[1]))
    assert kernel.unplugged == list(MACS)


async def test_but_not_where_it_is_wanted_again(
    stage: Stage, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "DISARM_RETRY_S", 0.01)
    await barrier(stage, fx.StopAnswering(GROUP, ENIS[0]))
    stage.performer.perform(fx.Arm(GROUP, ENIS[0]))
    await read(stage)
    assert kernel.unplugged == []


async def test_what_was_asked_for_anew_or_let_go_has_not_failed(
    stage: Stage, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "PLUG_RETRY_S", 0.01)
    await read(stage)
    kernel.waits.clear()
    stage.performer.perform(fx.Arm(GROUP, ENIS[0]))
    await until(lambda: kernel.tried == 1)
    stage.performer.perform(fx.Arm(GROUP, ENIS[0]))
    await until(lambda: kernel.tried == 2)
    kernel.waits.set()
    assert (await stage.event(ev.GuestArmed)).error == ""
    kernel.comes = False
    kernel.waits.clear()
    stage.performer.perform(fx.Arm(GROUP, ENIS[1]))
    await until(lambda: kernel.tried == 3)
    await barrier(stage, fx.StopAnswering(GROUP, ENIS[1]))
    kernel.waits.set()
    await stage.settle()
    assert [event.error for event in stage.posted if isinstance(event, ev.GuestArmed)] == ["", ""]


@pytest.mark.parametrize("complaints", [[], ["leftovers_not_released"]])
async def test_enis_of_an_earlier_file_are_taken_off_once(
    stage: Stage, kernel: Kernel, complaints: list[str]
) -> None:
    kernel.refuses = bool(complaints)
    with capture_logs() as logs:
        await read(stage)
        await read(stage)
    assert kernel.swept == [(*MACS, mac_of(FIRST.eni_id).lower())]  # the node's own is nobody's leftover
    assert [line["event"] for line in logs] == complaints
