"""Which class carries out which type of check: the one place to add another type."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.checks.result import Probe
    from hafailover.config.model import Check


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


_MAKERS: dict[str, Callable[[Check], Probe]] = {"script": _script, "tcp": _tcp, "http": _http}


def make_probe(check: Check) -> Probe:
    """Return what carries out the check. Raises ValueError for a type that is not there, or lacks something."""
    if check.type not in _MAKERS:
        raise ValueError(f"check {check.name}: type {check.type} is not one of {', '.join(_MAKERS)}")
    return _MAKERS[check.type](check)
