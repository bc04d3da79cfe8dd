"""The command line: one subcommand per job, each in its own room. Exit codes are in SPEC: 0, 1, 2, 3."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from hafailover import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives: its module is imported only when it is asked for, so that `status` starts fast."""

    name: str
    module: str
    arguments: str
    run: str
    summary: str


COMMANDS = (
    Command("run", "hafailover.daemon.commands", "add_run_arguments", "run", "the daemon, in the foreground"),
    Command("check", "hafailover.config.commands", "add_check_arguments", "run_check", "validate a configuration"),
    Command("doctor", "hafailover.doctor.command", "add_arguments", "run", "prove that a failover would work"),
    Command(
        "status", "hafailover.control.commands", "add_status_arguments", "run_status", "who is master, and why"
    ),
    Command(
        "failover", "hafailover.control.commands", "add_failover_arguments", "run_failover", "planned hand-over"
    ),
    Command("drain", "hafailover.control.commands", "add_drain_arguments", "run_drain", "give everything up"),
    Command("undrain", "hafailover.control.commands", "add_drain_arguments", "run_undrain", "take part again"),
    Command("pause", "hafailover.control.commands", "add_pause_arguments", "run_pause", "nothing moves by itself"),
    Command("resume", "hafailover.control.commands", "add_resume_arguments", "run_resume", "end this node's pause"),
    Command("reload", "hafailover.control.commands", "add_reload_arguments", "run_reload", "read the file again"),
    Command("history", "hafailover.control.commands", "add_history_arguments", "run_history", "past failovers"),
    Command(
        "import-keepalived",
        "hafailover.keepalived.command",
        "add_arguments",
        "run",
        "keepalived.conf to a configuration",
    ),
    Command("keygen", "hafailover.config.commands", "add_keygen_arguments", "run_keygen", "write a heartbeat key"),
    Command(
        "policy", "hafailover.cloud.commands", "add_policy_arguments", "run_policy", "what the cloud must allow"
    ),
    Command("provision", "hafailover.provision.command", "add_arguments", "run", "create what the cloud lacks"),
    Command("install-unit", "hafailover.daemon.install", "add_arguments", "run", "make it a service of systemd"),
    Command("release-guest", "hafailover.daemon.leftovers", "add_arguments", "run", "remove what a daemon left"),
    Command("completion", "hafailover.completion", "add_arguments", "run", "complete words in bash or zsh"),
    Command("emulator", "hafailover.emulator.command", "add_arguments", "run", "an emulated cloud to play with"),
    Command("demo", "hafailover.demo.command", "add_arguments", "run", "a failover to watch, on this machine"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; argparse ends with 2 on wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="hafailover",
        description="Failover for Tencent Cloud CVMs: moves a private address through the VPC API.",
    )
    parser.add_argument("--version", action="version", version=f"hafailover {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.summary, description=command.summary)
        if command.name == wanted:
            getattr(import_module(command.module), command.arguments)(subparser)
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:  # argparse itself would show the usage of `hafailover`, not of the command
        subparsers.choices[parsed.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    command = next(each for each in COMMANDS if each.name == parsed.command)
    code: int = getattr(import_module(command.module), command.run)(parsed)
    return code


if __name__ == "__main__":
    sys.exit(main())
