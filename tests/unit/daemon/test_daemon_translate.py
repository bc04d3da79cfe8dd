from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.cloud.dating import GRAIN_S, life_s
from hafailover.config import model
from hafailover.daemon import translate
from hafailover.election.values import GroupName, Handover, Member, NodeName, Policy, Resource, ResourceKind, Timing
from tests.unit.daemon.stage import NODES, config

if TYPE_CHECKING:
    from pathlib import Path


def test_the_intervals_are_passed_on(tmp_path: Path) -> None:
    heartbeat = model.Heartbeat(interval_ms=10, dead_interval_ms=40, restart_grace_ms=70)
    cloud = model.Cloud(audit_interval_ms=11_000, timeout_ms=2_500)
    timing = translate.timing(config(tmp_path, heartbeat=heartbeat, cloud=cloud))
    life_ms = int(1000 * (life_s(2.5) + GRAIN_S))
    assert timing == Timing(10, 40, 70, 11_000, request_life_ms=life_ms)


def test_the_nodes_keep_the_files_order_and_take_the_enis_found(tmp_path: Path) -> None:
    nodes = (*NODES, model.Node("quorum", "127.0.0.3", 7694, role="witness", priority=1))
    enis = {"quorum": "eni-q", "web-b": "eni-b", "web-a": "eni-a"}
    assert translate.members(config(tmp_path, nodes=nodes), enis, {}) == (
        Member(NodeName("web-a"), 0, 100, "eni-a", "ins-aaaaaaaa"),
        Member(NodeName("web-b"), 1, 90, "eni-b", "ins-bbbbbbbb"),
        Member(NodeName("quorum"), 2, 1, "eni-q", "", witness=True),
    )
    found = {"web-a": "ins-found", "web-b": "ins-bbbbbbbb"}
    members = translate.members(config(tmp_path, nodes=nodes), enis, found)
    assert [member.instance_id for member in members] == ["ins-found", "ins-bbbbbbbb", ""]


def test_enis_move_after_the_addresses(tmp_path: Path) -> None:
    group = model.Group("both", addresses=("10.0.1.100",), enis=("eni-cccccccc",))
    (policy,) = translate.policies(config(tmp_path, group))
    assert [(each.kind, each.id) for each in policy.resources] == [
        (ResourceKind.ADDRESS, "10.0.1.100"),
        (ResourceKind.ENI, "eni-cccccccc"),
    ]


def test_a_group_as_it_wants_to_be_treated(tmp_path: Path) -> None:
    plain = model.Group("plain", addresses=("10.0.1.9",))
    special = model.Group(
        "special",
        addresses=("10.0.1.100", "10.0.1.101"),
        priorities=(("web-b", 200),),
        preempt=True,
        preempt_delay_ms=1,
        startup_delay_ms=5,
        handover=Handover.STRICT,
        on_isolation="demote",
        isolation_timeout_ms=2,
        hold_down_ms=3,
        guards=("vip", "cloud"),
        checks=(model.Check("nginx", "tcp"), model.Check("disk", "script", weight=-20)),
        fence="stop-instance",
        notify=model.Notify(timeout_ms=4),
    )
    first, second = translate.policies(config(tmp_path, plain, special))
    assert first == Policy(
        GroupName("plain"),
        (Resource(ResourceKind.ADDRESS, "10.0.1.9"),),
        preempt_delay_ms=plain.preempt_delay_ms,
        guards=("cloud",),
    )
    assert second == Policy(
        GroupName("special"),
        (Resource(ResourceKind.ADDRESS, "10.0.1.100"), Resource(ResourceKind.ADDRESS, "10.0.1.101")),
        priorities=((NodeName("web-b"), 200),),
        preempt=True,
        preempt_delay_ms=1,
        startup_delay_ms=5,
        handover=Handover.STRICT,
        demote_when_isolated=True,
        isolation_timeout_ms=2,
        hold_down_ms=3,
        guards=("vip", "cloud"),
        checks=(("nginx", 0), ("disk", -20)),
        fence=True,
        hook_timeout_ms=4,
    )
    assert [each.id for each in second.resources] == ["10.0.1.100", "10.0.1.101"]  # equality ignores the kind


def test_a_change_may_run_two_hooks(tmp_path: Path) -> None:
    group = model.Group("vip", addresses=("10.0.1.100",), notify=model.Notify(notify=("/n",), timeout_ms=4))
    (policy,) = translate.policies(config(tmp_path, group))
    assert policy.hook_timeout_ms == 8


def test_a_witness_lives_by_the_same_file_and_does_nothing_of_it(tmp_path: Path) -> None:
    group = model.Group(
        "vip",
        addresses=("10.0.1.100",),
        guards=("gateway", "quorum"),
        fence="stop-instance",
        checks=(model.Check("nginx", "tcp"),),
        notify=model.Notify(backup=("/a",)),
    )
    of_all = config(tmp_path, group, announced=model.Announced(("spot", "repair")))
    seen = translate.for_witness(of_all)
    assert (seen.nodes, seen.digest, seen.heartbeat) == (of_all.nodes, of_all.digest, of_all.heartbeat)
    assert seen.groups == (model.Group("vip", addresses=("10.0.1.100",), guards=(), guest="none"),)
    assert seen.cloud.region == "none"
    assert seen.announced == model.Announced()
    assert translate.for_witness(config(tmp_path, cloud=model.Cloud(region="ap-x"))).cloud.region == "ap-x"
