"""From the file to a `Config`, or to one ConfigError that names everything that is wrong."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.config import files, reader, relations, schema
from hafailover.config.digest import digest
from hafailover.config.findings import Findings

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.config.model import Config
    from hafailover.config.section import Section


def load(path: Path) -> Config:
    """Return what the file says, or raise a ConfigError. Reads files, so it is not for the event loop."""
    findings = Findings(str(path))
    root = parse(_read(path, findings), findings)
    keys = files.judge(root, findings)
    findings.raise_if_any()
    return build(root, path, keys)


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
    root = reader.read(schema.ROOT, _toml(text, findings), findings)
    relations.judge(root, findings)
    return root


def _toml(text: str, findings: Findings) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and what int() says of a number of thousands of digits
        findings.add("", f"is not TOML: {error}")
    except RecursionError:
        findings.add("", "is not usable TOML: arrays or tables are nested too deeply")
    raise findings.error()


def build(root: Section, path: Path, keys: tuple[bytes, ...]) -> Config:
    """Return the configuration; only to be called where no problem was found."""
    for group in root.many("groups"):
        if "vip_port" in group.given and "guards" not in group.given:
            group.values["guards"] = ("vip", *group.get("guards"))
    config: Config = root.build(path=path, keys=keys, digest=b"")
    return replace(config, digest=digest(config))
