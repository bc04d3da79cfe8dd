"""heartbeat.endpoint and heartbeat.session: two nodes, and a network that does with datagrams what it likes."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from hafailover.heartbeat.endpoint import Endpoint, Membership
from hafailover.heartbeat.session import MAX_CANDIDATES
from hafailover.heartbeat.wire import MAX_DATAGRAM, PathId, Reject
from tests.fuzz.source import Source
from tests.fuzz.targets.flips import flipped
from tests.fuzz.targets.wire import GROUPS, NODES, advert

KEYS = (b"key" * 8,)
SILENT_US = 500_000
MOST_STEPS = 80
MOST_RECORDED = 64
REASONS = frozenset(Reject)

# talk to and fro until both are confirmed; then restarts, replays, damage, pauses
SEEDS = (
    bytes([0, 2, 1, 2] * 4),
    bytes([0, 2, 1, 2] * 4 + [3, 0, 0, 2, 1, 2] + [4, 0, 4, 3, 4, 9, 1, 2, 0, 2]),
    # the proof of a daemon that is restarted meanwhile comes after its successor was confirmed
    bytes([1, 2, 0, 2, 7, 0, 3, 1, 1, 2, 0, 2, 1, 2, 4, 2, 0, 1, 2]),
    bytes([0, 2, 1, 2, 5, 200, 0, 5, 3, 1, 1, 2, 6, 7, 255, 255, 0, 2, 1, 2, 8, 1, 1, 2]),
)


class Node:
    """One side: its endpoint, and what is on its way to it."""

    def __init__(self, place: int) -> None:
        self.me, self.peer = NODES[place], NODES[1 - place]
        self.boots = 0
        self.inbox: deque[bytes] = deque(maxlen=MOST_RECORDED)
        self.restart()

    def restart(self) -> None:
        """Start anew, under a fresh boot id."""
        self.boots += 1
        boot = self.me.encode()[-1:] + self.boots.to_bytes(7, "big")
        membership = Membership(self.me, "web", (self.peer, NODES[2]), GROUPS)
        self.endpoint = Endpoint(PathId.UDP, membership, KEYS, boot_id=boot, silent_after_us=SILENT_US)


class Stage:
    """Two nodes, what was ever sent, and the order in which the sender sent it."""

    def __init__(self) -> None:
        self.nodes = (Node(0), Node(1))
        self.recorded: list[bytes] = []
        self.sent: dict[bytes, int] = {}  # each advert's datagram -> how many of this sender were before it
        self.newest = [-1, -1]  # of what each node took from a confirmed peer
        self.now_us = 1_000_000

    def send(self, place: int) -> None:
        """Let a node advertise."""
        node = self.nodes[place]
        said = replace(advert(), node=node.me, hears=(node.peer,))
        for data in node.endpoint.datagrams(said, self.now_us):
            self._post(1 - place, data)

    def _post(self, place: int, data: bytes) -> None:
        assert len(data) <= MAX_DATAGRAM
        self.sent[data] = len(self.sent)
        self.nodes[place].inbox.append(data)
        if len(self.recorded) < MOST_RECORDED:
            self.recorded.append(data)

    def deliver(self, place: int, data: bytes) -> None:
        """Give a node any bytes, and hold the endpoint to its promises."""
        node = self.nodes[place]
        before = node.endpoint.rejected.total()
        heard = node.endpoint.receive(data, self.now_us)
        assert node.endpoint.rejected.total() == before + (heard is None)
        assert set(node.endpoint.rejected) <= REASONS
        sessions = node.endpoint.sessions[node.peer]
        assert len(sessions._candidates) <= MAX_CANDIDATES
        if heard is None:
            return
        assert heard.peer == node.peer
        assert data in self.sent
        if heard.event is not None and heard.event.confirmed:
            assert self.sent[data] > self.newest[place], "a confirmed advert is older than one before it"
            self.newest[place] = self.sent[data]
        if heard.answer is not None:
            self._post(1 - place, heard.answer)


def one(data: bytes) -> None:
    """Whatever a network does, receive never raises, counts each refusal by one known reason, and confirms
    an advert only where it was sent by the peer after every other one that it has confirmed.
    """
    source, stage = Source(data), Stage()
    for _ in range(MOST_STEPS):
        if source.empty:
            break
        _step(source, stage)


def _step(source: Source, stage: Stage) -> None:
    source.pick(_STEPS)(source, stage)


def _send_first(_source: Source, stage: Stage) -> None:
    stage.send(0)


def _send_second(_source: Source, stage: Stage) -> None:
    stage.send(1)


def _deliver(_source: Source, stage: Stage) -> None:
    for place, node in enumerate(stage.nodes):
        while node.inbox:
            stage.deliver(place, node.inbox.popleft())


def _restart(source: Source, stage: Stage) -> None:
    stage.nodes[source.below(2)].restart()


def _replay(source: Source, stage: Stage) -> None:
    data = source.pick(stage.recorded or [b"nothing was sent"])
    stage.deliver(source.below(2), data)


def _wait(source: Source, stage: Stage) -> None:
    stage.now_us += source.below(2**24)


def _damage(source: Source, stage: Stage) -> None:
    original = source.pick(stage.recorded or [b"nothing was sent"])
    stage.deliver(source.below(2), flipped(original, source.below(len(original) * 8)))


def _lose(source: Source, stage: Stage) -> None:
    stage.nodes[source.below(2)].inbox.clear()


def _reorder(source: Source, stage: Stage) -> None:
    stage.nodes[source.below(2)].inbox.rotate(1 + source.below(3))


_STEPS = (_send_first, _send_second, _deliver, _restart, _replay, _wait, _damage, _lose, _reorder)
