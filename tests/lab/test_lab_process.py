from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.process import SETTINGS
from tests.lab.lab import pause

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = [pytest.mark.lab, pytest.mark.parametrize("settings", [SETTINGS])]


def test_killed_service_is_noticed_by_its_process(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pause(0.3)
        lab.hosts["web-a"].stop_service()
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves() == ["web-b"]
    assert probe.report.gap_ms < 3000
    assert pair.group("web-a")["state"] == "FAULT"
    assert not lab.carries("web-a")
    check = next(each for each in pair.group("web-a")["checks"] if each["name"] == "process")
    assert (check["state"], check["detail"]) == ("down", "no process of /run/service.pid")


def test_service_that_is_started_again_makes_its_node_fit(lab: Lab, pair: Pair) -> None:
    lab.hosts["web-a"].stop_service()
    pair.wait_state("web-b", "MASTER")
    lab.hosts["web-a"].start_service()
    pair.wait_state("web-a", "BACKUP")
    lab.hosts["web-b"].stop_service()
    pair.wait_state("web-a", "MASTER")
    assert lab.cloud.moves() == ["web-b", "web-a"]
