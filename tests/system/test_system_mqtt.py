"""The connection to mosquitto: logins, certificates, rights, take-overs, and a broker that goes and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import socket
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hafailover.broker.link import MAX_WAITING, Link, Subscription
from hafailover.config.model import Mqtt
from tests import ports
from tests.lab.broker import Broker
from tests.system.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]

LOOPBACK = "127.0.0.1"
ACL = Path(__file__).parents[2] / "config" / "mosquitto" / "hafailover.acl"
ROOT = "hafailover/web"
PATIENCE_S = 20.0


def free_port() -> int:
    return ports.free(socket.SOCK_STREAM)


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not met():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.01)


@dataclass
class Ear:
    """What a link has brought."""

    heard: list[tuple[str, bytes, bool]] = field(default_factory=list)

    def take(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - as the link calls it
        self.heard.append((topic, payload, retained))


def link_to(settings: Mqtt, node: str = "web-a", client_id: str = "") -> Link:
    return Link(
        settings,
        node=node,
        client_id=client_id or f"hafailover-web-{node}",
        keepalive_s=2,
        will=lambda number: (f"{ROOT}/presence/{node}", b"lost %d" % number),
        rng=random.SystemRandom(),
    )


@contextlib.asynccontextmanager
async def running(link: Link) -> AsyncIterator[Link]:
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def reason(settings: Mqtt) -> str:
    """Return why there is no connection, after two attempts, and see that it was said once."""
    with capture_logs() as logs:
        async with running(link_to(settings)) as link:
            await until(lambda: link.state.failures >= 2)
            assert link.state.connections == 0
    said = [entry for entry in logs if entry["event"] == "mqtt_down"]
    assert [(entry["reason"], entry["log_level"]) for entry in said] == [(link.state.reason, "warning")]
    return link.state.reason


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path, host=LOOPBACK, port=free_port()) as made:
        yield made


def plain(broker: Broker, **more: str) -> Mqtt:
    return Mqtt(LOOPBACK, broker.port, tls=False, **more)  # type: ignore[arg-type]


# -- getting in ---------------------------------------------------------------------------------------------


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Broker]:
    """A broker with passwords and the rights of config/mosquitto."""
    passwords, rights = tmp_path / "passwd", tmp_path / "acl"
    passwords.touch()
    for user in ("web-a", "web-b", "dashboard"):
        command = ["mosquitto_passwd", "-b", str(passwords), user, f"secret of {user}"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    shutil.copy(ACL, rights)
    lines = ("allow_anonymous false", f"password_file {passwords}", f"acl_file {rights}")
    with Broker(tmp_path, host=LOOPBACK, port=free_port(), lines=lines) as made:
        yield made


def password_file(directory: Path, text: str) -> Path:
    path = directory / "password"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


async def test_a_wrong_password_is_one_line_that_names_the_key(closed: Broker, tmp_path: Path) -> None:
    wrong = replace(plain(closed, username="{node}"), password_file=password_file(tmp_path, "wrong"))
    assert (await reason(wrong)).startswith(
        f"mqtt.username, mqtt.password_file: {LOOPBACK}:{closed.port} does not let"
    )
    assert (await reason(plain(closed))).startswith("mqtt.username, mqtt.password_file: ")


async def test_the_password_is_read_anew_for_each_connection(closed: Broker, tmp_path: Path) -> None:
    path = password_file(tmp_path, "wrong")
    with capture_logs() as logs:
        async with running(link_to(replace(plain(closed, username="{node}"), password_file=path))) as link:
            await until(lambda: link.state.failures)
            path.write_text("secret of web-a\n")
            await until(lambda: link.state.connected)
    assert [entry["event"] for entry in logs] == ["mqtt_down", "mqtt_up"]
    assert "secret" not in str(logs)
    path.chmod(0o644)
    settings = replace(plain(closed, username="{node}"), password_file=path)
    assert (await reason(settings)).startswith(f"mqtt.password_file: {path} has mode 0644")


async def test_each_node_may_speak_under_its_own_name_only(closed: Broker, tmp_path: Path) -> None:
    ear, login = (
        Ear(),
        replace(plain(closed, username="{node}"), password_file=password_file(tmp_path, "secret of web-a")),
    )
    link = link_to(login)
    for part in ("heartbeat/+", "presence/+"):
        link.subscribe(Subscription(f"{ROOT}/{part}", ear.take, retained=True))
    kept = {f"{ROOT}/presence/web-a", f"{ROOT}/status/web-a", f"{ROOT}/status/web-a/vip"}
    async with running(link):
        await until(lambda: link.state.connected)
        for name in ("web-b", "web-a"):  # what is not allowed comes first, so it would have come
            link.publish(f"{ROOT}/heartbeat/{name}", b"beat")
            for part in (f"presence/{name}", f"status/{name}", f"status/{name}/vip"):
                link.keep(f"{ROOT}/{part}", b"there")
            link.post(f"{ROOT}/event/{name}", b"event")
        await until(lambda: len(ear.heard) == 2)
        user = ("-u", "dashboard", "-P", "secret of dashboard")
        seen = await asyncio.to_thread(closed.messages, "#", 1, *user)
    assert {topic for topic, _, _ in ear.heard} == {f"{ROOT}/heartbeat/web-a", f"{ROOT}/presence/web-a"}
    assert {topic for topic, _ in seen} == kept


# -- TLS -----------------------------------------------------------------------------------------------------


@dataclass
class Encrypted:
    """A broker that asks for certificates, and what a node needs to get in."""

    broker: Broker
    settings: Mqtt
    directory: Path
    authority: Authority


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Encrypted]:
    authority = Authority(tmp_path, "authority")
    pem, key = authority.issue("broker", f"IP:{LOOPBACK},DNS:localhost")
    node_pem, node_key = authority.issue("web-a")
    lines = (
        f"cafile {authority.pem}",
        f"certfile {pem}",
        f"keyfile {key}",
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
    )
    with Broker(tmp_path, host=LOOPBACK, port=free_port(), lines=lines) as made:
        settings = Mqtt(LOOPBACK, made.port, tls=True, ca_file=authority.pem, cert_file=node_pem, key_file=node_key)
        yield Encrypted(made, settings, tmp_path, authority)


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
async def test_with_the_right_certificates_it_talks(encrypted: Encrypted, host: str) -> None:
    ear, link = Ear(), link_to(replace(encrypted.settings, host=host))
    link.subscribe(Subscription("t/+", ear.take, retained=False))
    async with running(link):
        await until(lambda: link.state.connected)
        link.publish("t/1", b"x" * 50_000)
        await until(lambda: ear.heard)
    assert [(topic, len(payload)) for topic, payload, _ in ear.heard] == [("t/1", 50_000)]


async def test_a_wrong_certificate_is_one_line_that_names_the_key(encrypted: Encrypted) -> None:
    settings, where = encrypted.settings, f"{LOOPBACK}:{encrypted.broker.port}"
    stranger = Authority(encrypted.directory, "stranger")
    pem, key = stranger.issue("nobody")
    assert (await reason(replace(settings, ca_file=stranger.pem))).startswith(
        f"mqtt.ca_file: the certificate of {where} is not accepted: "
    )
    assert (await reason(replace(settings, cert_file=None, key_file=None))).startswith(
        f"mqtt.cert_file: {where} does not accept this node's certificate, or the lack of one: "
    )
    assert (await reason(replace(settings, cert_file=pem, key_file=key))).startswith("mqtt.cert_file: ")
    assert (await reason(replace(settings, key_file=key))).startswith("mqtt.cert_file: ")
    assert (await reason(replace(settings, tls=False))).startswith("mqtt.tls: ")


async def test_a_certificate_for_another_name_is_refused(encrypted: Encrypted) -> None:
    settings = replace(encrypted.settings, host="localhost.localdomain")
    said = await reason(settings)
    assert said.startswith("mqtt.host: ")
    assert "not valid for" in said or "localdomain" in said


async def test_a_broker_without_tls_is_told_from_one_with_it(broker: Broker) -> None:
    assert (await reason(Mqtt(LOOPBACK, broker.port, tls=True))).startswith("mqtt.tls: ")


async def test_a_file_that_is_no_certificate_is_named(encrypted: Encrypted) -> None:
    broken = encrypted.directory / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    assert (await reason(replace(encrypted.settings, ca_file=broken))).startswith(f"mqtt.ca_file: {broken} ")


# -- coming and going ----------------------------------------------------------------------------------------


async def test_who_is_not_there_is_named() -> None:
    port = free_port()
    assert await reason(Mqtt(LOOPBACK, port, tls=False)) == f"mqtt.host: {LOOPBACK}:{port}: Connection refused"
    assert (await reason(Mqtt("no-such-host.invalid", port, tls=False))).startswith(
        "mqtt.host: no-such-host.invalid: "
    )


async def test_it_comes_back_when_the_broker_does_and_says_what_waited(broker: Broker) -> None:
    ear, link = Ear(), link_to(plain(broker))
    link.subscribe(Subscription(f"{ROOT}/#", ear.take, retained=False))
    async with running(link):
        await until(lambda: link.state.connected)
        await asyncio.to_thread(broker.kill)
        await until(lambda: not link.state.connected)
        link.publish(f"{ROOT}/heartbeat/web-a", b"old")
        for number in range(3):
            link.post(f"{ROOT}/event/web-a", b"%d" % number)
            link.keep(f"{ROOT}/status/web-a", b"%d" % number)
        await asyncio.to_thread(broker.start)
        await until(lambda: len(ear.heard) >= 4)
    assert [payload for topic, payload, _ in ear.heard if "event" in topic] == [b"0", b"1", b"2"]
    assert [payload for topic, payload, _ in ear.heard if "status" in topic] == [b"2"]
    assert not [topic for topic, _, _ in ear.heard if "heartbeat" in topic]


async def test_what_waits_for_a_broker_is_bounded() -> None:
    link = link_to(Mqtt(LOOPBACK, free_port(), tls=False))
    for number in range(MAX_WAITING + 3):
        link.post("t", b"%d" % number)
    assert link.state.lost == 3


async def test_the_will_is_published_when_the_connection_breaks_and_not_after_a_goodbye(broker: Broker) -> None:
    ear, watcher, link = Ear(), link_to(plain(broker), "watcher"), link_to(plain(broker))
    watcher.subscribe(Subscription(f"{ROOT}/presence/web-a", ear.take, retained=True))
    async with running(watcher):
        await until(lambda: watcher.state.connected)
        async with running(link):
            await until(lambda: link.state.connected)
            link.drop("for a test")
            await until(lambda: link.state.connections == 2)
            assert link.state.reason == "for a test"
            await link.close(f"{ROOT}/presence/web-a", b"left")
            await until(lambda: len(ear.heard) == 2)
        await asyncio.sleep(0.2)
    assert [payload for _, payload, _ in ear.heard] == [b"lost 1", b"left"]


async def test_a_second_daemon_of_the_same_name_is_told_of_on_both_sides(broker: Broker) -> None:
    first, second = link_to(plain(broker)), link_to(plain(broker))
    async with running(first):
        await until(lambda: first.state.connected)
        async with running(second):
            await until(lambda: all("second daemon" in link.state.reason for link in (first, second)))


async def test_a_fault_of_our_own_is_not_taken_for_the_brokers(broker: Broker) -> None:
    def take(*_: object) -> None:
        raise ZeroDivisionError

    link = link_to(plain(broker))
    link.subscribe(Subscription("t", take, retained=False))
    task = asyncio.create_task(link.run())
    await until(lambda: link.state.connected)
    link.publish("t", b"")
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, PATIENCE_S)
