from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import GROUP

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab


def test_stop_hands_over_without_a_lost_probe(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        pair.daemon("web-a").signal(signal.SIGTERM)
        code = pair.daemon("web-a").wait(10)
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert code == 0
    assert probe.report.lost == 0
    assert probe.report.switches[-1][1] == "web-b"
    assert lab.cloud.moves() == ["web-b"]
    assert not lab.carries("web-a")


def test_planned_hand_over_loses_no_probe(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        done = pair.run("web-a", "failover", GROUP, "--wait")
        pause(0.3)
    assert done.returncode == 0, done.stderr
    assert pair.group("web-b")["state"] == "MASTER"
    assert probe.report.lost == 0
    assert probe.report.switches[-1][1] == "web-b"
    assert lab.cloud.moves() == ["web-b"]
    lab.wait_carries("web-a", carries=False)


def test_backup_that_stops_disturbs_nothing(lab: Lab, pair: Pair) -> None:
    before = lab.cloud.writes()
    with lab.probe() as probe:
        pair.daemon("web-b").signal(signal.SIGTERM)
        code = pair.daemon("web-b").wait(10)
        pause(1)
    assert code == 0
    assert probe.report.lost == 0
    assert lab.cloud.writes() == before
    assert pair.group("web-a")["state"] == "MASTER"


def test_hand_over_is_refused_where_the_target_could_not_take_it(lab: Lab, pair: Pair) -> None:
    lab.hosts["web-b"].stop_service()
    pair.wait_state("web-b", "FAULT")
    with lab.probe() as probe:
        done = pair.run("web-a", "failover", GROUP, "--to", "web-b", "--wait")
        pause(0.5)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


def test_drained_master_gives_up_and_stays_out(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        done = pair.run("web-a", "drain")
        pair.wait_state("web-b", "MASTER")
        pair.daemon("web-a").signal(signal.SIGTERM)
        pair.daemon("web-a").wait(10)
        pair.start_daemon("web-a")
        pair.wait_state("web-a", "BACKUP")
        pause(0.5)
    assert done.returncode == 0
    assert probe.report.lost == 0
    assert pair.status("web-a")["drained"] is True
    assert lab.cloud.moves() == ["web-b"]
