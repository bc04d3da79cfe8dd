"""Addresses on nodes' own ENIs that are secondary ones, with the cloud's emulator beside the daemon's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hafailover.config import model
from hafailover.daemon import arming
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.emulator.faults import parse
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import VIP, EniSpec, build, mac_of
from hafailover.guest.interface import Interface
from hafailover.guest.network import Link, NullGuest
from tests.unit.daemon.stage import ADDRESS, FIRST, GROUP, NONE, SECOND, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.daemon.conftest import MakeStage
    from tests.unit.daemon.stage import Stage

SPECS = (
    EniSpec("eni-cccccc01", ("10.0.2.17",), FIRST.instance_id, cidr="10.0.2.0/24"),
    EniSpec("eni-cccccc02", ("10.0.2.16",), SECOND.instance_id, cidr="10.0.2.0/24"),
)
OWN = (SPECS[0].eni_id, SPECS[1].eni_id)
MAC = mac_of(OWN[0]).lower()
NETLINK = model.Group("vip", addresses=(VIP,))
MOVING = model.Group("vip", addresses=(VIP,), enis=("eni-cccccc03",))
ARM = fx.Arm(GROUP, ADDRESS)


class Kernel(NullGuest):
    """A guest that keeps what it was told of each address."""

    def __init__(self) -> None:
        self.armed: list[tuple[str, Interface | None]] = []
        self.index = 7

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        return Link(self.index, name or "eth1", mac or "")

    async def arm(self, address: str, link: Link, eni: Interface | None = None) -> None:
        assert link.name == "eth1"
        self.armed.append((address, eni))


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    enis = (*SPECS, EniSpec("eni-cccccc03", ("10.0.2.50",), FIRST.instance_id, cidr="10.0.2.0/24"))
    made = Emulator(build(addresses=(), enis=enis), Options(latency_ms=0, task_ms=0))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture(autouse=True)
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """Have every card looked at set up by two other programs; return those that were."""
    looked: list[Link] = []

    def two(link: Link) -> tuple[str, ...]:
        looked.append(link)
        return (f"one manages {link.name}", "another does too")

    monkeypatch.setattr(arming, "second_writers", two)
    return looked


async def read(stage: Stage) -> None:
    stage.performer.perform(fx.ReadHolders())
    await stage.settle()


async def armed(stage: Stage) -> str:
    """Arm the address and return the error."""
    stage.posted.clear()
    stage.performer.perform(ARM)
    error: str = (await stage.event(ev.GuestArmed)).error
    return error


async def test_the_guest_is_told_by_which_eni_answers_are_to_leave(make_stage: MakeStage, kernel: Kernel) -> None:
    stage = make_stage(NETLINK, guest=kernel, own=OWN)
    await read(stage)
    assert await armed(stage) == ""
    assert kernel.armed == [(VIP, Interface(MAC, ("10.0.2.17",), 24, "10.0.2.1", own=True))]


async def test_of_a_primary_eni_it_is_told_nothing(
    make_stage: MakeStage, kernel: Kernel, emulator: Emulator, writers: list[Link]
) -> None:
    stage = make_stage(NETLINK, guest=kernel)
    await read(stage)
    assert await armed(stage) == ""
    assert kernel.armed == [(VIP, None)]
    assert "DescribeSubnets" not in {call.action for call in emulator.service.calls}
    assert writers == []


async def test_a_group_that_leaves_the_guest_alone_needs_no_subnet(
    make_stage: MakeStage, kernel: Kernel, emulator: Emulator
) -> None:
    emulator.faults.add(parse({"kind": "error", "code": "InternalError", "action": "DescribeSubnets"}))
    stage = make_stage(NONE, guest=kernel, own=OWN)
    await read(stage)
    assert await armed(stage) == ""
    assert kernel.armed == []


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_cloud_that_does_not_tell_the_subnet_is_asked_again_while_the_address_is_wanted(
    make_stage: MakeStage,
    kernel: Kernel,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    wanted: bool,  # noqa: FBT001 - a parameter
) -> None:
    monkeypatch.setattr(arming, "CLOUD_RETRY_S", 0.01)
    stage = make_stage(NETLINK, guest=kernel, own=OWN)
    emulator.faults.add(parse({"kind": "error", "code": "UnauthorizedOperation", "action": "DescribeSubnets"}))
    with capture_logs() as logs:
        await read(stage)
        stage.posted.clear()
        stage.performer.perform(ARM)
        await until(lambda: "eni_unknown" in [line["event"] for line in logs])
    assert "subnets_unknown" in [line["event"] for line in logs]
    assert (stage.posted, kernel.armed) == ([], [])
    if wanted:
        emulator.faults.remove()
        assert (await stage.event(ev.GuestArmed)).error == ""
        assert kernel.armed == [(VIP, Interface(MAC, ("10.0.2.17",), 24, "10.0.2.1", own=True))]
    else:
        barrier = stage.performer.perform(fx.StopAnswering(GROUP, ADDRESS))
        assert barrier is not None
        await barrier
        await stage.settle()
        assert (stage.posted, kernel.armed) == ([], [])


async def test_second_writers_are_named_once_for_the_own_card_and_those_that_come(
    make_stage: MakeStage, kernel: Kernel, writers: list[Link]
) -> None:
    stage = make_stage(MOVING, guest=kernel, own=OWN)
    with capture_logs() as logs:
        await read(stage)
        await read(stage)
        stage.performer.perform(fx.Arm(GROUP, stage.resources[1]))
        await stage.settle()
    said = [(line["interface"], line["what"]) for line in logs if line["event"] == "second_writer"]
    assert said == [("eth1", "one manages eth1"), ("eth1", "another does too")]
    assert [link.mac for link in writers] == [MAC, mac_of("eni-cccccc03").lower()]


async def test_no_card_of_a_guest_that_is_left_alone_is_looked_at(
    make_stage: MakeStage, kernel: Kernel, writers: list[Link]
) -> None:
    kernel.index = 0
    await read(make_stage(MOVING, guest=kernel, own=OWN))
    assert writers == []
