from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module

import pytest

import hafailover
from hafailover import cli

NAMES = [command.name for command in cli.COMMANDS]

# What makes a start slow or a process big, and what the fast commands must do without.
HEAVY = ("asyncio", "httpx", "h11", "structlog", "prometheus_client", "pyroute2", "tencentcloud", "ssl")
PROBE = """
import json, sys
from hafailover import cli
try:
    code = cli.main(sys.argv[1:])
except SystemExit as end:
    code = end.code
sys.stderr.write("\\n" + json.dumps([code, sorted(sys.modules)]))
"""


def loaded(*words: str) -> tuple[int, set[str]]:
    """Run a command in a process of its own; return its exit code and what it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True, timeout=60
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: hafailover {name} ")
    assert next(command.summary for command in cli.COMMANDS if command.name == name) in out


@pytest.mark.parametrize("command", cli.COMMANDS, ids=NAMES)
def test_every_command_is_where_the_table_says(command: cli.Command) -> None:
    module = import_module(command.module)
    assert callable(getattr(module, command.arguments))
    assert callable(getattr(module, command.run))


def test_help_lists_every_command_without_importing_any(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"\n    {command.name}\s+{command.summary}\n", out) for command in cli.COMMANDS)
    code, modules = loaded("--help")
    assert code == 0
    assert {name for name in modules if name.startswith("hafailover")} == {"hafailover", "hafailover.cli"}


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"hafailover {hafailover.__version__}\n"


@pytest.mark.parametrize("words", [[], ["fly"], ["status", "--fly"], ["failover"], ["run", "--node"]])
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: hafailover")


def test_a_word_too_many_shows_the_usage_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", "extra"])
    said = capsys.readouterr().err
    assert (ended.value.code, said.split()[:3]) == (2, ["usage:", "hafailover", "status"])
    assert said.endswith("unrecognized arguments: extra\n")


def test_the_words_come_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hafailover", "status", "--socket", "/nonexistent/control.sock"])
    assert cli.main() == 3
    assert "no daemon at /nonexistent/control.sock" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status", "--socket", "/nonexistent/control.sock"), 3),
        (("check", "-c", "/nonexistent/config.toml"), 2),
    ],
)
def test_a_fast_command_imports_only_what_it_needs(words: tuple[str, ...], code: int) -> None:
    ended, modules = loaded(*words)
    assert ended == code
    assert modules.isdisjoint(HEAVY)
    rooms = {name.split(".")[1] for name in modules if name.startswith("hafailover.")}
    assert rooms.isdisjoint({"daemon", "cloud", "guest", "emulator", "demo", "observe", "heartbeat"})
