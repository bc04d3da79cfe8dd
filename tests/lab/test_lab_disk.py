"""The state directory's disk is full: that is said, and keeps nobody from taking over."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from hafailover.daemon import statefile
from tests.lab.fabric import LabError
from tests.lab.lab import pause
from tests.lab.pair import Pair, PairSettings

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.election.values import Memory
    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

STATE = PairSettings(more='[state]\ndirectory = "/var/lib/small"')
DISK_KIB = 64


@pytest.fixture
def disk(lab: Lab) -> Path:
    """Be the state directory of web-b; that of web-a is where it always is."""
    return lab.hosts["web-b"].add_small_disk("lib/small", DISK_KIB)


@pytest.fixture
def started(lab: Lab, disk: Path) -> Pair:
    assert disk.is_dir()
    pair = Pair(lab, STATE)
    pair.start()
    return pair


def _fill(disk: Path) -> Path:
    """Write until nothing goes in any more."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for _ in range(DISK_KIB * 1024):
            try:
                file.write(b"x" * 1024)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return ballast
    raise LabError("the disk does not become full")


def _remembered(disk: Path) -> Memory:
    """Return what a daemon that starts now would remember. Raises where the file is torn."""
    return statefile.decode((disk / statefile.FILE).read_bytes())


def test_full_disk_is_said_and_holds_up_no_failover(lab: Lab, started: Pair, disk: Path) -> None:
    for command in ("drain", "undrain"):  # so that there is a file to be torn
        assert started.run("web-b", command).returncode == 0
    before = (disk / statefile.FILE).read_bytes()
    ballast = _fill(disk)
    with lab.probe() as probe:
        pause(0.3)
        lab.crash("web-a")
        lab.wait_holder("web-b")
        started.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves() == ["web-b"]
    assert probe.report.switches[-1][1] == "web-b"
    (line, *_) = started.said("web-b", "state_not_saved", level="error")
    assert "No space left" in line["error"]
    assert (disk / statefile.FILE).read_bytes() == before
    ballast.unlink()
    _assert_remembers_again(lab, started, disk)


def _assert_remembers_again(lab: Lab, pair: Pair, disk: Path) -> None:
    """With room on the disk the next change is saved, and a new daemon starts with it."""
    lab.fabric.regain("web-a")
    lab.hosts["web-a"].start_service()
    pair.start_daemon("web-a")
    pair.wait_state("web-a", "BACKUP")
    pair.wait_peers_alive()
    term = pair.group("web-b")["term"]
    assert pair.run("web-b", "drain").returncode == 0
    pair.wait_state("web-a", "MASTER")
    remembered = _remembered(disk)
    assert remembered.drained
    assert remembered.groups[0].term >= term
    pair.kill_daemon("web-b")
    pair.start_daemon("web-b")
    pair.wait_state("web-b", "BACKUP")
    assert pair.status("web-b")["drained"] is True
    assert not list(disk.glob("*.unreadable"))


def test_daemon_starts_on_a_full_disk(lab: Lab, disk: Path) -> None:
    _fill(disk)
    pair = Pair(lab, STATE)
    pair.start()
    lab.crash("web-a")
    lab.wait_holder("web-b")
    pair.wait_state("web-b", "MASTER")
    assert pair.said("web-b", "state_not_saved", level="error")
