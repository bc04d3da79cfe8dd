from __future__ import annotations

import asyncio
import json
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from hafailover.config import model
from hafailover.daemon import arming, historyfile, performer, statefile
from hafailover.daemon.gateway import Gateway
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import (
    Advert,
    FenceResult,
    GroupMemory,
    GroupName,
    GuardVerdict,
    Leaving,
    Memory,
    MoveResult,
    NodeName,
    Outcome,
    Refusal,
    Sighting,
    State,
)
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.network import InstanceState
from hafailover.emulator.world import mac_of
from hafailover.errors import GuestError
from hafailover.guest.network import Link, NullGuest
from hafailover.heartbeat.witness import Finding
from tests.unit.daemon.stage import ADDRESS, FIRST, GROUP, NONE, SECOND, until

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.emulator.server import Emulator
    from hafailover.guest.interface import Interface
    from hafailover.heartbeat.mqtt import MqttPath
    from tests.unit.daemon.conftest import MakeStage
    from tests.unit.daemon.stage import Stage

MEMORY = Memory(drained=True, groups=(GroupMemory(GROUP, 4),))
ADVERT = Advert(NodeName("web-a"), b"12345678", 1_000, Leaving.NO, drained=False, hears=(), groups=())
NETLINK = model.Group("vip", addresses=NONE.addresses)
ARM, DISARM = fx.Arm(GROUP, ADDRESS), fx.StopAnswering(GROUP, ADDRESS)


class Kernel(NullGuest):
    """A guest that keeps what it carries, and refuses what the test says."""

    def __init__(self) -> None:
        self.carried: dict[str, Link] = {}
        self.wanted: list[tuple[str | None, str | None]] = []
        self.refuses: set[str] = set()

    def _judge(self, what: str) -> None:
        if what in self.refuses:
            raise GuestError(f"{what}: refused")

    async def find_link(self, *, mac: str | None = None, name: str | None = None) -> Link:
        self.wanted.append((mac, name))
        self._judge("find_link")
        return Link(7, "eth0", mac or "")

    async def arm(self, address: str, link: Link, eni: Interface | None = None) -> None:
        assert eni is None  # the node's ENI is a primary one
        self._judge("arm")
        self.carried[address] = link

    async def disarm(self, address: str) -> None:
        self._judge("disarm")
        self.carried.pop(address, None)


async def barrier(stage: Stage, effect: fx.Effect) -> None:
    waiting = stage.performer.perform(effect)
    assert waiting is not None
    await waiting


# -- memory ------------------------------------------------------------------------------------------------------


async def test_what_is_persisted_is_on_disk_when_the_barrier_opens(stage: Stage, tmp_path: Path) -> None:
    await barrier(stage, fx.Persist(MEMORY))
    assert statefile.load(tmp_path) == (MEMORY, "")


