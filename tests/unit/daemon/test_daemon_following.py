"""Routes and rules of a group: laid when it serves and its addresses are there, lifted before any goes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.config import model, routing
from hafailover.daemon import arming, performer
from hafailover.daemon.following import Following
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import GroupName, Resource, ResourceKind, State
from hafailover.emulator.world import VIP
from hafailover.errors import GuestError
from hafailover.guest.network import Link, NullGuest
from tests.unit.daemon.stage import ADDRESS, GROUP, Stage, until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.unit.daemon.conftest import MakeStage

OTHER = Resource(ResourceKind.ADDRESS, "10.0.1.101")
ROUTE = routing.route(f"10.8.0.0/16 src {VIP}")
ROUTED = model.Group("vip", addresses=(VIP, OTHER.id), routes=(ROUTE,))
PLAIN = model.Group("vip", addresses=(VIP, OTHER.id))
LAY, LIFT, LOOK = "lay vip", "lift vip", "look at vip"


class Kernel(NullGuest):
    """A guest that keeps what it was asked for, in order, and may refuse any of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused: dict[str, str] = {}
        self.obstacle = ""
        self.free = asyncio.Event()
        self.free.set()

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.refused:
            raise GuestError(self.refused[what])

    async def arm(self, address: str, link: Link, eni: object = None) -> None:
        assert (link.name, eni) == ("none", None)
        self._note(f"arm {address}")

    async def disarm(self, address: str) -> None:
        self._note(f"disarm {address}")

    async def lay(self, group: model.Group, link: Link) -> None:
        assert (group.routes, link.name) == ((ROUTE,), "none")
        self._note(LAY)
        await self.free.wait()

    async def lift(self, group: model.Group) -> None:
        assert group.routes == (ROUTE,)
        self._note(LIFT)

    async def lacking(self, group: model.Group, link: Link) -> Mapping[str, str]:
        assert (group.routes, link.name) == ((ROUTE,), "none")
        self._note(LOOK)
        return {str(ROUTE): self.obstacle}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(arming, "DISARM_RETRY_S", 0.005)
    return Kernel()


@pytest.fixture
async def stage(make_stage: MakeStage, kernel: Kernel) -> Stage:
    return make_stage(ROUTED, guest=kernel)


async def perform(stage: Stage, *effects: fx.Effect) -> None:
    """Have all of this done, one after the other, each to its end."""
    for effect in effects:
        barrier = stage.performer.perform(effect)
        if barrier is not None:
            await barrier
        await stage.settle()


def armed(*resources: Resource) -> list[fx.Effect]:
    return [fx.Arm(GROUP, resource) for resource in resources or (ADDRESS, OTHER)]


def role(new: State, old: State = State.CLAIMING) -> fx.RoleChanged:
    return fx.RoleChanged(GROUP, old, new, Reason.CLAIM_DONE, 3)


def dropped(resource: Resource = ADDRESS) -> fx.StopAnswering:
    return fx.StopAnswering(GROUP, resource)


def errors(stage: Stage) -> list[tuple[Resource, str]]:
    found = [event for event in stage.posted if isinstance(event, ev.GuestArmed)]
    return [(event.resource, event.error) for event in found]


async def test_they_are_looked_at_before_the_addresses_and_laid_when_the_group_serves(
    stage: Stage, kernel: Kernel
) -> None:
    await perform(stage, *armed())
    assert LAY not in kernel.asked
    assert kernel.asked.index(LOOK) < kernel.asked.index(f"arm {VIP}")
    assert GROUP not in stage.performer.laid
    await perform(stage, role(State.MASTER))
    assert kernel.asked[-1] == LAY
    assert GROUP in stage.performer.laid
    await perform(stage, role(State.RELEASING, State.MASTER))
    assert kernel.asked.count(LAY) == 1
    assert errors(stage) == [(ADDRESS, ""), (OTHER, "")]


async def test_the_hook_waits_for_them_and_nothing_else_does(
    make_stage: MakeStage, kernel: Kernel, tmp_path: Path
) -> None:
    file = tmp_path / "ran"
    hooks = model.Notify(master=("/usr/bin/touch", str(file)))
    stage = make_stage(replace(ROUTED, notify=hooks), guest=kernel)
    await perform(stage, *armed())
    kernel.free.clear()
    assert stage.performer.perform(role(State.MASTER)) is None
    stage.performer.perform(fx.RunHook(GROUP, "master"))
    await asyncio.sleep(0.2)
    assert (kernel.asked[-1], GROUP in stage.performer.laid, file.exists()) == (LAY, False, False)
    kernel.free.set()
    await until(file.exists)
    assert GROUP in stage.performer.laid


async def test_what_is_let_go_while_they_are_laid_is_lifted(stage: Stage, kernel: Kernel) -> None:
    await perform(stage, dropped(), *armed())
    kernel.free.clear()
    stage.performer.perform(role(State.MASTER))
    await until(lambda: kernel.asked[-1] == LAY)
    kernel.free.set()
    barrier = stage.performer.perform(dropped())
    assert barrier is not None
    await barrier
    await stage.settle()
    assert kernel.asked[-2:] == [LIFT, f"disarm {VIP}"]
    assert GROUP not in stage.performer.laid


async def test_what_is_laid_while_another_lift_ends_is_lifted_in_its_turn(kernel: Kernel) -> None:
    following = Following({"vip": ROUTED})
    link = Link(0, "none")
    for address in ROUTED.addresses:
        following.there(Resource(ResourceKind.ADDRESS, address))
    following.role_changed(role(State.MASTER))
    kernel.free.clear()
    laying = asyncio.ensure_future(following.lay(GROUP, kernel, link))
    await asyncio.sleep(0)
    await following.lift(GROUP, kernel)
    kernel.free.set()
    await laying
    await following.lift(GROUP, kernel)
    assert kernel.asked == [LAY, LIFT, LIFT]
    assert not following.laid


