"""Single writers: `handover = "strict"` lets the old one end before the new one begins, `fence` sees to it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import GROUP, PairSettings

if TYPE_CHECKING:
    from tests.lab.guests import GuestReport
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

HOOK_S = 1.0
HOOKS = {"master": 0.0, "backup": HOOK_S, "fault": HOOK_S, "stop": HOOK_S}
STRICT = PairSettings(guards=("cloud",), more_group='handover = "strict"', hooks=HOOKS)
FENCED = PairSettings(guards=(), more_group='handover = "strict"\nfence = "stop-instance"', hooks=HOOKS)
strict = pytest.mark.parametrize("settings", [STRICT], ids=["strict"])
fenced = pytest.mark.parametrize("settings", [FENCED], ids=["fenced"])


def _first_write_ns(lab: Lab) -> int:
    return next(arrival.at_ns for arrival in lab.cloud.arrivals() if arrival.action == "MigratePrivateIpAddress")


def _assert_one_after_the_other(lab: Lab, pair: Pair, guests: GuestReport, last_hook: str) -> None:
    """The old one's hook has ended before the cloud is asked, and no two guests ever carried the address."""
    hook, ended_ns = pair.hook_ends("web-a")[-1]
    assert hook == last_hook
    assert ended_ns < _first_write_ns(lab)
    assert guests.both_ms == 0
    (old,), (new,) = guests.carried["web-a"], guests.carried["web-b"]
    (move,) = lab.cloud.applied()
    assert old[1] < _first_write_ns(lab) < move.at_ns < new[0]
    assert lab.cloud.moves() == ["web-b"]


def _hand_over(lab: Lab, pair: Pair) -> GuestReport:
    """Have web-a hand over to web-b, and return which guest carried the address when."""
    with lab.watch_guests() as guests:
        done = pair.run("web-a", "failover", GROUP, "--wait")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert done.returncode == 0, done.stderr
    return guests.report


@strict
def test_planned_hand_over_waits_for_the_old_ones_hook(lab: Lab, pair: Pair) -> None:
    guests = _hand_over(lab, pair)
    _assert_one_after_the_other(lab, pair, guests, "backup")


@strict
def test_stopped_daemon_hands_over_after_its_hook(lab: Lab, pair: Pair) -> None:
    with lab.watch_guests() as guests:
        pair.daemon("web-a").signal(signal.SIGTERM)
        code = pair.daemon("web-a").wait(20)
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert code == 0
    assert guests.report.both_ms == 0
    ended_ns = min(at_ns for _, at_ns in pair.hook_ends("web-a")[1:])
    assert ended_ns < _first_write_ns(lab)
    assert lab.cloud.moves() == ["web-b"]


@strict
def test_service_fault_hands_over_after_the_old_ones_hook(lab: Lab, pair: Pair) -> None:
    with lab.watch_guests() as guests:
        lab.hosts["web-a"].stop_service()
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    _assert_one_after_the_other(lab, pair, guests.report, "fault")


@strict
def test_lost_hosts_successor_has_the_address_after_the_cloud_has_moved_it(lab: Lab, pair: Pair) -> None:
    with lab.watch_guests() as guests:
        lab.crash("web-a")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    (move,) = lab.cloud.applied()
    (new,) = guests.report.carried["web-b"]
    assert move.at_ns < new[0]
    assert lab.cloud.moves() == ["web-b"]


@fenced
def test_silent_master_is_powered_off_before_the_claim(lab: Lab, pair: Pair) -> None:
    with lab.watch_guests() as guests:
        lab.part("web-a", "web-b")
        lab.obey_power("web-a")
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    off_ns = lab.powered_off_ns("web-a")
    assert off_ns is not None
    assert off_ns < _first_write_ns(lab)
    stops = [arrival.peer for arrival in lab.cloud.arrivals() if arrival.action == "StopInstances"]
    assert stops == [lab.hosts["web-b"].port.address]
    assert pair.said("web-b", "fence_ended", stopped=True)
    (new,) = guests.report.carried["web-b"]
    assert off_ns < new[0]
    assert lab.cloud.moves() == ["web-b"]


@fenced
def test_nothing_moves_while_the_power_off_is_refused(lab: Lab, pair: Pair) -> None:
    lab.cloud.fault("error", action="StopInstances", code="UnauthorizedOperation")
    lab.part("web-a", "web-b")
    with lab.probe() as probe:
        pair.wait_said("web-b", "fence_ended", stopped=False, code="UnauthorizedOperation")
        pause(3)
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {"web-a"}
    assert lab.cloud.moves() == []
    assert lab.powered_off_ns("web-a") is None
    lab.cloud.heal()
    lab.obey_power("web-a", timeout_s=30)
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER")
    assert lab.cloud.moves() == ["web-b"]


@fenced
def test_planned_hand_over_powers_nobody_off(lab: Lab, pair: Pair) -> None:
    guests = _hand_over(lab, pair)
    assert lab.cloud.power() == []
    _assert_one_after_the_other(lab, pair, guests, "backup")
