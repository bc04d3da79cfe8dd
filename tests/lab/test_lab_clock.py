"""The time of day jumps, as after a wrong NTP server or a resumed machine; the monotonic clock does not.

libfaketime stands between the daemons and the clock. The emulated cloud keeps the right time and refuses, as the
real one does, whatever is dated more than five minutes off.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import pause
from tests.lab.pair import Pair, PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

HOUR_S = 3600
NOTICED_S = 1  # after how long libfaketime looks again what time it is to be
# A daemon under libfaketime is slow; what is slow there must not look like a fault.
PATIENT = PairSettings(dead_interval="1s", check_interval="500ms", check_timeout="400ms")


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("not installed: faketime")
    return found[0]


class Clocks:
    """The time of day of each host, as so many seconds from the right one."""

    def __init__(self, lab: Lab) -> None:
        self._files = {name: host.directory / "clock" for name, host in lab.hosts.items()}
        self.set(0)

    def environment(self, name: str) -> dict[str, str]:
        """Return what puts a program under this clock."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._files[name]),
            "FAKETIME_CACHE_DURATION": str(NOTICED_S),  # without it, the file is read for every look at any clock
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def set(self, offset_s: int, *names: str) -> None:
        """Let the clocks of these hosts, or of all, jump there within NOTICED_S."""
        for name in names or self._files:
            fresh = self._files[name].with_suffix(".new")
            fresh.write_text(f"{offset_s:+d}\n", encoding="ascii")
            fresh.replace(self._files[name])


@pytest.fixture
def settings() -> PairSettings:
    return replace(PATIENT, audit_interval="1s")


@pytest.fixture
def clocks(lab: Lab) -> Clocks:
    return Clocks(lab)


@pytest.fixture
def pair(lab: Lab, clocks: Clocks, settings: PairSettings) -> Pair:
    made = Pair(lab, settings)
    for name in lab.hosts:
        made.environment[name] = clocks.environment(name)
    made.start()
    return made


def _jump(pair: Pair, clocks: Clocks, offset_s: int, *names: str) -> None:
    """Let clocks jump, and wait until the API has accepted a request of each daemon since."""
    jumped_s = time.time()
    clocks.set(offset_s, *names)
    for name in names:
        what = f"a request of {name} is accepted by its clock of {offset_s:+d} s"
        wait_for(what, partial(_accepted, pair, name, jumped_s + offset_s), 15.0, pause_s=0.1)


def _accepted(pair: Pair, name: str, since_s: float) -> bool:
    """Whether a daemon's log has an accepted request within ten seconds of then, by its own time of day."""
    times = (datetime.fromisoformat(entry["time"]).timestamp() for entry in pair.said(name, "api", code="OK"))
    return any(since_s < time_s < since_s + 10 for time_s in times)


@pytest.mark.parametrize("jumps_s", [(HOUR_S, -HOUR_S), (-HOUR_S, 250)], ids=["forward", "back"])
def test_jump_moves_nothing_and_requests_are_signed_on(
    lab: Lab, pair: Pair, clocks: Clocks, jumps_s: tuple[int, int]
) -> None:
    roles = {name: pair.said(name, "role") for name in lab.hosts}
    with lab.probe() as probe:
        for offset_s in jumps_s:
            _jump(pair, clocks, offset_s, *lab.hosts)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
    assert {name: pair.said(name, "role") for name in lab.hosts} == roles


@pytest.mark.parametrize("settings", [PATIENT], ids=["audit-30s"])
@pytest.mark.parametrize("offset_s", [HOUR_S, -HOUR_S, 24 * HOUR_S], ids=["forward", "back", "tomorrow"])
def test_failover_right_after_a_jump_needs_one_move(lab: Lab, pair: Pair, clocks: Clocks, offset_s: int) -> None:
    with lab.probe() as probe:
        clocks.set(offset_s)
        pause(NOTICED_S + 0.5)
        lab.crash("web-a")
        lab.wait_holder("web-b")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves() == ["web-b"]
    (age_s,) = (arrival.age_s for arrival in lab.cloud.arrivals() if arrival.writes)
    assert 280 < age_s < 300  # by the API's clock, so that it dies soon if it is held up on its way
    assert probe.report.switches[-1][1] == "web-b"
    assert probe.report.gap_ms < 5000


def test_jump_of_one_side_only_moves_nothing(lab: Lab, pair: Pair, clocks: Clocks) -> None:
    with lab.probe() as probe:
        _jump(pair, clocks, HOUR_S, "web-a")
        pause(1)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
