"""The bus is a real one; at its other end is what speaks of units as systemd does."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from jeepney import DBusAddress, HeaderFields, MessageType, message_bus, new_method_return, new_signal
from jeepney.io.asyncio import DBusConnection, DBusRouter, Proxy, open_dbus_connection

from hafailover.checks.systemd import UnitProbe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from jeepney import Message

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is not installed")

NAME = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1/unit/a_2eservice"
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={socket}</listen><policy context="default"><allow send_destination="*"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""


class Bus:
    """A dbus-daemon of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "bus"
        self._config = folder / "bus.conf"
        self._config.write_text(_BUS.format(socket=self.socket))
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = ["dbus-daemon", "--nofork", "--print-address=1", f"--config-file={self._config}"]
        self._daemon = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert self._daemon.stdout is not None
        assert self._daemon.stdout.readline()

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.communicate()
            self._daemon = None
            self.socket.unlink(missing_ok=True)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    made = Bus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={made.socket}")
    made.start()
    yield made
    made.stop()


class Manager:
    """Says what a test has the unit be; `asked` are the members that were called."""

    def __init__(self, connection: DBusConnection) -> None:
        self._connection = connection
        self.state = "active"
        self.asked: list[str] = []
        self.mute = False
        self._task = asyncio.ensure_future(self._answer())

    @classmethod
    async def open(cls) -> Manager:
        connection = await open_dbus_connection("SYSTEM")
        async with DBusRouter(connection) as router:
            await Proxy(message_bus, router).RequestName(NAME)
        return cls(connection)

    async def _answer(self) -> None:
        while True:
            message = await self._connection.receive()
            if message.header.message_type is MessageType.method_call:
                await self._reply(message)

    async def _reply(self, call: Message) -> None:
        member = call.header.fields[HeaderFields.member]
        self.asked.append(member)
        if self.mute:
            return
        answers: dict[str, tuple[str | None, tuple[Any, ...]]] = {
            "LoadUnit": ("o", (PATH,)),
            "Subscribe": (None, ()),
            "Get": ("v", (("s", self.state),)),
        }
        signature, body = answers[member]
        await self._connection.send(new_method_return(call, signature, body))

    async def turn(self, state: str, *, interface: str = f"{NAME}.Unit", key: str = "ActiveState") -> None:
        self.state = state
        emitter = DBusAddress(PATH, NAME, "org.freedesktop.DBus.Properties")
        body: tuple[Any, ...] = (interface, {key: ("s", state)}, [])
        await self._connection.send(new_signal(emitter, "PropertiesChanged", "sa{sv}as", body))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))
        await self._connection.close()


@pytest.fixture
async def manager(bus: Bus) -> AsyncIterator[Manager]:  # noqa: ARG001 - the bus is there first
    made = await Manager.open()
    yield made
    await made.close()


@pytest.fixture
async def probe() -> AsyncIterator[UnitProbe]:
    made = UnitProbe("a")
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("state", "passed"),
    [
        ("active", True),
        ("reloading", True),
        ("activating", False),
        ("deactivating", False),
        ("inactive", False),
        ("failed", False),
    ],
)
async def test_it_passes_while_the_unit_is_active(
    manager: Manager,
    probe: UnitProbe,
    state: str,
    passed: bool,  # noqa: FBT001 - a table
) -> None:
    manager.state = state
    for _ in range(2):
        verdict = await probe.run(5)
        assert (verdict.passed, verdict.detail, verdict.sure) == (passed, state, True)
    assert manager.asked == ["LoadUnit", "Subscribe", "Get", "Get"]


async def test_it_is_told_of_changes_and_of_no_others(manager: Manager, probe: UnitProbe) -> None:
    assert (await probe.run(5)).passed
    told = asyncio.ensure_future(probe.changed())
    await manager.turn("reloading")
    await manager.turn("dead", key="SubState")
    await manager.turn("failed", interface=f"{NAME}.Service")
    await asyncio.sleep(0.1)
    assert not told.done()
    await manager.turn("failed")
    await asyncio.wait_for(told, 10)
    assert (await probe.run(5)).detail == "failed"


async def test_what_was_told_before_a_run_does_not_count(manager: Manager, probe: UnitProbe) -> None:
    await probe.run(5)
    await manager.turn("failed")
    await manager.turn("active")
    await asyncio.sleep(0.1)
    assert (await probe.run(5)).passed
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.changed(), 0.1)


async def test_a_systemd_that_does_not_answer_is_no_certain_no(manager: Manager, probe: UnitProbe) -> None:
    manager.mute = True
    verdict = await probe.run(0.2)
    assert (verdict.passed, verdict.sure, verdict.detail) == (False, False, "no answer within 200 ms")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probe.changed(), 0.05)
    manager.mute = False
    assert (await probe.run(5)).passed


async def test_nobody_of_that_name_is_no_certain_no(bus: Bus, probe: UnitProbe) -> None:  # noqa: ARG001 - it is there
    verdict = await probe.run(5)
    assert (verdict.passed, verdict.sure) == (False, False)
    assert "ServiceUnknown" in verdict.detail


async def test_a_bus_that_comes_back_is_found_again(bus: Bus, manager: Manager, probe: UnitProbe) -> None:
    assert (await probe.run(5)).passed
    bus.stop()
    verdict = await probe.run(5)
    assert (verdict.passed, verdict.sure) == (False, False)
    assert verdict.detail.startswith("the system bus: ")
    bus.start()
    await manager.close()
    again = await Manager.open()
    assert (await probe.run(5)).passed
    await again.close()


async def test_a_connection_that_broke_is_made_again_within_the_run(bus: Bus, probe: UnitProbe) -> None:
    first = await Manager.open()
    assert (await probe.run(5)).passed
    bus.stop()
    await first.close()
    bus.start()
    second = await Manager.open()
    assert (await probe.run(5)).passed
    await second.close()


async def test_a_bus_that_hangs_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ended
        await reader.read()
        ended += 1
        writer.close()

    server = await asyncio.start_unix_server(hang, tmp_path / "bus")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    probe = UnitProbe("a.service")
    for _ in range(3):
        assert (await probe.run(0.05)).detail == "no answer within 50 ms"
    async with asyncio.timeout(10):
        while ended < 3:  # noqa: ASYNC110 - the other end's task
            await asyncio.sleep(0.01)
    server.close()


async def test_descriptors_do_not_leak(manager: Manager) -> None:
    del manager
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    for _ in range(3):
        probe = UnitProbe("a.service")
        assert (await probe.run(5)).passed
        await probe.close()
    await asyncio.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count
