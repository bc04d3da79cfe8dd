"""Which class carries out which type of check: the one place to add another type."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.checks.result import Probe
    from hafailover.config.model import Check, CheckType


def _script(check: Check) -> Probe:
    from hafailover.checks.script import ScriptProbe  # noqa: PLC0415 - only what the configuration asks for

    return ScriptProbe(check.name, check.command)


def _tcp(check: Check) -> Probe:
    from hafailover.checks.tcp import TcpProbe  # noqa: PLC0415 - the same

    if check.address is None:
        raise ValueError(f"check {check.name}: type tcp needs an address")
    return TcpProbe(*check.address)


def _http(check: Check) -> Probe:
    from hafailover.checks.http import HttpProbe  # noqa: PLC0415 - the same

    return HttpProbe(check.url, check.status)


def _process(check: Check) -> Probe:
    from hafailover.checks.process import ProcessProbe  # noqa: PLC0415 - the same

    return ProcessProbe(check.name, check.pidfile)


def _systemd(check: Check) -> Probe:
    from hafailover.checks.systemd import UnitProbe  # noqa: PLC0415 - the same

    return UnitProbe(check.unit)


def _file(check: Check) -> Probe:
    from hafailover.checks.file import FileProbe  # noqa: PLC0415 - the same

    if check.path is None:
        raise ValueError(f"check {check.name}: type file needs a path")
    return FileProbe(check.path)


def _interface(check: Check) -> Probe:
    from hafailover.checks.interface import InterfaceProbe  # noqa: PLC0415 - the same

    return InterfaceProbe(check.interface)


_MAKERS: dict[CheckType, Callable[[Check], Probe]] = {
    "script": _script,
    "tcp": _tcp,
    "http": _http,
    "process": _process,
    "systemd": _systemd,
    "file": _file,
    "interface": _interface,
}


def make_probe(check: Check) -> Probe:
    """Return what carries out the check. Raises ValueError for one that lacks something."""
    return _MAKERS[check.type](check)
