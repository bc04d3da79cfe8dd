from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.peers import Liveness
from hafailover.election.reasons import Reason
from hafailover.election.status import GroupOnPeer, GroupStatus, NodeStatus, PeerStatus, ResourceStatus, status
from hafailover.election.values import Advert, CheckState, GroupMemory, GuardVerdict, Leaving, Memory, State
from tests.unit.election.bench import DIGEST, GROUP, MEMBERS, POLICY, START, TIMING, VIP, A, B, Bench, C


def test_before_anything_is_known() -> None:
    told = status(Bench().node, 10_000)
    assert (told.node, told.drained, told.leaving) == (B, False, Leaving.NO)
    assert (told.cloud_error, told.read_age_ms) == ("", None)
    assert [(peer.node, peer.liveness, peer.config_match) for peer in told.peers] == [
        (A, Liveness.NEVER, None),
        (C, Liveness.NEVER, None),
    ]
    (group,) = told.groups
    assert (group.state, group.master, group.why.label) == (State.INIT, None, "started")
    (resource,) = group.resources
    assert (resource.holder, resource.node, resource.on_guest) == (None, None, True)


def test_a_backup_says_why_it_is_not_master_and_who_is() -> None:
    bench = Bench().as_backup(term=4)
    told = status(bench.node, bench.now + 50)
    (group,) = told.groups
    assert (group.state, group.master, group.term) == (State.BACKUP, A, 4)
    assert (group.why.label, group.detail, group.eligible) == ("master_alive", "", True)
    assert (group.priority, group.effective_priority, group.hold_down_ms) == (90, 90, 0)
    assert (group.resources[0].node, group.resources[0].on_guest) == (A, False)
    assert told.read_age_ms == 50
    assert (told.peers[0].hears_us, told.peers[0].config_match) == (True, True)


def test_a_master_names_itself() -> None:
    bench = Bench().as_master()
    (group,) = status(bench.node, bench.now).groups
    assert (group.state, group.master, group.why.label) == (State.MASTER, B, "held_at_start")
    assert group.resources[0].on_guest


def test_whom_it_gives_it_to_is_told() -> None:
    bench = Bench().as_master()
    bench.hear(C)
    bench.give(ev.FailoverAsked(1, GROUP, None))
    (group,) = status(bench.node, bench.now).groups
    assert (group.state, group.successor) == (State.RELEASING, C)


def test_a_guard_that_objects_is_named() -> None:
    bench = Bench(policy=replace(POLICY, guards=("vip",), checks=(("web", 0),)))
    bench.check(CheckState.UP)
    bench.as_backup()
    bench.run(250)
    (asked,) = bench.all(fx.AskGuard)
    bench.give(ev.GuardAnswered(GROUP, "vip", asked.round_id, GuardVerdict.DENY))
    bench.run(200)
    (group,) = status(bench.node, bench.now).groups
    assert (group.why.label, group.detail) == ("guard_denied", "vip")
    assert group.checks == (("web", 0, CheckState.UP),)


def test_so_are_several() -> None:
    bench = Bench(policy=replace(POLICY, guards=("vip", "gateway"))).as_backup()
    bench.run(250)
    for asked in bench.all(fx.AskGuard):
        bench.give(ev.GuardAnswered(GROUP, asked.guard, asked.round_id, GuardVerdict.DENY))
    (group,) = status(bench.node, bench.now).groups
    assert group.detail == "vip, gateway"


def test_the_guests_complaint_is_told() -> None:
    bench = Bench().as_master()
    bench.arm(VIP, "no such interface")
    (group,) = status(bench.node, bench.now).groups
    assert (group.state, group.detail) == (State.FAULT, "no such interface")


