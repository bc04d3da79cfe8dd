from __future__ import annotations

import pytest

from hafailover.errors import KeepalivedError
from tests.unit.keepalived.files import parse, shape


def said(text: str, config_id: str = "", **environment: str) -> list[object]:
    return shape(parse(text, config_id, environment).statements)


def test_definitions_are_used_in_either_form_and_within_each_other() -> None:
    assert said("$A=one\n$B = $A two\n$A=three\nx $B ${A}-y $UNKNOWN ${UNKNOWN}") == [
        ["x", "three", "two", "three-y", "$UNKNOWN", "${UNKNOWN}"]
    ]


def test_a_definition_of_nothing_is_nothing() -> None:
    assert said("$A=\nx $A y") == [["x", "y"]]


def test_a_definition_of_several_lines_makes_several() -> None:
    text = "$CHECKS= \\\n track_script { \\\n   a \\\n }\nvrrp_instance x {\n $CHECKS\n}\n"
    assert said(text) == [["vrrp_instance", "x", [["track_script", [["a"]]]]]]


def test_a_line_that_is_continued_and_no_definition_is_one_line() -> None:
    assert said("a b \\\n c") == [["a", "b", "c"]]


def test_conditions_choose_by_node() -> None:
    text = "@a priority 1\n@^a priority 2\n@b $X=5\nx $X"
    assert said(text, "a") == [["priority", "1"], ["x", "$X"]]
    assert said(text, "b") == [["priority", "2"], ["x", "5"]]
    assert parse(text).ids == ("a", "b")


def test_what_is_defined_already() -> None:
    text = "x ${_HASH}1 ${_BANG}2 ${_PWD} ${_INSTANCE} ${_ENV HOME} ${_ENV NONE}z ${_RANDOM 1 2}"
    assert said(text, "web", HOME="/h") == [["x", "#1", "!2", ".", "web", "/h", "z", "${_RANDOM 1 2}"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$A=$A\nx $A", "k.conf:2: definitions refer to themselves here, or make too much of this line"),
        ("$A=$B $B\n$B=$A $A\nx $A", "k.conf:3: definitions refer to themselves"),
        ("$A=" + "x" * 5000 + "\nx " + "$A" * 20, "k.conf:2: definitions refer to themselves"),
        ("x ~SEQ(A,1,2)", "k.conf:1: ~SEQ and ~LST are not understood here"),
    ],
)
def test_what_goes_too_far_is_refused(text: str, message: str) -> None:
    with pytest.raises(KeepalivedError) as caught:
        said(text)
    assert str(caught.value).startswith(message)
