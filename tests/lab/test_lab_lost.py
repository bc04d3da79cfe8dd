from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import PairSettings

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab


DEMOTE = PairSettings(more_group='on_isolation = "demote"\nisolation_timeout = "1s"')


def test_lost_host_is_replaced_by_one_move(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        lab.fabric.lose("web-a")
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves() == ["web-b"]
    assert probe.report.gap_ms < 3000
    assert probe.report.switches[-1][1] == "web-b"


def test_host_that_comes_back_steps_down_without_a_second_move(lab: Lab, pair: Pair) -> None:
    lab.fabric.lose("web-a")
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER")
    lab.fabric.regain("web-a")
    pair.wait_state("web-a", "BACKUP")
    lab.wait_carries("web-a", carries=False)
    with lab.probe() as probe:
        pause(1.5)
    assert lab.cloud.moves() == ["web-b"]
    assert lab.carries("web-b")
    assert not lab.carries("web-a")
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {"web-b"}


def test_service_fault_moves_the_address(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        lab.hosts["web-a"].stop_service()
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves() == ["web-b"]
    assert probe.report.gap_ms < 3000
    assert pair.group("web-a")["state"] == "FAULT"
    assert not lab.carries("web-a")


@pytest.mark.parametrize("settings", [DEMOTE])
def test_isolated_master_steps_down_when_told_to(lab: Lab, pair: Pair) -> None:
    lab.fabric.lose("web-a")
    lab.wait_holder("web-b")
    lab.wait_carries("web-a", carries=False)
    pause(2)
    assert pair.group("web-a")["state"] == "BACKUP"
    assert pair.group("web-a")["term"] <= pair.group("web-b")["term"]
    assert not lab.carries("web-a")
    assert lab.cloud.moves() == ["web-b"]


def test_isolated_master_holds_on_unless_told_otherwise(lab: Lab, pair: Pair) -> None:
    lab.fabric.lose("web-a")
    lab.wait_holder("web-b")
    pause(1.5)
    assert pair.group("web-a")["state"] == "MASTER"
    assert lab.carries("web-a")


def test_standby_that_was_cut_off_takes_nothing_when_it_is_back(lab: Lab, pair: Pair) -> None:
    pause(0.5)  # nothing of its start is under way any more
    lab.fabric.lose("web-b")
    pair.wait_said("web-b", "move")  # it hears nobody, and tries to reach the API
    pause(0.3)
    lab.fabric.regain("web-b")
    pair.wait_state("web-b", "BACKUP")
    pause(1)
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
