"""`hafailover completion`: how a shell completes commands and options, made from the parsers themselves."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from hafailover import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh")
_FILES = ("FILE", "PATH", "DIR")
_GENERAL = ("--help", "--version")


@dataclass(frozen=True, slots=True)
class Option:
    """An option; `value` is what it takes: "" nothing, "FILE" a file, anything else something of that name."""

    names: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """A command with its options; `files` where its other arguments are files, `words` where they are words."""

    name: str
    summary: str
    options: tuple[Option, ...]
    files: bool
    words: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("shell", choices=SHELLS)


def run(arguments: argparse.Namespace) -> int:
    """Print the script; return 0."""
    made = bash(commands()) if arguments.shell == "bash" else zsh(commands())
    sys.stdout.write("\n".join(made) + "\n")
    return 0


def commands() -> list[Completed]:
    """Return every command, as its own parser has it."""
    return [_completed(command) for command in cli.COMMANDS]


def _completed(command: cli.Command) -> Completed:
    parser = argparse.ArgumentParser(prog=command.name)
    getattr(import_module(command.module), command.arguments)(parser)
    actions = parser._actions  # noqa: SLF001 - argparse tells of them in no other way
    options = tuple(_option(action) for action in actions if action.option_strings)
    others = [action for action in actions if not action.option_strings]
    words = tuple(str(choice) for action in others for choice in action.choices or ())
    return Completed(command.name, command.summary, options, any(each.metavar in _FILES for each in others), words)


def _option(action: argparse.Action) -> Option:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    choices = tuple(str(choice) for choice in action.choices or ())
    said = (action.help or "").replace("%%", "%") % {"default": action.default}
    return Option(tuple(action.option_strings), "FILE" if value in _FILES else value, said, choices)


# -- bash --------------------------------------------------------------------------------------------------------


def bash(known: list[Completed]) -> Iterator[str]:
    """Yield the lines of a script for bash 4.4 or newer."""
    yield "# bash completion of hafailover, made by `hafailover completion bash`"
    yield "_hafailover() {"
    yield '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command="" words="" i'
    yield "    for ((i = 1; i < COMP_CWORD; i++)); do"
    yield "        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }"
    yield "    done"
    yield "    COMPREPLY=()"
    yield "    case $command in"
    yield f'        "") words="{" ".join([*(each.name for each in known), *_GENERAL])}" ;;'
    for each in known:
        yield from _bash_command(each)
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$cur"))'
    yield "}"
    yield "complete -F _hafailover hafailover"


def _bash_command(command: Completed) -> Iterator[str]:
    yield f"        {command.name})"
    valued = [option for option in command.options if option.value]
    if valued:
        yield "            case $prev in"
        yield from (f"                {'|'.join(each.names)}) {_bash_value(each)}return ;;" for each in valued)
        yield "            esac"
    names = " ".join([*(option.names[-1] for option in command.options), *command.words])
    if command.files:
        yield "            [[ $cur == -* ]] || { compopt -o default; return; }"
    yield f'            words="{names}" ;;'


def _bash_value(option: Option) -> str:
    """Return what offers the values of an option: its choices, files, or nothing."""
    if option.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur")); '
    return "compopt -o default; " if option.value == "FILE" else ""


# -- zsh ---------------------------------------------------------------------------------------------------------


def zsh(known: list[Completed]) -> Iterator[str]:
    """Yield the lines of a function for zsh's `fpath`."""
    yield "#compdef hafailover"
    yield "# zsh completion of hafailover, made by `hafailover completion zsh`"
    yield "local -a commands=("
    for each in known:
        yield f"    {_quoted(f'{each.name}:{each.summary}')}"
    yield ")"
    yield "if (( CURRENT == 2 )); then"
    yield "    _describe -t commands command commands"
    yield f"    compadd -- {' '.join(_GENERAL)}"
    yield "    return"
    yield "fi"
    yield "shift words"
    yield "(( CURRENT-- ))"
    yield "case $words[1] in"
    for each in known:
        specs = [*_zsh_specs(each)]
        yield f"    {each.name}) _arguments {' '.join(specs)} ;;"
    yield "esac"


def _zsh_specs(command: Completed) -> Iterator[str]:
    for option in command.options:
        said = option.help.replace("[", "(").replace("]", ")").replace(":", ";")
        value = f":{option.value}:{_zsh_values(option)}" if option.value else ""
        exclusive = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
        yield from (_quoted(f"{exclusive}{name}[{said}]{value}") for name in option.names)
    if command.files:
        yield _quoted("*:file:_files")
    elif command.words:
        yield _quoted(f"1:word:({' '.join(command.words)})")


def _zsh_values(option: Option) -> str:
    if option.choices:
        return f"({' '.join(option.choices)})"
    return "_files" if option.value == "FILE" else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
