"""A node leaves before what the cloud announces, and nobody misses a probe."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

SPOT = PairSettings(more='[announced]\nsources = ["spot"]\n')


@pytest.mark.parametrize("settings", [SPOT])
def test_a_spot_instance_is_left_before_it_ends(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.cloud.announce_termination("web-a", 120)
        pair.wait_state("web-b", "MASTER", timeout_s=20)
        pause(0.3)
    assert probe.report.lost == 0
    assert probe.report.switches[-1][1] == "web-b"
    assert lab.cloud.moves() == ["web-b"]
    status = pair.status("web-a")
    assert (status["drained"], status["announced"]["drained"]) == (True, True)
    assert status["announced"]["events"][0]["source"] == "spot"
    assert pair.metric("web-a", "hafailover_announced_drained") == 1
    assert pair.said("web-a", "announced_drain", source="spot")
    (given,) = pair.ask("web-a", "history")["failovers"][:1]
    assert (given["reason"], given["decided_by"]) == ("drained", "web-a")
    assert given["why"].startswith("this node is drained: spot, at ")


@pytest.mark.parametrize("settings", [SPOT])
def test_a_withdrawn_end_brings_the_node_back_after_a_restart_too(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        lab.cloud.announce_termination("web-a", 120)
        pair.wait_state("web-b", "MASTER", timeout_s=20)
        pair.daemon("web-a").signal(signal.SIGTERM)
        pair.daemon("web-a").wait(10)
        pair.start_daemon("web-a")
        pair.wait_state("web-a", "BACKUP")
        pause(1)
        assert pair.status("web-a")["drained"] is True
        lab.cloud.announce_termination("web-a", None)
        wait_for("web-a takes part again", lambda: pair.status("web-a")["drained"] is False, 20)
        pause(0.5)
    assert probe.report.lost == 0
    assert lab.cloud.moves() == ["web-b"]
    assert pair.state("web-b") == "MASTER"
