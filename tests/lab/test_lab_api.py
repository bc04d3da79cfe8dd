from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import PairSettings

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab


def _lose_and_recover(lab: Lab, pair: Pair) -> float:
    """Lose the master's host, wait for the other to be master, and return the outage in milliseconds."""
    with lab.probe() as probe:
        pause(0.3)
        lab.fabric.lose("web-a")
        lab.wait_holder("web-b", timeout_s=15)
        pair.wait_state("web-b", "MASTER", timeout_s=15)
        pause(0.3)
    assert probe.report.switches[-1][1] == "web-b"
    return probe.report.gap_ms


def test_throttled_calls_delay_a_claim_and_do_not_end_it(lab: Lab, pair: Pair) -> None:
    lab.cloud.throttle(3)
    assert _lose_and_recover(lab, pair) < 5000
    assert lab.cloud.moves() == ["web-b"]
    assert lab.cloud.faults_left() == 0


def test_lost_reply_is_resolved_by_reading(lab: Lab, pair: Pair) -> None:
    lab.cloud.lose_reply_after_effect()
    assert _lose_and_recover(lab, pair) < 8000
    assert lab.cloud.moves() == ["web-b"]
    assert lab.cloud.writes() == 1


def test_server_errors_delay_a_claim_and_do_not_end_it(lab: Lab, pair: Pair) -> None:
    lab.cloud.http_500(4)
    assert _lose_and_recover(lab, pair) < 8000
    assert lab.cloud.moves() == ["web-b"]
    assert lab.cloud.faults_left() == 0


def test_claim_waits_for_an_api_outage_to_end(lab: Lab, pair: Pair) -> None:
    lab.fabric.cut_cloud("web-b")
    lab.fabric.lose("web-a")
    pause(2)
    assert lab.cloud.writes() == 0
    lab.fabric.mend_cloud("web-b")
    lab.wait_holder("web-b", timeout_s=20)
    pair.wait_state("web-b", "MASTER")
    assert lab.cloud.moves() == ["web-b"]


@pytest.mark.parametrize("settings", [PairSettings(audit_interval="1s")])
def test_address_moved_by_hand_is_followed(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.cloud.move_by_hand("web-b")
        pair.wait_state("web-b", "MASTER")
        lab.wait_carries("web-a", carries=False)
        pair.wait_state("web-a", "BACKUP")
        pause(0.5)
    assert lab.cloud.writes() == 0
    assert lab.cloud.holder() == "web-b"
    assert probe.report.gap_ms < 5000


def test_backup_that_cannot_reach_the_api_disturbs_nothing(lab: Lab, pair: Pair) -> None:
    lab.cloud.outage_for("web-b")
    with lab.probe() as probe:
        pause(2)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert pair.group("web-a")["state"] == "MASTER"
