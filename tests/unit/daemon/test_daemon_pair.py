"""Two real daemons and a cloud that this process plays."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from hafailover.daemon import statefile
from hafailover.emulator.world import PAIR, VIP
from tests.unit.daemon.daemons import PROGRAM, Daemon, make, run
from tests.unit.daemon.stage import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from hafailover.emulator.server import Emulator

    MakePair = Callable[..., Awaitable[list[Daemon]]]

FIRST, SECOND = PAIR
READS = {"DescribeNetworkInterfaces", "DescribeInstancesStatus", "DescribeVpcTaskResult"}


@pytest.fixture
async def make_pair(emulator: Emulator, tmp_path: Path) -> AsyncIterator[MakePair]:
    made: list[Daemon] = []

    async def make_pair(*, enis: bool = True) -> list[Daemon]:
        made.extend(make(tmp_path, api=f"http://127.0.0.1:{emulator.api_port}", enis=enis))
        for daemon in made:
            await daemon.start()
        await made[0].until("MASTER", master="web-a")
        await made[1].until("BACKUP", master="web-a", eligible=True)
        return made

    try:
        yield make_pair
    finally:
        for daemon in made:
            await daemon.end()


def writes(emulator: Emulator) -> list[str]:
    return [call.action for call in emulator.service.calls if call.action not in READS]


async def shows_itself(first: Daemon, second: Daemon) -> None:
    for daemon, role in ((first, "master"), (second, "backup")):
        assert (await daemon.get("/healthz"))[0] == 200
        assert await daemon.get("/readyz") == (200, '{"ready": true, "missing": {}}\n')
        answers = {page: (await daemon.get(f"/{page}/vip"))[0] for page in ("master", "backup")}
        assert answers == {"master": 503, "backup": 503, role: 200}
        assert len(daemon.events("started")) == 1
    code, text = await first.get("/metrics")
    assert code == 200
    assert 'hafailover_group_is_master{cluster="pair",group="vip",node="web-a"} 1.0' in text
    assert 'hafailover_peer_alive{cluster="pair",node="web-a",peer="web-b"} 1.0' in text
    status = await first.ask("status")
    assert (status["ok"], status["node"], status["drained"]) == (True, "web-a", False)
    (peer,) = status["peers"]
    assert (peer["alive"], peer["hears_us"], peer["config_match"], peer["paths"]["udp"]["up"]) == (True,) * 4
    (address,) = status["groups"][0]["addresses"]
    assert (address["address"], address["holder"], address["eni"]) == (VIP, "web-a", FIRST.eni_id)


async def test_a_pair_shows_itself_hands_over_and_stays_drained(emulator: Emulator, make_pair: MakePair) -> None:
    first, second = await make_pair()
    await shows_itself(first, second)
    assert writes(emulator) == []
    words = ("failover", "vip", "--to", "web-b", "--wait", "--json", "--socket", str(first.socket))
    ended = await run(*words)
    assert (ended.code, ended.err) == (0, "")
    assert {"ok": True, "group": "vip", "master": "web-b"}.items() <= json.loads(ended.out).items()
    assert emulator.model.network.holder_of(VIP) == SECOND.eni_id
    assert writes(emulator) == ["MigratePrivateIpAddress"]
    await first.until("BACKUP", master="web-b")
    refused = await first.ask("failover", group="vip", to="web-b")
    assert (refused["ok"], refused["reason"]) == (False, "already_master")
    (record,) = (await second.ask("history"))["failovers"]
    assert (record["from"], record["to"], record["reason"], record["moves"]) == ("web-a", "web-b", "handed_over", 1)
    assert statefile.load(second.folder / "web-b")[0].groups[0].term == record["term"]
    await stays_drained(second, first)
    assert emulator.model.network.holder_of(VIP) == FIRST.eni_id


async def stays_drained(daemon: Daemon, other: Daemon) -> None:
    assert (await daemon.ask("drain"))["ok"] is True
    await daemon.until("BACKUP", master=other.name)
    assert (await daemon.ask("pause", for_s=3600))["groups"][0]["paused_by"] == [daemon.name]
    history = (await daemon.ask("history"))["failovers"]
    daemon.signal(signal.SIGTERM)
    assert await daemon.ended() == 0
    await daemon.start()
    seen = await daemon.until("BACKUP", master=other.name, eligible=False, paused_by=[daemon.name])
    assert 3000 < seen["pause_left_s"] <= 3600
    assert (await daemon.ask("history"))["failovers"] == history
    assert (await other.until("MASTER", paused_by=[daemon.name]))["pause_left_s"] <= 3600
    assert (await daemon.ask("resume"))["groups"][0]["paused_by"] == []
    await other.until("MASTER", paused_by=[])
    refused = await other.ask("failover", group="vip")
    assert (refused["ok"], refused["reason"]) == (False, "no_candidate")
    assert (await daemon.ask("undrain"))["ok"] is True
    await daemon.until("BACKUP", eligible=True)


async def test_a_crash_and_a_reload_change_nothing_and_a_stop_hands_over(
    emulator: Emulator, make_pair: MakePair
) -> None:
    first, second = await make_pair(enis=False)  # the cloud tells them
    first.signal(signal.SIGKILL)
    assert await first.ended() == -signal.SIGKILL
    assert first.socket.exists()  # a crash leaves it, and the next start takes it over
    await first.start()
    await first.until("MASTER", why_label="held_at_start")
    assert (await second.group())["state"] == "BACKUP"
    first.signal(signal.SIGHUP)
    await until(lambda: first.events("reload_not_supported"))
    twin = await run(*first.command[len(PROGRAM) :])
    assert (twin.code, twin.out, len(twin.err.splitlines())) == (1, "", 1)
    assert f"{first.socket}" in json.loads(twin.err)["error"]
    assert (await first.group())["state"] == "MASTER"
    assert writes(emulator) == []
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    assert emulator.model.network.holder_of(VIP) == SECOND.eni_id
    await second.until("MASTER")
    assert [line["new"] for line in first.events("role")][-2:] == ["RELEASING", "BACKUP"]
    assert not first.socket.exists()
    second.signal(signal.SIGTERM)  # there is nobody left to hand over to
    assert await second.ended() == 0
    assert len(writes(emulator)) == 1
