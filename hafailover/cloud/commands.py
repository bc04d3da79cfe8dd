"""`hafailover policy`: its options, and what it does. Returns the exit code."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.cloud import policy
from hafailover.config import loader
from hafailover.config.commands import DEFAULT_CONFIG
from hafailover.errors import ConfigError

if TYPE_CHECKING:
    import argparse

PLACEHOLDER = "ACCOUNT"


def add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run_policy` reads."""
    parser.add_argument("-c", "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    parser.add_argument("--account", type=_account, metavar="UIN", help="the id of the main account")
    parser.add_argument("--json", action="store_true", help="print one JSON object with both")


def _account(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) <= 20:  # noqa: PLR2004 - more than any 64-bit number has
        return text
    raise ArgumentTypeError(f"{text!r} is not an account id; a number such as 100000000001 is")


def run_policy(arguments: argparse.Namespace) -> int:
    """Print the policy, and beside it what the security groups must let in; 2 where the file is wrong or vague."""
    try:
        config = loader.load_alone(arguments.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    vague = policy.missing(config)
    if vague:
        sys.stderr.write(f"{arguments.config}: a policy names its resources, so set {', '.join(vague)}\n")
        return 2
    document, rules = policy.policy(config, arguments.account or PLACEHOLDER), policy.rules(config)
    if arguments.json:
        both = {"policy": document, "security_group": [asdict(rule) for rule in rules]}
        sys.stdout.write(json.dumps(both, indent=2) + "\n")
        return 0
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stderr.write(_notes(rules, named=arguments.account is not None))
    return 0


def _notes(rules: tuple[policy.Rule, ...], *, named: bool) -> str:
    lines = [] if named else [f"put the id of your main account in the place of {PLACEHOLDER}, or give --account"]
    lines.append("the security groups of the nodes' ENIs must let in:")
    lines += [
        f"  {rule.node:<12} {rule.protocol} {rule.port:<5} from {rule.source:<15} {rule.what}" for rule in rules
    ]
    return "\n".join(lines) + "\n"
