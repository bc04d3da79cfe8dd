"""A real pair and a witness, which asks the cloud nothing and without whose word nobody takes over."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.world import PAIR, VIP
from tests.unit.daemon.daemons import Daemon, add_witness, make
from tests.unit.daemon.stage import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hafailover.emulator.server import Emulator

FIRST, SECOND = PAIR


@pytest.fixture
async def trio(emulator: Emulator, tmp_path: Path) -> AsyncIterator[list[Daemon]]:
    pair = make(tmp_path, api=f"http://127.0.0.1:{emulator.api_port}")
    witness = add_witness(pair, {'guards = ["cloud"]': 'guards = ["quorum"]'})
    made = [*pair, witness]
    try:
        for daemon in made:
            await daemon.start()
        yield made
    finally:
        for daemon in made:
            if daemon.process is not None and daemon.process.returncode is None:
                daemon.signal(signal.SIGCONT)
            await daemon.end()


async def test_a_witness_is_heard_and_asks_the_cloud_nothing(emulator: Emulator, trio: list[Daemon]) -> None:
    first, second, witness = trio
    await first.until("MASTER", master="web-a")
    await second.until("BACKUP", master="web-a")
    await until(lambda: witness.events("started"))
    status = await witness.ask("status")
    assert {peer["node"] for peer in status["peers"]} == {"web-a", "web-b"}
    for peer in status["peers"]:
        assert peer["config_match"] is not False
    first.signal(signal.SIGSTOP)
    await second.until("MASTER", master="web-b")
    assert emulator.model.network.holder_of(VIP) == SECOND.eni_id
    group = await witness.group()
    assert group["state"] != "MASTER"
    # it has no keys: whatever it had asked would have been told as a failure
    assert not witness.events("api")
    assert not witness.events("read_failed")
    assert not witness.events("metadata_unavailable")
    assert (await witness.get("/healthz"))[0] == 200
    witness.signal(signal.SIGTERM)
    assert await witness.ended() == 0


async def test_without_its_word_nobody_takes_over(emulator: Emulator, trio: list[Daemon]) -> None:
    first, second, witness = trio
    await second.until("BACKUP", master="web-a")
    witness.signal(signal.SIGKILL)
    await witness.ended()
    first.signal(signal.SIGSTOP)
    await until(lambda: second.events("no_claim"))
    assert emulator.model.network.holder_of(VIP) == FIRST.eni_id
    await witness.start()
    await second.until("MASTER", master="web-b")
    assert emulator.model.network.holder_of(VIP) == SECOND.eni_id
