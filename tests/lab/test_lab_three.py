"""Three nodes: a pair with a witness under the guard `quorum`, the guard `gateway`, and three members."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.cloud import CloudSettings
from tests.lab.lab import pause
from tests.lab.pair import PairSettings

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

CUT_S = 5.0
WITNESSED = PairSettings(guards=("quorum",), witnesses=("web-c",))
GATEWAY = PairSettings(guards=("gateway",))
MEMBERS = PairSettings(guards=())

three = pytest.mark.parametrize("cloud", [CloudSettings(nodes=3)], ids=["three"])
witnessed = pytest.mark.parametrize("settings", [WITNESSED], ids=["witness"])


def _isolate(lab: Lab, name: str) -> None:
    """Cut a node's heartbeats with all others; it reaches the API, and clients reach it."""
    for other in lab.hosts:
        if other != name:
            lab.part(name, other)


def _rejoin(lab: Lab, name: str) -> None:
    for other in lab.hosts:
        if other != name:
            lab.join(name, other)


@three
@witnessed
def test_backup_that_nobody_hears_does_not_claim(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        _isolate(lab, "web-b")
        pause(CUT_S)
        assert pair.said("web-b", "no_claim")
        _rejoin(lab, "web-b")
        pair.wait_peers_alive()
        pause(1)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert [pair.state(name) for name in lab.hosts] == ["MASTER", "BACKUP", "BACKUP"]


@three
@witnessed
def test_backup_does_not_claim_while_the_witness_hears_the_master(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.part("web-a", "web-b")
        pause(CUT_S)
        assert pair.said("web-b", "no_claim")
        lab.join("web-a", "web-b")
        pause(1)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


@three
@witnessed
def test_master_that_a_majority_has_lost_is_replaced_by_one_move(lab: Lab, pair: Pair) -> None:
    _isolate(lab, "web-a")
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER")
    pause(CUT_S)
    assert lab.cloud.moves() == ["web-b"]
    _rejoin(lab, "web-a")
    pair.wait_peers_alive()
    pair.wait_state("web-a", "BACKUP")
    lab.wait_carries("web-a", carries=False)
    with lab.probe() as probe:
        pause(1)
    assert set(probe.report.answers) == {"web-b"}
    assert lab.cloud.moves() == ["web-b"]
    assert not pair.said("web-c", "move")


@three
@witnessed
def test_lone_node_waits_for_the_witness_to_come_back(lab: Lab, pair: Pair) -> None:
    pair.kill_daemon("web-c")
    lab.crash("web-a")
    pause(CUT_S)
    assert lab.cloud.writes() == 0
    pair.start_daemon("web-c")
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER")
    assert lab.cloud.moves() == ["web-b"]


@three
@pytest.mark.parametrize("settings", [MEMBERS], ids=["members"])
def test_three_members_move_once_for_each_lost_host_by_rank(lab: Lab, pair: Pair) -> None:
    lab.crash("web-a")
    pair.wait_state("web-b", "MASTER")
    pause(1)
    assert lab.cloud.moves() == ["web-b"]
    lab.crash("web-b")
    lab.wait_holder("web-c")
    pair.wait_state("web-c", "MASTER")
    pause(1)
    assert lab.cloud.moves() == ["web-b", "web-c"]
    assert lab.carries("web-c")


@pytest.mark.parametrize("settings", [GATEWAY], ids=["gateway"])
def test_node_without_a_gateway_does_not_claim_before_it_is_back(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(1)  # in which the guard has seen that this gateway answers
        lab.fabric.silence_gateway("web-b")
        lab.part("web-a", "web-b")
        pause(CUT_S)
        assert lab.cloud.writes() == 0
        assert pair.said("web-b", "no_claim", reason="guard_denied")
        lab.fabric.wake_gateway("web-b")
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
    assert lab.cloud.moves() == ["web-b"]
    assert probe.report.lost == 0
