"""`hafailover run`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hafailover.config import loader
from hafailover.daemon.supervisor import Daemon
from hafailover.errors import HafailoverError, StartError
from hafailover.observe.log import configure

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

DEFAULT_CONFIG = Path("/etc/hafailover/config.toml")
RETRY_S = 5.0
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
    faulthandler.enable()  # systemd ends a daemon that hangs with SIGABRT: the journal then says where it hung
    sink = configure(config.log.level, config.log.format, cluster=config.cluster.name)
    # What was made by now stays for good: the collector need not look at it again and again.
    gc.freeze()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the daemon listens to it: a reload must not end a start
    try:
        asyncio.run(Daemon(config, args.node, sink).run())
    except StartError as error:
        structlog.get_logger().critical("cannot_go_on", error=str(error))
        sink.flush()
        _wait_for_better_times()
        return error.exit_code
    except HafailoverError as error:
        structlog.get_logger().critical("cannot_go_on", error=str(error))
        return error.exit_code
    except KeyboardInterrupt:  # Ctrl-C while it was still starting; later it is a stop like any other
        return INTERRUPTED
    finally:
        sink.flush()
    return 0


def _wait_for_better_times() -> None:
    """Let systemd start this again in a while, and not at once.

    What keeps a daemon from starting on this machine, a metadata service that is away or an address that is taken,
    may well end by itself. systemd gives up on a service that keeps dying at once; it must not give up on this.
    """
    if "INVOCATION_ID" in os.environ:
        time.sleep(RETRY_S)