async def test_where_the_addresses_come_last_the_last_one_brings_them(stage: Stage, kernel: Kernel) -> None:
    await perform(stage, role(State.MASTER), *armed(ADDRESS))
    assert LAY not in kernel.asked
    await perform(stage, *armed(OTHER))
    assert kernel.asked[-2:] == [f"arm {OTHER.id}", LAY]


async def test_they_are_lifted_once_and_before_the_addresses(stage: Stage, kernel: Kernel) -> None:
    await perform(stage, dropped(), dropped(OTHER))  # what an earlier run may have left
    assert kernel.asked == [LIFT, f"disarm {VIP}", f"disarm {OTHER.id}"]
    await perform(stage, *armed(), role(State.MASTER))
    kernel.asked.clear()
    await perform(stage, dropped(), dropped(OTHER), role(State.BACKUP, State.MASTER))
    assert kernel.asked == [LIFT, f"disarm {VIP}", f"disarm {OTHER.id}"]
    assert GROUP not in stage.performer.laid


async def test_an_address_that_was_let_go_has_to_come_again(stage: Stage, kernel: Kernel) -> None:
    await perform(stage, *armed(), dropped(), role(State.MASTER))
    assert LAY not in kernel.asked
    await perform(stage, *armed(ADDRESS))
    assert kernel.asked[-1] == LAY


async def test_at_fault_they_stay_and_are_not_laid(stage: Stage, kernel: Kernel) -> None:
    await perform(stage, *armed(), role(State.MASTER), role(State.FAULT, State.MASTER), *armed())
    assert kernel.asked.count(LAY) == 1
    assert LIFT not in kernel.asked


async def test_one_that_was_removed_comes_back_with_the_address_that_stands_for_it(
    stage: Stage, kernel: Kernel
) -> None:
    await perform(stage, *armed(), role(State.MASTER))
    kernel.asked.clear()
    await perform(stage, *armed(ADDRESS))
    assert kernel.asked == [LOOK, f"arm {VIP}", LAY]


async def test_what_is_in_the_way_is_a_fault_of_the_guest_before_anything_is_armed(
    stage: Stage, kernel: Kernel
) -> None:
    kernel.obstacle = "it is taken"
    told = f'cannot set "{ROUTE}": it is taken'
    await perform(stage, *armed(ADDRESS))
    assert errors(stage) == [(ADDRESS, told)]
    assert kernel.asked == [LOOK]
    await perform(stage, fx.ProbeGuest(GROUP))
    kernel.obstacle = ""
    await perform(stage, fx.ProbeGuest(GROUP))
    assert [event.error for event in stage.posted if isinstance(event, ev.GuestProbed)] == [told, ""]


async def test_what_the_kernel_refuses_is_a_fault_of_the_guest(stage: Stage, kernel: Kernel) -> None:
    kernel.refused[LAY] = "no"
    await perform(stage, *armed(), role(State.MASTER))
    assert errors(stage) == [(ADDRESS, ""), (OTHER, ""), (ADDRESS, "no")]
    assert 'group="vip",node="web-a",operation="arm"} 1.0' in stage.metrics()
    assert GROUP not in stage.performer.laid
    await perform(stage, dropped())
    assert kernel.asked[-2:] == [LIFT, f"disarm {VIP}"]  # some of them may be there


async def test_what_does_not_let_go_is_asked_again(stage: Stage, kernel: Kernel) -> None:
    kernel.refused[LIFT] = "not now"
    barrier = stage.performer.perform(dropped())
    assert barrier is not None
    await barrier
    assert kernel.asked == [LIFT]
    kernel.refused.clear()
    await until(lambda: kernel.asked[-2:] == [LIFT, f"disarm {VIP}"])


async def test_a_group_without_any_asks_for_nothing(make_stage: MakeStage, kernel: Kernel) -> None:
    stage = make_stage(PLAIN, guest=kernel)
    await perform(stage, role(State.MASTER), *armed(), dropped())
    assert {each.split()[0] for each in kernel.asked} == {"arm", "disarm"}


async def test_a_group_that_has_gone_leaves_them_and_begins_anew_when_it_comes_again(
    stage: Stage, kernel: Kernel
) -> None:
    await perform(stage, *armed(ADDRESS, OTHER), role(State.MASTER))
    assert stage.performer.laid == {"vip"}
    gone = replace(stage.config, groups=(replace(PLAIN, name="other", addresses=("10.0.1.150",)),))
    stage.performer.configure(gone)
    await perform(stage, fx.GroupDismissed(GROUP, State.MASTER, (ADDRESS, OTHER)), dropped(OTHER))
    assert stage.performer.laid == set()
    stage.performer.configure(replace(stage.config, groups=(*gone.groups, ROUTED)))
    kernel.asked.clear()
    await perform(stage, *armed(ADDRESS, OTHER))
    assert LAY not in kernel.asked, "it does not serve yet"
    await perform(stage, role(State.MASTER, State.INIT))
    assert kernel.asked[-1] == LAY


async def test_what_was_begun_for_a_group_that_has_gone_still_finds_its_table(
    stage: Stage, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performer, "MAX_GONE", 1)
    for name in ("one", "two", "three"):
        stage.performer.configure(replace(stage.config, groups=(ROUTED, replace(PLAIN, name=name))))
        stage.performer.configure(stage.config)
        await perform(stage, fx.GroupDismissed(GroupName(name), State.BACKUP, ()))
    await perform(stage, fx.Arm(GroupName("three"), OTHER))
    assert kernel.asked == [f"arm {OTHER.id}"]
