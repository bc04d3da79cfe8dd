"""ENIs on the guest: waited for before they come, set up when they do, taken off when they are let go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hafailover.config import model
from hafailover.daemon import arming
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import GuardVerdict, Resource, ResourceKind
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import EniSpec, build, mac_of
from hafailover.errors import GuestError
from hafailover.guest.interface import Interface
from hafailover.guest.network import NullGuest
from tests.unit.daemon.stage import FIRST, GROUP, SECOND, Stage, config, open_cloud, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ENI = Resource(ResourceKind.ENI, "eni-cccccccc")
MAC = mac_of(ENI.id).lower()
ADDRESSES = ("10.0.1.60", "10.0.1.61")
BY_ENI = model.Group("vip", enis=(ENI.id,), vip_port=80)
ARM, DISARM = fx.Arm(GROUP, ENI), fx.StopAnswering(GROUP, ENI)


class Kernel(NullGuest):
    """A guest to which the ENI's interface comes when the test says so."""

    def __init__(self) -> None:
        self.come = asyncio.Event()
        self.plugs: list[Interface] = []
        self.unplugged: list[str] = []
        self.refusal = ""

    async def plug(self, interface: Interface, *, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await self.come.wait()
        except TimeoutError:
            raise GuestError("it has not come") from None
        if self.refusal:
            raise GuestError(self.refusal)
        self.plugs.append(interface)

    async def unplug(self, mac: str) -> None:
        if self.refusal:
            raise GuestError(self.refusal)
        self.unplugged.append(mac)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arming, "PLUG_DEADLINE_S", 0.05)
    monkeypatch.setattr(arming, "PLUG_RETRY_S", 0.005)
    monkeypatch.setattr(arming, "DISARM_RETRY_S", 0.005)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    world = build(enis=(EniSpec(ENI.id, ADDRESSES, SECOND.instance_id),))
    made = Emulator(world, Options(latency_ms=0, task_ms=0))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
async def stage(emulator: Emulator, kernel: Kernel, tmp_path: Path) -> AsyncIterator[Stage]:
    cloud = open_cloud(emulator)
    made = Stage(config(tmp_path, BY_ENI), cloud, kernel)
    made.performer.perform(fx.ReadHolders())
    await made.settle()
    made.posted.clear()
    yield made
    await made.close()
    await cloud.close()


def attach(emulator: Emulator, instance_id: str | None) -> None:
    emulator.model.attach(ENI.id, instance_id, emulator.service.now_ms())


async def test_an_eni_is_set_up_the_moment_that_it_comes(stage: Stage, kernel: Kernel) -> None:
    stage.performer.perform(ARM)
    await asyncio.sleep(0.12)  # longer than one wait: while the cloud names another, there is no end to it
    assert stage.posted == []
    kernel.come.set()
    assert await stage.event(ev.GuestArmed) == ev.GuestArmed(GROUP, ENI, "")
    assert kernel.plugs == [Interface(MAC, ADDRESSES, 24, "10.0.1.1")]


async def test_one_that_the_cloud_says_is_here_and_is_not_has_failed(
    stage: Stage, emulator: Emulator, kernel: Kernel
) -> None:
    attach(emulator, FIRST.instance_id)
    stage.performer.perform(fx.ReadHolders())
    await stage.settle()
    stage.posted.clear()
    stage.performer.perform(ARM)
    assert await stage.event(ev.GuestArmed) == ev.GuestArmed(GROUP, ENI, "it has not come")
    assert kernel.plugs == []
    assert 'group="vip",node="web-a",operation="arm"} 1.0' in stage.metrics()


async def test_one_that_comes_here_during_a_wait_is_given_a_whole_one(
    stage: Stage, emulator: Emulator, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "PLUG_DEADLINE_S", 0.5)
    stage.performer.perform(ARM)
    await asyncio.sleep(0.2)
    attach(emulator, FIRST.instance_id)
    stage.performer.perform(fx.ReadHolders())
    await until(lambda: any(isinstance(event, ev.HoldersRead) for event in stage.posted))
    await asyncio.sleep(0.4)  # the wait that had begun before has ended by now
    kernel.come.set()
    assert await stage.event(ev.GuestArmed) == ev.GuestArmed(GROUP, ENI, "")


async def test_one_that_is_let_go_is_waited_for_no_longer(stage: Stage, kernel: Kernel) -> None:
    stage.performer.perform(ARM)
    await asyncio.sleep(0.01)
    barrier = stage.performer.perform(DISARM)
    assert barrier is not None
    await barrier
    assert kernel.unplugged == [MAC]
    assert await stage.event(ev.GuestArmed) == ev.GuestArmed(GROUP, ENI, "")
    assert kernel.plugs == []


async def test_one_that_does_not_let_go_is_asked_again(stage: Stage, kernel: Kernel) -> None:
    kernel.refusal = "not now"
    barrier = stage.performer.perform(DISARM)
    assert barrier is not None
    await barrier
    kernel.refusal = ""
    await until(lambda: kernel.unplugged == [MAC])


async def test_of_an_eni_that_the_cloud_does_not_know_nothing_can_be_on_the_guest(
    stage: Stage, kernel: Kernel
) -> None:
    barrier = stage.performer.perform(fx.StopAnswering(GROUP, Resource(ResourceKind.ENI, "eni-zzzzzzzz")))
    assert barrier is not None
    await barrier
    assert kernel.unplugged == []


async def test_the_guard_asks_the_addresses_of_the_eni(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    async def ask(addresses: tuple[str, ...], port: int, timeout_s: float) -> object:
        asked.append(addresses)
        assert (port, timeout_s > 0) == (80, True)
        return GuardVerdict.DENY

    monkeypatch.setattr("hafailover.daemon.guards.ask_vip", ask)
    stage.performer.perform(fx.AskGuard(GROUP, "vip", round_id=1))
    assert (await stage.event(ev.GuardAnswered)).verdict is GuardVerdict.DENY
    assert asked == [ADDRESSES]
