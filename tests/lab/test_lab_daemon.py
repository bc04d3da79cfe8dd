from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import PairSettings

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab


def test_killed_and_restarted_daemon_costs_nothing(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        pair.kill_daemon("web-a")
        pause(0.5)
        pair.start_daemon("web-a")
        pair.wait_state("web-a", "MASTER")
        pause(1.5)
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {"web-a"}
    assert lab.cloud.writes() == 0
    assert pair.group("web-b")["state"] == "BACKUP"


@pytest.mark.parametrize("settings", [PairSettings(guards=(), restart_grace="1s")])
def test_daemon_that_stays_away_is_replaced_while_its_host_serves_on(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        pair.kill_daemon("web-a")
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves() == ["web-b"]
    assert probe.report.lost == 0


@pytest.mark.parametrize("settings", [PairSettings(guards=("vip",), restart_grace="1s")])
def test_daemon_that_stays_away_is_not_replaced_while_a_guard_finds_the_service(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pair.kill_daemon("web-a")
        pause(3)
    assert lab.cloud.writes() == 0
    assert probe.report.lost == 0
    assert pair.group("web-b")["state"] == "BACKUP"


def test_frozen_daemon_is_replaced_and_steps_down_when_it_wakes(lab: Lab, pair: Pair) -> None:
    pair.daemon("web-a").signal(signal.SIGSTOP)
    lab.hosts["web-a"].stop_service()
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER")
    pair.daemon("web-a").signal(signal.SIGCONT)
    lab.wait_carries("web-a", carries=False)
    with lab.probe() as probe:
        pause(1.5)
    assert lab.cloud.moves() == ["web-b"]
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {"web-b"}
