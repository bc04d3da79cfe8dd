"""A planned hand-over as who waits for it sees it: each step once, in the order in which they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hafailover.control.protocol import progress
from hafailover.election.values import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hafailover.control.server import Tell

    Json = Mapping[str, Any]

UNSETTLED = (State.CLAIMING.value, State.RELEASING.value)


class Handover:
    """One hand-over of a group, from the status of this node just before it was asked for."""

    def __init__(self, status: Json, group: str, tell: Tell) -> None:
        found: Json = next((each for each in status["groups"] if each["name"] == group), {})
        self._me: str = status["node"]
        self._master = found.get("master")
        self._holders = _holders(found)
        self._tell = tell
        self._began_s = time.monotonic()
        self._told: set[tuple[str, str]] = set()

    def done(self, group: Json) -> bool:
        """Tell what is new in the group's status; return whether another node is master and this one is settled."""
        for label, text in self._steps(group):
            if (label, text) not in self._told:
                self._told.add((label, text))
                self._tell(progress(label, text, time.monotonic() - self._began_s))
        return group["master"] not in (None, self._master) and group["state"] not in UNSETTLED

    def _steps(self, group: Json) -> Iterator[tuple[str, str]]:
        states = {self._me: group["state"], **{node["node"]: node["state"] for node in group["nodes"]}}
        for node, state in states.items():
            if state == State.RELEASING.value:
                yield "release", f"{node} hands over, and serves until the cloud has switched"
            if state == State.CLAIMING.value:
                yield "claim", f"{node} has its guest ready and asks the cloud"
        for address, holder in _holders(group).items():
            if holder is not None and holder != self._holders.get(address):
                yield "cloud", f"the cloud has {address} on {holder}"
        if group["master"] not in (None, self._master):
            yield "master", f"{group['master']} is master"


def _holders(group: Json) -> dict[str, str | None]:
    return {each["address"]: each["holder"] for each in group.get("addresses") or ()}
