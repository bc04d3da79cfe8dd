from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.errors import KeepalivedError
from hafailover.keepalived import parser
from tests.unit.keepalived.files import parse, shape


def test_blocks_in_one_line_and_in_several() -> None:
    text = 'a{\n b "c d" {\n e }\n}\nf\n{\ng 1 } h i { } j "{"\n'
    assert shape(parse(text).statements) == [
        ["a", [["b", "c d", [["e"]]]]],
        ["f", [["g", "1"]]],
        ["h", "i", []],
        ["j", "{"],
    ]


def test_statements_know_where_they_are() -> None:
    [statement] = parse("\n\na b {\n c d\n c e\n}").statements
    assert (str(statement.place), statement.keyword, statement.value) == ("k.conf:3", "a", "b")
    assert [(each.value, each.place.line) for each in statement.all("c")] == [("d", 4), ("e", 5)]
    assert (statement.inner[0].inner, statement.inner[0].all("x")) == ([], [])
    assert parse("a").statements[0].value == ""


def test_includes_are_read_in_place_in_order() -> None:
    parsed = parse("a {\n include *.inc\n d\n}\nincludea nothing*", "", None, b_inc="b", c_inc="c 1")
    assert shape(parsed.statements) == [["a", [["b"], ["c", "1"], ["d"]]]]
    assert [str(each.place) for each in parsed.empty_includes] == ["k.conf:5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a {\n b {\n }\n", "k.conf:3: the block that begins at k.conf:1 is not closed"),
        ("a\n}\n", 'k.conf:2: there is a "}" too many'),
        ("{", 'k.conf:1: there is no keyword before this "{"'),
        ("a { } {", 'k.conf:1: there is no keyword before this "{"'),
        ("a {" * 17, "k.conf:1: blocks are nested more than 16 deep"),
        ("include", "k.conf:1: include names no file"),
        ("include k.conf", "k.conf:1: includes are nested more than 16 deep, or go round in circles"),
        ('a "', 'k.conf:1: the quote " is not closed in its line'),
    ],
)
def test_mistakes_name_file_and_line(text: str, message: str) -> None:
    with pytest.raises(KeepalivedError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_block_must_end_in_its_file() -> None:
    with pytest.raises(KeepalivedError, match=r"b.inc:1: the block that begins at b.inc:1 is not closed"):
        parse("a {\n include b.inc\n}\n}", "", None, b_inc="b {")


def test_files_and_statements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MOST_FILES", 2)
    monkeypatch.setattr(parser, "MOST_STATEMENTS", 3)
    with pytest.raises(KeepalivedError, match=r"k.conf:2: more than 2 files are included"):
        parse("include b.inc\ninclude *.inc", "", None, b_inc="", c_inc="")
    with pytest.raises(KeepalivedError, match=r"k.conf:4: there are more than 3 statements"):
        parse("a\nb\nc\nd")


PIECES = ["a", "b", " ", "{", "}", "\n", '"', "$A", "$A=", "@x ", "include k.conf", "\\"]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(KeepalivedError):
        parse(text, "x")
