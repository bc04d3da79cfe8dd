"""The check of type systemd: a unit is active, as systemd says on the system bus (org.freedesktop.systemd1(5)).

Changes of ActiveState are told at once by a signal; a run asks anew, so that a signal that was lost does no harm. A
unit that reloads is active; one that starts, stops or is restarted is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from jeepney import DBusAddress, DBusErrorResponse, MatchRule, Properties, message_bus, new_method_call
from jeepney.auth import BEGIN, Authenticator
from jeepney.bus import get_bus
from jeepney.io.asyncio import DBusConnection, DBusRouter
from jeepney.io.common import RouterClosed
from jeepney.wrappers import unwrap_msg

from hafailover.checks.result import Verdict, failed, late, unable

if TYPE_CHECKING:
    from jeepney import Message

_NAME = "org.freedesktop.systemd1"
_MANAGER = DBusAddress("/org/freedesktop/systemd1", _NAME, f"{_NAME}.Manager")
_UNIT = f"{_NAME}.Unit"
_ACTIVE = ("active", "reloading", "refreshing")
_CLOSE_S = 1.0
_BUS_GONE = (OSError, EOFError, RouterClosed)


class UnitProbe:
    """Looks at one unit, over a connection of its own that is made again where it breaks."""

    __slots__ = ("_line", "_passed", "_unit")

    def __init__(self, unit: str) -> None:
        self._unit = unit if "." in unit else f"{unit}.service"
        self._passed: bool | None = None
        self._line: _Line | None = None

    async def run(self, timeout_s: float) -> Verdict:
        """Ask once; `timeout_s` bounds all of it, with connecting."""
        try:
            async with asyncio.timeout(timeout_s):
                verdict = _judge(await self._ask())
        except TimeoutError:
            verdict = late(timeout_s)
        except DBusErrorResponse as error:
            verdict = unable(f"systemd: {error}")
        except _BUS_GONE as error:
            verdict = unable(f"the system bus: {getattr(error, 'strerror', None) or error or 'closed'}")
        if not verdict.sure:
            await self.close()
        self._passed = verdict.passed
        return verdict

    async def changed(self) -> None:
        """Wait until systemd says that the unit has become active, or is so no more."""
        while self._line is None or _judge(await self._line.news()).passed is self._passed:
            if self._line is None:  # the next run makes a connection
                await asyncio.Event().wait()

    async def close(self) -> None:
        """Close the connection."""
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def _ask(self) -> str:
        if self._line is not None:
            with contextlib.suppress(*_BUS_GONE):
                return await self._line.ask()
            await self.close()
        self._line = await _Line.open(self._unit)
        return await self._line.ask()


def _judge(state: str) -> Verdict:
    return Verdict(passed=True, detail=state) if state in _ACTIVE else failed(state)


async def _connect() -> DBusConnection:
    """Return a connection whose first message is still to be sent; jeepney's own way leaks one that is cut off."""
    reader, writer = await asyncio.open_unix_connection(get_bus("SYSTEM"))
    try:
        authenticator = Authenticator()
        for request in authenticator:
            writer.write(request)
            authenticator.feed(await reader.readuntil(b"\n"))  # IncompleteReadError is an EOFError
        writer.write(BEGIN)
    except BaseException:
        writer.close()
        raise
    return DBusConnection(reader, writer)


class _Line:
    """A connection to the system bus that is told of one unit."""

    def __init__(self, connection: DBusConnection) -> None:
        self._connection = connection
        self._router = DBusRouter(connection)
        self._queue: asyncio.Queue[Message] = asyncio.Queue(maxsize=64)
        self._path = ""

    @classmethod
    async def open(cls, unit: str) -> _Line:
        """Connect, and have systemd tell of this unit."""
        line = cls(await _connect())
        try:
            await line._subscribe(unit)
        except BaseException:
            await line.close()
            raise
        return line

    async def _subscribe(self, unit: str) -> None:
        await self._call(message_bus.Hello())
        (self._path,) = await self._call(new_method_call(_MANAGER, "LoadUnit", "s", (unit,)))
        rule = MatchRule(
            type="signal", interface="org.freedesktop.DBus.Properties", member="PropertiesChanged", path=self._path
        )
        self._router.filter(rule, queue=self._queue)
        await self._call(message_bus.AddMatch(rule))
        await self._call(new_method_call(_MANAGER, "Subscribe"))

    async def ask(self) -> str:
        """Return the unit's ActiveState; what was told before does not count any more."""
        while not self._queue.empty():
            self._queue.get_nowait()
        unit = DBusAddress(self._path, _NAME, _UNIT)
        ((_signature, state),) = await self._call(Properties(unit).get("ActiveState"))
        return str(state)

    async def news(self) -> str:
        """Wait for a signal that tells the unit's ActiveState, and return that."""
        while True:
            interface, values, _ = (await self._queue.get()).body
            if interface == _UNIT and "ActiveState" in values:
                return str(values["ActiveState"][1])

    async def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(Exception):  # whatever the connection died of is known by now
            async with asyncio.timeout(_CLOSE_S):
                await self._router.__aexit__(None, None, None)
        with contextlib.suppress(*_BUS_GONE, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._connection.close()

    async def _call(self, message: Message) -> tuple[Any, ...]:
        body: tuple[Any, ...] = unwrap_msg(await self._router.send_and_get_reply(message))
        return body
