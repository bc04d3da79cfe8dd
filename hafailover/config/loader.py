"""From the file to a `Config`, or to one ConfigError that names everything that is wrong."""

from __future__ import annotations

import re
import socket
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.config import files, identity, reader, relations, schema
from hafailover.config.digest import digest
from hafailover.config.findings import Findings

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.config.model import Config
    from hafailover.config.section import Section

_LONGEST_LINE = 8192
_MOST_PARTS = 32
_MANY_PARTS = re.compile(rf"""(?:[\w"'-]{{1,64}}[ \t]*\.[ \t]*){{{_MOST_PARTS}}}""", re.ASCII)


def load(path: Path, node_option: str | None = None) -> Config:
    """Return what the file says, or raise a ConfigError. Reads files, so it is not for the event loop.

    `node_option` is --node: which of the files named there must be on this machine depends on its role.
    """
    findings = Findings(str(path))
    root = parse(_read(path, findings), findings)
    roles = {node.get("name"): node.get("role") for node in root.many("nodes") if node.get("name")}
    witness = identity.is_witness(roles, node_option=node_option, hostname=socket.gethostname())
    keys = files.judge(root, findings, witness=witness)
    findings.raise_if_any()
    return build(root, path, keys)


def load_alone(path: Path) -> Config:
    """Return what the file says, without the keys and other files that it names: for a machine that is no node."""
    findings = Findings(str(path))
    root = parse(_read(path, findings), findings)
    findings.raise_if_any()
    return build(root, path, ())


def _read(path: Path, findings: Findings) -> str:
    try:
        return files.read_text(path)
    except files.UnusableError as error:
        findings.add("", str(error))
        raise findings.error() from None


def parse(text: str, findings: Findings) -> Section:
    """Return the sections of this text, with everything noted that is wrong with it and within it.

    Raises a ConfigError at once only where the text is not TOML.
    """
    root = reader.read(schema.ROOT, toml(text, findings), findings)
    relations.judge(root, findings)
    return root


def toml(text: str, findings: Findings) -> dict[str, Any]:
    """Return what a text says, or raise a ConfigError where it is not TOML, or would take too long to read."""
    _require_bounded(text, findings)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and what int() says of a number of thousands of digits
        findings.add("", f"is not TOML: {error}")
    except RecursionError:
        findings.add("", "is not usable TOML: arrays or tables are nested too deeply")
    raise findings.error()


def _require_bounded(text: str, findings: Findings) -> None:
    """Refuse the texts for which tomllib takes hours: its time grows with the square of a key's parts."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > _LONGEST_LINE:
            findings.add("", f"line {number} is longer than {_LONGEST_LINE} characters")
        elif _MANY_PARTS.search(line):
            findings.add("", f"line {number} has a key of more than {_MOST_PARTS} parts")
    findings.raise_if_any()


def build(root: Section, path: Path, keys: tuple[bytes, ...]) -> Config:
    """Return the configuration; only to be called where no problem was found."""
    heartbeat = root.one("heartbeat")
    heartbeat.values["paths"] = relations.paths(root)
    for group in root.many("groups"):
        if "guards" not in group.given:
            group.values["guards"] = relations.default_guards(root, group)
    config: Config = root.build(path=path, keys=keys, digest=b"")
    return replace(config, digest=digest(config))
