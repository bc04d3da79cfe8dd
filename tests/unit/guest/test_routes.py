from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from hafailover.guest import routes
from hafailover.guest.routes import default_gateway

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
LOW, HIGH = "0101000A", "0102000A"  # 10.0.1.1 and 10.0.2.1, as a little-endian machine prints them


def line(name: str, gateway: str = LOW, *, to: str = "00000000", flags: str = "0003", metric: int = 0) -> str:
    mask = "00000000" if to == "00000000" else "00FFFFFF"
    return f"{name}\t{to}\t{gateway}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "route"


@pytest.mark.parametrize(
    ("lines", "gateway"),
    [
        ("", None),
        (line("eth0"), "10.0.1.1"),
        (line("eth0", to="0001000A"), None),  # to a subnet, through a gateway
        (line("eth0", "00000000", flags="0001"), None),  # everything is on the link
        (line("eth0", flags="0002"), None),  # not up
        (line("eth1", HIGH, metric=100) + line("eth0", metric=50), "10.0.1.1"),
        (line("eth0", metric=50) + line("eth1", HIGH), "10.0.2.1"),
        (line("eth0", "ZZ") + "nonsense\n\n" + line("eth0", "1" * 40) + line("eth0", HIGH), "10.0.2.1"),
    ],
)
def test_the_best_default_route_counts(table: Path, lines: str, gateway: str | None) -> None:
    table.write_text(HEAD + lines)
    assert default_gateway(table=table) == gateway


def test_the_interface_comes_first(table: Path) -> None:
    table.write_text(HEAD + line("eth0") + line("eth1", HIGH, metric=100))
    assert default_gateway("eth1", table) == "10.0.2.1"
    assert default_gateway("eth2", table) == "10.0.1.1"


def test_no_table_is_no_gateway(tmp_path: Path) -> None:
    assert default_gateway(table=tmp_path / "none") is None


def test_the_kernels_own_table_reads_as_ip_does() -> None:
    told = subprocess.run(
        ("ip", "-4", "route", "show", "default"), capture_output=True, text=True, check=True
    ).stdout
    words = told.split()
    expected = words[words.index("via") + 1] if told.count("default") == 1 and "via" in words else None
    if expected is None:
        assert routes.TABLE.exists()
        pytest.skip("this machine has no single default gateway to compare with")
    assert default_gateway() == expected
