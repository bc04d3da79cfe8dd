from __future__ import annotations

import re
import time
from typing import Any

import pytest

from hafailover.demo.timeline import BAR_CHARS, Timeline
from hafailover.observe.history import timestamp

Capture = pytest.CaptureFixture[str]


def at(second: float) -> str:
    return timestamp(round((1_700_000_000 + second) * 1000))


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Timeline:
    """A timeline whose act began at second 0 of these tests' own clock."""
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    made = Timeline()
    made.begin()
    return made


def story(line: Timeline, *events: tuple[float, dict[str, Any]]) -> None:
    for second, event in events:
        line.hear("web-a", {"time": at(second), **event})


CLAIMING = {"event": "role", "old": "BACKUP", "new": "CLAIMING", "why": "the master was silent"}
MASTER = {"event": "role", "old": "CLAIMING", "new": "MASTER", "why": "confirmed"}
MOVE = {"event": "move", "resource": "10.0.1.100", "expected": "eni-b", "target": "eni-a"}


def split(capture: Capture, line: Timeline, outage_s: float, guard_s: float) -> tuple[str, dict[str, int]]:
    capture.readouterr()
    line.split(outage_s, guard_s)
    bar, words = capture.readouterr().out.splitlines()
    parts = {name: int(figure) for name, figure in re.findall(r"(\w+) \S (-?\d+) ms", words)}
    return bar.strip(), parts


def test_the_phases_sum_up_to_the_outage(line: Timeline, capsys: Capture) -> None:
    story(line, (0.310, CLAIMING), (0.315, MOVE), (0.930, MASTER))
    bar, parts = split(capsys, line, 0.915, 0.010)
    assert parts == {"detection": 300, "guard": 10, "guest": 5, "cloud": 600}
    assert sum(parts.values()) == 915
    assert len(bar) == pytest.approx(BAR_CHARS, abs=2)
    assert re.fullmatch(r"#{20,22}\??\+?={41,43}", bar)


def test_the_first_of_several_claims_and_calls_counts(line: Timeline, capsys: Capture) -> None:
    story(line, (0.3, CLAIMING), (0.4, MOVE), (0.5, CLAIMING), (0.6, MOVE))
    _, parts = split(capsys, line, 1.0, 0.0)
    assert parts == {"detection": 300, "guard": 0, "guest": 100, "cloud": 600}


def test_each_act_begins_anew(line: Timeline, capsys: Capture) -> None:
    story(line, (0.3, CLAIMING), (0.4, MOVE))
    line.begin()
    _, parts = split(capsys, line, 1.0, 0.0)
    assert parts == {"detection": 0, "guard": 0, "guest": 0, "cloud": 1000}


def test_an_outage_that_did_not_happen_is_not_split(line: Timeline, capsys: Capture) -> None:
    story(line, (0.3, CLAIMING), (0.4, MOVE))
    capsys.readouterr()
    line.split(0.0, 0.0)
    assert "=" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (CLAIMING, "BACKUP -> CLAIMING: the master was silent"),
        ({"event": "no_claim", "why": "paused"}, "does not claim: paused"),
        ({"event": "guard", "guard": "cloud", "verdict": "allow"}, "guard cloud says allow"),
        (MOVE, "asks the cloud: 10.0.1.100 from eni-b to eni-a"),
        ({"event": "move_ended", "outcome": "applied", "code": ""}, "the cloud says applied"),
        ({"event": "move_ended", "outcome": "refused", "code": "X"}, "the cloud says refused X"),
        ({"event": "cannot_go_on", "error": "no port"}, "no port"),
        ({"event": "output", "text": "Traceback"}, "Traceback"),
    ],
)
def test_what_belongs_to_the_story_is_told(
    line: Timeline, capsys: Capture, event: dict[str, Any], told: str
) -> None:
    story(line, (1.25, event))
    assert capsys.readouterr().out == f"    1.250 s  web-a  {told}\n"


def test_everything_else_stays_in_the_log(line: Timeline, capsys: Capture) -> None:
    story(line, (1.0, {"event": "api"}), (1.0, {}))
    assert capsys.readouterr().out == ""


def test_a_line_without_a_time_was_heard_now(line: Timeline, capsys: Capture) -> None:
    line.hear("web-b", {"event": "output", "text": "hello"})
    line.note("cloud", "moved")
    line.title("1. next")
    assert capsys.readouterr().out.splitlines() == [
        "    0.000 s  web-b  hello",
        "    0.000 s  cloud  moved",
        "",
        "1. next",
    ]
