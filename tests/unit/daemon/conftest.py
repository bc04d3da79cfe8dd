"""Fixtures: an emulated cloud without delays, a client for it, and stages upon them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import build
from tests.unit.daemon.stage import OWN, Stage, config, open_cloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from hafailover.cloud.client import Cloud
    from hafailover.config import model
    from hafailover.guest.network import GuestNetwork

    MakeStage = Callable[..., Stage]


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    made = Emulator(build(), Options(latency_ms=0, task_ms=0))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def near_cloud(emulator: Emulator) -> AsyncIterator[Cloud]:
    made = open_cloud(emulator)
    yield made
    await made.close()


@pytest.fixture
async def make_stage(near_cloud: Cloud, tmp_path: Path) -> AsyncIterator[MakeStage]:
    stages: list[Stage] = []

    def make(
        *groups: model.Group, guest: GuestNetwork | None = None, own: tuple[str, str] = OWN, **sections: object
    ) -> Stage:
        stage = Stage(config(tmp_path, *groups, **sections), near_cloud, guest, own)
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        await stage.close()


@pytest.fixture
def stage(make_stage: MakeStage) -> Stage:
    return make_stage()
