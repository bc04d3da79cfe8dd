from __future__ import annotations

from hafailover.checks.result import MAX_DETAIL, failed, late, one_line


def test_a_detail_is_one_bounded_printable_line() -> None:
    assert one_line("  two\nlines\tand \x1b[31mred ") == "two lines and [31mred"
    assert one_line("x" * MAX_DETAIL) == "x" * MAX_DETAIL
    assert one_line("x" * 100_000) == "x" * (MAX_DETAIL - 3) + "..."


def test_a_failure_says_why() -> None:
    assert (failed("a\nb").passed, failed("a\nb").detail) == (False, "a b")
    assert (late(0.3).passed, late(0.3).detail) == (False, "no answer within 300 ms")
