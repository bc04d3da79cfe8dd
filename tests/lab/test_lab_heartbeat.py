from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.cloud import CloudSettings
from tests.lab.fabric import HEARTBEAT_PORT
from tests.lab.lab import pause
from tests.lab.pair import PairSettings, run_program
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

ONE_GUARD = PairSettings(guards=("vip",))


@pytest.mark.parametrize("settings", [ONE_GUARD])
def test_cut_heartbeat_path_moves_nothing_while_the_service_answers(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.fabric.cut_heartbeats("web-a", "web-b")
        lab.fabric.cut_heartbeats("web-b", "web-a")
        pair.wait_peers_alive(alive=False)
        pause(2)
        lab.fabric.mend_heartbeats("web-a", "web-b")
        lab.fabric.mend_heartbeats("web-b", "web-a")
        pair.wait_peers_alive()
        pause(0.5)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert pair.group("web-a")["state"] == "MASTER"
    assert pair.group("web-b")["state"] == "BACKUP"


@pytest.mark.parametrize("settings", [ONE_GUARD])
def test_heartbeats_cut_in_one_direction_move_nothing(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.fabric.cut_heartbeats("web-a", "web-b")
        pause(2)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert pair.group("web-a")["state"] == "MASTER"


@pytest.mark.parametrize("cloud", [CloudSettings(ipv6=True)])
@pytest.mark.parametrize("settings", [PairSettings(ipv6=True)])
def test_daemons_talk_over_ipv6_and_hear_that_one_is_gone(lab: Lab, pair: Pair) -> None:
    sockets = run_program(lab.hosts["web-a"], ["ss", "-Huln", "sport", f"= :{HEARTBEAT_PORT}"], 10).stdout
    assert lab.hosts["web-a"].port.address6 in sockets
    refusals = pair.metric("web-a", "hafailover_heartbeat_refusals_total", peer="web-b")  # from before its start
    pair.kill_daemon("web-b")
    wait_for(
        "its host says that nobody listens any more (ICMPv6)",
        lambda: pair.metric("web-a", "hafailover_heartbeat_refusals_total", peer="web-b") > refusals,
    )
    with lab.probe() as probe:
        pair.start_daemon("web-b")
        pair.wait_peers_alive()
        lab.crash("web-a")
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
        pause(0.5)
    assert probe.report.answered_at_end


def test_wrong_key_changes_no_mastership_and_is_counted(lab: Lab, pair: Pair) -> None:
    pair.kill_daemon("web-b")
    pair.write_key("web-b", "5a" * 32)
    with lab.probe() as probe:
        pair.start_daemon("web-b")
        pause(3)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert pair.group("web-a")["state"] == "MASTER"
    rejected = {name: value for name, value in pair.metrics("web-a").items() if "rejected" in name and value}
    assert [name for name in rejected if "reason=" in name], pair.metrics("web-a")
