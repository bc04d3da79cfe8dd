"""The manual page knows every command and option, and no others; mandoc and man find nothing wrong with it."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files

import pytest

from hafailover import cli, completion

PAGE = files("hafailover").joinpath("units", "hafailover.8").read_text(encoding="utf-8")
CHECKS = (("mandoc", "-Tlint", "-Wwarning"), ("man", "--warnings", "-Z", "-Tutf8", "-l", "-"))


def test_every_command_is_there_and_no_other() -> None:
    named = re.findall(r"(?m)^\.It Cm ([a-z-]+)(?: , ([a-z-]+))?", PAGE)
    assert {name for pair in named for name in pair if name} == {command.name for command in cli.COMMANDS}


def test_every_option_is_there_and_no_other() -> None:
    options = {name for command in completion.commands() for option in command.options for name in option.names}
    named = {f"-{name}" for name in re.findall(r"(?<!\w)Fl (-?[a-z-]+)", PAGE)}
    assert named - {"-i"} == options | {"--version"}  # -i is one of keepalived


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check[0])
def test_it_is_a_manual_page(check: tuple[str, ...]) -> None:
    if shutil.which(check[0]) is None:
        pytest.skip(f"{check[0]} is not installed")
    done = subprocess.run(check, input=PAGE, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert check[0] == "man" or done.stdout == ""
