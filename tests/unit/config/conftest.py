"""A configuration in parts, so that a test shows only the part that it is about."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from hafailover.config import loader
from hafailover.config.findings import Findings
from hafailover.errors import ConfigError

if TYPE_CHECKING:
    from hafailover.config.model import Config

PARTS = {
    "cluster": '[cluster]\nname = "web"\nkey_file = "/etc/hafailover/cluster.key"\n',
    "heartbeat": "",
    "cloud": "",
    "nodes": """
[[node]]
name = "web-a"
address = "10.0.1.17:7694"
eni = "eni-aaaaaaaa"
[[node]]
name = "web-b"
address = "10.0.1.16:7694"
eni = "eni-bbbbbbbb"
priority = 90
""",
    "group": '[[group]]\nname = "vip"\naddresses = ["10.0.1.100"]\n',
    "check": "",
    "notify": "",
    "rest": "",
}


class Text(Protocol):
    def __call__(self, **parts: str) -> str: ...


class Told(Protocol):
    def __call__(self, **parts: str) -> list[str]: ...


class Made(Protocol):
    def __call__(self, **parts: str) -> Config: ...


def _text(**parts: str) -> str:
    assert parts.keys() <= PARTS.keys()
    return "\n".join({**PARTS, **parts}.values())


@pytest.fixture
def text() -> Text:
    """The text of a configuration, with some of its parts replaced."""
    return _text


@pytest.fixture
def told() -> Told:
    """What is told of such a text, without a look at files: "key: message" for each problem."""

    def told(**parts: str) -> list[str]:
        findings = Findings("f.toml")
        with contextlib.suppress(ConfigError):  # a text that is not TOML; the findings say so too
            loader.parse(_text(**parts), findings)
        assert all(problem.file == "f.toml" for problem in findings.problems())
        return [str(problem).removeprefix("f.toml: ") for problem in findings.problems()]

    return told


@pytest.fixture
def made() -> Made:
    """The configuration of such a text, with a key and without a look at files."""

    def made(**parts: str) -> Config:
        findings = Findings("f.toml")
        root = loader.parse(_text(**parts), findings)
        findings.raise_if_any()
        return loader.build(root, Path("f.toml"), (bytes(32),))

    return made


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A good heartbeat key."""
    path = tmp_path / "cluster.key"
    path.write_text("0f" * 32 + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A good hook."""
    path = tmp_path / "hook"
    path.write_text("#!/bin/sh\n")
    os.chmod(path, 0o755)  # noqa: PTH101, S103 - what a hook's mode is
    return path
