"""The program as its users get it: a wheel of this tree, and what it depends on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.lab.fabric import LabError
from tests.lab.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BUILD_S = 240.0
_SOURCES = ("pyproject.toml", "README.md", "LICENSE")
_TREES = ("hafailover", "systemd")


def build(folder: Path, *, version: str = "", dependencies: bool = True) -> Path:
    """Build a wheel from a copy of this tree, as another version if asked; return the folder of the wheels."""
    tree, wheels = folder / "tree", folder / "wheels"
    tree.mkdir(parents=True)
    for name in _SOURCES:
        shutil.copy(ROOT / name, tree / name)
    for name in _TREES:
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    if version:
        init = tree / "hafailover/__init__.py"
        text, changed = re.subn(r'(?m)^__version__ = ".*"$', f'__version__ = "{version}"', init.read_text("utf-8"))
        if changed != 1:
            raise LabError(f"{init} does not say once which version it is")
        init.write_text(text, encoding="utf-8")
    options = ["--quiet", "--disable-pip-version-check", *([] if dependencies else ["--no-deps"])]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(wheels), str(tree)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=BUILD_S, env=dict(os.environ)
    )
    if done.returncode != 0:
        raise LabError(f"no wheel: {done.stderr[-2000:]}")
    shutil.rmtree(tree)
    return wheels
