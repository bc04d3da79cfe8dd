from __future__ import annotations

import shutil
import subprocess

import pytest

from hafailover import cli, completion


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def of_bash(capsys: pytest.CaptureFixture[str]) -> str:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    return script("bash", capsys)


def completed(of_bash: str, *words: str) -> list[str]:
    """Return what bash offers for the last of these words."""
    ask = f"""
compopt() {{ echo FILES; }}
COMP_WORDS=(hafailover {" ".join(f'"{word}"' for word in words)}); COMP_CWORD={len(words)}
_hafailover; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", of_bash + ask],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
        env={"PATH": "/bin:/usr/bin"},
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_every_command_is_offered(of_bash: str) -> None:
    assert set(completed(of_bash, "")) == {command.name for command in cli.COMMANDS} | {"--help", "--version"}
    assert completed(of_bash, "import") == ["import-keepalived"]
    assert completed(of_bash, "dr") == ["drain"]


@pytest.mark.parametrize("command", completion.commands(), ids=lambda each: each.name)
def test_every_option_is_offered(of_bash: str, command: completion.Completed) -> None:
    offered = completed(of_bash, command.name, "-" if command.files else "")
    assert set(offered) == {option.names[-1] for option in command.options} | set(command.words)
    assert "--help" in offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("check", "--config", ""), ["FILES"]),
        (("check", "-c", ""), ["FILES"]),
        (("failover", "vip", "--to", ""), []),
        (("failover", "--wa"), ["--wait"]),
        (("import-keepalived", ""), ["FILES"]),
        (("import-keepalived", "--lo"), ["--lookup"]),
        (("completion", "z"), ["zsh"]),
        (("--version", "sta"), ["status"]),
        (("nonsense", ""), []),
    ],
)
def test_what_is_offered(of_bash: str, words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(of_bash, *words) == offered


def test_an_option_with_choices_offers_them(of_bash: str) -> None:
    del of_bash
    option = completion.Option(("--level",), "LEVEL", "how [much]: it's", ("low", "high"))
    made = completion.Completed("x", "a summary", (option,), files=False, words=())
    assert completed("\n".join(completion.bash([made])), "x", "--level", "h") == ["high"]
    assert "'--level[how (much); it'\\''s]:LEVEL:(low high)'" in "\n".join(completion.zsh([made]))


def test_the_function_for_zsh_knows_all_commands_and_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    made = script("zsh", capsys)
    assert made.startswith("#compdef hafailover\n")
    for command in completion.commands():
        assert completion._quoted(f"{command.name}:{command.summary}") in made
        line = next(line for line in made.splitlines() if line.startswith(f"    {command.name}) _arguments"))
        assert all(f"{name}[" in line for option in command.options for name in option.names)
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed: the function was not parsed")
    subprocess.run(["zsh", "-n"], input=made, text=True, check=True, timeout=10)
