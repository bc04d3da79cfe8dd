"""Checks of units and processes as the service's own user makes them, within what its unit allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.processes import wait_for
from tests.system.machines import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.machines import Machine
    from tests.system.pair import SystemPair

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

APP = "app.service"
_APP = "[Service]\nExecStart=/usr/bin/sleep infinity\nUser=nobody\n"
_CHECKS = f"""
[[group.check]]
name = "unit"
type = "systemd"
unit = "{APP}"
interval = "1m"
fall = 1

[[group.check]]
name = "sleep"
type = "process"
interval = "1m"
fall = 1
"""


def _reload(pair: SystemPair, config: str) -> None:
    for machine in pair.machines.values():
        machine.write("/etc/hafailover/config.toml", config)
        machine.systemctl("reload", UNIT)


@pytest.fixture
def checked(pair: SystemPair) -> Iterator[SystemPair]:
    """Return the pair with a service on each machine that is checked in both ways."""
    for machine in pair.machines.values():
        machine.write(f"/etc/systemd/system/{APP}", _APP)
        machine.systemctl("daemon-reload")
        machine.systemctl("start", APP)
    _reload(pair, pair.config + _CHECKS)
    try:
        for machine in pair.machines.values():
            wait_for("the checks pass", lambda m=machine: _states(m) == {"unit": "up", "sleep": "up"}, 15.0)  # type: ignore[misc]
        pair.wait_eligible()
        yield pair
    finally:
        _reload(pair, pair.config)
        for machine in pair.machines.values():
            machine.systemctl("stop", APP, check=False)
            machine.systemctl("reset-failed", APP, check=False)


def _checks(machine: Machine) -> dict[str, Any]:
    groups = machine.status().get("groups", ())
    return {check["name"]: check for check in groups[0]["checks"]} if groups else {}


def _states(machine: Machine) -> dict[str, str]:
    return {name: str(check["state"]) for name, check in _checks(machine).items() if name != "service"}


def test_a_killed_service_is_noticed_at_once_by_its_unit_and_its_process(checked: SystemPair) -> None:
    checked.master.run("systemctl", "kill", "--signal=KILL", APP)
    checked.backup.wait_state("MASTER")
    checked.master.wait_state("FAULT")
    assert checked.moves() == ["web-b"]
    wait_for("both are down", lambda: _states(checked.master) == {"unit": "down", "sleep": "down"})
    said = _checks(checked.master)
    assert (said["unit"]["detail"], said["sleep"]["detail"]) == ("failed", 'no process is called "sleep"')
