"""What the daemon looks at every five minutes: an emulated cloud, a real core, a guest without a kernel."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hafailover.config import model
from hafailover.daemon import readiness, translate
from hafailover.daemon.readiness import Lookout
from hafailover.election.values import NodeName, State
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.world import VIP
from hafailover.errors import GuestError
from hafailover.guest.network import NullGuest
from tests.unit.daemon.stage import FIRST, SECOND, until
from tests.unit.election.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.emulator.server import Emulator
    from hafailover.guest.network import Link
    from tests.unit.daemon.conftest import MakeStage
    from tests.unit.daemon.stage import Stage

ON_GUEST = model.Group("vip", addresses=(VIP,))
ENIS = {"web-a": FIRST.eni_id, "web-b": SECOND.eni_id}


class Saying(NullGuest):
    """A guest without a kernel, which carries these addresses or fails at one of the questions."""

    def __init__(self, *present: str, fails: str = "") -> None:
        self.addresses = frozenset(present)
        self.fails = fails

    async def present(self, addresses: Iterable[str]) -> frozenset[str]:
        if self.fails == "present":
            raise GuestError("the kernel does not answer")
        return frozenset(addresses) & self.addresses

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        if self.fails == "find_link":
            raise GuestError("there is no such interface")
        return await super().find_link(mac=mac, name=name)


def lookout(stage: Stage, config: model.Config, *, state: State = State.BACKUP) -> Lookout:
    """Return a lookout of the first node, whose core has come into this state."""
    bench = Bench(NodeName("web-a"), members=translate.members(config, ENIS, {}))
    if state is State.BACKUP:
        bench.read(SECOND.eni_id)
        bench.hear(NodeName("web-b"), State.MASTER, 1)
    assert bench.state() is state
    return Lookout(config, stage.parts, bench.node)


async def looked(stage: Stage, config: model.Config, **options: Any) -> dict[str, Any]:
    """Read the cloud, look once, and return what the status would say."""
    await stage.parts.directory.read(stage.parts.cloud, stage.resources)
    made = lookout(stage, config, **options)
    await made.look()
    return made.as_json()


def wrong(said: dict[str, Any]) -> list[str]:
    return [name for name, ok in said["checks"].items() if ok is False]


def give(emulator: Emulator, address: str, eni: str) -> None:
    emulator.model.move(address, eni, emulator.service.now_ms())


async def test_a_healthy_node_has_all_in_order_at_one_read(emulator: Emulator, make_stage: MakeStage) -> None:
    stage = make_stage()
    said = await looked(stage, stage.config)
    assert set(said["checks"].values()) == {True}
    assert (said["findings"], said["age_s"] >= 0) == ([], True)
    assert [call.action for call in emulator.service.calls] == [
        "DescribeNetworkInterfaces",
        "DescribeNetworkInterfaceLimit",
    ]


async def test_a_full_eni_is_told_and_logged_once(emulator: Emulator, make_stage: MakeStage) -> None:
    stage = make_stage()
    give(emulator, VIP, SECOND.eni_id)
    for number in range(9):
        give(emulator, f"10.0.1.{200 + number}", FIRST.eni_id)
    await stage.parts.directory.read(stage.parts.cloud, stage.resources)
    made = lookout(stage, stage.config)
    with capture_logs() as logs:
        await made.look()
        await made.look()
    assert wrong(made.as_json()) == ["quota-addresses"]
    assert [(line["event"], line["finding"]) for line in logs] == [("not_ready", "quota-addresses")]


async def test_a_quota_that_is_not_told_is_not_known(emulator: Emulator, make_stage: MakeStage) -> None:
    stage = make_stage()
    emulator.faults.add(Fault(Kind.DENIED, action="DescribeNetworkInterfaceLimit"))
    said = await looked(stage, stage.config)
    assert said["checks"]["quota-addresses"] is None
    assert wrong(said) == []


@pytest.mark.parametrize(
    ("guest", "state", "names"),
    [
        (Saying(), State.BACKUP, []),
        (Saying(VIP), State.BACKUP, ["guest-leftover"]),
        (Saying(VIP), State.INIT, []),
        (Saying(fails="find_link"), State.BACKUP, ["guest-interface"]),
        (Saying(fails="present"), State.BACKUP, []),
    ],
)
async def test_what_is_seen_of_the_guest(
    emulator: Emulator,
    make_stage: MakeStage,
    monkeypatch: pytest.MonkeyPatch,
    guest: Saying,
    state: State,
    names: list[str],
) -> None:
    monkeypatch.setattr(readiness, "require_capability", lambda: None)  # whoever runs this
    give(emulator, VIP, SECOND.eni_id)
    stage = make_stage(ON_GUEST, guest=guest)
    said = await looked(stage, stage.config, state=state)
    assert wrong(said) == names
    assert (said["checks"]["guest-interface"] is None) is (guest.fails == "present")


async def test_a_daemon_without_the_right_is_told(make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks() -> None:
        raise GuestError("CAP_NET_ADMIN is missing")

    monkeypatch.setattr(readiness, "require_capability", lacks)
    stage = make_stage(ON_GUEST, guest=Saying())
    assert wrong(await looked(stage, stage.config)) == ["guest-capability"]


async def test_it_waits_for_the_first_read_and_then_looks_again_and_again(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FIRST_S", 0.005)
    monkeypatch.setattr(readiness, "EVERY_S", 0.005)
    stage = make_stage()
    made = lookout(stage, stage.config)
    assert made.as_json() == {"age_s": None, "checks": {}, "findings": []}
    task = asyncio.create_task(made.run())
    try:
        await asyncio.sleep(0.03)
        assert made.as_json()["age_s"] is None
        await stage.parts.directory.read(stage.parts.cloud, stage.resources)
        await until(lambda: made.as_json()["checks"])
        made.config = replace(made.config, groups=(ON_GUEST,))
        await until(lambda: "guest-interface" in made.as_json()["checks"])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_witness_has_nothing_to_look_at(emulator: Emulator, make_stage: MakeStage) -> None:
    stage = make_stage()
    stage.parts = replace(stage.parts, me=replace(stage.parts.me, role="witness"))
    made = lookout(stage, stage.config)
    await asyncio.wait_for(made.run(), 5)
    assert made.as_json()["age_s"] is None
    assert not emulator.service.calls
