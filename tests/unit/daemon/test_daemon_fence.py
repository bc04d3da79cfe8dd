"""Two real daemons of a single-writer service: the old master is powered off before the new one takes over."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.world import PAIR, VIP
from tests.unit.daemon.daemons import Daemon, make
from tests.unit.daemon.stage import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hafailover.emulator.server import Emulator

FIRST, SECOND = PAIR
STRICT = 'guards = []\nhandover = "strict"\nfence = "stop-instance"'


@pytest.fixture
async def pair(emulator: Emulator, tmp_path: Path) -> AsyncIterator[list[Daemon]]:
    emulator.model.rules.power_ms = 300
    made = make(tmp_path, api=f"http://127.0.0.1:{emulator.api_port}")
    try:
        for daemon in made:
            daemon.config.write_text(daemon.config.read_text().replace('guards = ["cloud"]', STRICT))
            await daemon.start()
        await made[0].until("MASTER", master="web-a")
        await made[1].until("BACKUP", master="web-a", eligible=True)
        yield made
    finally:
        for daemon in made:
            if daemon.process is not None and daemon.process.returncode is None:
                daemon.signal(signal.SIGCONT)
            await daemon.end()


def changes(emulator: Emulator) -> list[tuple[str, str]]:
    """Return what was done, in order: instances that were off, and where the address went."""
    off = [(each.at_ms, each.instance, "off") for each in emulator.model.power_history if each.after == "STOPPED"]
    moved = [(each.at_ms, each.resource, each.after or "") for each in emulator.model.history]
    return [(what, where) for _, what, where in sorted(off + moved)]


async def test_a_silent_master_is_off_before_its_address_moves(emulator: Emulator, pair: list[Daemon]) -> None:
    first, second = pair
    first.signal(signal.SIGSTOP)
    await second.until("MASTER", master="web-b")
    assert changes(emulator) == [(FIRST.instance_id, "off"), (VIP, SECOND.eni_id)]
    (ended,) = second.events("fence_ended")
    assert (ended["instance"], ended["stopped"]) == (FIRST.instance_id, True)


async def test_while_it_may_not_be_powered_off_nothing_moves(emulator: Emulator, pair: list[Daemon]) -> None:
    first, second = pair
    emulator.faults.add(Fault(Kind.ERROR, action="StopInstances", code="UnauthorizedOperation"))
    first.signal(signal.SIGSTOP)
    await until(lambda: len(second.events("fence_ended")) > 1)
    assert {line["code"] for line in second.events("fence_ended")} == {"UnauthorizedOperation"}
    assert changes(emulator) == []
    emulator.faults.remove()
    await second.until("MASTER", master="web-b")
    assert changes(emulator) == [(FIRST.instance_id, "off"), (VIP, SECOND.eni_id)]


async def test_a_planned_hand_over_powers_nothing_off(emulator: Emulator, pair: list[Daemon]) -> None:
    first, second = pair
    assert (await first.ask("failover", group="vip", to="web-b", wait=True))["ok"] is True
    await second.until("MASTER", master="web-b")
    assert changes(emulator) == [(VIP, SECOND.eni_id)]
    assert "StopInstances" not in [call.action for call in emulator.service.calls]
