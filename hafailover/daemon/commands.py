"""`hafailover run`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hafailover.config import loader
from hafailover.daemon.supervisor import Daemon
from hafailover.errors import HafailoverError
from hafailover.observe.log import configure

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DEFAULT_CONFIG = Path("/etc/hafailover/config.toml")
INTERRUPTED = 130  # what a shell says of a program that Ctrl-C has ended


def add_run_arguments(parser: ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("-c", "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="(%(default)s)")
    parser.add_argument("--node", metavar="NAME", help="which node of the file this machine is")


def run(args: Namespace) -> int:
    """Be the daemon until told to stop; return the exit code."""
    try:
        config = loader.load(args.config, args.node)
    except HafailoverError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sink = configure(config.log.level, config.log.format, cluster=config.cluster.name)
    # What was made by now stays for good: the collector need not look at it again and again.
    gc.freeze()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the daemon listens to it: a reload must not end a start
    try:
        asyncio.run(Daemon(config, args.node, sink).run())
    except HafailoverError as error:
        structlog.get_logger().critical("cannot_go_on", error=str(error))
        return error.exit_code
    except KeyboardInterrupt:  # Ctrl-C while it was still starting; later it is a stop like any other
        return INTERRUPTED
    finally:
        sink.flush()
    return 0
