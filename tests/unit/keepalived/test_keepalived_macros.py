from __future__ import annotations

import pytest

from hafailover.errors import KeepalivedError
from hafailover.keepalived import macros
from tests.unit.keepalived.files import parse, shape


def said(text: str, config_id: str = "", **environment: str) -> list[object]:
    return shape(parse(text, config_id, environment).statements)


def words(text: str, config_id: str = "") -> list[str]:
    return [" ".join(each.words) for each in parse(text, config_id).statements]


def test_definitions_are_used_in_either_form_and_within_each_other() -> None:
    assert said("$A=one\n$B= $A two\n$A=three\nx $B ${A}-y $UNKNOWN ${UNKNOWN} $A-y") == [
        ["x", "three", "two", "three-y", "$UNKNOWN", "${UNKNOWN}", "$A-y"]
    ]


def test_a_reference_is_replaced_when_it_is_used() -> None:
    text = "$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.100/32\n$SUB=10\n${BASE}.100/32"
    assert words(text) == ["10.2.0.100/32", "10.2.10.100/32"]


def test_a_definition_of_nothing_is_nothing_and_a_space_before_the_sign_makes_none() -> None:
    assert said("$A=\nx $A y\n$A = 1") == [["x", "y"], ["=", "1"]]


def test_a_definition_of_several_lines_makes_several() -> None:
    text = "$CHECKS= \\\n track_script { \\\n   a \\\n }\nvrrp_instance x {\n $CHECKS\n}\n"
    assert said(text) == [["vrrp_instance", "x", [["track_script", [["a"]]]]]]


def test_within_one_there_are_conditions_and_definitions_too() -> None:
    lines = ("$VI=", "vrrp_instance VI_${NUM} {", "@high priority 130", "@low priority 120", "$X=5", "id $X", "}")
    text = " \\\n".join(lines) + "\n$NUM=0\n$VI\n$NUM=1\n$VI"
    assert said(text, "low") == [
        ["vrrp_instance", "VI_0", [["priority", "120"], ["id", "5"]]],
        ["vrrp_instance", "VI_1", [["priority", "120"], ["id", "5"]]],
    ]
    assert parse(text).ids == ("high", "low")


def test_a_line_that_is_continued_and_no_definition_is_one_line() -> None:
    assert said("a b \\\n c") == [["a", "b", "c"]]


def test_conditions_choose_by_node() -> None:
    text = "@a priority 1\n@^a priority 2\n@b $X=5\nx $X\n$IF_A=@a\n$IF_A y"
    assert said(text, "a") == [["priority", "1"], ["x", "$X"], ["y"]]
    assert said(text, "b") == [["priority", "2"], ["x", "5"]]
    assert parse(text).ids == ("a", "b")


def test_what_is_defined_already() -> None:
    text = "x ${_HASH}1 ${_BANG}2 ${_PWD} ${_INSTANCE} ${_ENV HOME} ${_ENV NONE}z ${_RANDOM 1 2}"
    assert said(text, "web", HOME="/h") == [["x", "#1", "!2", ".", "web", "/h", "z", "${_RANDOM 1 2}"]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("~SEQ(N, 0, 3) a.${N}", "a.0 a.1 a.2 a.3"),
        ("~SEQ(N, 3) $N", "1 2 3"),
        ("~SEQ(N, -2) $N", "-1 -2"),
        ("~SEQ(N, 3, 1) $N", "3 2 1"),
        ("~SEQ(N, 1, 2, 6) $N", "1 3 5"),
        ("~SEQ(N, 3, 1, 1) $N", ""),
        ("~SEQx(N, 0x90, 0x10, 0xc0) ${N}:1", "90:1 a0:1 b0:1 c0:1"),
        ("~SEQx(N, 144, 16, 192) $N", "90 a0 b0 c0"),
        ("~SEQ(A, 1, 2) ~SEQ(B, 1, 2) ${A}.${B}", "1.1 1.2 2.1 2.2"),
        ("~LST(A, x, y) ${A}1", "x1 y1"),
        ("~LST({A, B}, {10,1},{20,4}) ${A}.${B}", "10.1 20.4"),
        ("~LST(A, 1, 2) ~SEQ(B, 5, 6) ${A}.${B}", "1.5 1.6 2.5 2.6"),
        ("~SEQ(N, 1, ${END}) $N", "1 2"),
    ],
)
def test_lines_that_are_repeated(line: str, expected: str) -> None:
    assert words(f"$END=2\n{line}") == expected.split()


def test_a_block_may_be_repeated() -> None:
    text = "$VI= \\\n vrrp_instance v${ID} { \\\n virtual_router_id ${ID} \\\n }\n~SEQ(ID,1,2) $VI"
    assert said(text) == [
        ["vrrp_instance", "v1", [["virtual_router_id", "1"]]],
        ["vrrp_instance", "v2", [["virtual_router_id", "2"]]],
    ]


@pytest.mark.parametrize(
    "line",
    [
        "~SEQ() x",
        "~SEQ(A) x",
        "~SEQ(A,b) x",
        "~SEQ(A,1,0,5) x",
        "~SEQ(A,1,1,1,1) x",
        "~SEQ(1,2) x",
        "~LST() x",
        "~LST({A,B},{1}) x",
    ],
)
def test_a_repetition_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(KeepalivedError, match=r"k.conf:1: ~SEQ needs a name"):
        said(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("$A=$A\nx $A", 2),
        ("$A=$B $B\n$B=$A $A\nx $A", 3),
        ("$A=" + "x" * 5000 + "\nx " + "$A " * 2000, 2),
        ("~SEQ(A,1,999999999) x", 1),
        ("~SEQ(A,1,1000) ~SEQ(B,1,1000) x", 1),
    ],
)
def test_what_goes_too_far_is_refused(text: str, line: int) -> None:
    with pytest.raises(KeepalivedError) as caught:
        said(text)
    assert str(caught.value) == f"k.conf:{line}: definitions refer to themselves here, or make too much of the file"


def test_the_bound_is_one_for_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macros, "MOST_WORK", 1000)
    with pytest.raises(KeepalivedError, match=r"k.conf:16: "):
        said("a\n" * 20)
