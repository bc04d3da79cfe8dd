"""What else an operator does with the service: hooks that need root, secrets from systemd, taking it away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.daemon.install import PLACES
from tests.lab.lab import pause
from tests.lab.processes import ROOT, wait_for
from tests.system.machines import PROGRAM, UNIT
from tests.system.pair import KEY

if TYPE_CHECKING:
    from tests.system.machines import Machine
    from tests.system.pair import SystemPair

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

HOOK = '["/usr/bin/systemctl", "start", "hafailover-hook-master@vip.service"]'
FORBIDDEN = '["/usr/bin/systemctl", "start", "forbidden.service"]'
TRACE = "/root/on-master"


def allow_hooks(machine: Machine) -> None:
    machine.write("/etc/polkit-1/rules.d/50-hafailover.rules", (ROOT / "config/polkit.rules").read_text("utf-8"))
    unit = (ROOT / "config/hafailover-hook-master@.service").read_text("utf-8")
    machine.write("/etc/systemd/system/hafailover-hook-master@.service", unit)
    machine.write("/etc/systemd/system/forbidden.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    machine.write("/usr/local/sbin/on-master", f"#!/bin/sh\necho $1 $(id -u) >> {TRACE}\n", 0o755)
    machine.systemctl("daemon-reload")
    machine.run("rm", "-f", TRACE)


def test_a_hook_that_needs_root_is_a_unit_that_polkit_allows(pair: SystemPair) -> None:
    for machine in (pair.master, pair.backup):
        allow_hooks(machine)
        text = pair.config.replace("[metrics]", f"[group.notify]\nmaster = {HOOK}\nbackup = {FORBIDDEN}\n[metrics]")
        machine.write("/etc/hafailover/config.toml", text)
        machine.systemctl("restart", UNIT)
    pair.master.wait_state("MASTER")
    pair.backup.wait_state("BACKUP")
    pair.wait_eligible()
    pair.master.run(PROGRAM, "failover", "vip", "--wait")
    wait_for("the hook has run", lambda: bool(pair.backup.said("hook", hook="master")))
    assert pair.backup.said("hook", hook="master")[-1]["result"] == "ok"
    assert pair.backup.run("cat", TRACE).out == "vip 0\n"
    wait_for("the other hook has run", lambda: bool(pair.master.said("hook", hook="backup")))
    refused = pair.master.said("hook", hook="backup")[-1]
    assert refused["result"] == "failed"
    assert "authentication required" in refused["output"].lower() or "denied" in refused["output"].lower()


def test_a_secret_that_only_root_can_read_comes_from_systemd(pair: SystemPair) -> None:
    machine = pair.backup
    machine.run("sh", "-c", f"umask 077; cp {KEY} /root/secret.key")
    machine.drop_in("[Service]\nLoadCredential=cluster.key:/root/secret.key\n")
    machine.write("/etc/hafailover/config.toml", pair.config.replace(KEY, "credential:cluster.key"))
    machine.systemctl("restart", UNIT)
    machine.wait_state("BACKUP")
    wait_for("they hear each other", lambda: bool(machine.status()["peers"][0]["alive"]))


def test_a_credential_that_is_not_there_is_not_tried_again(pair: SystemPair) -> None:
    pair.backup.drop_in("[Service]\nLoadCredential=cluster.key:/root/nowhere.key\n")
    assert pair.backup.systemctl("restart", UNIT, check=False).code != 0
    pause(0.5)
    assert pair.backup.show("ActiveState") == "failed"
    assert pair.backup.show("NRestarts") == "0"


def test_installing_again_changes_nothing(pair: SystemPair) -> None:
    before = pair.master.main_pid
    said = pair.master.run(PROGRAM, "install-unit").out
    assert said.count(": is up to date\n") == len(PLACES)
    assert pair.master.main_pid == before


def test_removing_hands_over_and_leaves_what_is_the_operators(pair: SystemPair) -> None:
    with pair.probe() as probe:
        pause(0.3)
        said = pair.master.run(PROGRAM, "install-unit", "--remove").out
        pair.backup.wait_state("MASTER")
        pause(0.3)
    try:
        assert said.count(": removed\n") == len(PLACES)
        assert pair.master.show("LoadState") == "not-found"
        assert pair.carriers() == {"web-b"}
        assert probe.report.lost == 0
        assert pair.master.run("cat", KEY).out == pair.key
    finally:
        pair.master.run(PROGRAM, "install-unit")
        pair.master.systemctl("enable", "--now", UNIT)


def test_units_are_what_systemd_takes_and_well_shut_in(pair: SystemPair) -> None:
    units = (UNIT, "hafailover-guest.service")
    verified = pair.master.run("systemd-analyze", "verify", "--man=no", *units)
    assert (verified.out, verified.err) == ("", "")
    for unit in units:
        pair.master.run("systemd-analyze", "security", "--threshold=20", unit)
