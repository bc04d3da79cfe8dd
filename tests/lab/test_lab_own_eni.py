"""Addresses on nodes' own ENIs that are secondary ones: a client in another subnet sees which way answers leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.world import EniSpec, mac_of
from hafailover.guest.interface import table_of
from tests.lab.cloud import CloudSettings
from tests.lab.lab import INSTANCE, pause
from tests.lab.pair import GROUP, GroupSettings, Pair, PairSettings, run_program
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

ADDRESS, CIDR = "10.0.2.100", "10.0.2.0/24"
OWN = {
    "web-a": EniSpec("eni-dddddd01", ("10.0.2.17", ADDRESS), INSTANCE["web-a"], cidr=CIDR),
    "web-b": EniSpec("eni-dddddd02", ("10.0.2.16",), INSTANCE["web-b"], cidr=CIDR),
}
CARD = {"web-a": "eth1", "web-b": "eth2"}


def _ip(lab: Lab, name: str, *what: str) -> None:
    done = run_program(lab.hosts[name], ["ip", *what], 10)
    assert done.returncode == 0, done.stderr


def _ways(lab: Lab, name: str) -> list[str]:
    """Return the sources that a host has rules for, into the table of its own ENI."""
    table = table_of(mac_of(OWN[name].eni_id).lower(), own=True)
    return [rule["src"] for rule in lab.fabric.show(name, "rule") if rule["table"] == str(table)]


def _card(lab: Lab, name: str) -> tuple[bool, set[str]]:
    """Return whether a host's card is up, and its addresses."""
    (link,) = lab.fabric.show(name, "addr", "show", "dev", CARD[name])
    return "UP" in link["flags"], {entry["local"] for entry in link["addr_info"]}


@pytest.fixture
def cloud() -> CloudSettings:
    return CloudSettings(addresses=(), enis=tuple(OWN.values()))


@pytest.fixture
def settings() -> PairSettings:
    own = {name: spec.eni_id for name, spec in OWN.items()}
    return PairSettings(groups=(GroupSettings(addresses=(ADDRESS,)),), own=own)


@pytest.mark.parametrize("configured", [False, True], ids=["bare", "configured"])
def test_client_in_another_subnet_is_served_before_and_after_the_loss_of_a_host(
    lab: Lab,
    settings: PairSettings,
    configured: bool,  # noqa: FBT001 - a parameter
) -> None:
    own = {name: {spec.addresses[0]} if configured else set() for name, spec in OWN.items()}
    for name, addresses in own.items():
        for address in addresses:  # as an administrator does
            _ip(lab, name, "addr", "add", f"{address}/24", "dev", CARD[name])
            _ip(lab, name, "link", "set", CARD[name], "up")
    pair = Pair(lab, settings)
    pair.start()
    with lab.probe(ADDRESS) as probe:
        pause(0.5)
        lab.fabric.lose("web-a")
        lab.wait_holder("web-b", resource=ADDRESS)
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert lab.cloud.moves(ADDRESS) == ["web-b"]
    assert lab.cloud.writes() == 1
    assert probe.report.answered_at_end
    assert probe.report.gap_ms < 3000
    assert [who for _, who in probe.report.switches] == ["web-a", "web-b"]
    assert _ways(lab, "web-b") == [ADDRESS]
    assert _card(lab, "web-b") == (True, {ADDRESS, *own["web-b"]})
    lab.fabric.regain("web-a")
    pair.wait_state("web-a", "BACKUP")
    wait_for("web-a has let go of it", lambda: _ways(lab, "web-a") == [] and not lab.carries("web-a", ADDRESS))
    assert _card(lab, "web-a") == (True, own["web-a"])


def test_planned_hand_over_and_back(lab: Lab, pair: Pair) -> None:
    with lab.probe(ADDRESS) as probe:
        for giver in ("web-a", "web-b"):
            pause(0.3)
            done = pair.run(giver, "failover", GROUP, "--wait")
            assert done.returncode == 0, done.stderr
        pause(0.3)
    assert probe.report.gap_ms < 300
    assert [who for _, who in probe.report.switches] == ["web-a", "web-b", "web-a"]
    assert _ways(lab, "web-a") == [ADDRESS]
    wait_for("web-b has let go of it", lambda: _ways(lab, "web-b") == [])


def test_flushed_rule_comes_back(lab: Lab, pair: Pair) -> None:
    with lab.probe(ADDRESS) as probe:
        pause(0.3)
        _ip(lab, "web-a", "rule", "del", "from", ADDRESS)
        pair.wait_said("web-a", "removed_by_others", resource=ADDRESS)
        wait_for("the rule is back", lambda: _ways(lab, "web-a") == [ADDRESS])
        pause(0.3)
    assert probe.report.answered_at_end
    assert probe.report.gap_ms < 1000
    assert (lab.cloud.writes(), pair.state("web-a")) == (0, "MASTER")


def test_what_a_daemon_that_died_for_good_has_left_goes_and_the_card_stays(lab: Lab, pair: Pair) -> None:
    pair.kill_daemon("web-a")
    pair.environment["web-a"]["RUNTIME_DIRECTORY"] = "/run/hafailover"
    pair.start_daemon("web-a")
    pair.wait_state("web-a", "MASTER")
    pair.kill_daemon("web-a")
    assert _ways(lab, "web-a") == [ADDRESS]
    assert pair.run("web-a", "release-guest").returncode == 0
    assert _ways(lab, "web-a") == []
    assert _card(lab, "web-a") == (True, set())