async def test_a_disk_that_cannot_be_written_is_reported_and_the_claim_goes_on(
    make_stage: MakeStage, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    stage = make_stage(state=model.State(gone))
    with capture_logs() as logs:
        await barrier(stage, fx.Persist(MEMORY))
    (line,) = logs
    assert 'hafailover_state_save_failures_total{cluster="web",node="web-a"} 1.0' in stage.metrics()
    assert (line["event"], line["log_level"], line["directory"]) == ("state_not_saved", "error", str(gone))
    assert "No such file" in line["error"]
    assert stage.performer.unsaved == line["error"]
    gone.mkdir()
    await barrier(stage, fx.Persist(MEMORY))
    assert stage.performer.unsaved == ""


async def test_a_disk_that_hangs_holds_nothing_up_and_ends_with_the_newest(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performer, "PERSIST_DEADLINE_S", 0.05)
    slow, aside = tmp_path / "state.json.new", tmp_path / "aside"
    os.mkfifo(slow)  # opening it for writing waits for a reader
    with capture_logs() as logs:
        await barrier(stage, fx.Persist(Memory()))
        await barrier(stage, fx.Persist(MEMORY))
    assert [(line["event"], line["error"]) for line in logs] == [
        ("state_not_saved", "no answer within 0.05 s"),
        ("state_not_saved", "no answer within 0.05 s"),
    ]
    slow.rename(aside)
    with aside.open("rb") as reader:  # let the thread go on
        assert json.loads(await asyncio.to_thread(reader.read))["drained"] is False
    await until(lambda: statefile.load(tmp_path) == (MEMORY, ""))


# -- cloud -------------------------------------------------------------------------------------------------------


async def test_the_holders_are_read(stage: Stage) -> None:
    assert stage.performer.perform(fx.ReadHolders()) is None
    read = await stage.event(ev.HoldersRead)
    assert read.sightings == (Sighting(ADDRESS, FIRST.eni_id),)
    assert stage.parts.directory.mac(FIRST.eni_id) == mac_of(FIRST.eni_id).lower()


async def test_a_read_that_fails_says_why(stage: Stage, emulator: Emulator) -> None:
    emulator.faults.add(Fault(Kind.ERROR, code="UnauthorizedOperation"))
    with capture_logs() as logs:
        stage.performer.perform(fx.ReadHolders())
        failed = await stage.event(ev.ReadFailed)
    assert failed.code == "UnauthorizedOperation"
    assert [line["event"] for line in logs] == ["read_failed"]


async def test_a_move_is_carried_out_and_a_stale_one_refused(stage: Stage, emulator: Emulator) -> None:
    move = fx.Move(GROUP, 7, ADDRESS, expected=FIRST.eni_id, target=SECOND.eni_id)
    stage.performer.perform(move)
    done = await stage.event(ev.MoveFinished)
    assert (done.group, done.move_id, done.resource, done.result.outcome) == (GROUP, 7, ADDRESS, Outcome.APPLIED)
    assert emulator.model.network.holder_of(ADDRESS.id) == SECOND.eni_id
    stage.posted.clear()
    stage.performer.perform(replace(move, move_id=8))
    again = await stage.event(ev.MoveFinished)
    assert (again.move_id, again.result.outcome, again.result.refusal) == (8, Outcome.REFUSED, Refusal.CONFLICT)


async def test_nothing_is_taken_from_an_eni_that_is_no_nodes(stage: Stage, emulator: Emulator) -> None:
    stage.performer.perform(fx.Move(GROUP, 7, ADDRESS, expected="eni-cccccccc", target=SECOND.eni_id))
    result = (await stage.event(ev.MoveFinished)).result
    assert result == MoveResult(Outcome.REFUSED, "HeldByStranger", Refusal.CONFLICT)
    assert not emulator.service.calls


# -- guest -------------------------------------------------------------------------------------------------------


async def test_a_guest_that_is_left_alone_is_always_ready(make_stage: MakeStage) -> None:
    kernel = Kernel()
    stage = make_stage(NONE, guest=kernel)
    stage.performer.perform(ARM)
    assert await stage.event(ev.GuestArmed) == ev.GuestArmed(GROUP, ADDRESS)
    await barrier(stage, DISARM)
    assert kernel.carried == {}
    assert kernel.wanted == []


async def test_the_interface_is_looked_for_with_the_first_read_and_once(make_stage: MakeStage) -> None:
    kernel = Kernel()
    stage = make_stage(NETLINK, guest=kernel)
    stage.performer.perform(fx.ReadHolders())
    await stage.settle()
    mac = mac_of(FIRST.eni_id).lower()
    assert kernel.wanted == [(mac, None)]
    stage.performer.perform(ARM)
    assert (await stage.event(ev.GuestArmed)).error == ""
    assert kernel.carried == {ADDRESS.id: Link(7, "eth0", mac)}
    assert len(kernel.wanted) == 1


async def test_an_interface_that_is_missing_is_told_early_and_looked_for_again(make_stage: MakeStage) -> None:
    kernel = Kernel()
    kernel.refuses = {"find_link"}
    stage = make_stage(NETLINK, guest=kernel)
    with capture_logs() as logs:
        stage.performer.perform(fx.ReadHolders())
        await stage.settle()
    assert [line["event"] for line in logs] == ["interface_unknown"]
    stage.performer.perform(ARM)
    assert (await stage.event(ev.GuestArmed)).error == "find_link: refused"
    kernel.refuses = set()
    stage.posted.clear()
    stage.performer.perform(ARM)
    assert (await stage.event(ev.GuestArmed)).error == ""


async def test_a_guest_is_looked_at_afresh_and_left_as_it_is(make_stage: MakeStage) -> None:
    kernel = Kernel()
    stage = make_stage(NETLINK, guest=kernel)
    stage.performer.perform(ARM)
    await stage.settle()
    kernel.refuses = {"find_link"}
    stage.performer.perform(fx.ProbeGuest(GROUP))
    assert await stage.event(ev.GuestProbed) == ev.GuestProbed(GROUP, "find_link: refused")
    kernel.refuses = set()
    stage.posted.clear()
    before = dict(kernel.carried)
    stage.performer.perform(fx.ProbeGuest(GROUP))
    assert await stage.event(ev.GuestProbed) == ev.GuestProbed(GROUP)
    assert kernel.carried == before


async def test_a_group_that_leaves_the_guest_alone_finds_no_interface_for_the_others(make_stage: MakeStage) -> None:
    kernel, other = Kernel(), replace(NONE, name="other")
    stage = make_stage(NETLINK, other, guest=kernel)
    stage.performer.perform(fx.Arm(GroupName("other"), ADDRESS))
    await stage.settle()
    stage.performer.perform(ARM)
    await stage.settle()
    assert kernel.carried[ADDRESS.id].index == 7


async def test_a_guest_that_refuses_is_told_to_the_core(make_stage: MakeStage) -> None:
    kernel = Kernel()
    kernel.refuses = {"arm"}
    stage = make_stage(NETLINK, guest=kernel)
    with capture_logs() as logs:
        stage.performer.perform(ARM)
        assert await stage.event(ev.GuestArmed) == ev.GuestArmed(GROUP, ADDRESS, "arm: refused")
    assert [line["event"] for line in logs] == ["arm_failed"]
    assert 'group="vip",node="web-a",operation="arm"} 1.0' in stage.metrics()
    stage.performer.perform(ARM)
    await stage.settle()
    assert len(kernel.wanted) == 2  # the interface may be another one by now


async def test_an_address_is_off_the_guest_when_the_barrier_opens(make_stage: MakeStage) -> None:
    kernel = Kernel()
    stage = make_stage(NETLINK, guest=kernel)
    stage.performer.perform(ARM)
    await stage.settle()
    await barrier(stage, DISARM)
    assert kernel.carried == {}


async def test_an_address_let_go_right_after_it_was_armed_does_not_stay(make_stage: MakeStage) -> None:
    kernel = Kernel()
    stage = make_stage(NETLINK, guest=kernel)
    stage.performer.perform(ARM)
    await barrier(stage, DISARM)
    await stage.settle()
    assert kernel.carried == {}


async def test_a_guest_that_keeps_an_address_is_asked_until_it_lets_go(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "DISARM_RETRY_S", 0.01)
    kernel = Kernel()
    stage = make_stage(NETLINK, guest=kernel)
    stage.performer.perform(ARM)
    await stage.settle()
    kernel.refuses = {"disarm"}
    with capture_logs() as logs:
        await barrier(stage, DISARM)
        await asyncio.sleep(0.05)
        assert ADDRESS.id in kernel.carried
        kernel.refuses = set()
        await stage.settle()
    assert kernel.carried == {}
    assert [line["event"] for line in logs] == ["disarm_failed", "disarmed_late"]
    assert 'group="vip",node="web-a",operation="disarm"} 1.0' in stage.metrics()


async def test_an_address_that_is_wanted_again_stays(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "DISARM_RETRY_S", 0.01)
    kernel = Kernel()
    kernel.refuses = {"disarm"}
    stage = make_stage(NETLINK, guest=kernel)
    await barrier(stage, DISARM)
    stage.performer.perform(ARM)
    await until(lambda: ADDRESS.id in kernel.carried)
    kernel.refuses = set()
    await stage.settle()
    assert ADDRESS.id in kernel.carried


# -- guards ------------------------------------------------------------------------------------------------------


async def ask(stage: Stage, guard: str) -> GuardVerdict:
    stage.posted.clear()
    stage.performer.perform(fx.AskGuard(GROUP, guard, round_id=3))
    answered = await stage.event(ev.GuardAnswered)
    assert (answered.group, answered.guard, answered.round_id) == (GROUP, guard, 3)
    verdict: GuardVerdict = answered.verdict
    return verdict


async def test_the_gateway_guard_asks_this_nodes_gateway(make_stage: MakeStage) -> None:
    stage = make_stage(NONE)
    answers = [True, False]

    async def answer(address: str, _timeout_s: float) -> bool:
        assert address == "10.0.1.1"
        return answers.pop(0)

    gateway = Gateway(None, find=lambda _interface: "10.0.1.1", ask=answer)
    stage.performer._parts = replace(stage.parts, gateway=gateway)
    assert await ask(stage, "gateway") is GuardVerdict.PASS
    stage.posted.clear()
    assert await ask(stage, "gateway") is GuardVerdict.DENY


async def test_the_vip_guard_connects_to_the_groups_port(make_stage: MakeStage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stage = make_stage(replace(NONE, addresses=("127.0.0.1",), vip_port=port))
        assert await ask(stage, "vip") is GuardVerdict.DENY
    assert await ask(stage, "vip") is GuardVerdict.ALLOW


async def test_the_cloud_guard_asks_for_the_holders_instance(stage: Stage, emulator: Emulator) -> None:
    stage.performer.perform(fx.ReadHolders())
    await stage.settle()
    assert await ask(stage, "cloud") is GuardVerdict.UNKNOWN  # the holder is not known
    stage.holder = SECOND.eni_id
    assert await ask(stage, "cloud") is GuardVerdict.UNKNOWN  # it runs
    emulator.model.set_instance_state(SECOND.instance_id, InstanceState.STOPPED, emulator.service.now_ms())
    assert await ask(stage, "cloud") is GuardVerdict.ALLOW


async def test_the_mqtt_guard_asks_the_broker_about_the_master(stage: Stage) -> None:
    class Broker:
        async def find(self, peer: NodeName | None, _timeout_s: float) -> Finding:
            return Finding.HOST_LOST if peer == "web-b" else Finding.CUT_OFF

    broker = cast("MqttPath", Broker())
    stage.performer._parts = replace(stage.parts, mqtt=broker, master_of=lambda _group: NodeName("web-b"))
    assert await ask(stage, "mqtt") is GuardVerdict.ALLOW
    stage.performer._parts = replace(stage.parts, mqtt=broker)
    with capture_logs() as logs:
        assert await ask(stage, "mqtt") is GuardVerdict.DENY
    assert [entry["why"] for entry in logs if entry["event"] == "guard"] == [Finding.CUT_OFF.value]


@pytest.mark.parametrize("guard", ["vip", "mqtt", "quorum"])
async def test_a_guard_that_cannot_be_asked_knows_nothing(stage: Stage, guard: str) -> None:
    assert await ask(stage, guard) is GuardVerdict.UNKNOWN
    assert f'guard="{guard}",node="web-a",verdict="unknown"}} 1.0' in stage.metrics()


# -- telling -----------------------------------------------------------------------------------------------------


async def test_adverts_go_to_all_paths(stage: Stage) -> None:
    assert stage.performer.perform(fx.SendAdverts(ADVERT)) is None
    assert [path.sent for path in stage.paths] == [[ADVERT], [ADVERT]]


async def test_an_answer_reaches_who_waits_for_it_and_nobody_else(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    waiting = stage.performer.answers
    first, second, gone = (waiting.setdefault(number, loop.create_future()) for number in (1, 2, 3))
    gone.cancel()
    for number in (1, 3, 4):
        stage.performer.perform(fx.Answer(number, accepted=True, reason=Reason.ACCEPTED))
    assert first.result().request_id == 1
    assert not second.done()
    assert set(waiting) == {2}


def role(old: State, new: State, reason: Reason) -> fx.RoleChanged:
    return fx.RoleChanged(GROUP, old, new, reason, term=5)


@pytest.mark.parametrize(
    ("effect", "level", "counted"),
    [
        (role(State.BACKUP, State.CLAIMING, Reason.MASTER_DEAD), "info", 'state="CLAIMING"'),
        (role(State.BACKUP, State.FAULT, Reason.CHECK_FAILED), "warning", 'state="FAULT"'),
        (role(State.FAULT, State.BACKUP, Reason.CHECK_PASSED), "warning", 'state="BACKUP"'),
    ],
)
async def test_a_new_role_is_logged_with_its_reason_and_counted(
    stage: Stage, effect: fx.RoleChanged, level: str, counted: str
) -> None:
    with capture_logs() as logs:
        stage.performer.perform(effect)
    (line,) = logs
    assert (line["event"], line["log_level"], line["term"]) == ("role", level, 5)
    assert (line["old"], line["new"]) == (effect.old.value, effect.new.value)
    assert (line["reason"], line["why"]) == (effect.reason.label, effect.reason.value)
    (sample,) = [text for text in stage.metrics().splitlines() if text.startswith("hafailover_role_changes_total{")]
    assert counted in sample
    assert sample.endswith("} 1.0")


@pytest.mark.parametrize(("reason", "result"), [(Reason.CLAIM_LOST, "lost"), (Reason.CLAIM_VOID, "void")])
async def test_a_claim_that_came_to_nothing_is_counted(stage: Stage, reason: Reason, result: str) -> None:
    stage.performer.perform(role(State.CLAIMING, State.BACKUP, reason))
    assert f'reason="{reason.label}",result="{result}"}} 1.0' in stage.metrics()


async def test_how_failovers_ended_is_on_disk(make_stage: MakeStage, tmp_path: Path) -> None:
    stage = make_stage()
    me, other = NodeName("web-a"), NodeName("web-b")
    ended = (
        fx.ClaimFailed(GROUP, Reason.MASTER_DEAD, Reason.CLAIM_LOST, other, me, 4, 900, 1, fx.NO_EVIDENCE),
        fx.HandoverEnded(GROUP, Reason.OPERATOR, Reason.HANDOVER_DONE, me, other, 5, 700),
    )
    for effect in ended:
        stage.performer.perform(effect)
    await until(lambda: len(historyfile.load(tmp_path)[0]) == 2)
    records, complaint = historyfile.load(tmp_path)
    assert (complaint, [record["result"] for record in records]) == ("", ["lost", "gave"])
    assert records == list(reversed(stage.parts.history.records()))


async def test_a_history_that_cannot_be_saved_is_said_so(make_stage: MakeStage, tmp_path: Path) -> None:
    stage = make_stage(state=model.State(tmp_path / "missing"))
    me, other = NodeName("web-a"), NodeName("web-b")
    with capture_logs() as logs:
        stage.performer.perform(fx.HandoverEnded(GROUP, Reason.OPERATOR, Reason.HANDOVER_FAILED, me, other, 5, 700))
        await until(lambda: any(line["event"] == "history_not_saved" for line in logs))


async def test_a_claim_that_succeeded_is_counted_when_it_is_finished(stage: Stage) -> None:
    stage.performer.perform(role(State.CLAIMING, State.MASTER, Reason.CLAIM_DONE))
    assert "hafailover_failovers_total{" not in stage.metrics()
    times: dict[str, Any] = {"detect_ms": 1000, "guard_ms": 5, "cloud_ms": 600, "guest_ms": 2, "verify_ms": 80}
    target = NodeName("web-a")
    with capture_logs() as logs:
        stage.performer.perform(
            fx.FailoverFinished(GROUP, Reason.MASTER_DEAD, NodeName("web-b"), target, 5, **times, moves=1)
        )
    assert 'reason="master_dead",result="done"} 1.0' in stage.metrics()
    last = stage.parts.history.last("vip")
    assert last is not None
    assert last["phases_s"] == {
        "detect": 1.0,
        "guard": 0.005,
        "fence": 0.0,
        "cloud": 0.6,
        "verify": 0.08,
        "guest": 0.002,
    }
    assert (logs[0]["event"], logs[0]["reason"], logs[0]["to"]) == ("failover", "master_dead", "web-a")


async def test_holding_back_is_logged_and_counted_and_leaving_is_the_runners(stage: Stage) -> None:
    with capture_logs() as logs:
        stage.performer.perform(fx.Refrained(GROUP, Reason.GUARD_DENIED))
        assert stage.performer.perform(fx.Leave()) is None
    assert [(line["event"], line["reason"]) for line in logs] == [("no_claim", "guard_denied")]
    assert (
        'hafailover_claims_held_back_total{cluster="web",group="vip",node="web-a",reason="guard_denied"} 1.0'
        in (stage.metrics())
    )


# -- hooks -------------------------------------------------------------------------------------------------------


def script(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return (str(path),)


async def test_hooks_run_in_order_and_are_told_of_the_change(make_stage: MakeStage, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    tell = f'echo "$0 $HAFAILOVER_OLD_STATE $HAFAILOVER_STATE $HAFAILOVER_REASON $HAFAILOVER_TERM" >> {heard}'
    notify = model.Notify(
        master=script(tmp_path / "master", f"sleep 0.1; {tell}; echo $HAFAILOVER_NODE $HAFAILOVER_ADDRESSES"),
        backup=script(tmp_path / "backup", f"{tell}; exit 3"),
    )
    stage = make_stage(replace(NONE, notify=notify))
    with capture_logs() as logs:
        for effect, hook in (
            (role(State.CLAIMING, State.MASTER, Reason.CLAIM_DONE), "master"),
            (role(State.MASTER, State.BACKUP, Reason.DEPOSED_BY_PEER), "backup"),
        ):
            stage.performer.perform(effect)
            stage.performer.perform(fx.RunHook(GROUP, hook))
        await stage.performer.close()
        await until(lambda: sum(line["event"] == "hook" for line in logs) == 2)
    assert heard.read_text().splitlines() == [
        f"{tmp_path}/master CLAIMING MASTER claim_done 5",
        f"{tmp_path}/backup MASTER BACKUP deposed_by_peer 5",
    ]
    first, second = [line for line in logs if line["event"] == "hook"]
    assert (first["hook"], first["result"], first["log_level"]) == ("master", "ok", "info")
    assert first["output"].split() == ["web-a", *NONE.addresses]
    assert (second["hook"], second["result"], second["exit_code"]) == ("backup", "failed", 3)
    assert second["log_level"] == "error"
    assert 'hook="backup",node="web-a",result="failed"} 1.0' in stage.metrics()


async def test_a_program_of_keepalived_s_runs_unchanged(make_stage: MakeStage, tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = script(tmp_path / "notify", f'echo "$@" >> {told}')
    stage = make_stage(replace(NONE, notify=model.Notify(master=(*hook, "x"), notify=(*hook, "own"))))
    stage.performer.perform(fx.RoleChanged(GROUP, State.CLAIMING, State.MASTER, Reason.CLAIM_DONE, 3))
    for name in ("master", "backup", "fault", "stop", "promote"):
        stage.performer.perform(fx.RunHook(GROUP, name))
    stage.performer.perform(fx.RunHook(GROUP, "backup", run_id=7))
    await until(lambda: told.exists() and len(told.read_text().splitlines()) == 6)
    await until(lambda: stage.posted == [ev.HookFinished(GROUP, 7, True)])
    assert told.read_text().splitlines() == [
        "x",
        "own INSTANCE vip MASTER 110",
        "own INSTANCE vip BACKUP 110",
        "own INSTANCE vip FAULT 110",
        "own INSTANCE vip STOP 110",
        "own INSTANCE vip BACKUP 110",
    ]
    await until(lambda: 'hook="notify",node="web-a",result="ok"} 5.0' in stage.metrics())


async def test_a_hook_that_is_awaited_tells_when_it_has_ended(make_stage: MakeStage, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    notify = model.Notify(backup=script(tmp_path / "backup", f"sleep 0.1; touch {ran}; exit 1"))
    stage = make_stage(replace(NONE, notify=notify))
    stage.performer.perform(role(State.MASTER, State.RELEASING, Reason.OPERATOR))
    stage.performer.perform(fx.RunHook(GROUP, "backup"))
    stage.performer.perform(fx.RunHook(GROUP, "backup", run_id=7))
    await until(lambda: ev.HookFinished(GROUP, 7, ok=False) in stage.posted)
    assert ran.exists()
    assert 'hook="backup",node="web-a",result="failed"} 2.0' in stage.metrics(), "not the earlier one"


async def test_where_there_is_none_it_has_ended_at_once(make_stage: MakeStage) -> None:
    stage = make_stage(NONE)
    stage.performer.perform(role(State.MASTER, State.RELEASING, Reason.OPERATOR))
    stage.performer.perform(fx.RunHook(GROUP, "backup", run_id=7))
    await until(lambda: ev.HookFinished(GROUP, 7) in stage.posted)


# -- fences ------------------------------------------------------------------------------------------------------


async def test_a_fence_powers_the_instance_behind_the_holder_off(stage: Stage, emulator: Emulator) -> None:
    stage.performer.perform(fx.ReadHolders())
    await stage.settle()
    with capture_logs() as logs:
        stage.performer.perform(fx.Fence(GROUP, 4, ADDRESS, SECOND.eni_id))
        ended = await stage.event(ev.FenceFinished)
    assert ended == ev.FenceFinished(GROUP, 4, FenceResult(stopped=True))
    assert emulator.model.network.instances[SECOND.instance_id].state is InstanceState.STOPPED
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("fence", "warning"),
        ("fence_ended", "warning"),
    ]
    assert logs[1]["instance"] == SECOND.instance_id


async def test_what_stands_behind_a_stranger_is_not_known(stage: Stage) -> None:
    with capture_logs() as logs:
        stage.performer.perform(fx.Fence(GROUP, 4, ADDRESS, "eni-zzzzzzzz"))
        ended = await stage.event(ev.FenceFinished)
    assert ended.result == FenceResult(stopped=False, code="InstanceUnknown")
    assert logs[1]["log_level"] == "error"


async def test_a_hook_that_takes_too_long_is_a_timeout(make_stage: MakeStage, tmp_path: Path) -> None:
    notify = model.Notify(fault=script(tmp_path / "fault", "sleep 60"), timeout_ms=100)
    stage = make_stage(replace(NONE, notify=notify))
    stage.performer.perform(role(State.BACKUP, State.FAULT, Reason.CHECK_FAILED))
    stage.performer.perform(fx.RunHook(GROUP, "fault"))
    await until(lambda: 'hook="fault",node="web-a",result="timeout"} 1.0' in stage.metrics())


async def test_nothing_runs_where_no_hook_is_configured_or_nothing_has_changed(
    make_stage: MakeStage, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    stage = make_stage(replace(NONE, notify=model.Notify(stop=script(tmp_path / "stop", f"touch {ran}"))))
    stage.performer.perform(fx.RunHook(GROUP, "stop"))  # no role yet
    stage.performer.perform(role(State.INIT, State.BACKUP, Reason.STARTED))
    stage.performer.perform(fx.RunHook(GROUP, "master"))  # none configured
    await stage.performer.close()
    assert not ran.exists()
    assert "hafailover_hook_runs_total{" not in stage.metrics()


@pytest.mark.parametrize(("code", "ok"), [(0, True), (1, False)])
async def test_a_promote_hook_is_told_what_for_and_its_answer_is_passed_on(
    make_stage: MakeStage, tmp_path: Path, *, code: int, ok: bool
) -> None:
    told = tmp_path / "told"
    hook = script(tmp_path / "promote", f"echo $HAFAILOVER_STATE $HAFAILOVER_REASON > {told}; exit {code}")
    stage = make_stage(replace(NONE, notify=model.Notify(promote=hook)))
    stage.performer.perform(role(State.INIT, State.BACKUP, Reason.HEARD_MASTER))
    stage.performer.perform(fx.RunHook(GROUP, "promote", run_id=7, reason=Reason.MASTER_DEAD))
    await until(lambda: ev.HookFinished(GROUP, 7, ok=ok) in stage.posted)
    assert told.read_text() == "BACKUP master_dead\n"


async def test_a_promote_hook_that_others_may_write_says_no(make_stage: MakeStage, tmp_path: Path) -> None:
    hook = script(tmp_path / "promote", "exit 0")
    (tmp_path / "promote").chmod(0o777)
    stage = make_stage(replace(NONE, notify=model.Notify(promote=hook)))
    stage.performer.perform(role(State.INIT, State.BACKUP, Reason.HEARD_MASTER))
    stage.performer.perform(fx.RunHook(GROUP, "promote", run_id=7, reason=Reason.MASTER_DEAD))
    await until(lambda: ev.HookFinished(GROUP, 7, ok=False) in stage.posted)


# -- a group that goes -------------------------------------------------------------------------------------------

DB = model.Group("db", addresses=("10.0.1.150",), guest="none")


async def test_what_was_a_groups_is_put_away_and_its_hooks_come_to_their_end(
    make_stage: MakeStage, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    notify = model.Notify(master=script(tmp_path / "master", f"sleep 0.2; touch {ran}"))
    stage = make_stage(replace(NONE, notify=notify), DB)
    stage.performer.perform(role(State.CLAIMING, State.MASTER, Reason.CLAIM_DONE))
    stage.performer.perform(fx.RunHook(GROUP, "master"))
    assert 'group="vip"' in stage.metrics()
    stage.performer.configure(replace(stage.config, groups=(DB,)))
    stage.performer.perform(fx.ReadHolders())
    assert len((await stage.event(ev.HoldersRead)).sightings) == 2, "the core still has both"
    with capture_logs() as logs:
        stage.performer.perform(fx.GroupDismissed(GROUP, State.MASTER, (ADDRESS,)))
        stage.performer.perform(fx.AskGuard(GROUP, "cloud", 1))
        stage.performer.perform(fx.Arm(GROUP, ADDRESS))
        await stage.settle()
    assert logs[0] == {
        "event": "group_dismissed",
        "log_level": "info",
        "group": "vip",
        "state": "MASTER",
        "stays": [ADDRESS.id],
    }
    stage.posted.clear()
    stage.performer.perform(fx.ReadHolders())
    assert [each.resource.id for each in (await stage.event(ev.HoldersRead)).sightings] == ["10.0.1.150"]
    await stage.performer.close()
    assert ran.exists()
    assert 'group="vip"' not in stage.metrics()


async def test_a_group_that_a_later_file_names_again_is_still_there(stage: Stage) -> None:
    stage.performer.configure(replace(stage.config, groups=(DB,)))
    stage.performer.configure(stage.config)
    stage.performer.perform(fx.GroupDismissed(GROUP, State.BACKUP, ()))
    stage.performer.perform(ARM)
    assert await stage.event(ev.GuestArmed) == ev.GuestArmed(GROUP, ADDRESS)


async def test_the_broker_is_to_keep_nothing_of_a_group_that_has_gone(make_stage: MakeStage) -> None:
    stage = make_stage(NONE, DB)
    announcer = cast("Any", Herald())
    made = performer.Performer(
        stage.config, replace(stage.parts, announcer=announcer), stage.posted.append, lambda work: work.close()
    )
    made.configure(replace(stage.config, groups=(DB,)))
    made.perform(fx.GroupDismissed(GROUP, State.BACKUP, ()))
    assert announcer.forgotten == ["vip"]


class Herald:
    """Whoever tells the broker."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    def forget(self, group: str) -> None:
        self.forgotten.append(group)