def test_all_of_it_is_told() -> None:
    policy = replace(POLICY, checks=(("web", 0), ("disk", -30)))
    bench = Bench(policy=policy, memory=Memory(drained=True, groups=(GroupMemory(GROUP, 5, paused=True),)))
    bench.check(CheckState.UP)
    bench.check(CheckState.DOWN, "disk")
    bench.hear(C, hears=(A,), leaving=Leaving.RESTARTING)
    bench.read("eni-c")
    bench.run(70)
    assert status(bench.node, bench.now) == NodeStatus(
        node=B,
        drained=True,
        leaving=Leaving.NO,
        cloud_error="",
        read_age_ms=70,
        peers=(
            PeerStatus(A, Liveness.NEVER, 400, hears_us=False, hears=(), config_match=None, leaving=Leaving.NO),
            PeerStatus(
                C, Liveness.ALIVE, 400, hears_us=False, hears=(A,), config_match=True, leaving=Leaving.RESTARTING
            ),
        ),
        groups=(
            GroupStatus(
                name=GROUP,
                state=State.INIT,
                master=None,
                term=5,
                since=START,
                why=Reason.STARTED,
                detail="",
                priority=90,
                effective_priority=60,
                eligible=False,
                paused_by=(B,),
                pause_left_ms=None,
                hold_down_ms=0,
                resources=(ResourceStatus(VIP, "eni-c", C, on_guest=False),),
                checks=(("web", 0, CheckState.UP), ("disk", -30, CheckState.DOWN)),
                successor=None,
                peers=(
                    GroupOnPeer(A, None, eligible=False, why=Reason.PEER_NEVER_HEARD),
                    GroupOnPeer(C, State.BACKUP, eligible=True, why=Reason.PEER_READY),
                ),
            ),
        ),
    )


def test_the_clouds_silence_is_told() -> None:
    bench = Bench()
    bench.fail_read()
    assert status(bench.node, bench.now).cloud_error == "ClientTimeout"


def of_a(bench: Bench) -> GroupOnPeer:
    return status(bench.node, bench.now).groups[0].peers[0]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"state": State.MASTER, "term": 1}, Reason.PEER_SERVES),
        ({"state": State.RELEASING, "term": 1}, Reason.PEER_GIVES),
        ({"state": State.CLAIMING}, Reason.PEER_CLAIMS),
        ({"state": State.FAULT}, Reason.PEER_FAULT),
        ({"drained": True, "eligible": False}, Reason.PEER_DRAINED),
        ({}, Reason.PEER_READY),
        ({"state": State.INIT, "eligible": False}, Reason.PEER_STARTING),
        ({"eligible": False}, Reason.PEER_NOT_READY),
        ({"leaving": Leaving.STOPPING}, Reason.PEER_STOPPED),
    ],
)
def test_each_peer_has_a_reason(said: dict[str, Any], why: Reason) -> None:
    bench = Bench()
    bench.hear(A, **said)
    told = of_a(bench)
    assert (told.state, told.why) == (said.get("state", State.BACKUP), why)


def test_a_peer_that_fell_silent_could_not_take_over_any_more() -> None:
    bench = Bench()
    bench.hear(A)
    bench.run(TIMING.dead_interval_ms)
    assert of_a(bench) == GroupOnPeer(A, State.BACKUP, eligible=False, why=Reason.PEER_SILENT)
    bench.give(ev.PeerRefused(A))
    bench.run(1)
    assert of_a(bench).why is Reason.PEER_RESTARTING


def test_a_witness_and_a_peer_that_does_not_know_the_group_say_nothing_of_it() -> None:
    members = (replace(MEMBERS[0], witness=True), *MEMBERS[1:])
    bench = Bench(members=members)
    bench.hear(A, eligible=False)
    assert of_a(bench).why is Reason.PEER_WITNESS
    bench = Bench()
    bench.give(ev.AdvertReceived(Advert(A, DIGEST, 400, Leaving.NO, False, (B,), ()), "udp"))
    assert of_a(bench) == GroupOnPeer(A, None, eligible=False, why=Reason.PEER_KNOWS_NOT)
