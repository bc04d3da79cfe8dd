"""`hafailover check` and `hafailover keygen`: their options, and what they do. Both return the exit code."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.config import check, loader
from hafailover.errors import ConfigError

if TYPE_CHECKING:
    import argparse

DEFAULT_CONFIG = Path("/etc/hafailover/config.toml")
DEFAULT_KEY = Path("/etc/hafailover/cluster.key")
_KEY_BYTES = 32


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run_check` reads."""
    parser.add_argument("-c", "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run_check(arguments: argparse.Namespace) -> int:
    """Print the report, or every problem; return 0, also with warnings, or 2."""
    try:
        said = check.report(loader.load(arguments.config))
    except ConfigError as error:
        _tell_problems(error, as_json=arguments.json)
        return error.exit_code
    sys.stdout.write(_json(check.as_json(said)) if arguments.json else check.as_text(said))
    return 0


def _tell_problems(error: ConfigError, *, as_json: bool) -> None:
    if as_json:
        problems = [asdict(problem) for problem in error.problems]
        sys.stdout.write(_json({"valid": False, "problems": problems}))
    else:
        sys.stderr.write(f"{error}\n")


def _json(said: object) -> str:
    return json.dumps(said, indent=2) + "\n"


def add_keygen_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run_keygen` reads."""
    parser.add_argument(
        "file", nargs="?", default=str(DEFAULT_KEY), metavar="FILE", help=f'"-": print it; default: {DEFAULT_KEY}'
    )


def run_keygen(arguments: argparse.Namespace) -> int:
    """Write a new heartbeat key that only the owner may read, never over a file; return 0, or 1 if that failed."""
    line = os.urandom(_KEY_BYTES).hex() + "\n"
    if arguments.file == "-":
        sys.stdout.write(line)
        return 0
    try:
        _write_new(arguments.file, line.encode())
    except FileExistsError:
        sys.stderr.write(f"{arguments.file}: exists already and is not overwritten; remove it first\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{arguments.file}: cannot be written: {error.strerror}\n")
        return 1
    sys.stdout.write(f"{arguments.file}: written; every node needs the same, so copy it, with mode 0600\n")
    return 0


def _write_new(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - half a key is worse than none
        raise
