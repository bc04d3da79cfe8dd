from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.processes import wait_for
from tests.system.machines import PROGRAM, UNIT
from tests.system.pair import NEXT_VERSION

if TYPE_CHECKING:
    from tests.system.pair import SystemPair

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def test_restart_on_the_master_costs_nothing(pair: SystemPair) -> None:
    before = pair.master.main_pid
    with pair.probe() as probe:
        pause(0.3)
        pair.master.systemctl("restart", "hafailover")
        pair.master.wait_state("MASTER")
        pause(0.5)
    assert pair.master.main_pid != before
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {"web-a"}
    assert pair.writes() == 0
    assert pair.carriers() == {"web-a"}
    assert pair.master.said("stop_asked")[-1]["restarting"] is True


def test_stop_hands_over_without_a_lost_probe(pair: SystemPair) -> None:
    with pair.probe() as probe:
        pause(0.3)
        pair.master.systemctl("stop", "hafailover")
        pair.backup.wait_state("MASTER")
        pause(0.3)
    assert pair.master.said("stop_asked")[-1]["restarting"] is False
    assert probe.report.lost == 0
    assert probe.report.switches[-1][1] == "web-b"
    assert pair.moves() == ["web-b"]
    assert pair.carriers() == {"web-b"}


def test_killed_daemon_is_started_again_and_goes_on(pair: SystemPair) -> None:
    before = pair.master.main_pid
    with pair.probe() as probe:
        pause(0.3)
        pair.master.signal_daemon(signal.SIGKILL)
        pause(0.1)
        pair.master.wait_state("MASTER")
        pause(0.5)
    assert pair.master.main_pid not in (0, before)
    assert probe.report.lost == 0
    assert pair.writes() == 0
    assert pair.carriers() == {"web-a"}


def test_reload_is_over_before_systemctl_says_so(pair: SystemPair) -> None:
    before = pair.master.main_pid
    with pair.probe() as probe:
        pair.master.systemctl("reload", UNIT)
        wait_for("the reload is over", lambda: pair.master.show("ActiveState") == "active")
        pause(0.3)
    assert pair.master.main_pid == before
    assert probe.report.lost == 0
    assert pair.writes() == 0


def test_shutdown_hands_over_without_a_lost_probe(pair: SystemPair) -> None:
    with pair.probe() as probe:
        pause(0.3)
        pair.master.power_off()
        pair.backup.wait_state("MASTER")
        pause(0.3)
    assert probe.report.lost == 0
    assert probe.report.switches[-1][1] == "web-b"
    assert pair.moves() == ["web-b"]
    assert pair.carriers() == {"web-b"}


def test_daemon_that_hangs_is_killed_and_started_again(pair: SystemPair) -> None:
    pair.master.drop_in("[Service]\nWatchdogSec=2s\n")
    pair.master.systemctl("restart", UNIT)
    pair.master.wait_state("MASTER")
    before = pair.master.main_pid
    with pair.probe() as probe:
        pair.master.signal_daemon(signal.SIGSTOP)
        wait_for("systemd has started it again", lambda: pair.master.main_pid not in (0, before), 10.0)
        pair.master.wait_state("MASTER")
    assert any("Watchdog timeout" in line for line in pair.master.journal())
    assert probe.report.lost == 0
    assert pair.writes() == 0
    assert pair.carriers() == {"web-a"}


def test_quiet_daemon_is_not_taken_for_one_that_hangs(pair: SystemPair) -> None:
    pair.backup.drop_in("[Service]\nWatchdogSec=1s\n")
    pair.backup.systemctl("restart", UNIT)
    pair.backup.wait_state("BACKUP")
    before = pair.backup.main_pid
    pause(3)
    assert pair.backup.main_pid == before
    assert pair.backup.show("WatchdogUSec") == "1s"


def test_upgrade_under_traffic_costs_nothing(pair: SystemPair) -> None:
    pip = ("/opt/hafailover/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/wheels")
    with pair.probe() as probe:
        for machine in (pair.backup, pair.master):
            machine.run(*pip, f"hafailover=={NEXT_VERSION}", timeout_s=120.0)
            machine.run(PROGRAM, "install-unit")
            machine.systemctl("restart", UNIT)
        pair.master.wait_state("MASTER")
        pair.backup.wait_state("BACKUP")
        pause(0.5)
    assert [machine.status()["version"] for machine in (pair.master, pair.backup)] == [NEXT_VERSION] * 2
    assert probe.report.lost == 0
    assert set(probe.report.answers) == {"web-a"}
    assert pair.writes() == 0


def test_status_line_says_who_is_master(pair: SystemPair) -> None:
    wait_for("the master says so", lambda: pair.master.show("StatusText") == "vip MASTER")
    wait_for("the backup says so", lambda: pair.backup.show("StatusText") == "vip BACKUP (web-a is master)")


def test_daemon_is_nobody_special(pair: SystemPair) -> None:
    status = pair.master.run("cat", f"/proc/{pair.master.main_pid}/status").out
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    assert "0" not in fields["Uid"].split()
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 1 << 12 | 1 << 13  # NET_ADMIN, NET_RAW
    assert fields["NoNewPrivs"].strip() == "1"
    assert int(fields["VmRSS"].split()[0]) <= 64 * 1024


def test_members_of_its_group_and_nobody_else_may_hand_over(pair: SystemPair) -> None:
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup")
    stranger = pair.master.run(*as_nobody, "--clear-groups", PROGRAM, "failover", "vip", check=False)
    member = pair.master.run(*as_nobody, "--groups=hafailover", PROGRAM, "failover", "vip", "--wait")
    assert stranger.code == 3
    assert member.code == 0
    assert pair.moves() == ["web-b"]
