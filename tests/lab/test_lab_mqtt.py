"""Heartbeats by a broker beside UDP: what its loss costs, and what it saves."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.broker import BROKER, MQTT, PORT, Broker
from tests.lab.lab import ADDRESS, pause
from tests.lab.pair import Pair, PairSettings
from tests.lab.processes import wait_for
from tests.system.certificates import Authority
from tests.unit.observe.schema import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.lab import Lab

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]

CUT_S = 20.0
BACK_S = 5.0
ROOT = "hafailover/lab"
ACL = Path(__file__).parents[2] / "config" / "mosquitto" / "hafailover.acl"
UNGUARDED = PairSettings(guards=(), more=MQTT)
GUARDED = PairSettings(guards=("mqtt",), more=MQTT)
ALONE = PairSettings(guards=("mqtt",), more=MQTT, more_heartbeat='paths = ["mqtt"]')
PATIENT = PairSettings(guards=("mqtt",), more=MQTT, restart_grace="20s")
unguarded = pytest.mark.parametrize("settings", [UNGUARDED], ids=["unguarded"])
guarded = pytest.mark.parametrize("settings", [GUARDED], ids=["guarded"])
alone = pytest.mark.parametrize("settings", [ALONE], ids=["alone"])


@pytest.fixture(autouse=True)
def broker(lab: Lab) -> Iterator[Broker]:
    with Broker.of(lab) as made:
        yield made


def path(pair: Pair, name: str, which: str = "mqtt") -> dict[str, Any]:
    peers = pair.status(name).get("peers") or [{}]
    found: dict[str, Any] = peers[0].get("paths", {}).get(which, {})
    return found


def wait_path(pair: Pair, name: str, which: str = "mqtt", *, up: bool = True, timeout_s: float = 10.0) -> float:
    what = f"{name} hears its peer by {which}: {up}"
    return wait_for(what, lambda: path(pair, name, which).get("up") is up, timeout_s, pause_s=0.05)


@pytest.mark.long
@unguarded
def test_a_cut_of_udp_moves_nothing_while_the_broker_is_there(lab: Lab, pair: Pair) -> None:
    for name in lab.hosts:
        wait_path(pair, name)
    with lab.probe() as probe:
        lab.part("web-a", "web-b")
        for name in lab.hosts:
            wait_path(pair, name, "udp", up=False)
        pause(CUT_S)
        assert path(pair, "web-b")["up"]
        lab.join("web-a", "web-b")
        wait_path(pair, "web-b", "udp")
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


@unguarded
def test_a_broker_that_dies_and_comes_back_moves_nothing(lab: Lab, pair: Pair, broker: Broker) -> None:
    for name in lab.hosts:
        wait_path(pair, name)
    with lab.probe() as probe:
        broker.kill()
        for name in lab.hosts:
            wait_path(pair, name, up=False)
            pair.wait_said(name, "mqtt_down")
        pause(5)
        broker.start()
        assert max(wait_path(pair, name) for name in lab.hosts) < BACK_S
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


# -- the guard ----------------------------------------------------------------------------------------------


def wait_both(lab: Lab, pair: Pair) -> None:
    for name in lab.hosts:
        wait_path(pair, name)


def verdicts(pair: Pair, name: str) -> set[tuple[str, str]]:
    return {(each["verdict"], each["why"]) for each in pair.said(name, "guard", guard="mqtt")}


@guarded
def test_a_node_that_is_cut_off_from_all_but_the_cloud_does_not_accuse(
    lab: Lab, pair: Pair, broker: Broker
) -> None:
    wait_both(lab, pair)
    with lab.probe() as probe:
        lab.part("web-a", "web-b")
        broker.kill()
        pause(5)
        broker.start()
        wait_both(lab, pair)
        lab.join("web-a", "web-b")
        pair.wait_peers_alive()
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert {verdict for verdict, _ in verdicts(pair, "web-b")} == {"deny"}
    assert pair.said("web-b", "no_claim", reason="guard_denied")


@guarded
def test_a_lost_host_is_taken_over_from(lab: Lab, pair: Pair) -> None:
    wait_both(lab, pair)
    lab.crash("web-a")
    lab.wait_holder("web-b")
    last = pair.said("web-b", "guard", guard="mqtt")[-1]  # a busy machine may first not hear itself by the broker
    assert last["verdict"] != "deny"


@pytest.mark.parametrize("settings", [PATIENT], ids=["patient"])
def test_a_daemon_that_is_killed_and_started_again_costs_nothing(lab: Lab, pair: Pair) -> None:
    wait_both(lab, pair)
    with lab.probe() as probe:
        pair.kill_daemon("web-a")
        pause(1)
        pair.start_daemon("web-a")
        pair.wait_state("web-a", "MASTER")
        wait_both(lab, pair)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert "allow" not in {verdict for verdict, _ in verdicts(pair, "web-b")}


# -- what others may publish -----------------------------------------------------------------------------


@guarded
def test_a_will_for_a_living_node_is_taken_back_at_once(lab: Lab, pair: Pair, broker: Broker) -> None:
    wait_both(lab, pair)
    topic = f"{ROOT}/presence/web-a"
    ((_, online),) = broker.messages(topic)
    assert json.loads(online)["state"] == "online"
    assert problems(json.loads(online), "presence") == []
    with lab.probe() as probe:
        broker.disconnect("hafailover-lab-web-a")
        wait_for("web-a is connected again", lambda: bool(pair.said("web-a", "mqtt_down")))
        wait_both(lab, pair)
        wait_for(
            "web-a is online again", lambda: json.loads(broker.messages(topic)[0][1])["state"] == "online", 10.0
        )
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


@unguarded
def test_old_and_foreign_messages_change_nothing(lab: Lab, pair: Pair, broker: Broker) -> None:
    wait_both(lab, pair)
    recorded = broker.record(f"{ROOT}/heartbeat/web-a", 3)
    pause(2)
    with lab.probe() as probe:
        for data in recorded:
            broker.publish_file(f"{ROOT}/heartbeat/web-a", data)
            broker.publish_file(f"{ROOT}/heartbeat/web-a", data, "-r")
            broker.publish_file(f"{ROOT}/presence/web-a", data, "-r")
        broker.publish(f"{ROOT}/heartbeat/web-b", "nonsense")
        broker.disconnect("hafailover-lab-web-b")  # comes back, and would be given what is kept
        pause(3)
        wait_both(lab, pair)
        assert pair.metric("web-b", "hafailover_heartbeat_datagrams_rejected_total", reason="replayed") >= 3
        assert pair.metric("web-b", "hafailover_heartbeat_datagrams_rejected_total", reason="bad_magic") >= 1
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")
    assert pair.status("web-b")["peers"][0]["alive"]


# -- no UDP ---------------------------------------------------------------------------------------------------


@alone
def test_heartbeats_by_the_broker_alone_fail_over(lab: Lab, pair: Pair) -> None:
    assert set(pair.status("web-b")["peers"][0]["paths"]) == {"mqtt"}
    lab.part("web-a", "web-b")
    pause(2)
    assert lab.cloud.writes() == 0
    lab.crash("web-a")
    assert lab.wait_holder("web-b") < 3
    pair.wait_state("web-b", "MASTER")


@alone
def test_the_loss_of_the_only_path_moves_nothing(lab: Lab, pair: Pair, broker: Broker) -> None:
    with lab.probe() as probe:
        broker.kill()
        pause(5)
        broker.start()
        wait_both(lab, pair)
        pause(2)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0
    assert (pair.state("web-a"), pair.state("web-b")) == ("MASTER", "BACKUP")


# -- events ---------------------------------------------------------------------------------------------------


@unguarded
def test_what_happens_is_told_as_documented(lab: Lab, pair: Pair, broker: Broker) -> None:
    wait_both(lab, pair)
    with broker.listening(*(f"{ROOT}/{part}/#" for part in ("presence", "status", "event"))) as heard:
        assert pair.run("web-a", "failover", "vip", "--wait").returncode == 0
        pair.wait_state("web-a", "BACKUP")
        wait_for("the end is told", lambda: any('"gave"' in payload for _, payload in heard()))
        messages = heard()
    kinds = {
        "status/web-a": "node",
        "status/web-b": "node",
        "status/web-a/vip": "group",
        "status/web-b/vip": "group",
    }
    kinds |= {"presence/web-a": "presence", "presence/web-b": "presence"}
    events = []
    for topic, payload in messages:
        part, document = topic.removeprefix(f"{ROOT}/"), json.loads(payload)
        events += [document] if part.startswith("event/") else []
        assert problems(document, kinds.get(part) or document["event"]) == [], payload
    assert {(each["node"], each["event"], each.get("result")) for each in events} >= {
        ("web-b", "role", None),
        ("web-a", "role", None),
        ("web-a", "failover", "gave"),
        ("web-b", "failover", "done"),
    }
    assert len({each["id"] for each in events}) == len(events)
    there = [{"address": ADDRESS, "holder": "web-b", "configured": True}]

    def kept() -> bool:
        *_, (_, payload) = broker.messages(f"{ROOT}/status/web-b/vip")  # which may change while it is listened to
        status = json.loads(payload)
        return (status["state"], status["addresses"]) == ("MASTER", there)

    wait_for("the new master's status is what the broker keeps", kept)


# -- who may come in ------------------------------------------------------------------------------------------

LOGIN = """
[mqtt]
host = "{host}"
port = {port}
ca_file = "{ca}"
username = "{{node}}"
password_file = "/var/lib/hafailover/mqtt.password"
"""


def test_by_tls_and_password_each_node_comes_in_as_itself(lab: Lab, broker: Broker) -> None:
    broker.kill()
    passwords, rights = lab.directory / "passwd", lab.directory / "acl"
    passwords.touch()
    for name in lab.hosts:
        command = ["mosquitto_passwd", "-b", str(passwords), name, f"secret of {name}"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        path = lab.hosts[name].directory / "lib/hafailover/mqtt.password"
        path.write_text(f"secret of {name}\n")
        path.chmod(0o600)
    rights.write_text(ACL.read_text().replace("hafailover/web", ROOT))
    authority = Authority(lab.directory, "authority")
    pem, key = authority.issue("broker", f"IP:{BROKER}")
    lines = (f"certfile {pem}", f"keyfile {key}", "allow_anonymous false")
    with Broker.of(lab, *lines, f"password_file {passwords}", f"acl_file {rights}"):
        more = LOGIN.format(host=BROKER, port=PORT, ca=authority.pem)
        pair = Pair(lab, PairSettings(guards=("mqtt",), more=more))
        wrong = lab.hosts["web-b"].directory / "lib/hafailover/mqtt.password"
        wrong.write_text("wrong\n")
        pair.start()
        wait_for("web-a is connected", lambda: bool(pair.said("web-a", "mqtt_up")))
        why = pair.wait_said("web-b", "mqtt_down")["reason"]
        assert why.startswith("mqtt.username, mqtt.password_file: ")
        assert why in pair.run("web-b", "status").stdout
        assert pair.metric("web-b", "hafailover_mqtt_connected") == 0
        wrong.write_text("secret of web-b\n")
        wait_both(lab, pair)
        assert len(pair.said("web-b", "mqtt_down")) == 1
        assert pair.metric("web-b", "hafailover_mqtt_connected") == 1
        lab.part("web-a", "web-b")
        pause(2)
        assert lab.cloud.writes() == 0
        assert "secret" not in (lab.hosts["web-b"].directory / "daemon.log").read_text()


# -- a broker that is worse than none -----------------------------------------------------------------------


@unguarded
def test_a_broker_that_hangs_moves_nothing(lab: Lab, pair: Pair, broker: Broker) -> None:
    wait_both(lab, pair)
    assert broker.process is not None
    with lab.probe() as probe:
        broker.process.signal(signal.SIGSTOP)
        for name in lab.hosts:
            reason = pair.wait_said(name, "mqtt_down")["reason"]  # the other where a ping was on its way already
            assert "does not come back" in reason or "Keep alive timeout" in reason
        pause(8)
        broker.process.signal(signal.SIGCONT)
        wait_both(lab, pair)
    assert probe.report.lost == 0
    assert lab.cloud.writes() == 0


SILENT = PairSettings(guards=(), more=MQTT.replace(BROKER, "10.0.1.99"))


@pytest.mark.parametrize("settings", [SILENT], ids=["silent"])
def test_a_broker_that_answers_nothing_does_not_hold_up_a_stop(lab: Lab, pair: Pair) -> None:
    pair.daemon("web-b").signal(signal.SIGTERM)
    began_s = time.monotonic()
    pair.daemon("web-b").wait(10)
    assert time.monotonic() - began_s < 1
    assert lab.cloud.writes() == 0
