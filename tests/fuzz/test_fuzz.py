"""A short run of each harness; `python -m tests.fuzz.run` is the long one.

Seed and number of executions are fixed, about two seconds' worth. The engine is atheris where it is installed
(the optional extra `fuzz`), else the plain one: the harness is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz import engine, run
from tests.fuzz.source import Source, damaged, places
from tests.fuzz.targets import flips, wire

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20
EXECUTIONS = {
    "wire": 15_000,
    "flips": 3_000,
    "endpoint": 300,
    "broker": 5_000,
    "framing": 5_000,
    "requests": 3_000,
    "config": 300,
    "replies": 3_000,
    "api": 1_000,
    "state": 4_000,
    "metadata": 1_000,
    "credentials": 1_000,
    "http1": 200,
    "keepalived": 500,
}
CANARY_EXECUTIONS = 200_000
needs_atheris = pytest.mark.skipif(not engine.atheris_installed(), reason="atheris is not installed")


@pytest.mark.parametrize("name", engine.NAMES)
def test_the_corpus_breaks_nothing(name: str) -> None:
    target = engine.harness(name)
    for data in engine.corpus(name):
        engine.call(target, data)


@pytest.mark.parametrize("name", engine.NAMES)
def test_a_short_run_breaks_nothing(name: str) -> None:
    fuzz = engine.run_atheris if engine.atheris_installed() else engine.run_plain
    done = fuzz(name, seed=SEED, executions=EXECUTIONS[name])
    assert not done.crashes
    assert done.executions >= EXECUTIONS[name]


def test_the_plain_engine_finds_the_canary_and_says_which_bytes_it_was() -> None:
    done = engine.run_plain(engine.CANARY, seed=SEED, executions=CANARY_EXECUTIONS)
    (crash,) = done.crashes
    assert crash.error == "AssertionError: the canary was found"
    with pytest.raises(AssertionError, match="canary"):
        engine.harness(engine.CANARY).one(crash.data)


@needs_atheris
def test_atheris_finds_the_canary_and_says_which_bytes_it_was() -> None:
    done = engine.run_atheris(engine.CANARY, seed=SEED, executions=CANARY_EXECUTIONS)
    (crash,) = done.crashes
    assert crash.error == "AssertionError: the canary was found"
    with pytest.raises(AssertionError, match="canary"):
        engine.harness(engine.CANARY).one(crash.data)


def test_the_plain_engine_repeats_itself() -> None:
    first, second = (engine.run_plain(engine.CANARY, seed=3, executions=CANARY_EXECUTIONS) for _ in range(2))
    assert (first.executions, first.crashes) == (second.executions, second.crashes)


def test_no_single_bit_of_a_datagram_may_change() -> None:
    for bit in range(len(flips.BODY) * 8):
        flips.refuse(flips.flipped(flips.BODY, bit))
    with pytest.raises(AssertionError, match="was taken"):
        flips.refuse(flips.BODY)


def test_an_input_that_takes_too_long_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LIMIT_S", -1.0)
    with pytest.raises(engine.SlowError):
        engine.call(engine.harness("wire"), wire.SEEDS[0])


def test_a_corpus_is_cut_to_what_reaches_something_new() -> None:
    junk = [b"\x07" * size for size in range(20)]
    assert engine.minimised("wire", [*wire.SEEDS, *junk]) == []
    fresh = bytes(6) + b"\x40" + bytes(20)  # flags that no message has
    assert engine.minimised("wire", [*junk, fresh, fresh + b"\0"]) == [fresh]


def test_the_stored_corpora_are_those_of_a_harness_and_small() -> None:
    assert {path.name for path in engine.CORPUS.iterdir()} <= set(engine.NAMES)
    for path in engine.CORPUS.glob("*/*"):
        assert path.stat().st_size <= engine.MOST_BYTES
        assert path.name == engine.file_name(path.read_bytes())


def test_the_table_has_a_line_for_each_target_and_the_crash_can_be_replayed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["run", "--engine", "plain", "--seconds", "5", engine.CANARY])
    assert run.main() == 1
    header, line, total, what, how = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["target", "engine"]
    assert line.split()[:2] == ["canary", "plain"]
    assert total.endswith("1 crashes")
    assert "the canary was found" in what
    monkeypatch.setattr("sys.argv", how.split()[2:])
    with pytest.raises(AssertionError, match="canary"):
        run.main()


def test_bytes_make_structures_of_every_kind() -> None:
    kinds = {type(Source(bytes([kind, 1, 2, 3])).value()) for kind in range(8)}
    assert {type(None), bool, int, float, str, list, dict} >= kinds >= {type(None), bool, int, str, list, dict}
    whole = {"a": [1, {"b": None}]}
    assert len(places(whole)) == 4
    assert damaged(whole, Source(b"")) == whole
    assert damaged(whole, Source(bytes([0, 1, 0]))) == {}
