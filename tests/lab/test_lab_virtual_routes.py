"""Routes and rules that follow a group's address: whom the node calls sees them, and so do its own tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab.fabric import API, GATEWAY
from tests.lab.lab import ADDRESS, CLIENT, pause
from tests.lab.pair import GROUP, Pair, PairSettings, run_program
from tests.lab.processes import Process, inside, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

PORT = 9009
ROUTES = (
    f"{CLIENT.address} src {ADDRESS}",
    f"{API}/32 via {GATEWAY} src {ADDRESS}",  # a claim would fail by it, were it there too early
    f"default via {GATEWAY} table 100",
    "blackhole 10.9.0.0/16",
)
RULES = (f"from {ADDRESS} to 10.8.0.0/16 table 100",)
MORE = f"routes = {list(ROUTES)}\nrules = {list(RULES)}"
FOREIGN = "10.77.0.0/16"
# Tells each that connects which address it comes from.
_TELLER = f"""
import socket
with socket.create_server(("{CLIENT.address}", {PORT})) as server:
    print("ready", flush=True)
    while True:
        sock, (address, _) = server.accept()
        with sock:
            sock.sendall(address.encode())
"""
_CALLER = f"""
import socket
with socket.create_connection(("{CLIENT.address}", {PORT}), timeout=1) as sock:
    print(sock.recv(99).decode())
"""


@pytest.fixture
def settings() -> PairSettings:
    return PairSettings(more_group=MORE)


@pytest.fixture
def teller(lab: Lab) -> Iterator[None]:
    """A server at the client's that tells who calls."""
    argv = inside(lab.fabric.namespace("client"), [sys.executable, "-c", _TELLER])
    process = Process(argv, lab.directory / "teller.log", talks=True)
    process.line()
    yield
    process.kill()


def ip(lab: Lab, name: str, *what: str) -> None:
    done = run_program(lab.hosts[name], ["ip", *what], 10)
    assert done.returncode == 0, done.stderr


def there(lab: Lab, name: str) -> tuple[int, int]:
    """Return how many routes and rules of ours a host has."""
    routes = lab.fabric.show(name, "route", "show", "table", "all", "proto", "77")
    rules = lab.fabric.show(name, "rule")
    return len(routes), sum(rule.get("protocol") == "77" for rule in rules)


ALL, NONE = (len(ROUTES), len(RULES)), (0, 0)


def source(lab: Lab, name: str) -> str:
    """Return the address that a host's calls come from, as who is called sees it."""
    done = run_program(lab.hosts[name], [sys.executable, "-c", _CALLER], 10)
    return done.stdout.strip() or done.stderr[-300:]


def test_they_are_where_the_group_is_served_and_calls_come_from_its_address(
    lab: Lab, pair: Pair, teller: None
) -> None:
    assert teller is None
    wait_for("they are there", lambda: (there(lab, "web-a"), there(lab, "web-b")) == (ALL, NONE))
    assert (source(lab, "web-a"), source(lab, "web-b")) == (ADDRESS, lab.hosts["web-b"].port.address)
    for name in lab.hosts:
        ip(lab, name, "route", "add", FOREIGN, "via", GATEWAY)
    with lab.probe() as probe:
        pause(0.3)
        done = pair.run("web-a", "failover", GROUP, "--wait")
        assert done.returncode == 0, done.stderr
        pause(0.3)
    assert probe.report.lost == 0
    wait_for("they have moved", lambda: (there(lab, "web-a"), there(lab, "web-b")) == (NONE, ALL))
    assert (source(lab, "web-a"), source(lab, "web-b")) == (lab.hosts["web-a"].port.address, ADDRESS)
    lab.fabric.lose("web-b")
    pair.wait_state("web-a", "MASTER")
    wait_for("they have moved", lambda: there(lab, "web-a") == ALL)
    assert source(lab, "web-a") == ADDRESS
    lab.fabric.regain("web-b")
    pair.wait_state("web-b", "BACKUP")
    wait_for("web-b has let go of them", lambda: there(lab, "web-b") == NONE)
    assert lab.cloud.moves() == ["web-b", "web-a"]
    for name in lab.hosts:
        assert lab.fabric.show(name, "route", "show", FOREIGN)


