"""`hafailover doctor`: its options, and what it does. Returns the exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.config import loader
from hafailover.config.commands import DEFAULT_CONFIG
from hafailover.doctor import findings
from hafailover.doctor.examine import Doctor
from hafailover.errors import ConfigError, HafailoverError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("-c", "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="(%(default)s)")
    parser.add_argument("--node", metavar="NAME", help="which node of the file this machine is")
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="the daemon's control socket (default: that of the file)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Namespace) -> int:
    """Examine and print the report; return 0, 1 where there is a failure, 2 where the file is wrong."""
    try:
        config = loader.load(args.config, args.node)
        report = asyncio.run(Doctor(config, args.node, args.socket or config.control.socket).examine())
    except ConfigError as error:
        _tell_problems(error, as_json=args.json)
        return error.exit_code
    except HafailoverError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    said = findings.as_json(report) if args.json else None
    sys.stdout.write(findings.as_text(report) if said is None else json.dumps(said, indent=2) + "\n")
    return 1 if report.failed else 0


def _tell_problems(error: ConfigError, *, as_json: bool) -> None:
    if as_json:
        problems = [asdict(problem) for problem in error.problems]
        sys.stdout.write(json.dumps({"ok": False, "problems": problems}, indent=2) + "\n")
    else:
        sys.stderr.write(f"{error}\n")
