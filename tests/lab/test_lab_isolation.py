"""One side is cut off from the cloud's API, alone or together with its peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import PairSettings

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

DEMOTE = 'on_isolation = "demote"\nisolation_timeout = "1s"'


def _isolate_the_master(lab: Lab) -> None:
    """Leave web-a nothing but its clients."""
    lab.fabric.cut_cloud("web-a")
    lab.part("web-a", "web-b")


@pytest.mark.parametrize("settings", [PairSettings(audit_interval="1s", more_group=DEMOTE)])
def test_master_that_cannot_reach_the_api_stays_master_while_it_hears_its_peer(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.fabric.cut_cloud("web-a")
        pair.wait_said("web-a", "read_failed")
        pause(2)
        lab.fabric.mend_cloud("web-a")
        pause(1)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")


def test_claim_that_began_without_the_api_is_completed_when_it_is_back(lab: Lab, pair: Pair) -> None:
    lab.fabric.cut_cloud("web-b")
    lab.crash("web-a")
    pair.wait_said("web-b", "read_failed")
    pause(4)
    assert lab.cloud.moves() == []
    lab.fabric.mend_cloud("web-b")
    lab.wait_holder("web-b", timeout_s=20)
    pair.wait_state("web-b", "MASTER")
    assert lab.cloud.moves() == ["web-b"]


def test_move_that_is_never_answered_is_resolved_by_reading(lab: Lab, pair: Pair) -> None:
    lab.cloud.answer_no_move_in_time()
    lab.crash("web-a")
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER", timeout_s=20)
    assert lab.cloud.moves() == ["web-b"]
    assert lab.cloud.writes() == 1
    assert [entry["outcome"] for entry in pair.said("web-b", "move_ended")] == ["unknown"]


@pytest.mark.parametrize(
    "settings",
    [PairSettings(guards=("vip",), more_group=DEMOTE), PairSettings(guards=(), more_group=DEMOTE)],
    ids=["guarded", "unguarded"],
)
def test_isolated_master_gives_way_when_told_to(lab: Lab, pair: Pair) -> None:
    _isolate_the_master(lab)
    lab.wait_carries("web-a", carries=False)
    pair.wait_state("web-a", "BACKUP")
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER")
    with lab.probe() as probe:
        pause(1)
    assert set(probe.report.answers) == {"web-b"}
    lab.fabric.mend_cloud("web-a")
    lab.join("web-a", "web-b")
    pair.wait_peers_alive()
    pause(2)
    assert lab.cloud.moves() == ["web-b"]
    assert (pair.state("web-a"), pair.state("web-b")) == ("BACKUP", "MASTER")
    assert pair.said("web-a", "role", new="BACKUP")[-1]["reason"] in ("isolated", "deposed_by_cloud")


@pytest.mark.parametrize("settings", [PairSettings(guards=("vip",))])
def test_isolated_master_serves_on_under_a_guard_unless_told_otherwise(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        _isolate_the_master(lab)
        pair.wait_peers_alive(alive=False)
        pause(4)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
