"""`hafailover doctor` as it is run: beside real daemons, and with a file that is wrong."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from hafailover import cli
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import PAIR, build
from tests.unit.daemon.daemons import Daemon, make, run
from tests.unit.daemon.stage import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    Pair = tuple[Emulator, list[Daemon]]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two real daemons in an emulated cloud; the metadata service takes everybody for the second node."""
    emulator = Emulator(build(), Options(latency_ms=0, task_ms=0, sources={"127.0.0.1": PAIR[1].instance_id}))
    await emulator.start()
    api, metadata = (f"http://127.0.0.1:{port}" for port in (emulator.api_port, emulator.metadata_port))
    daemons = make(tmp_path, api=api, metadata=metadata)
    try:
        for daemon in daemons:
            await daemon.start()
        await daemons[0].until("MASTER", master="web-a")
        await daemons[1].until("BACKUP", master="web-a", eligible=True)
        yield emulator, daemons
    finally:
        for daemon in daemons:
            await daemon.end()
        await emulator.close()


async def examine(daemon: Daemon) -> tuple[int, dict[str, Any]]:
    ended = await run("doctor", "-c", str(daemon.config), "--node", daemon.name, "--json")
    assert ended.err == ""
    said: dict[str, Any] = json.loads(ended.out)
    return ended.code, said


def names(said: dict[str, Any]) -> set[str]:
    return {finding["name"] for finding in said["findings"]}


async def test_beside_a_daemon_it_says_what_that_hears(pair: Pair) -> None:
    emulator, (_, standby) = pair
    before = emulator.model.network
    code, said = await examine(standby)
    # The file of this pair has no check, which is what `hafailover check` warns of.
    assert (code, names(said), said["ok"], said["node"]) == (0, {"check"}, True, "web-b")
    assert "heard, and hearing this node: web-a" in said["proven"]
    assert emulator.model.network == before
    text = await run("doctor", "-c", str(standby.config), "--node", "web-b")
    assert text.code == 0
    assert text.out.startswith('web-b of cluster "pair": 1 warning\n')


async def test_a_failure_is_an_exit_code(pair: Pair) -> None:
    emulator, (_, standby) = pair
    for number in range(9):
        emulator.model.move(f"10.0.1.{200 + number}", PAIR[1].eni_id, emulator.service.now_ms())
    code, said = await examine(standby)
    assert (code, said["ok"]) == (1, False)
    assert names(said) == {"check", "quota-addresses"}


async def test_the_daemon_says_it_too_in_status_metrics_and_log(pair: Pair) -> None:
    emulator, (first, standby) = pair
    for number in range(9):
        emulator.model.move(f"10.0.1.{200 + number}", PAIR[1].eni_id, emulator.service.now_ms())
    await standby.end()
    await standby.start()
    await standby.until("BACKUP", master="web-a", eligible=True)
    status = await readiness_of(standby)
    assert [each["name"] for each in status["findings"]] == ["quota-addresses"]
    assert {name for name, ok in status["checks"].items() if not ok} == {"quota-addresses"}
    _, text = await standby.get("/metrics")
    assert 'hafailover_readiness{check="quota-addresses",cluster="pair",node="web-b"} 0.0' in text
    assert 'hafailover_readiness{check="eni-gone",cluster="pair",node="web-b"} 1.0' in text
    assert [event["finding"] for event in standby.events("not_ready")] == ["quota-addresses"]
    shown = await run("status", "--socket", str(standby.socket))
    assert "ready  no: quota-addresses: web-b: " in shown.out
    assert set((await readiness_of(first))["checks"].values()) == {True}


async def readiness_of(daemon: Daemon) -> dict[str, Any]:
    """Return what a daemon says of its readiness, once it has looked."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said: dict[str, Any] = (await daemon.ask("status"))["readiness"]
            if said["age_s"] is not None:
                return said
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_file_that_is_wrong_is_the_commands_end(
    tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[cluster]\n")
    assert cli.main(["doctor", "-c", str(path), *words]) == 2
    out, err = capsys.readouterr()
    if words:
        said = json.loads(out)
        assert (said["ok"], err) == (False, "")
        assert {"file", "key", "message"} == set(said["problems"][0])
    else:
        assert out == ""
        assert "cluster.name" in err


async def test_a_node_that_there_is_not(pair: Pair) -> None:
    _, (first, _) = pair
    ended = await run("doctor", "-c", str(first.config), "--node", "web-z")
    assert (ended.code, ended.out) == (2, "")
    assert "web-z" in ended.err
