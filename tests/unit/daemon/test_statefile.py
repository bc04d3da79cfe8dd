from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hafailover.daemon import statefile
from hafailover.election.values import GroupMemory, GroupName, Memory
from hafailover.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = (GroupMemory(GroupName("db"), 3), GroupMemory(GroupName("vip"), 7, paused=True))
MEMORY = Memory(drained=True, groups=GROUPS)
GROUP = {"term": 1, "paused": False}


def content(**changes: object) -> bytes:
    return json.dumps({"version": 1, "drained": False, "groups": {"vip": GROUP}, **changes}).encode()


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert statefile.load(tmp_path / "new") == (Memory(), "")
    statefile.save(tmp_path / "new", MEMORY)
    assert statefile.load(tmp_path / "new") == (MEMORY, "")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "Expecting value"),
        (b"\xff", "decode"),
        (b"[" * 100_000, "recursion"),
        (b"[]", r"\[\] is not an object"),
        (b"{}", "version"),
        (b" " * (statefile.MAX_BYTES + 1), "more than 1048576 bytes"),
        (content(version=2), "version 2, known is 1"),
        (content(version="9" * 100_000), r"version '9{59}\.\.\., known is 1"),
        (content(drained=1), "1 is not true or false"),
        (content(groups=[GROUP]), "is not an object"),
        (content(groups={"vip": True}), "True is not an object"),
        (content(groups={"vip": {**GROUP, "term": True}}), "True is not a term"),
        (content(groups={"vip": {**GROUP, "term": -1}}), "-1 is not a term"),
        (content(groups={"vip": {**GROUP, "term": 2**63}}), "9223372036854775808 is not a term"),
        (content(groups={"vip": {**GROUP, "term": "9" * 100_000}}), r"'9{59}\.\.\. is not a term"),
        (content(groups={"vip": {**GROUP, "paused": None}}), "None is not true or false"),
        (content(groups={"vip": {"paused": False}}), "term"),
        (content(groups={"vip": {**GROUP, "paused_until_ms": True}}), "True is not a time"),
        (content(groups={"vip": {**GROUP, "paused_until_ms": -1}}), "-1 is not a time"),
        (content(groups={"vip": {**GROUP, "paused_until_ms": 2**53 + 1}}), "9007199254740993 is not a time"),
    ],
)
def test_what_is_no_state_file_is_set_aside_and_told_in_short(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "state.json").write_bytes(text)
    with pytest.raises((ValueError, KeyError, TypeError, RecursionError), match=said):
        statefile.decode(text)
    memory, complaint = statefile.load(tmp_path)
    assert memory == Memory(lost=True)
    assert "is not a state file" in complaint
    assert len(complaint) < 400 + len(str(tmp_path))
    assert (tmp_path / "state.unreadable").read_bytes() == text
    assert statefile.load(tmp_path) == (Memory(), "")


def test_a_file_that_cannot_be_set_aside_does_not_end_the_start(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(b"{}")
    (tmp_path / "state.unreadable").mkdir()
    memory, complaint = statefile.load(tmp_path)
    assert memory == Memory(lost=True)
    assert "could not be renamed to state.unreadable: Is a directory" in complaint


def test_the_extremes_of_a_term_are_kept() -> None:
    for term in (0, statefile.MAX_TERM):
        memory = Memory(groups=(GroupMemory(GroupName("vip"), term),))
        assert statefile.decode(statefile.encode(memory)) == memory


def test_a_directory_that_cannot_be_one_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StartError, match="state directory"):
        statefile.load(tmp_path / "file")


def test_a_file_of_before_moves_were_noted_is_read() -> None:
    text = b'{"version": 1, "drained": false, "groups": {"vip": {"term": 3, "paused": false}}}'
    assert statefile.decode(text).groups == (GroupMemory(GroupName("vip"), 3),)


def test_the_end_of_a_pause_is_kept_as_a_time_of_day() -> None:
    memory = Memory(groups=(GroupMemory(GroupName("vip"), 3, paused=True, paused_until=5_000),))
    text = statefile.encode(memory, 1_700_000_000_000)
    assert json.loads(text)["groups"]["vip"]["paused_until_ms"] == 1_700_000_005_000
    later = statefile.decode(text, 1_700_000_001_000)  # after a boot the core's clock has begun anew
    assert later.groups[0].paused_until == 4_000
