from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.daemon import historyfile
from hafailover.observe.history import MAX_RECORDS

if TYPE_CHECKING:
    from pathlib import Path


def record(term: int, **changes: object) -> dict[str, Any]:
    texts = dict.fromkeys(("at", "group", "result", "reason", "why", "to"), "x")
    return {**texts, "from": None, "term": term, "phases_s": {"cloud": 0.6}, **changes}


def terms(records: list[dict[str, Any]]) -> list[int]:
    return [each["term"] for each in records]


def test_what_was_saved_is_loaded_the_oldest_first(tmp_path: Path) -> None:
    assert historyfile.load(tmp_path) == ([], "")
    historyfile.save(tmp_path, [record(3), record(2), record(1)])
    records, complaint = historyfile.load(tmp_path)
    assert (terms(records), complaint) == ([1, 2, 3], "")
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]


def test_the_file_is_bounded_and_the_newest_stay(tmp_path: Path) -> None:
    historyfile.save(tmp_path, [record(term) for term in range(MAX_RECORDS + 50, 0, -1)])
    assert terms(historyfile.load(tmp_path)[0]) == list(range(51, MAX_RECORDS + 51))
    long = "x" * (historyfile.MAX_BYTES // 10)
    historyfile.save(tmp_path, [record(term, why=long) for term in range(50, 0, -1)])
    assert (tmp_path / "history.json").stat().st_size <= historyfile.MAX_BYTES
    assert terms(historyfile.load(tmp_path)[0]) == list(range(42, 51))


@pytest.mark.parametrize(
    "torn", ["", "{", "[]", '{"version": 2, "failovers": []}', '{"version": 1}', "[" * 100_000]
)
def test_a_torn_file_is_set_aside_and_told_in_short(tmp_path: Path, torn: str) -> None:
    (tmp_path / "history.json").write_text(torn)
    records, complaint = historyfile.load(tmp_path)
    assert records == []
    assert "is not a history" in complaint
    assert len(complaint) < 400 + len(str(tmp_path))
    assert (tmp_path / "history.unreadable").read_text() == torn
    assert historyfile.load(tmp_path) == ([], "")


def test_every_way_in_which_a_file_can_be_cut_off_is_survived(tmp_path: Path) -> None:
    whole = historyfile.encode([record(2), record(1)])
    for length in range(len(whole)):
        (tmp_path / "history.json").write_bytes(whole[:length])
        assert terms(historyfile.load(tmp_path)[0]) in ([], [1, 2])


@pytest.mark.parametrize(
    "wrong", [7, {}, record(1, why=None), record(1, phases_s=[]), {**record(1), "term": "1"}, record(1, to=2)]
)
def test_what_is_no_record_is_left_out(wrong: object) -> None:
    text = json.dumps({"version": 1, "failovers": [record(1), wrong, record(2)]}).encode()
    assert terms(historyfile.decode(text)) == [1, 2]


def test_a_file_that_is_too_long_and_one_that_cannot_be_read_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 1048576 bytes"):
        historyfile.decode(b" " * (historyfile.MAX_BYTES + 1))
    (tmp_path / "history.json").mkdir()
    assert historyfile.load(tmp_path) == ([], f"{tmp_path}/history.json: Is a directory")
