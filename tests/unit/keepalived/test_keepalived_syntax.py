from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.errors import KeepalivedError
from hafailover.keepalived.syntax import MOST_LINE, Place, Word, lines, without_comment, words

HERE = Place("k.conf", 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  a  b c ", ["a", "b", "c"]),
        ('script "a b" c', ["script", "a b", "c"]),
        ("x 'a \"b\\n' y", ["x", 'a "b\\n', "y"]),
        (r'"a\"b\n\t\\c\d"', ['a"b\n\t\\cd']),
        ('pre"in side"post', ["prein sidepost"]),
        ("a\\ b c\\", ["a b", "c\\"]),
        ("${_ENV NAME}x ${A} $B", ["${_ENV NAME}x", "${A}", "$B"]),
        ('""', [""]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert [word.text for word in words(text, HERE)] == expected


def test_braces_are_words_unless_they_are_quoted() -> None:
    assert words('a{b "{" }', HERE) == [Word("a"), Word("{"), Word("b"), Word("{", quoted=True), Word("}")]
    assert Word("{").is_brace("{")
    assert not Word("{", quoted=True).is_brace("{")
    assert not Word("}").is_brace("{")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a # b", "a "),
        ("a!b", "a"),
        ("'a#' \"b!\" # c", "'a#' \"b!\" "),
        (r"a\# b", r"a\# b"),
        ("'\"#' x", "'\"#' x"),
    ],
)
def test_comments(text: str, expected: str) -> None:
    assert without_comment(text) == expected


def test_lines_that_are_continued_are_one() -> None:
    text = "! nothing\n\na \\\n  b \\ # comment\n c\r\nd\\"
    found = [(line.place.line, line.text, line.more) for line in lines(text, "f")]
    assert found == [(3, "a", ("b", "c")), (6, "d", ())]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\na\0b", "f:2: there is a control character in the line"),
        ("a\x7f", "f:1: there is a control character in the line"),
        ("x" * (MOST_LINE + 1), "f:1: the line is longer than 8192 characters"),
    ],
)
def test_what_is_no_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(KeepalivedError) as caught:
        list(lines(text, "f"))
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ['a "b', 'a "b\\"', "a 'b"])
def test_a_quote_must_be_closed(text: str) -> None:
    with pytest.raises(KeepalivedError, match=r"k.conf:3: the quote . is not closed in its line"):
        words(text, HERE)


@given(st.text(st.sampled_from("ab{}\"'\\$ #!@~=\t"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(KeepalivedError):
        for line in lines(text, "f"):
            words(line.text, line.place)
