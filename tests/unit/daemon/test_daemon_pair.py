"""Two real daemons and a cloud that this process plays."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.daemon import statefile
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.world import PAIR, VIP
from tests.unit.daemon.daemons import PROGRAM, Daemon, make, run
from tests.unit.daemon.stage import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from hafailover.emulator.server import Emulator

    MakePair = Callable[..., Awaitable[list[Daemon]]]

FIRST, SECOND = PAIR
READS = {
    "DescribeNetworkInterfaces",
    "DescribeNetworkInterfaceLimit",
    "DescribeInstancesStatus",
    "DescribeVpcTaskResult",
}


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
    await until(lambda: first.events("reload"))
    assert first.events("reload")[0]["changed"] == []
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


def change(daemon: Daemon, old: str, new: str) -> None:
    text = daemon.config.read_text()
    assert old in text
    daemon.config.write_text(text.replace(old, new))


def descriptors(daemon: Daemon) -> int:
    assert daemon.process is not None
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


CHECKED = """\
guest = "none"
[[group.check]]
name = "{name}"
type = "tcp"
address = "127.0.0.1:{port}"
"""


async def test_a_mastership_survives_a_hundred_reloads_that_leak_nothing(
    emulator: Emulator, make_pair: MakePair
) -> None:
    first, second = await make_pair()
    change(first, 'guards = ["cloud"]', "guards = []")
    change(first, 'guest = "none"', CHECKED.format(name="web0", port=emulator.api_port))
    reply = await first.ask("reload")
    assert reply.get("changed", reply) == ['group "vip".guards', 'group "vip".check "web0" added']
    async with asyncio.timeout(PATIENCE_S):
        while (await second.ask("status"))["peers"][0]["config_match"]:  # noqa: ASYNC110 - it comes by heartbeat
            await asyncio.sleep(0.02)
    before = descriptors(first)
    for number in range(100):
        change(first, f'"web{number}"', f'"web{number + 1}"')
        assert (await first.ask("reload"))["ok"] is True
    await first.until("MASTER")
    assert (await first.group())["checks"][0]["name"] == "web100"
    assert descriptors(first) <= before + 2, "at most a probe and an API connection that happen to be open"
    assert [line["new"] for line in first.events("role")] == ["MASTER"]
    assert writes(emulator) == []


async def test_a_file_that_cannot_be_taken_in_changes_nothing(emulator: Emulator, make_pair: MakePair) -> None:
    first, _second = await make_pair()
    good = first.config.read_text()
    digest = (await first.ask("status"))["config_digest"]
    change(first, 'guards = ["cloud"]', 'guards = ["clod"]\nhold_down = "soon"')
    words = ("reload", "--socket", str(first.socket))
    bad = await run(*words)
    assert (bad.code, bad.out, len(bad.err.splitlines())) == (1, "", 2)
    first.config.write_text(good)
    change(first, 'name = "pair"', 'name = "other"')
    restart = await run(*words)
    assert restart.err == "hafailover: nothing has changed, for this needs a restart: cluster.name\n"
    assert (await first.ask("status"))["config_digest"] == digest
    first.config.write_text(good)
    change(first, "priority = 99", "priority = 120")
    done = await run(*words)
    assert (done.code, done.out) == (0, 'in force:\n    node "web-b".priority\n')
    assert (await first.ask("status"))["config_digest"] != digest
    assert (await first.group())["state"] == "MASTER"
    assert writes(emulator) == []


SECOND_GROUP = """\
[[group]]
name = "db"
addresses = ["10.0.1.150"]
guards = []
guest = "none"
[metrics]
"""


async def test_a_group_comes_and_goes_but_not_in_the_middle_of_a_claim(
    emulator: Emulator, make_pair: MakePair
) -> None:
    first, second = await make_pair()
    plain = first.config.read_text()
    change(first, "[metrics]\n", SECOND_GROUP)
    emulator.faults.add(Fault(Kind.THROTTLE, action="AssignPrivateIpAddresses", count=1_000))
    assert (await first.ask("reload"))["changed"] == ['group "db" added']
    await until(lambda: any(line["group"] == "db" and line["new"] == "CLAIMING" for line in first.events("role")))
    with_both = first.config.read_text()
    first.config.write_text(plain)
    refused = await run("reload", "--socket", str(first.socket))
    assert (refused.code, refused.out) == (1, "")
    assert 'group "db" cannot go now: a claim or hand-over of it is under way' in refused.err
    emulator.faults.remove()
    await until(lambda: emulator.model.network.holder_of("10.0.1.150") == FIRST.eni_id)
    await until(lambda: any(line["group"] == "db" and line["new"] == "MASTER" for line in first.events("role")))
    done = await run("reload", "--socket", str(first.socket))
    fate = "db: 10.0.1.150 stays on this node, in the cloud; nobody looks after it any more"
    assert (done.code, done.out) == (0, f'in force:\n    group "db" removed\n{fate}\n')
    await until(lambda: first.events("group_dismissed"))
    assert [group["name"] for group in (await first.ask("status"))["groups"]] == ["vip"]
    assert statefile.load(first.folder / first.name)[0].groups[0].term == 1
    first.config.write_text(with_both)
    assert (await first.ask("reload"))["changed"] == ['group "db" added']
    async with asyncio.timeout(PATIENCE_S):
        while (await first.ask("status"))["groups"][1]["state"] != "MASTER":  # noqa: ASYNC110 - by a reading
            await asyncio.sleep(0.02)
    assert [line["new"] for line in first.events("role") if line["group"] == "vip"] == ["MASTER"]
    assert len([line for line in emulator.service.calls if line.action == "AssignPrivateIpAddresses"]) > 0
    assert (await second.group())["state"] == "BACKUP"


async def test_a_node_comes_and_goes_but_not_one_that_is_there_or_is_nowhere(
    emulator: Emulator, make_pair: MakePair
) -> None:
    first, second = await make_pair()
    plain = first.config.read_text()
    third = '[[node]]\nname = "web-c"\naddress = "127.0.0.1:{port}"\n{eni}[[group]]'
    words = ("reload", "--socket", str(first.socket))
    change(first, "[[group]]", third.format(port=1, eni=""))
    nowhere = await run(*words)
    assert (nowhere.code, nowhere.out) == (1, "")
    assert "node web-c: the cloud names no ENI for it" in nowhere.err
    emulator.faults.add(Fault(Kind.OUTAGE, count=1_000))
    unanswered = await run(*words)
    assert "the cloud did not say within 5 s where the new nodes are" in unanswered.err
    emulator.faults.remove()
    first.config.write_text(plain)
    change(first, "[[group]]", third.format(port=1, eni='eni = "eni-cccccccc"\n'))
    assert (await first.ask("reload"))["changed"] == ['node "web-c" added']
    assert [peer["node"] for peer in (await first.ask("status"))["peers"]] == ["web-b", "web-c"]
    first.config.write_text(plain)
    assert (await first.ask("reload"))["changed"] == ['node "web-c" removed']
    text = plain[: plain.index('[[node]]\nname = "web-b"')] + plain[plain.index("[[group]]") :]
    first.config.write_text(text)
    refused = await run(*words)
    assert 'node "web-b" cannot go now: its daemon is still heard' in refused.err
    second.signal(signal.SIGTERM)
    assert await second.ended() == 0
    assert (await first.ask("reload"))["changed"] == ['node "web-b" removed']
    assert (await first.ask("status"))["peers"] == []
    assert [line["new"] for line in first.events("role")] == ["MASTER"]
    assert writes(emulator) == []
