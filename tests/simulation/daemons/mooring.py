"""A whole daemon's connection to the simulated broker, in the place of `hafailover.broker.link.Link`.

The heartbeats by it, the presences, the guard, the statuses and the events are the daemon's own code. Left out is
what `hafailover.broker` does with a socket and a library: its own tests and the lab try that with a real broker.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from hafailover.broker.dialing import ANSWER_S
from hafailover.broker.link import STEADY_S, LinkState, Subscription, pause_s
from tests.simulation.broker import Parcel, Publication, Word
from tests.simulation.daemons.guest import current

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from hafailover.config.model import Mqtt
    from tests.simulation.broker import Broker, Session

LOST: Final = "the broker is not reached"


class Link:
    """The connection of one daemon; see the real one for what its methods promise."""

    def __init__(
        self,
        _settings: Mqtt,
        *,
        node: str,
        client_id: str,
        keepalive_s: int,
        will: Callable[[int], tuple[str, bytes]] | None = None,
        rng: random.Random,
    ) -> None:
        assert node in client_id
        self.process = current()
        self.process.link = self
        broker = self.process.town.broker
        assert broker is not None
        self.broker: Broker = broker
        self.patience_ms = 1_500 * keepalive_s
        self.will = will
        self.session: Session | None = None
        self.state = LinkState()
        self._rng = rng
        self._subscriptions: list[Subscription] = []
        self._ups: list[Callable[[int], None]] = []
        self._kept: dict[str, bytes] = {}
        self._words = 0
        self._over = asyncio.Event()

    def subscribe(self, subscription: Subscription) -> None:
        """Listen from the next connection on."""
        self._subscriptions.append(subscription)

    def when_up(self, call: Callable[[int], None]) -> None:
        """Have this called with each connection's number once it stands."""
        self._ups.append(call)

    def publish(self, topic: str, payload: bytes, kind: str = "") -> None:  # noqa: ARG002 - nothing waits here
        """Say something that is worth nothing later."""
        if self.session is not None:
            self._words += 1
            process = self.process
            word = Word(process.name, process.boot, self._words, process.town.now)
            self.session.say(Publication(topic, payload, keep=False, word=word))

    def keep(self, topic: str, payload: bytes) -> None:
        """Have the broker keep something; later if it is away."""
        if self.session is None:
            self._kept[topic] = payload
        else:
            self.session.say(Publication(topic, payload, keep=True, word=None))

    def post(self, topic: str, payload: bytes) -> None:
        """Say something to whoever listens; where the broker is away, the real one has it wait."""
        if self.session is not None:
            self.session.say(Publication(topic, payload, keep=False, word=None))

    def drop(self, why: str) -> None:
        """Give up the connection that stands, and connect anew."""
        if self.session is not None:
            self.process.town.trace.note(self.process.town.now, f"{self.process.tag} drops the broker: {why[:20]}")
            self.session.say("end")
            self._down()

    async def close(self, topic: str, payload: bytes) -> None:
        """Have the broker keep a last word, and take leave of it."""
        if self.session is not None:
            self.keep(topic, payload)
            self.session.say("bye")
            self._down()

    # -- the connection ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, and connect again, for ever."""
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            began_s = loop.time()
            await self._connection()
            self.state.failures, self.state.reason = self.state.failures + 1, LOST
            attempt = 0 if loop.time() - began_s > STEADY_S else attempt + 1
            await asyncio.sleep(pause_s(attempt, self._rng))

    async def _connection(self) -> None:
        broker, host = self.broker, self.process.host
        if not broker.way(host):
            await asyncio.sleep(ANSWER_S)
            return
        await asyncio.sleep(4 * broker.flight_ms() / 1000)
        if broker.down or not broker.way(host):
            return
        self._over.clear()
        self._up(self.state.connections + 1)
        await self._over.wait()

    def _up(self, number: int) -> None:
        assert self.will is not None  # every life's broker is a path
        topic, payload = self.will(number)
        self.session = self.broker.accept(self, Publication(topic, payload, keep=True, word=None))
        self.state.connected, self.state.connections = True, number
        for call in self._ups:
            call(number)
        kept, self._kept = self._kept, {}
        for each in kept.items():
            self.keep(*each)

    def _down(self) -> None:
        self.session, self.state.connected = None, False
        self._over.set()

    def take(self, what: Parcel | None) -> None:
        """Let something arrive, or the end of the connection; who is frozen sees it when it runs again."""
        if not self.process.dead:
            self.process.within(self._arrived, self.session, what)

    def _arrived(self, session: Session, what: Parcel | None) -> None:
        if self.session is not session:
            return
        if what is None:
            self._down()
            return
        word, brought = what.what.word, self.broker.brought
        if word is not None and not what.retained:
            key = self.process.boot, word.node
            brought[key] = max(word, brought.get(key, word))
        for each in self._subscriptions:
            if what.what.topic.startswith(each.topic.removesuffix("+")) and (each.retained or not what.retained):
                each.take(what.what.topic, what.what.payload, what.retained)

    def end(self) -> None:
        """See the daemon die, whose kernel closes the connection."""
        session, self.session = self.session, None
        if session is not None and self.broker.way(self.process.host):
            session.say("end")
