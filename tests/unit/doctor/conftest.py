"""Fixtures: the emulator's keys in the environment, and a clinic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.server import SECRET_ID, SECRET_KEY
from tests.unit.doctor.clinic import Clinic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("TENCENTCLOUD_TOKEN", raising=False)
    made = Clinic(tmp_path, environment=monkeypatch.setenv)
    yield made
    for sock in made.open:
        sock.close()
