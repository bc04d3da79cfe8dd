"""`hafailover import-keepalived`: its options, and what it does. Returns the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.config import loader
from hafailover.config.findings import Findings
from hafailover.config.schema import MOST_NODES
from hafailover.errors import CloudError, ConfigError, CredentialsError, KeepalivedError, MetadataError
from hafailover.keepalived import facts, mapping, parser
from hafailover.keepalived.draft import PORT, toml
from hafailover.keepalived.files import Disk
from hafailover.keepalived.remarks import Remarks

if TYPE_CHECKING:
    import argparse

    from hafailover.cloud.client import Cloud
    from hafailover.keepalived.draft import Draft
    from hafailover.keepalived.facts import View

LOOKUP_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument(
        "file",
        nargs="+",
        metavar="FILE",
        help="a keepalived.conf; one of each node, or one that is the same on all",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there, never over a file")
    parser.add_argument(
        "--id",
        action="append",
        default=[],
        metavar="NAME",
        help="a node that one file is read for, as keepalived's -i; default: each that its @conditions name",
    )
    parser.add_argument("--lookup", action="store_true", help="ask the cloud for the nodes' ENIs")
    parser.add_argument("--credentials", default="role", help='for --lookup; "role", "env" or "file:/PATH"')
    parser.add_argument("--region", default="", help="for --lookup; default: asked of the metadata service")


def run(arguments: argparse.Namespace) -> int:
    """Write the configuration to standard output, the report to standard error; 0, 1 or 2 (not understood)."""
    remarks = Remarks()
    try:
        views = read(arguments.file, arguments.id)
        draft = mapping.make(views, remarks)
    except KeepalivedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    complaint = asyncio.run(_look_up(draft, arguments)) if arguments.lookup else ""
    text = toml(draft, arguments.file)
    sys.stderr.write(report(remarks, text, arguments.file, complaint))
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    return _write(arguments.output, text)


def _write(path: Path, text: str) -> int:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        sys.stderr.write(f"{path}: cannot be written: {error.strerror}\n")
        return 1
    return 0


def read(files: list[str], ids: list[str]) -> list[View]:
    """Return what the files say, for one node each, or one file for several. Raises KeepalivedError."""
    if len(files) > 1 and ids:
        raise KeepalivedError("--id is for one file that several nodes share; several files were given")
    if len(files) == 1:
        ids = ids or list(parser.parse(files[0], Disk(), "", os.environ).ids) or [""]
        pairs = [(files[0], config_id) for config_id in ids]
    else:
        pairs = [(file, "") for file in files]
    if len(pairs) > MOST_NODES:
        raise KeepalivedError(f"{files[0]}: more than {MOST_NODES} nodes")
    views = [_view(file, config_id) for file, config_id in pairs]
    for view in views:
        if not view.units:
            whom = f" for {view.config_id}" if view.config_id else ""
            raise KeepalivedError(f"{view.file}: there is no vrrp_instance in it{whom}, so nothing that could move")
    return views


def _view(file: str, config_id: str) -> View:
    return facts.view(file, config_id, parser.parse(file, Disk(), config_id, os.environ))


# -- the report ------------------------------------------------------------------------------------------------


def report(remarks: Remarks, text: str, files: list[str], complaint: str) -> str:
    """Return a line for each line that was read, and at the end what is left to do."""
    lines = [str(remark) for remark in remarks.in_order(files)]
    counts = ((count, verdict.value) for verdict, count in remarks.counts().items() if count)
    lines += ["", ", ".join(f"{count} {said}" for count, said in counts), "", "What is left to do:"]
    if complaint:
        lines.append(f"  - the ENIs were not looked up: {complaint}")
    lines += [f"  - {problem}" for problem in problems(text)]
    lines += [
        "  - hafailover keygen, and copy the key to the other nodes",
        "  - hafailover check: says also which weights can never cause a failover",
        "  - stop keepalived before the first start: docs/from-keepalived.md",
    ]
    return "\n".join(lines) + "\n"


def problems(text: str) -> list[str]:
    """Return what `hafailover check` says of the blanks, and of what no file can have."""
    findings = Findings("")
    with contextlib.suppress(ConfigError):  # a text that is no TOML; the findings say so too
        loader.parse(text, findings)
    return [f"{problem.key}: {problem.message}" for problem in findings.problems()]


# -- asking the cloud ------------------------------------------------------------------------------------------


async def _look_up(draft: Draft, arguments: argparse.Namespace) -> str:
    """Fill in region and ENIs; return why not, where that failed."""
    try:
        async with asyncio.timeout(LOOKUP_S):
            await _ask_cloud(draft, arguments)
    except (CloudError, CredentialsError, MetadataError) as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {LOOKUP_S:g} s"
    return ""


async def _ask_cloud(draft: Draft, arguments: argparse.Namespace) -> None:
    from hafailover.cloud.client import Cloud  # noqa: PLC0415 - the SDK, for this option only
    from hafailover.cloud.credentials import credential_source  # noqa: PLC0415 - the same
    from hafailover.cloud.metadata import Metadata  # noqa: PLC0415 - the same
    from hafailover.config.model import Cloud as Settings  # noqa: PLC0415 - the same

    settings = Settings(credentials=arguments.credentials)
    metadata = Metadata(settings.metadata_url)
    try:
        draft.region = arguments.region or await metadata.region()
        credentials = credential_source(settings, metadata)
        rng = random.SystemRandom()
        cloud = Cloud(settings, credentials, region=draft.region, observer=lambda _call: None, rng=rng)
        try:
            await fill_in(draft, cloud)
        finally:
            await cloud.close()
    finally:
        await metadata.close()


async def fill_in(draft: Draft, cloud: Cloud) -> None:
    """Fill in the ENI that has each node's heartbeat address, where it is clear which one. Raises CloudError."""
    from hafailover.cloud.lookup import eni_of  # noqa: PLC0415 - the same
    from hafailover.config.model import Node  # noqa: PLC0415 - the same

    for node in draft.nodes:
        if node.host and ":" not in node.host:
            node.eni = await eni_of(Node(node.name, node.host, PORT), None, cloud) or ""
