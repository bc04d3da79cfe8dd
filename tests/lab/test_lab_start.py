from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab.fabric import HEARTBEAT_PORT
from tests.lab.lab import pause
from tests.lab.pair import METRICS_PORT, Pair, run_program
from tests.lab.processes import module

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

WITHOUT_NET_ADMIN = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--")


@pytest.fixture
def stopped(lab: Lab) -> Pair:
    return Pair(lab)


def _refusal(pair: Pair, *prefix: str) -> str:
    """Start web-a's daemon, which must end with exit code 1, and return the one critical line that it says."""
    done = run_program(pair.lab.hosts["web-a"], [*prefix, *pair.command("run", "web-a")], 15.0)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    critical = [line for line in map(json.loads, said.splitlines()) if line["level"] == "critical"]
    assert len(critical) == 1, said
    return str(critical[0]["error"])


@pytest.mark.parametrize("port", [HEARTBEAT_PORT, METRICS_PORT])
def test_port_in_use_is_one_line_and_exit_code_1(lab: Lab, stopped: Pair, port: int) -> None:
    lab.hosts["web-a"].start("blocker", module("tests.lab.service", "x", port), talks=True).line()
    assert str(port) in _refusal(stopped)


def test_second_daemon_is_refused_and_the_first_goes_on(lab: Lab, pair: Pair) -> None:
    said = _refusal(pair)
    assert "control.sock" in said
    with lab.probe() as probe:
        pause(1)
    assert probe.report.lost == 0
    assert pair.group("web-a")["state"] == "MASTER"


def test_missing_capability_is_one_line_and_exit_code_1(stopped: Pair) -> None:
    assert "CAP_NET_ADMIN" in _refusal(stopped, *WITHOUT_NET_ADMIN)
