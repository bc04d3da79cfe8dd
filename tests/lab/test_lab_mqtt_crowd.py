"""Ten nodes and twenty groups on one broker, with no other path between them, and three of them go at once."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.lab.crowd import Crowd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,  # ten daemons that go before everything else
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]

KILLED = 3


@pytest.mark.parametrize("how", [Crowd.lose, Crowd.kill], ids=["hosts lost", "daemons killed"])
async def test_three_of_ten_nodes_go_at_once(tmp_path: Path, how: Callable[[Crowd, list[str]], None]) -> None:
    """Patient intervals, since all ten share this machine: what happens is looked at, not when."""
    async with Crowd(tmp_path, interval="200ms", dead="3s") as crowd:
        await crowd.spread()
        lost = list(crowd.daemons)[1 : 1 + KILLED]
        theirs = crowd.held_by(lost)
        others = {group: crowd.holder(group) for group in crowd.addresses if group not in theirs}
        assert len(theirs) == 2 * KILLED
        how(crowd, lost)
        await crowd.until("their groups are held again", lambda: not crowd.held_by(lost))
        assert {group: crowd.holder(group) for group in others} == others, "nobody else has lost anything"
        await crowd.until("the others say so", lambda: _agree(crowd, lost))
        await asyncio.sleep(3)
        assert crowd.moves == len(theirs)
        claims = await crowd.claims(theirs)
        assert {claim["reason"] for claim in claims.values()} == {"master_dead"}
        assert sorted(claims) == sorted(theirs)


async def _agree(crowd: Crowd, lost: list[str]) -> bool:
    for status in await crowd.said():
        dead = [peer["node"] for peer in status["peers"] if not peer["alive"]]
        masters = {group["name"]: group["master"] for group in status["groups"]}
        if dead != lost or masters != {group: crowd.holder(group) for group in crowd.addresses}:
            return False
    return True
