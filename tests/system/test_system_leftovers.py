"""What a daemon that dies leaves on the guest stays while systemd is to start it again, and goes when it is not."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.processes import wait_for
from tests.system.machines import UNIT

if TYPE_CHECKING:
    from tests.system.pair import SystemPair

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

GUEST = "hafailover-guest.service"


def test_they_stay_while_a_daemon_is_to_come_back(pair: SystemPair) -> None:
    pair.master.drop_in("[Service]\nRestartSec=2s\n")
    with pair.probe() as probe:
        pair.master.signal_daemon(signal.SIGKILL)
        wait_for("the daemon is gone", lambda: pair.master.show("SubState") == "auto-restart")
        pause(1)
        assert pair.carriers() == {"web-a"}
        pair.master.wait_state("MASTER")
    assert probe.report.lost == 0
    assert pair.writes() == 0


def test_they_go_where_it_is_stopped_before_it_comes_back(pair: SystemPair) -> None:
    pair.master.drop_in("[Service]\nRestartSec=30s\n")
    pair.master.signal_daemon(signal.SIGKILL)
    wait_for("the daemon is gone", lambda: pair.master.show("SubState") == "auto-restart")
    assert pair.carriers() == {"web-a"}
    pair.master.systemctl("stop", UNIT)
    wait_for("nobody needs them", lambda: pair.master.show("ActiveState", GUEST) == "inactive")
    assert not pair.lab.carries("web-a")
    pair.backup.wait_state("MASTER")


def test_they_go_where_it_is_killed_and_stopped_at_once(pair: SystemPair) -> None:
    pair.master.run("sh", "-c", f"kill -9 {pair.master.main_pid}; systemctl stop {UNIT}")
    wait_for("nobody needs them", lambda: pair.master.show("ActiveState", GUEST) == "inactive")
    assert not pair.lab.carries("web-a")


def test_they_go_where_it_is_killed_while_it_stops(pair: SystemPair) -> None:
    pair.lab.cloud.fault("http-500-before", action="writes", count=100)  # the hand-over does not come to an end
    try:
        pair.master.systemctl("stop", "--no-block", UNIT)
        wait_for("it stops", lambda: bool(pair.master.show("SubState") == "stop-sigterm"))
        pause(0.3)
        pair.master.signal_daemon(signal.SIGKILL)
        wait_for("nobody needs them", lambda: pair.master.show("ActiveState", GUEST) == "inactive")
        assert not pair.lab.carries("web-a")
    finally:
        pair.lab.cloud.heal()


def test_they_go_where_it_is_given_up(pair: SystemPair) -> None:
    text = "[Unit]\nStartLimitBurst=3\n[Service]\nExecStart=\nExecStart=/bin/false\n"
    pair.master.drop_in(text)
    pair.master.signal_daemon(signal.SIGKILL)
    wait_for("it is given up", lambda: pair.master.show("ActiveState") == "failed", 15.0)
    wait_for("nobody needs them", lambda: pair.master.show("ActiveState", GUEST) == "inactive")
    assert pair.master.show("NRestarts") != "0"
    assert not pair.lab.carries("web-a")
    pair.backup.wait_state("MASTER")
    assert pair.moves() == ["web-b"]


def test_mistake_in_the_file_is_not_tried_again(pair: SystemPair) -> None:
    pair.master.write("/etc/hafailover/config.toml", "[cluster]\nname = 1\n")
    started = pair.master.systemctl("restart", UNIT, check=False)
    assert started.code != 0
    pause(1)
    assert pair.master.show("ActiveState") == "failed"
    assert pair.master.show("ExecMainStatus") == "2"
    assert pair.master.show("NRestarts") == "0"
    wait_for("nobody needs them", lambda: pair.master.show("ActiveState", GUEST) == "inactive")
    assert not pair.lab.carries("web-a")
    pair.backup.wait_state("MASTER")


def test_what_an_earlier_configuration_had_goes_with_the_next_start(pair: SystemPair) -> None:
    pair.lab.fabric.add_guest_address("web-b", "10.0.1.77")
    pair.backup.run("sh", "-c", "echo 10.0.1.77 >> /run/hafailover/addresses")
    pair.backup.systemctl("restart", UNIT)
    wait_for("it is gone", lambda: "10.0.1.77" not in pair.lab.fabric.guest_addresses("web-b"))
