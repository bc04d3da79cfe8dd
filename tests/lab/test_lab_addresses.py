"""Groups of many addresses, of both families, with EIPs, and several groups on one pair."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.lab.cloud import CloudSettings
from tests.lab.lab import ADDRESS, pause
from tests.lab.pair import GROUP, GroupSettings, Pair, PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

EIP = "eip-aaaaaaaa"
SIX = "2001:db8:1::100"
OTHER, OTHERS = "10.0.1.110", "others"
MANY = tuple(f"10.0.1.{100 + order}" for order in range(29))  # an ENI has 30, of which one is its own
LARGE = CloudSettings(addresses=MANY, cpu=16)


@pytest.fixture
def settings() -> PairSettings:
    return PairSettings()


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["migrate", "reassign"])
@pytest.mark.parametrize("cloud", [replace(LARGE, serialise=each) for each in ("eni", "ip")], ids=["eni", "ip"])
def test_as_many_addresses_as_an_eni_has_move_together(lab: Lab, strategy: str) -> None:
    pair = Pair(lab, PairSettings(strategy=strategy, groups=(GroupSettings(addresses=MANY),)))
    pair.start()
    with lab.probe(*MANY, interval_ms=20) as probe:
        pause(0.5)
        lab.crash("web-a")
        pair.wait_state("web-b", "MASTER", timeout_s=60)
        pause(0.5)
    once = ["web-b"] if strategy == "migrate" else ["", "web-b"]
    assert [lab.cloud.moves(address) for address in MANY] == [once] * len(MANY)
    assert probe.report.answered_at_end
    assert lab.carries("web-b", *MANY)
    assert lab.cloud.accepted() == (len(MANY) if strategy == "migrate" else 2 * 3)  # ten in a request


@pytest.mark.parametrize("cloud", [CloudSettings(addresses=(ADDRESS, SIX), ipv6=True)])
@pytest.mark.parametrize("settings", [PairSettings(groups=(GroupSettings(addresses=(ADDRESS, SIX)),))])
def test_address_of_ipv6_moves_with_the_others(lab: Lab, pair: Pair) -> None:
    with lab.probe(ADDRESS, SIX) as probe:
        pause(0.3)
        lab.crash("web-a")
        pair.wait_state("web-b", "MASTER")
        pause(0.3)
    assert probe.report.answered_at_end
    assert set(probe.report.answers) == {"web-a", "web-b"}
    assert lab.cloud.moves(ADDRESS) == ["web-b"]
    assert lab.cloud.moves(SIX) == ["", "web-b"]
    assert lab.carries("web-b", ADDRESS, SIX)


@pytest.mark.parametrize("cloud", [CloudSettings(addresses=(SIX,), ipv6=True)])
@pytest.mark.parametrize("settings", [PairSettings(groups=(GroupSettings(addresses=(SIX,)),))])
def test_planned_hand_over_of_an_address_of_ipv6(lab: Lab, pair: Pair) -> None:
    with lab.probe(SIX) as probe:
        pause(0.3)
        done = pair.run("web-a", "failover", GROUP, "--wait")
        pause(0.3)
    assert done.returncode == 0, done.stderr
    assert lab.cloud.moves(SIX) == ["", "web-b"]
    assert [who for _, who in probe.report.switches] == ["web-a", "web-b"]
    lab.wait_carries("web-a", SIX, carries=False)
    assert pair.state("web-b") == "MASTER"


@pytest.mark.parametrize("cloud", [CloudSettings(second=(OTHER,))])
@pytest.mark.parametrize(
    "settings", [PairSettings(groups=(GroupSettings(), GroupSettings(OTHERS, addresses=(OTHER,))))]
)
def test_survivor_of_two_masters_gets_the_other_group_too(lab: Lab, settings: PairSettings) -> None:
    pair = Pair(lab, settings)
    for name in lab.hosts:
        pair.start_daemon(name)
    pair.wait_state("web-a", "MASTER", group=GROUP)
    pair.wait_state("web-b", "MASTER", group=OTHERS)
    pair.wait_state("web-a", "BACKUP", group=OTHERS)
    pair.wait_state("web-b", "BACKUP", group=GROUP)
    pair.wait_peers_alive()
    assert lab.cloud.writes() == 0
    with lab.probe(ADDRESS, OTHER) as probe:
        pause(0.5)
        lab.crash("web-a")
        pair.wait_state("web-b", "MASTER", group=GROUP)
        pause(0.3)
    assert pair.state("web-b", OTHERS) == "MASTER"
    assert [who for _, who in probe.report.switches] == ["web-a+web-b", "web-b"]
    assert (lab.cloud.moves(ADDRESS), lab.cloud.moves(OTHER)) == (["web-b"], [])
    assert lab.cloud.writes() == 1


@pytest.mark.parametrize("cloud", [CloudSettings(eip_for=ADDRESS)])
@pytest.mark.parametrize("settings", [PairSettings(strategy="reassign")])
def test_eip_is_bound_again_after_a_move_by_release_and_take(lab: Lab, pair: Pair) -> None:
    lab.crash("web-a")
    pair.wait_state("web-b", "MASTER")
    wait_for("the EIP is bound again", lambda: lab.cloud.bound_to(EIP) == ADDRESS)
    assert lab.cloud.moves() == ["", "web-b"]
    assert lab.cloud.moves(EIP) == ["", ""]  # unbound and bound, to no host but to an address


@pytest.mark.parametrize("cloud", [CloudSettings(eip_for=ADDRESS, nodes=3)])
@pytest.mark.parametrize("settings", [PairSettings(strategy="reassign", guards=(), restart_grace="1s")])
def test_move_and_eip_are_completed_by_the_next_master(lab: Lab, pair: Pair) -> None:
    lab.crash("web-a")
    wait_for("the address is released", lambda: lab.cloud.moves() == [""], pause_s=0.005)
    pair.kill_daemon("web-b")
    assert lab.cloud.bound_to(EIP) == ""
    pair.wait_state("web-c", "MASTER", timeout_s=20)
    assert lab.cloud.moves() == ["", "web-c"]
    wait_for("the EIP is bound again", lambda: lab.cloud.bound_to(EIP) == ADDRESS)
    assert lab.carries("web-c")