def test_they_are_shown_in_the_status(pair: Pair) -> None:
    for name, laid in (("web-a", True), ("web-b", False)):
        group = pair.group(name)
        assert [each["configured"] for each in (*group["routes"], *group["rules"])] == [laid] * 5
    assert "blackhole 10.9.0.0/16, in the guest" in pair.run("web-a", "status").stdout


def test_a_restart_keeps_them_and_what_the_file_has_no_longer_goes(lab: Lab, pair: Pair) -> None:
    pair.kill_daemon("web-a")
    pair.config.write_text(pair.config.read_text().replace(f"'{ROUTES[-1]}'", "'unreachable 10.10.0.0/16'"))
    assert there(lab, "web-a") == ALL
    pair.start_daemon("web-a")
    pair.wait_state("web-a", "MASTER")
    wait_for("they are as the file says", lambda: there(lab, "web-a") == ALL)
    assert lab.fabric.show("web-a", "route", "show", "10.10.0.0/16")
    assert not lab.fabric.show("web-a", "route", "show", "10.9.0.0/16")
    assert lab.cloud.writes() == 0


def test_what_others_remove_comes_back(lab: Lab, pair: Pair, teller: None) -> None:
    assert teller is None
    for what in (
        ("route", "del", CLIENT.address),
        ("rule", "del", "from", ADDRESS),
        ("addr", "del", f"{ADDRESS}/32", "dev", "eth0"),
    ):
        ip(lab, "web-a", *what)
        wait_for(f"{what} is undone", lambda: there(lab, "web-a") == ALL)
        lab.wait_carries("web-a")
    assert source(lab, "web-a") == ADDRESS
    assert (lab.cloud.writes(), pair.state("web-a")) == (0, "MASTER")


def test_a_host_that_loses_its_daemon_lets_go_of_them_when_it_has_another(lab: Lab, pair: Pair) -> None:
    lab.hosts["web-a"].stop_service()  # nobody is patient then
    pair.kill_daemon("web-a")
    pair.wait_state("web-b", "MASTER")
    wait_for("they have moved", lambda: (there(lab, "web-a"), there(lab, "web-b")) == (ALL, ALL))
    pair.start_daemon("web-a")
    wait_for("web-a has let go of them", lambda: there(lab, "web-a") == NONE and not lab.carries("web-a"))
    assert there(lab, "web-b") == ALL


def test_what_a_daemon_that_died_for_good_has_left_goes(lab: Lab, pair: Pair) -> None:
    pair.kill_daemon("web-a")
    pair.environment["web-a"]["RUNTIME_DIRECTORY"] = "/run/hafailover"
    pair.start_daemon("web-a")
    pair.wait_state("web-a", "MASTER")
    wait_for("all is there", lambda: there(lab, "web-a") == ALL)
    pair.kill_daemon("web-a")
    ip(lab, "web-a", "route", "add", FOREIGN, "via", GATEWAY)
    assert pair.run("web-a", "release-guest").returncode == 0
    assert there(lab, "web-a") == NONE
    assert lab.fabric.show("web-a", "route", "show", FOREIGN)


def test_a_node_where_one_is_in_the_way_claims_nothing_and_moves_nothing(lab: Lab, pair: Pair) -> None:
    ip(lab, "web-b", "route", "add", "10.9.0.0/16", "via", GATEWAY)
    doctor = pair.run("web-b", "doctor", "-c", str(pair.config), "--node", "web-b").stdout
    assert "blackhole 10.9.0.0/16" in doctor
    assert "the place is taken by a route of somebody else" in doctor
    lab.fabric.lose("web-a")
    pair.wait_state("web-b", "FAULT")
    assert 'cannot set "blackhole 10.9.0.0/16"' in pair.group("web-b")["why"]
    assert (lab.cloud.moves(), there(lab, "web-b")) == ([], NONE)
    ip(lab, "web-b", "route", "del", "10.9.0.0/16", "via", GATEWAY)
    pair.wait_state("web-b", "MASTER", timeout_s=60)
    wait_for("they are there", lambda: there(lab, "web-b") == ALL)


@pytest.mark.parametrize("settings", [PairSettings(more_group=f'{MORE}\nhandover = "strict"')], ids=["strict"])
def test_strict_hand_over(lab: Lab, pair: Pair) -> None:
    done = pair.run("web-a", "failover", GROUP, "--wait")
    assert done.returncode == 0, done.stderr
    wait_for("they have moved", lambda: (there(lab, "web-a"), there(lab, "web-b")) == (NONE, ALL))
