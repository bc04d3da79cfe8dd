from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.control import commands, watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATUS = {
    "ok": True,
    "node": "web-a",
    "version": "0.1.0",
    "uptime_s": 1,
    "groups": [{"name": "vip", "state": "MASTER", "master": "web-a"}],
}


class Daemon:
    """Answers requests one after another in a thread, and keeps what was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[dict[str, Any]] = []
        self.changes: dict[str, Any] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            link, _ = self._listener.accept()
            with link, link.makefile("rw") as stream:
                line = stream.readline()
                if not line:
                    return
                self.asked.append(json.loads(line))
                if self.asked[-1].get("progress"):
                    step = {"progress": "claim", "text": "web-b asks the cloud", "after_s": 0.25}
                    stream.write(json.dumps(step) + "\n")
                stream.write(json.dumps(self._answer(self.asked[-1])) + "\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["command"] == "status":
            return {**STATUS, **self.changes}
        if request["command"] == "history":
            return {"ok": True, "failovers": [{"group": "vip", "term": 7}]}
        if request["command"] in ("drain", "undrain"):
            groups = [{"name": "vip", "fate": "is handed over to web-b"}]
            return {"ok": True, "drained": request["command"] == "drain", "groups": groups}
        if request["command"] in ("pause", "resume"):
            left = {"pause_left_s": request.get("for_s"), "paused_by": ["web-a", "web-b"]}
            return {"ok": True, "groups": [{"name": "vip", "paused": request["command"] == "pause", **left}]}
        if request["to"] == "web-x":
            return {"ok": False, "error": "there is no such node", "reason": "unknown_node"}
        return {"ok": True, "group": "vip", "master": "web-b"} if request["wait"] else {"ok": True, "group": "vip"}

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
        self._thread.join()
        self._listener.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "control.sock")
    yield daemon
    daemon.close()


def run(command: str, *argv: str) -> int:
    parser = argparse.ArgumentParser()
    getattr(commands, f"add_{command}_arguments")(parser)
    code: int = getattr(commands, f"run_{command}")(parser.parse_args(argv))
    return code


def test_status_is_shown_without_colour_where_there_is_no_terminal(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status", "--socket", str(daemon.path)) == 0

    out, err = capsys.readouterr()
    assert out.startswith("web-a  hafailover 0.1.0  up 1 s")
    assert "vip    MASTER  web-a" in out
    assert "\x1b" not in out
    assert err == ""
    assert daemon.asked == [{"command": "status"}]


@pytest.mark.parametrize(
    ("no_color", "term", "colored"), [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)]
)
def test_on_a_terminal_status_is_coloured_unless_unwanted(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_color: str, term: str,
    *, colored: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)

    assert run("status", "--socket", str(daemon.path)) == 0
    assert ("\x1b[32mMASTER\x1b[0m" in capsys.readouterr().out) is colored


def test_status_as_json_is_the_daemons_answer_on_one_line(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status", "--socket", str(daemon.path), "--json") == 0

    out = capsys.readouterr().out
    assert json.loads(out) == STATUS
    assert out.count("\n") == 1


def test_watch_goes_on_until_interrupted(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = iter((None, None))

    def pause(_seconds: float) -> None:
        if next(rounds, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr("hafailover.control.commands.time.sleep", pause)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    assert run("status", "--watch", "--socket", str(daemon.path)) == 0
    assert capsys.readouterr().out.count("\x1b[H") == len(daemon.asked) == 3


def test_watch_prints_what_has_changed_where_there_is_no_terminal(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = iter(({"uptime_s": 2}, {"groups": [{"name": "vip", "state": "BACKUP"}]}, {"uptime_s": 4}))

    def pause(_seconds: float) -> None:
        change = next(rounds, None)
        if change is None:
            raise KeyboardInterrupt
        daemon.changes.update(change)

    monkeypatch.setattr("hafailover.control.commands.time.sleep", pause)

    assert run("status", "--watch", "--socket", str(daemon.path)) == 0
    first, second = capsys.readouterr().out.split("\n\nweb-a")
    assert len(daemon.asked) == 4
    assert "MASTER" in first
    assert "BACKUP" in second


def test_watch_goes_on_while_there_is_no_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = iter((None, None))

    def pause(_seconds: float) -> None:
        if next(rounds, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr("hafailover.control.commands.time.sleep", pause)
    path = tmp_path / "none.sock"

    assert run("status", "--watch", "--json", "--socket", str(path)) == 0
    assert [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()] == ["unreachable"]


def test_what_is_drawn_in_place_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("LINES", "5")
    monkeypatch.setenv("COLUMNS", "80")
    screen = watch.Screen(as_json=False, show=lambda reply: reply["text"])
    lines = "".join(f"{number}\n" for number in range(9))
    assert screen.draw({"ok": True, "text": lines}, reachable=True).replace("\x1b[K", "").split("\n") == [
        "\x1b[H0", "1", "2", "... 6 more lines", "\x1b[J",
    ]  # fmt: skip
    assert "no daemon" in screen.draw({"ok": False, "error": "no daemon"}, reachable=False)


def test_failover_shows_each_step(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("failover", "vip", "--to", "web-b", "--wait", "--socket", str(daemon.path)) == 0
    assert capsys.readouterr().out == "   0.25 s  web-b asks the cloud\nweb-b is master\n"
    assert run("failover", "vip", "--to", "web-b", "--wait", "--json", "--socket", str(daemon.path)) == 0
    assert json.loads(capsys.readouterr().out)["master"] == "web-b"
    assert [each["progress"] for each in daemon.asked] == [True, False]


def test_failover_asks_for_what_was_given(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(daemon.path)

    assert run("failover", "vip", "--socket", path) == 0
    assert run("failover", "vip", "--to", "web-b", "--wait", "--timeout", "5", "--socket", path) == 0

    assert daemon.asked == [
        {"command": "failover", "group": "vip", "to": None, "wait": False, "progress": False, "timeout_s": 30.0},
        {"command": "failover", "group": "vip", "to": "web-b", "wait": True, "progress": True, "timeout_s": 5.0},
    ]
    assert capsys.readouterr().out.splitlines() == [
        "accepted; `hafailover status` shows when it is done",
        "   0.25 s  web-b asks the cloud",
        "web-b is master",
    ]


def test_a_node_can_be_drained_and_brought_back(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    def change(command: str) -> int:
        parser = argparse.ArgumentParser()
        commands.add_drain_arguments(parser)
        args = parser.parse_args(["--socket", str(daemon.path)])
        return (commands.run_drain if command == "drain" else commands.run_undrain)(args)

    assert change("drain") == change("undrain") == 0
    assert daemon.asked == [{"command": "drain"}, {"command": "undrain"}]
    first, fate, second = capsys.readouterr().out.splitlines()
    assert "stays out" in first
    assert fate == "vip is handed over to web-b"
    assert "takes part again" in second


def test_a_group_or_all_can_be_paused_and_resumed(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(daemon.path)
    assert run("pause", "--socket", path) == run("pause", "vip", "--for", "30m", "--socket", path) == 0
    assert run("resume", "vip", "--socket", path) == 0

    assert daemon.asked == [
        {"command": "pause", "group": None, "for_s": None},
        {"command": "pause", "group": "vip", "for_s": 1800.0},
        {"command": "resume", "group": "vip"},
    ]
    assert capsys.readouterr().out.splitlines() == [
        "vip: nothing moves by itself, until `hafailover resume`; paused on web-a, web-b",
        "vip: nothing moves by itself, for 30 min 0 s more; paused on web-a, web-b",
        "vip: not paused",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [("soon", "is not a duration"), ("999ms", "is not a duration from 1s to 720h"), ("721h", "720h")],
)
def test_a_pause_out_of_range_is_a_usage_error(value: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("pause", f"--for={value}")

    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_history_asks_for_a_group_and_a_number(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("history", "--socket", str(daemon.path)) == 0
    assert run("history", "vip", "--limit", "5", "--json", "--socket", str(daemon.path)) == 0

    assert daemon.asked == [
        {"command": "history", "group": None, "limit": 20},
        {"command": "history", "group": "vip", "limit": 5},
    ]
    *_, table, as_json = capsys.readouterr().out.splitlines()
    assert table.split()[1:6] == ["vip", "-", "-", "-", "7"]
    assert json.loads(as_json)["failovers"] == [{"group": "vip", "term": 7}]


@pytest.mark.parametrize("value", ["0", "1001", "-1", "all"])
def test_a_limit_out_of_range_is_a_usage_error(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("history", f"--limit={value}")

    assert caught.value.code == 2
    assert f"'{value}' is not a whole number, 1 to 1000" in capsys.readouterr().err


def test_a_refused_failover_says_why_and_exits_1(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("failover", "vip", "--to", "web-x", "--socket", str(daemon.path)) == 1
    assert capsys.readouterr() == ("", "hafailover: there is no such node\n")

    assert run("failover", "vip", "--to", "web-x", "--json", "--socket", str(daemon.path)) == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "unknown_node"


def test_without_a_daemon_a_command_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.sock"

    assert run("status", "--socket", str(path)) == 3
    assert capsys.readouterr().err == f"hafailover: no daemon at {path}: start it or use --socket\n"

    assert run("failover", "vip", "--socket", str(path), "--json") == 3
    assert json.loads(capsys.readouterr().out)["reason"] == "unreachable"


@pytest.mark.parametrize("value", ["0", "3601", "nan", "soon"])
def test_a_timeout_out_of_range_is_a_usage_error(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("failover", "vip", "--timeout", value)

    assert caught.value.code == 2
    assert f"'{value}' is not a number of seconds, 0.1 to 3600" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_causes_no_traceback(daemon: Daemon) -> None:
    code = (
        "import argparse, sys\nfrom hafailover.control import commands\n"
        "parser = argparse.ArgumentParser()\ncommands.add_status_arguments(parser)\n"
        "args = parser.parse_args()\nsys.stdin.read()\nsys.exit(commands.run_status(args))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "--socket", str(daemon.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
