"""Where the nodes are, as far as the file and the cloud tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.config import model
from hafailover.daemon.places import Places
from hafailover.errors import StartError
from tests.unit.daemon.stage import FIRST, NODES, SECOND, config

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.cloud.client import Cloud
    from hafailover.emulator.server import Emulator

MOVING = model.Group("vip", enis=("eni-11111111",), guest="none")
NAMELESS = replace(NODES[1], eni=None)
NOWHERE = model.Node("web-c", "127.0.0.3", 7694)


async def test_what_is_known_is_not_asked_again_and_what_has_gone_is_forgotten(
    near_cloud: Cloud, emulator: Emulator, tmp_path: Path
) -> None:
    alone = config(tmp_path, nodes=NODES[:1])
    pair = replace(alone, nodes=(NODES[0], NAMELESS))
    first = await Places(NODES[0], None, near_cloud).of(alone)
    assert (dict(first.enis), dict(first.instances)) == ({"web-a": FIRST.eni_id}, {})
    both = await first.of(pair)
    asked = len(emulator.service.calls)
    assert asked > 0
    assert both.enis["web-b"] == SECOND.eni_id
    assert [member.eni_id for member in both.members(pair)] == [FIRST.eni_id, SECOND.eni_id]
    assert (await both.of(pair)).enis == both.enis
    assert (await both.of(alone)).enis == first.enis
    assert len(emulator.service.calls) == asked


async def test_instances_are_looked_for_once_an_eni_moves(near_cloud: Cloud, tmp_path: Path) -> None:
    unnamed = tuple(replace(node, instance_id=None) for node in NODES)
    plain = config(tmp_path, nodes=unnamed)
    moving = replace(plain, groups=(MOVING,))
    places = await Places(unnamed[0], None, near_cloud).of(plain)
    assert dict(places.instances) == {}
    found = await places.of(moving)
    assert [member.instance_id for member in found.members(moving)] == [FIRST.instance_id, SECOND.instance_id]


async def test_a_node_that_the_cloud_does_not_know_is_none(near_cloud: Cloud, tmp_path: Path) -> None:
    places = await Places(NODES[0], None, near_cloud).of(config(tmp_path))
    with pytest.raises(StartError, match="node web-c: the cloud names no ENI for it"):
        await places.of(config(tmp_path, nodes=(*NODES, NOWHERE)))
