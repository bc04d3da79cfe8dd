"""Secondary ENIs that move: hot-plugged by the cloud, set up by real daemons, seen by a client."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.world import EniSpec, mac_of
from tests.lab.cloud import CloudSettings
from tests.lab.lab import ADDRESS, INSTANCE, pause
from tests.lab.pair import GROUP, GroupSettings, Pair, PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

ON_A = INSTANCE["web-a"]
ENI = EniSpec("eni-cccccc01", ("10.0.1.101", "10.0.1.102"), ON_A)
ELSEWHERE = EniSpec("eni-cccccc02", ("10.0.2.101",), ON_A, cidr="10.0.2.0/24")
WITH_IPV6 = EniSpec("eni-cccccc03", ("10.0.1.103",), ON_A, ("2001:db8:1::103",))
PLAN = PairSettings(groups=(GroupSettings(addresses=(), enis=(ENI.eni_id,)),))


def _parts(spec: EniSpec) -> int:
    """Return how many parts an ENI has that is set up: its link, each address with a rule, the routes."""
    families = 2 * bool(spec.addresses) + bool(spec.ipv6s)
    return 1 + 2 * len((*spec.addresses, *spec.ipv6s)) + families


def _wait_set_up(lab: Lab, name: str, spec: EniSpec) -> None:
    wait_for(f"{name} has {spec.eni_id} set up", lambda: len(lab.remains(name, spec)) == _parts(spec))


def _wait_taken_off(lab: Lab, name: str, spec: EniSpec) -> None:
    wait_for(f"{name} has nothing of {spec.eni_id}", lambda: lab.remains(name, spec) == [])


@pytest.fixture
def cloud() -> CloudSettings:
    return CloudSettings(addresses=(), enis=(ENI,))


@pytest.fixture
def settings() -> PairSettings:
    return PLAN


def test_lost_host_is_replaced_by_one_move_of_its_eni(lab: Lab, pair: Pair) -> None:
    _wait_set_up(lab, "web-a", ENI)
    with lab.probe(*ENI.addresses) as probe:
        pause(0.5)
        lab.fabric.lose("web-a")
        lab.wait_holder("web-b", resource=ENI.eni_id)
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves(ENI.eni_id) == ["web-b"]
    assert lab.cloud.writes() == 1
    assert probe.report.answered_at_end
    assert probe.report.gap_ms < 3000
    assert probe.report.switches[-1][1] == "web-b"
    _wait_set_up(lab, "web-b", ENI)
    lab.fabric.regain("web-a")
    pair.wait_state("web-a", "BACKUP")
    _wait_taken_off(lab, "web-a", ENI)
    assert lab.cloud.moves(ENI.eni_id) == ["web-b"]


@pytest.mark.parametrize("cloud", [CloudSettings(addresses=(), enis=(ENI, ELSEWHERE, WITH_IPV6), ipv6=True, cpu=8)])
@pytest.mark.parametrize(
    "settings",
    [PairSettings(groups=(GroupSettings(addresses=(), enis=(ENI.eni_id, ELSEWHERE.eni_id, WITH_IPV6.eni_id)),))],
)
def test_enis_of_two_subnets_and_both_families_move_together(lab: Lab, pair: Pair) -> None:
    with lab.probe(*pair.addresses, interval_ms=5) as probe:
        pause(0.5)
        lab.fabric.lose("web-a")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert probe.report.answered_at_end
    assert set(probe.report.answers) == {"web-a", "web-b"}
    for spec in lab.settings.enis:
        assert lab.cloud.moves(spec.eni_id) == ["web-b"]
        _wait_set_up(lab, "web-b", spec)


def test_planned_hand_over_of_an_eni(lab: Lab, pair: Pair) -> None:
    with lab.probe(*ENI.addresses) as probe:
        pause(0.3)
        done = pair.run("web-a", "failover", GROUP, "--wait")
        pause(0.3)
    assert done.returncode == 0, done.stderr
    assert pair.state("web-b") == "MASTER"
    assert lab.cloud.moves(ENI.eni_id) == ["web-b"]
    assert lab.cloud.writes() == 1
    assert probe.report.gap_ms < 300
    assert [who for _, who in probe.report.switches] == ["web-a", "web-b"]
    _wait_set_up(lab, "web-b", ENI)
    _wait_taken_off(lab, "web-a", ENI)
    pause(0.5)
    assert (pair.state("web-a"), pair.state("web-b")) == ("BACKUP", "MASTER")


@pytest.mark.parametrize(
    "settings", [replace(PLAN, more_group='handover = "strict"', hooks={"backup": 0.3, "master": 0.0})]
)
def test_strict_hand_over_of_an_eni_begins_once_the_hook_has_ended(lab: Lab, pair: Pair) -> None:
    done = pair.run("web-a", "failover", GROUP, "--wait")
    assert done.returncode == 0, done.stderr
    (move,) = lab.cloud.applied(ENI.eni_id)
    assert move.holder == "web-b"
    assert [at_ns for hook, at_ns in pair.hook_ends("web-a") if hook == "backup"][-1] < move.at_ns
    _wait_taken_off(lab, "web-a", ENI)
    _wait_set_up(lab, "web-b", ENI)
    assert lab.cloud.writes() == 1


def test_killed_and_restarted_daemon_leaves_its_eni_alone(lab: Lab, pair: Pair) -> None:
    with lab.probe(*ENI.addresses) as probe:
        pause(0.3)
        pair.kill_daemon("web-a")
        pause(0.5)
        pair.start_daemon("web-a")
        pair.wait_state("web-a", "MASTER")
        pause(1.5)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
    assert len(lab.remains("web-a", ENI)) == _parts(ENI)


def test_what_a_daemon_that_died_for_good_has_left_of_an_eni_can_be_removed(lab: Lab, pair: Pair) -> None:
    pair.kill_daemon("web-a")
    pair.environment["web-a"]["RUNTIME_DIRECTORY"] = "/run/hafailover"
    pair.start_daemon("web-a")
    pair.wait_state("web-a", "MASTER")
    pair.kill_daemon("web-a")
    assert len(lab.remains("web-a", ENI)) == _parts(ENI)
    assert pair.run("web-a", "release-guest").returncode == 0
    assert lab.remains("web-a", ENI) == []


@pytest.mark.parametrize("settings", [replace(PLAN, guards=(), restart_grace="1s")])
def test_daemon_that_was_away_takes_off_what_the_eni_left_when_it_went(lab: Lab, pair: Pair) -> None:
    pair.kill_daemon("web-a")
    lab.wait_holder("web-b", resource=ENI.eni_id)
    pair.wait_state("web-b", "MASTER")
    wait_for("the cloud has pulled it", lambda: not lab.carries("web-a", *ENI.addresses))
    assert lab.remains("web-a", ENI) == [f"from {address}" for address in ENI.addresses]
    pair.start_daemon("web-a")
    pair.wait_state("web-a", "BACKUP")
    _wait_taken_off(lab, "web-a", ENI)
    pause(0.5)
    assert lab.cloud.moves(ENI.eni_id) == ["web-b"]
    assert len(lab.remains("web-b", ENI)) == _parts(ENI)


@pytest.mark.parametrize("cloud", [CloudSettings(enis=(ENI,))])
@pytest.mark.parametrize("settings", [PairSettings(groups=(GroupSettings(enis=(ENI.eni_id,)),))])
@pytest.mark.parametrize("strategy", ["migrate", "reassign"])
def test_address_and_eni_of_one_group_move_together(lab: Lab, settings: PairSettings, strategy: str) -> None:
    pair = Pair(lab, replace(settings, strategy=strategy))
    pair.start()
    with lab.probe(*pair.addresses) as probe:
        pause(0.3)
        lab.crash("web-a")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    expected = ["web-b"] if strategy == "migrate" else ["", "web-b"]
    assert lab.cloud.moves(ADDRESS) == lab.cloud.moves(ENI.eni_id) == expected
    assert probe.report.answered_at_end
    assert lab.carries("web-b", *pair.addresses)
    _wait_set_up(lab, "web-b", ENI)


TEN_EACH = tuple(
    EniSpec(f"eni-cccccc1{order}", tuple(f"10.0.1.{110 + 10 * order + i}" for i in range(10)), ON_A)
    for order in range(3)
)


@pytest.mark.parametrize("cloud", [CloudSettings(addresses=(), enis=TEN_EACH, cpu=8)])
@pytest.mark.parametrize(
    "settings", [PairSettings(groups=(GroupSettings(addresses=(), enis=tuple(each.eni_id for each in TEN_EACH)),))]
)
def test_thirty_addresses_on_three_enis(lab: Lab, pair: Pair) -> None:
    with lab.probe(*pair.addresses, interval_ms=20) as probe:
        pause(0.5)
        lab.crash("web-a")
        pair.wait_state("web-b", "MASTER")
        pause(0.5)
    assert [lab.cloud.moves(each.eni_id) for each in TEN_EACH] == [["web-b"]] * 3
    assert lab.cloud.writes() == 3
    assert probe.report.answered_at_end
    assert probe.report.gap_ms < 3000
    for each in TEN_EACH:
        _wait_set_up(lab, "web-b", each)


@pytest.mark.parametrize("cloud", [CloudSettings(addresses=(), enis=(ENI,), nodes=3)])
@pytest.mark.parametrize("settings", [replace(PLAN, strategy="reassign", guards=(), restart_grace="1s")])
def test_eni_that_was_only_detached_is_attached_by_the_next_master(lab: Lab, pair: Pair) -> None:
    lab.crash("web-a")
    wait_for("the ENI is detached", lambda: lab.cloud.moves(ENI.eni_id) == [""], pause_s=0.005)
    pair.kill_daemon("web-b")
    pair.wait_state("web-c", "MASTER", timeout_s=20)
    assert lab.cloud.moves(ENI.eni_id) == ["", "web-c"]
    _wait_set_up(lab, "web-c", ENI)
    assert lab.remains("web-b", ENI) == []


def test_eni_that_is_detached_by_hand_is_attached_again(lab: Lab, pair: Pair) -> None:
    with lab.probe(*ENI.addresses) as probe:
        pause(0.5)
        lab.cloud.attach_by_hand(ENI.eni_id, "")
        wait_for("somebody has it", lambda: lab.cloud.holder(ENI.eni_id) != "")
        name = lab.cloud.holder(ENI.eni_id)
        _wait_set_up(lab, name, ENI)
        pair.wait_state(name, "MASTER")
        pause(0.3)
    assert probe.report.answered_at_end
    assert lab.cloud.writes() == 1


def test_eni_that_is_moved_by_hand_makes_its_new_host_master(lab: Lab, pair: Pair) -> None:
    lab.cloud.attach_by_hand(ENI.eni_id, "web-b")
    pair.wait_state("web-b", "MASTER")
    pair.wait_state("web-a", "BACKUP")
    _wait_set_up(lab, "web-b", ENI)
    _wait_taken_off(lab, "web-a", ENI)
    assert lab.cloud.writes() == 0


def test_host_that_was_away_for_long_is_no_worse_for_what_it_missed(lab: Lab, pair: Pair) -> None:
    lab.fabric.lose("web-a")
    pair.wait_state("web-b", "MASTER")
    pause(12)  # longer than it waits for the link of an ENI
    lab.fabric.regain("web-a")
    pair.wait_state("web-a", "BACKUP")
    assert pair.said("web-a", "arm_failed") == []
    _wait_taken_off(lab, "web-a", ENI)


@pytest.mark.parametrize("strategy", ["reassign", "migrate"])
def test_planned_hand_over_of_an_eni_that_is_detached_and_attached(lab: Lab, strategy: str) -> None:
    pair = Pair(lab, replace(PLAN, strategy=strategy))
    pair.start()
    if strategy == "migrate":  # and the cloud does not do that here
        lab.cloud.fault("error", code="UnsupportedOperation", action="MigrateNetworkInterface")
    with lab.probe(*ENI.addresses) as probe:
        pause(0.3)
        done = pair.run("web-a", "failover", GROUP, "--wait")
        pause(1)
    assert done.returncode == 0, done.stderr
    assert lab.cloud.moves(ENI.eni_id) == ["", "web-b"]
    assert lab.cloud.accepted() == 2
    assert [who for _, who in probe.report.switches] == ["web-a", "web-b"]
    _wait_set_up(lab, "web-b", ENI)
    _wait_taken_off(lab, "web-a", ENI)
    assert (pair.state("web-a"), pair.state("web-b")) == ("BACKUP", "MASTER")


def test_stop_hands_an_eni_over_and_leaves_nothing_of_it(lab: Lab, pair: Pair) -> None:
    pair.daemon("web-a").signal(signal.SIGTERM)
    assert pair.daemon("web-a").wait(10) == 0
    pair.wait_state("web-b", "MASTER")
    assert lab.cloud.moves(ENI.eni_id) == ["web-b"]
    assert lab.remains("web-a", ENI) == []
    _wait_set_up(lab, "web-b", ENI)


def test_what_somebody_takes_off_an_eni_is_put_back(lab: Lab, pair: Pair) -> None:
    _wait_set_up(lab, "web-a", ENI)
    slot = lab.fabric.slots[mac_of(ENI.eni_id), "web-a"]
    for command in (
        ["route", "flush", "dev", slot.guest_link, "table", "all"],
        ["addr", "flush", "dev", slot.guest_link],
    ):
        subprocess.run(["ip", "-n", slot.namespace, *command], check=False, timeout=10)
    _wait_set_up(lab, "web-a", ENI)
    with lab.probe(*ENI.addresses) as probe:
        pause(0.5)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert pair.state("web-a") == "MASTER"
