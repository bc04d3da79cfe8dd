from __future__ import annotations

import pytest

from hafailover.guest.interface import Interface, is_mac, is_moving, is_own, table_of


def test_the_table_is_that_of_the_low_bits_of_the_mac_address() -> None:
    assert table_of("20:90:6f:12:34:56") == 0x4C123456
    assert Interface("20:90:6f:00:00:01", ("10.0.2.5",), 24, "10.0.2.1").table == 0x4C000001


def test_the_table_of_a_nodes_own_eni_is_told_from_that_of_one_that_moves() -> None:
    own = Interface("20:90:6f:ff:ff:ff", (), 24, "10.0.2.1", own=True).table
    assert own == table_of("20:90:6f:ff:ff:ff", own=True) == 0x4DFFFFFF
    tables = (254, 0x4BFFFFFF, 0x4C000000, 0x4CFFFFFF, 0x4D000000, own, 0x4E000000)
    assert [is_moving(table) for table in tables] == [False, False, True, True, False, False, False]
    assert [is_own(table) for table in tables] == [False, False, False, False, True, True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20:90:6f:12:34:56", True),
        ("20:90:6F:12:34:56", False),
        ("20:90:6f:12:34", False),
        ("20:90:6f:12:34:56:78:90", False),
        ("20:90::34:56", False),
        ("10.0.1.100", False),
        ("20:90:6f:12:34:56\n", False),
    ],
)
def test_a_mac_address_is_told_from_an_ip_address(text: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_mac(text) is expected
