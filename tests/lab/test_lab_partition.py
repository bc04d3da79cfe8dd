"""Heartbeats cut while both hosts, the service and the API live: one way, the other way, and both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import GROUP, PairSettings

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

CUT_S = 6.0  # twenty dead intervals
HELD_BACK = "hafailover_claims_held_back_total"
GUARDED = PairSettings(guards=("vip",))
UNGUARDED = PairSettings(guards=())
IMPATIENT = PairSettings(guards=(), audit_interval="1s", more_group='hold_down = "0s"')
guarded = pytest.mark.parametrize("settings", [GUARDED], ids=["guarded"])
unguarded = pytest.mark.parametrize("settings", [UNGUARDED], ids=["unguarded"])
either_way = pytest.mark.parametrize(
    ("source", "target"), [("web-a", "web-b"), ("web-b", "web-a")], ids=["master-unheard", "backup-unheard"]
)


def _assert_settled(lab: Lab, pair: Pair) -> None:
    """There is one master, it is the holder, and that stays so."""
    holder = lab.cloud.holder()
    other = next(name for name in lab.hosts if name != holder)
    pair.wait_peers_alive()
    pair.wait_state(holder, "MASTER")
    pair.wait_state(other, "BACKUP")
    lab.wait_carries(other, carries=False)
    moves = lab.cloud.moves()
    with lab.probe() as probe:
        pause(2)
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {holder}
    assert lab.cloud.moves() == moves


@guarded
@either_way
def test_one_way_cut_moves_nothing_with_a_guard(lab: Lab, pair: Pair, source: str, target: str) -> None:
    with lab.probe() as probe:
        lab.fabric.cut_heartbeats(source, target)
        pause(CUT_S)
        lab.fabric.mend_heartbeats(source, target)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert bool(pair.said("web-b", "no_claim", reason="guard_denied")) is (target == "web-b")
    _assert_settled(lab, pair)


@unguarded
@either_way
def test_one_way_cut_moves_once_at_most_without_guards(lab: Lab, pair: Pair, source: str, target: str) -> None:
    with lab.probe() as probe:
        lab.fabric.cut_heartbeats(source, target)
        pause(CUT_S)
        lab.fabric.mend_heartbeats(source, target)
    assert lab.cloud.moves() == (["web-b"] if target == "web-b" else [])
    assert probe.report.lost == 0
    _assert_settled(lab, pair)


@guarded
def test_partition_moves_nothing_with_a_guard_and_is_told(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.part("web-a", "web-b")
        pause(CUT_S)
        assert lab.cloud.writes() == 0
        assert len(pair.said("web-b", "no_claim", reason="guard_denied", group=GROUP, level="warning")) == 1
        assert pair.metric("web-b", HELD_BACK, group=GROUP, reason="guard_denied") == 1
        assert pair.metric("web-b", "hafailover_peer_alive", peer="web-a") == 0
        lab.join("web-a", "web-b")
        pair.wait_peers_alive()
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
    _assert_settled(lab, pair)


@pytest.mark.parametrize("settings", [UNGUARDED, IMPATIENT], ids=["unguarded", "impatient"])
def test_partition_moves_once_at_most_without_guards(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.part("web-a", "web-b")
        pause(CUT_S)
        assert len(lab.cloud.moves()) <= 1
        lab.join("web-a", "web-b")
    assert len(lab.cloud.moves()) <= 1
    assert probe.report.lost == 0
    _assert_settled(lab, pair)
