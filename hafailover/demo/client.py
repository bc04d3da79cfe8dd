"""The demo's client: asks the address every few milliseconds and remembers which questions were answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

PROBE_S = 0.004
LATE_S = 0.2  # a reply that takes longer counts as none


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client saw in one act: probes sent and lost, the longest time without an answer, who answered.

    `outage_s` runs from the first lost probe to the first answered one after the last lost one, or until now: 0
    where none was lost. `pause_s` is the longest distance between two answered probes.
    """

    sent: int
    lost: int
    outage_s: float
    pause_s: float
    answered: tuple[tuple[str, int], ...]


class Client(asyncio.DatagramProtocol):
    """One client with one socket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._transport: Any = None
        self._sent: list[float] = []
        self._answered: dict[int, str] = {}
        self._mark = 0

    async def run(self) -> None:
        """Ask until cancelled, at instants that do not drift."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        due_s = time.monotonic()
        try:
            while True:
                self._sent.append(time.monotonic())
                self._transport.sendto(str(len(self._sent) - 1).encode(), self._address)
                due_s = max(due_s + PROBE_S, time.monotonic())
                await asyncio.sleep(due_s - time.monotonic())
        finally:
            self._transport.close()

    def datagram_received(self, data: bytes, _addr: tuple[str, int]) -> None:
        """Take an answer."""
        number, _, node = data.partition(b" ")
        if number.isdigit() and int(number) < len(self._sent):
            index = int(number)
            if time.monotonic() - self._sent[index] < LATE_S:
                self._answered[index] = node.decode(errors="replace")

    def begin(self) -> None:
        """Begin an act: what was seen before does not count for it."""
        self._mark = len(self._sent)

    def seen(self) -> Seen:
        """Return what was seen since the act began; questions still open are left out."""
        now = time.monotonic()
        indices = [i for i in range(self._mark, len(self._sent)) if now - self._sent[i] > LATE_S]
        answered = [i for i in indices if i in self._answered]
        lost = [i for i in indices if i not in self._answered]
        pauses = [self._sent[b] - self._sent[a] for a, b in itertools.pairwise(answered)]
        return Seen(
            sent=len(indices),
            lost=len(lost),
            outage_s=self._outage(lost, answered),
            pause_s=max(pauses, default=0.0),
            answered=tuple(Counter(self._answered[i] for i in answered).items()),
        )

    def _outage(self, lost: list[int], answered: list[int]) -> float:
        if not lost:
            return 0.0
        after = next((i for i in answered if i > lost[-1]), None)
        end_s = self._sent[after] if after is not None else time.monotonic()
        return end_s - self._sent[lost[0]]
