"""Ten nodes and twenty groups on one broker, with no other path between them, and three nodes lost at once."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.lab.crowd import Crowd

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]

KILLED = 3


async def test_three_of_ten_nodes_are_lost_at_once(tmp_path: Path) -> None:
    """Patient intervals, since all ten share this machine: what happens is looked at, not when."""
    async with Crowd(tmp_path, interval="200ms", dead="3s") as crowd:
        await crowd.spread()
        lost = list(crowd.daemons)[1 : 1 + KILLED]
        theirs = crowd.held_by(lost)
        others = {group: crowd.holder(group) for group in crowd.addresses if group not in theirs}
        assert len(theirs) == 2 * KILLED
        crowd.kill(lost)
        await crowd.until("their groups are held again", lambda: not crowd.held_by(lost))
        assert {group: crowd.holder(group) for group in others} == others, "nobody else has lost anything"
        await crowd.until("the others say so", lambda: _agree(crowd, lost))
        await asyncio.sleep(3)
        assert crowd.moves == len(theirs)


async def _agree(crowd: Crowd, lost: list[str]) -> bool:
    for status in await crowd.said():
        dead = [peer["node"] for peer in status["peers"] if not peer["alive"]]
        masters = {group["name"]: group["master"] for group in status["groups"]}
        if dead != lost or masters != {group: crowd.holder(group) for group in crowd.addresses}:
            return False
    return True
