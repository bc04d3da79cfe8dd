"""Daemons that take in another file while they work."""

from __future__ import annotations

import secrets
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.cloud import CloudSettings
from tests.lab.lab import ADDRESS, pause
from tests.lab.pair import GROUP, GroupSettings, PairSettings
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.pair import Pair

pytestmark = pytest.mark.lab

OLD, NEW = "/var/lib/hafailover/cluster.key", "/var/lib/hafailover/new.key"
STEPS = ([OLD, NEW], [NEW, OLD], [NEW])
WATCHED_S = 0.6  # two dead intervals after each reload


OTHER, OTHERS = "10.0.1.110", "others"
TWO = (GroupSettings(), GroupSettings(OTHERS, (OTHER,)))


def _always_heard(pair: Pair) -> bool:
    """Return whether each daemon hears the other, at each of many looks."""
    ends_s = time.monotonic() + WATCHED_S
    while time.monotonic() < ends_s:
        if [pair.peers_alive(name) for name in pair.lab.hosts] != [[True], [True]]:
            return False
    return True


def test_the_key_is_replaced_without_a_lost_probe_or_a_peer_that_is_not_heard(lab: Lab, pair: Pair) -> None:
    fresh = secrets.token_hex(32)
    for name in lab.hosts:
        pair.write_key(name, fresh, "new.key")
    plain = pair.config.read_text()
    rejected = [pair.status(name)["rejected"] for name in lab.hosts]
    roles = [len(pair.said(name, "role")) for name in lab.hosts]
    with lab.probe() as probe:
        for files in STEPS:
            listed = ", ".join(f'"{file}"' for file in files)
            pair.config.write_text(plain.replace(f'key_file = "{OLD}"', f"key_files = [{listed}]"))
            for name in lab.hosts:
                done = pair.run(name, "reload")
                assert done.returncode == 0, done.stdout + done.stderr
                assert "cluster.key_files" in done.stdout
                assert _always_heard(pair), (files, name)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert [pair.status(name)["rejected"] for name in lab.hosts] == rejected
    assert [len(pair.said(name, "role")) for name in lab.hosts] == roles


def test_a_key_that_is_not_on_both_nodes_yet_is_noticed(lab: Lab, pair: Pair) -> None:
    """The short cut that the order above avoids."""
    for name in lab.hosts:
        pair.write_key(name, secrets.token_hex(32), "new.key")  # not the same
    pair.config.write_text(pair.config.read_text().replace(OLD, NEW))
    pair.run("web-a", "reload")
    assert not _always_heard(pair)
    assert sum(pair.status("web-b")["rejected"]["udp"].values()) > 0
    assert lab.cloud.holder() == "web-a"


def test_a_master_that_is_started_with_longer_intervals_is_not_missed_by_who_has_the_shorter(
    lab: Lab, pair: Pair
) -> None:
    plain = pair.config.read_text()
    pair.config.write_text(
        plain.replace('interval = "100ms"\ndead_interval = "300ms"', 'interval = "1s"\ndead_interval = "3s"')
    )
    assert pair.config.read_text() != plain
    roles = len(pair.said("web-b", "role"))
    with lab.probe() as probe:
        pair.kill_daemon("web-a")
        pair.start_daemon("web-a")
        pair.wait_state("web-a", "MASTER")
        wait_for("both have told what they ask for", lambda: _patience_s(pair) == [3.0, 3.0])
        time.sleep(1.5)  # five of the shorter dead intervals, one of the longer intervals
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert len(pair.said("web-b", "role")) == roles


def _patience_s(pair: Pair) -> list[float]:
    """Return after which silence each daemon takes the other for dead."""
    return [peer["dead_interval_s"] for name in pair.lab.hosts for peer in pair.status(name).get("peers", [])]


