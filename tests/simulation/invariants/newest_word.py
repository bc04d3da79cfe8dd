"""What counts is never older than what has counted before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.events import AdvertReceived
    from tests.simulation.broker import Word
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class NewestWord(Invariant):
    """Of a peer, no path brings a confirmed word that was made before one that has counted, by whichever path."""

    name = "newest-word"

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._newest: dict[tuple[int, str], Word] = {}

    def on_word(self, process: Process, event: AdvertReceived, word: Word) -> None:
        if not event.confirmed:
            return  # a sign of life, and nothing else
        key = process.boot, word.node
        newest = self._newest.get(key, word)
        if word < newest:
            age_ms = newest.made_at - word.made_at
            self.broken(
                f"{process.name} takes by {event.path} what {word.node} said {age_ms} ms before it was heard last"
            )
        self._newest[key] = word
