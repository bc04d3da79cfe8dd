from __future__ import annotations

import datetime as dt

import pytest

from hafailover.config import wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("web", '"web"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a\nb\x7f\u202e\u0085", '"a\\nb\\x7f\\u202e\\x85"'),
        ("\u4e3b", '"\u4e3b"'),
        ("x" * 61, '"' + "x" * 60 + '..."'),
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        ([["secret"]], "an array"),
        ({"a": 1}, "a table"),
        (dt.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_a_value_is_shown_short_and_printable(value: object, shown: str) -> None:
    assert wording.show(value) == shown


def test_a_number_too_long_for_python_to_print_is_not_printed() -> None:
    assert wording.show(16**5000) == wording.show(-(16**5000)) == "a number of more than 20 digits"


def test_a_wrong_type_is_named_with_what_is_allowed() -> None:
    assert wording.wrong_type(5, "true or false") == "5 is an integer; allowed: true or false"
    assert wording.wrong_type([], "true or false") == "an array was given; allowed: true or false"
    assert wording.wrong_type(dt.time(1, 2), "x") == "01:02:00 is a date or time; allowed: x"


def test_a_path_quotes_what_is_not_a_bare_key() -> None:
    assert wording.join("", "cluster") == "cluster"
    assert wording.join("cluster", "name") == "cluster.name"
    assert wording.join("cluster", "na me\x1b[31m") == 'cluster."na me\\x1b[31m"'
    assert wording.join("cluster", "") == 'cluster.""'


def test_options_are_listed_with_or() -> None:
    assert wording.either(["a"]) == '"a"'
    assert wording.either(["a", "b", "c"]) == '"a", "b" or "c"'