@pytest.mark.parametrize("cloud", [CloudSettings(cpu=4)])
def test_a_group_comes_under_traffic_and_goes_again(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pair.rewrite(groups=TWO)
        for name in lab.hosts:
            assert f'group "{OTHERS}" added' in pair.reload(name)
        pair.wait_state("web-a", "MASTER", group=OTHERS)
        pair.wait_state("web-b", "BACKUP", group=OTHERS)
        lab.wait_carries("web-a", ADDRESS, OTHER)
        wait_for("web-b could take over", lambda: pair.group("web-b", OTHERS)["eligible"])
    assert probe.report.lost == 0
    assert (lab.cloud.moves(OTHER), lab.cloud.moves(), lab.cloud.accepted()) == (["web-a"], [], 1)
    with lab.probe(ADDRESS, OTHER) as probe:
        pair.rewrite(groups=TWO[:1])
        said = [pair.reload(name) for name in lab.hosts]
        pause(1)
    assert f"{OTHER} stays on this node, in the cloud and on its network" in said[0]
    assert "stays where the cloud has it" in said[1]
    assert probe.report.lost == 0
    assert lab.cloud.accepted() == 1
    for name in lab.hosts:
        assert [group["name"] for group in pair.status(name)["groups"]] == [GROUP]
        assert not [sample for sample in pair.metrics(name) if OTHERS in sample]
        assert pair.said(name, "group_dismissed", group=OTHERS)
    assert not lab.carries("web-b", OTHER)
    assert not pair.said("web-a", "role", old="MASTER")


@pytest.mark.parametrize("cloud", [CloudSettings(cpu=4, second=(OTHER,))])
def test_a_group_whose_address_another_node_has_waits_for_that_nodes_file(lab: Lab, pair: Pair) -> None:
    pair.rewrite(groups=TWO)
    pair.reload("web-a")
    pair.wait_said("web-a", "no_claim", group=OTHERS, reason="holder_knows_not")
    pause(1)
    assert lab.cloud.writes() == 0
    pair.reload("web-b")
    pair.wait_state("web-b", "MASTER", group=OTHERS)
    lab.wait_carries("web-b", OTHER)
    wait_for("web-a could take over", lambda: pair.group("web-a", OTHERS)["eligible"])
    assert lab.cloud.writes() == 0
    lab.crash("web-b")
    lab.wait_holder("web-a", resource=OTHER)


@pytest.mark.parametrize("cloud", [CloudSettings(cpu=4)])
def test_a_group_that_has_another_name_is_served_all_the_time(lab: Lab, pair: Pair) -> None:
    pair.rewrite(groups=(GroupSettings("renamed"),))
    with lab.probe() as probe:
        for name in reversed(list(lab.hosts)):
            pair.reload(name)
            pause(1)
        pair.wait_state("web-a", "MASTER", group="renamed")
        pair.wait_state("web-b", "BACKUP", group="renamed")
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


PAIR, TRIO = ("web-a", "web-b"), ("web-a", "web-b", "web-c")
three = pytest.mark.parametrize("cloud", [CloudSettings(nodes=3)], ids=["three"])
unguarded = pytest.mark.parametrize("settings", [PairSettings(nodes=PAIR, guards=())], ids=["pair"])


@three
@unguarded
def test_a_third_node_comes_under_traffic_takes_over_and_goes_again(lab: Lab, pair: Pair) -> None:
    with lab.probe() as probe:
        pair.rewrite(nodes=TRIO)
        for name in PAIR:
            assert 'node "web-c" added' in pair.reload(name)
        pair.start_daemon("web-c")
        pair.wait_peers_alive()
        wait_for("web-c could take over", lambda: bool(pair.group("web-c").get("eligible")))
        assert lab.cloud.writes() == 0
        assert pair.run("web-a", "failover", GROUP, "--to", "web-c", "--wait").returncode == 0
        pair.rewrite(nodes=PAIR)
        refused = pair.run("web-a", "reload")
        assert refused.returncode == 1
        assert 'node "web-c" cannot go now: its daemon is still heard' in refused.stderr
        pair.daemon("web-c").signal(signal.SIGTERM)
        wait_for("web-c has left", lambda: not pair.daemon("web-c").running, timeout_s=20)
        moves = lab.cloud.accepted()
        for name in PAIR:
            wait_for(f"{name} has read that web-c has nothing", partial(_has_read, pair, name))
            pair.reload(name)
        pair.wait_peers_alive()
        pause(1)
    assert probe.report.lost == 0
    assert lab.cloud.accepted() == moves
    assert [[peer["node"] for peer in pair.status(name)["peers"]] for name in PAIR] == [["web-b"], ["web-a"]]
    assert lab.cloud.holder() in PAIR


def _has_read(pair: Pair, name: str) -> bool:
    """Return whether one of the pair has the address, by a node's latest reading."""
    return any(address["holder"] in PAIR for address in pair.group(name).get("addresses", []))


@three
@unguarded
def test_no_claim_comes_of_a_new_node_that_the_master_does_not_know_yet(lab: Lab, pair: Pair) -> None:
    pair.run("web-a", "failover", GROUP, "--wait")
    pair.wait_state("web-b", "MASTER")
    moves = lab.cloud.accepted()
    pair.rewrite(nodes=TRIO)
    with lab.probe() as probe:
        pair.reload("web-a")
        pair.start_daemon("web-c")
        pair.wait_said("web-c", "no_claim", reason="holder_vouched")
        pause(1)
        pair.reload("web-b")
        pair.wait_peers_alive()
        wait_for("web-c could take over", lambda: bool(pair.group("web-c").get("eligible")))
    assert (probe.report.lost, lab.cloud.accepted()) == (0, moves)
    assert [pair.state(name) for name in TRIO] == ["BACKUP", "MASTER", "BACKUP"]
    lab.crash("web-b")
    wait_for("somebody has it", lambda: lab.cloud.holder() in ("web-a", "web-c"))


def test_a_group_that_prefers_another_node_by_a_new_file_goes_there(lab: Lab, pair: Pair) -> None:
    prefers = "priorities = { web-b = 200 }\npreempt = true\npreempt_delay = '100ms'"
    plain = pair.config.read_text()
    pair.config.write_text(plain.replace("[[group]]", f"[[group]]\n{prefers}", 1))
    with lab.probe() as probe:
        for name in lab.hosts:
            done = pair.run(name, "reload")
            assert done.returncode == 0, done.stdout + done.stderr
            assert 'group "vip".priorities' in done.stdout
        pair.wait_state("web-b", "MASTER")
        pair.wait_state("web-a", "BACKUP")
    assert probe.report.lost == 0
    assert (lab.cloud.holder(), lab.cloud.writes()) == ("web-b", 1)
