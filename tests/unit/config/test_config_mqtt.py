"""A broker in the file: the paths and guards that follow from it, and what cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.config import advice, files
from hafailover.config.changes import changes
from hafailover.config.files import UnusableError
from hafailover.config.findings import Findings
from hafailover.config.loader import parse

if TYPE_CHECKING:
    from tests.unit.config.conftest import Made, Text, Told

BROKER = '[mqtt]\nhost = "broker"\n'
GROUP = '[[group]]\nname = "vip"\naddresses = ["10.0.1.100"]\n'
MQTT_ALONE = '[heartbeat]\npaths = ["mqtt"]\n'
UDP_ALONE = '[heartbeat]\npaths = ["udp"]\n'


def test_the_paths_are_udp_and_with_a_broker_mqtt_too(made: Made) -> None:
    assert made().heartbeat.paths == ("udp",)
    assert made(rest=BROKER).heartbeat.paths == ("udp", "mqtt")
    assert made(rest=BROKER, heartbeat=UDP_ALONE).heartbeat.paths == ("udp",)
    assert made(rest=BROKER, heartbeat=MQTT_ALONE).heartbeat.paths == ("mqtt",)


def test_mqtt_alone_brings_its_guard(made: Made) -> None:
    with_port = GROUP + "vip_port = 1\n"
    assert made(rest=BROKER).groups[0].guards == ("cloud",)
    assert made(rest=BROKER, heartbeat=MQTT_ALONE).groups[0].guards == ("cloud", "mqtt")
    assert made(rest=BROKER, heartbeat=MQTT_ALONE, group=with_port).groups[0].guards == ("vip", "cloud", "mqtt")


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (
            {"heartbeat": '[heartbeat]\npaths = ["udp", "mqtt"]\n'},
            'heartbeat.paths: "mqtt" without a broker; needed: a table [mqtt], or ["udp"]',
        ),
        (
            {"group": GROUP + 'guards = ["mqtt"]\n'},
            'group "vip".guards: "mqtt" has no broker to ask; needed: a table [mqtt]',
        ),
        (
            {"group": GROUP + 'guards = ["mqtt"]\n', "rest": BROKER, "heartbeat": UDP_ALONE},
            (
                'group "vip".guards: "mqtt" has nothing to go by; needed: "mqtt" among heartbeat.paths, since only'
                " its own heartbeats tell a node that it is seen"
            ),
        ),
        (
            {"group": GROUP + "guards = []\n", "rest": BROKER, "heartbeat": MQTT_ALONE},
            (
                'group "vip".guards: without "mqtt"; with MQTT as the only heartbeat path, the loss of the broker'
                ' looks like the loss of every peer; needed: "mqtt" among them'
            ),
        ),
        (
            {"rest": BROKER + 'tls = false\nca_file = "/ca"\n'},
            "mqtt.ca_file: means nothing with tls = false; allowed with tls = true",
        ),
        ({"rest": BROKER + 'key_file = "/key"\n'}, "mqtt.cert_file: missing; needed with key_file"),
        ({"rest": BROKER + 'password_file = "/p"\n'}, "mqtt.username: missing; needed with password_file"),
        (
            {"heartbeat": "[heartbeat]\npaths = []\n"},
            'heartbeat.paths: an array of 0 was given; allowed: an array of 1 to 2, each "udp" or "mqtt"',
        ),
        ({"heartbeat": '[heartbeat]\npaths = ["tcp"]\n'}, None),
    ],
)
def test_what_cannot_work_is_refused(told: Told, parts: dict[str, str], problem: str | None) -> None:
    said = told(**parts)
    assert said == [problem or 'heartbeat.paths[1]: "tcp" is not known; allowed: "udp" or "mqtt"']


def test_of_bad_values_nothing_else_is_said(told: Told) -> None:
    assert len(told(group=GROUP + 'guards = ["ping"]\n', rest=BROKER)) == 1
    assert len(told(rest=BROKER + 'tls = "no"\nca_file = "/ca"\n')) == 1


def test_what_is_legal_and_perhaps_not_meant_is_said(made: Made) -> None:
    def warned(**parts: str) -> dict[str, str]:
        return {problem.key: problem.message for problem in advice.warnings(made(**parts))}

    login = 'username = "{node}"\n'
    assert not {key for key in warned(rest=BROKER + login) if key.startswith(("mqtt", "heartbeat"))}
    assert "cannot tell who may publish" in warned(rest=BROKER)["mqtt.username"]
    assert "everybody on the way" in warned(rest=BROKER + "tls = false\n")["mqtt.tls"]
    assert (
        "while the broker is away nobody takes over" in warned(rest=BROKER, heartbeat=MQTT_ALONE)["heartbeat.paths"]
    )


def test_another_broker_or_other_paths_need_a_restart_by_name(made: Made) -> None:
    old = made(rest=BROKER)
    moved = changes(old, made(rest=BROKER + "port = 1\n"), "web-a")
    fewer = changes(old, made(rest=BROKER, heartbeat=UDP_ALONE), "web-a")
    assert [(change.key, change.live) for change in moved] == [("mqtt.port", False)]
    assert [(change.key, change.live) for change in fewer] == [("heartbeat.paths", False)]


def test_the_files_for_the_broker_are_looked_at(text: Text, key_file: Path, tmp_path: Path) -> None:
    cluster = f'[cluster]\nname = "web"\nkey_file = "{key_file}"\n'
    password, ca = tmp_path / "password", tmp_path / "ca"
    password.write_text("a b\nc\n")
    password.chmod(0o600)
    ca.write_text("nothing\n")
    lines = f'username = "a"\npassword_file = "{password}"\nca_file = "{ca}"\ncert_file = "/none"\n'
    findings = Findings("f.toml")
    files.judge(parse(text(cluster=cluster, rest=BROKER + lines), findings), findings, witness=True)
    assert [f"{problem.key}: {problem.message}" for problem in findings.problems()] == [
        f"mqtt.password_file: {password} does not hold a password; needed: one line",
        f'mqtt.ca_file: {ca} does not hold PEM; needed: "-----BEGIN " and what follows it',
        "mqtt.cert_file: /none does not exist",
    ]


def test_a_password_is_one_line_that_others_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"se cret\r\n")
    path.chmod(0o640)
    assert files.read_password(path) == "se cret"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert files.read_password(Path("credential:password")) == "se cret"
    for content, why in ((b"\n", "does not hold a password"), (b"\xff\n", "is not UTF-8")):
        path.write_bytes(content)
        with pytest.raises(UnusableError, match=why):
            files.read_password(path)
    path.chmod(0o644)
    with pytest.raises(UnusableError, match="has mode 0644"):
        files.read_password(path)
