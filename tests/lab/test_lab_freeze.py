"""Hosts and daemons that stand still for a while: many dead intervals, and then they go on as if nothing had been.

A virtual machine that is suspended is not possible here: its clocks stop too (CLOCK_MONOTONIC, not CLOCK_BOOTTIME).
What can be shown is a host of which every program stands still while the network is silent, and a daemon alone.
"""

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

FREEZE_S = 6.0  # twenty dead intervals
HOOKS = {"master": 0.0, "backup": 0.0}
GUARDED = PairSettings(guards=("vip", "cloud"), hooks=HOOKS)
UNGUARDED = PairSettings(guards=(), hooks=HOOKS)
VIP_GUARDED = PairSettings(guards=("vip",), hooks=HOOKS)


def _assert_stepped_down_for_good(lab: Lab, pair: Pair) -> None:
    """The woken web-a finds out, answers no more, runs its hook, and leaves the address where it is."""
    lab.wait_carries("web-a", carries=False)
    pair.wait_state("web-a", "BACKUP")
    pair.wait_said("web-a", "hook", hook="backup", result="ok")
    with lab.probe() as probe:
        pause(2)
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {"web-b"}
    assert lab.cloud.moves() == ["web-b"]
    assert pair.hooks_run("web-a")[-1].startswith("backup deposed_by_")
    assert not pair.said("web-a", "move")
    assert not pair.said("web-a", "role", new="CLAIMING")


def _freeze_and_wake(pair: Pair, name: str) -> None:
    """Stop a daemon for a while, and wait until both hear each other again."""
    pair.daemon(name).signal(signal.SIGSTOP)
    pause(FREEZE_S)
    pair.daemon(name).signal(signal.SIGCONT)
    pair.wait_peers_alive()


@pytest.mark.parametrize("settings", [GUARDED, UNGUARDED], ids=["guarded", "unguarded"])
def test_frozen_host_costs_one_move_and_never_steals_back(lab: Lab, pair: Pair) -> None:
    lab.freeze("web-a")
    pause(FREEZE_S)
    assert lab.cloud.moves() == ["web-b"]
    pair.wait_state("web-b", "MASTER")
    lab.thaw("web-a")
    _assert_stepped_down_for_good(lab, pair)


@pytest.mark.parametrize("settings", [UNGUARDED], ids=["unguarded"])
def test_frozen_daemon_costs_one_move_and_no_lost_probe(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pair.daemon("web-a").signal(signal.SIGSTOP)
        pause(FREEZE_S)
        pair.wait_state("web-b", "MASTER")
        pair.daemon("web-a").signal(signal.SIGCONT)
        lab.wait_carries("web-a", carries=False)
    assert probe.report.lost == 0
    _assert_stepped_down_for_good(lab, pair)


@pytest.mark.parametrize("settings", [VIP_GUARDED], ids=["vip"])
def test_frozen_daemon_moves_nothing_while_a_guard_finds_the_service(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        _freeze_and_wake(pair, "web-a")
        pause(1)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert pair.said("web-b", "no_claim", reason="guard_denied")
    assert pair.hooks_run("web-a") == ["master held_at_start"]
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")


@pytest.mark.parametrize("settings", [UNGUARDED], ids=["unguarded"])
def test_frozen_backup_accuses_nobody_when_it_wakes(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        _freeze_and_wake(pair, "web-b")
        pause(2)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert [entry["new"] for entry in pair.said("web-b", "role")] == ["BACKUP"]
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
