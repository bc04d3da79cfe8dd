"""One connection to an MQTT broker, kept up for as long as the daemon lives.

Nothing here holds up anything else: what is to be said is put down and returned from at once, a heartbeat displaces
the one that has not been sent yet, and what must not get lost waits in a queue that is bounded. Without a broker
heartbeats are left out and the rest waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
import structlog
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hafailover.broker import reasons
from hafailover.broker.dialing import ANSWER_S, Client, Dialer, Ear
from hafailover.errors import BrokerError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

    from hafailover.config.model import Mqtt

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 2.0  # nodes are to be back within 5 s of the broker's return
STEADY_S: Final = 10.0  # a connection that lasted so long is not about to be lost again
SAID_AGAIN_S: Final = 600.0  # a reason that has been told
GOODBYE_S: Final = 1.0
MAX_WAITING: Final = 256  # events; of more the oldest are lost

log = structlog.get_logger()


def pause_s(attempt: int, rng: random.Random) -> float:
    """Return how long to wait before the next connection, the last `attempt` of which did not last."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempt, 10)) * rng.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to listen to. `take` gets topic, payload and whether the broker has kept the message."""

    topic: str
    take: Callable[[str, bytes, bool], None]
    retained: bool  # whether to ask for the messages that the broker keeps


@dataclass(slots=True)
class LinkState:
    """How the connection is; `reason` is why there is none, or was none last."""

    connected: bool = False
    connections: int = 0
    failures: int = 0  # attempts that failed, and connections that were lost
    reason: str = ""
    lost: int = 0  # messages that were not sent and never will be, heartbeats aside


class Link:
    """The connection of one node.

    `will` gives topic and payload of the will of the connection of this number, counted from 1; it is retained. It
    may be set until `run`.
    `up` is called with that number when the connection stands and the broker listens to the subscriptions.
    """

    def __init__(
        self,
        settings: Mqtt,
        *,
        node: str,
        client_id: str,
        keepalive_s: int,
        will: Callable[[int], tuple[str, bytes]] | None = None,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._dialer = Dialer(settings, node=node, client_id=client_id, keepalive_s=keepalive_s)
        self.will = will
        self._rng = rng
        self._subscriptions: dict[str, Subscription] = {}
        self._ups: list[Callable[[int], None]] = []
        self._now: dict[tuple[str, str], bytes] = {}  # heartbeats: the newest of each topic and kind
        self._kept: dict[str, bytes] = {}  # retained: the newest of each topic
        self._events: deque[tuple[str, bytes]] = deque(maxlen=MAX_WAITING)
        self._hurry, self._work = asyncio.Event(), asyncio.Event()
        self._client: Client | None = None
        self._dropped = ""
        self._broken: Exception | None = None
        self._told, self._told_at_s = "", 0.0
        self._down_told = True
        self._up_at_s = 0.0
        self._brief = 0  # connections in a row that did not last
        self.state = LinkState()

    def subscribe(self, subscription: Subscription) -> None:
        """Listen from the next connection on; called before `run`."""
        self._subscriptions[subscription.topic] = subscription

    def when_up(self, call: Callable[[int], None]) -> None:
        """Have this called with each connection's number once it stands; called before `run`."""
        self._ups.append(call)

    def publish(self, topic: str, payload: bytes, kind: str = "") -> None:
        """Say something that is worth nothing later: at most once, only if the connection stands, else never.

        What waits of the same topic and kind is displaced, and no order among the others is turned.
        """
        if self.state.connected:
            self._now.pop((topic, kind), None)
            self._now[topic, kind] = payload
            self._hurry.set()

    def keep(self, topic: str, payload: bytes) -> None:
        """Have the broker keep something, in place of what it has kept of this topic; later if it is away."""
        self._kept[topic] = payload
        self._work.set()

    def post(self, topic: str, payload: bytes) -> None:
        """Say something at least once; later if the broker is away, unless too much waits by then."""
        self.state.lost += len(self._events) == MAX_WAITING
        self._events.append((topic, payload))
        self._work.set()

    def drop(self, why: str) -> None:
        """Give up the connection that stands, and connect anew."""
        if self._client is not None and not self._dropped:
            self._dropped = why
            self._client.shut()

    async def close(self, topic: str, payload: bytes) -> None:
        """Have the broker keep a last word, if it takes it within a second."""
        if self._client is not None and self.state.connected:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._client.publish(topic, payload, qos=1, retain=True, timeout=GOODBYE_S)

    # -- the connection ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, and connect again, for ever."""
        loop, attempt = asyncio.get_running_loop(), 0
        while True:
            began_s, reason = loop.time(), ""
            try:
                await self._connection()
            except BrokerError as error:
                reason = str(error)
            self._down(reason)
            attempt = 0 if loop.time() - began_s > STEADY_S else attempt + 1
            await asyncio.sleep(pause_s(attempt, self._rng))

    async def _connection(self) -> None:
        """Connect and talk until that ends. Raises BrokerError, whatever ended it."""
        ear, number = Ear(), self.state.connections + 1
        self._dropped, self._broken = "", None
        queue: Any = lambda maxsize: _Mouth(maxsize, self._take)  # noqa: E731 - a class to aiomqtt
        client: Client | None = None
        try:
            client = await self._dialer.client(self.will and self.will(number), queue, ear)
            async with client:
                self._client = client
                await self._subscribe(client)
                self._up(number)
                await self._talk(client)
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            if client is not None:
                client.shut()  # aiomqtt leaves a connection open that it has given up
            self._dialer.hang_up()
            if self.state.connected:
                brief = asyncio.get_running_loop().time() - self._up_at_s < STEADY_S
                self._brief = self._brief + 1 if brief else 0
            if self._broken is not None:
                raise self._broken from error
            raise BrokerError(self._dropped or self._why(error, ear)) from None
        finally:
            self._client = None
            self.state.connected = False

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        for each in self._subscriptions.values():
            handling = 0 if each.retained else SubscribeOptions.RETAIN_DO_NOT_SEND
            codes = await client.subscribe(each.topic, options=SubscribeOptions(qos=0, retainHandling=handling))
            refused = [code for code in codes if isinstance(code, ReasonCode) and code.is_failure]
            if refused:
                who = self._settings.username or "this node"
                raise BrokerError(
                    f"mqtt.topic: the broker does not let {who} subscribe to {each.topic}: {refused[0]}"
                )

    async def _talk(self, client: aiomqtt.Client) -> None:
        work: tuple[Coroutine[Any, Any, None], ...] = (_listen(client), self._speak(client), self._report(client))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _speak(self, client: aiomqtt.Client) -> None:
        """Send heartbeats, the newest of each topic."""
        while True:
            await self._hurry.wait()
            self._hurry.clear()
            while self._now:
                topic, kind = next(iter(self._now))
                await client.publish(topic, self._now.pop((topic, kind)), timeout=ANSWER_S)

    async def _report(self, client: aiomqtt.Client) -> None:
        """Send everything else, each once the broker has the one before; what it has not stays."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._events or self._kept:
                if self._events:
                    topic, payload = self._events[0]
                    await client.publish(topic, payload, qos=1)
                    if self._events and self._events[0] == (topic, payload):
                        self._events.popleft()
                    continue
                topic, payload = next(iter(self._kept.items()))
                await client.publish(topic, payload, qos=1, retain=True)
                if self._kept.get(topic) is payload:
                    del self._kept[topic]

    def _take(self, message: aiomqtt.Message) -> None:
        """Hand a message on; an error in here is ours, and the library must not take it for the broker's."""
        topic, payload = str(message.topic), message.payload
        try:
            for subscription in self._subscriptions.values():
                if isinstance(payload, bytes) and message.topic.matches(subscription.topic):
                    subscription.take(topic, payload, bool(message.retain))
        except Exception as error:
            self._broken = error
            raise

    # -- telling -----------------------------------------------------------------------------------------------

    def _up(self, number: int) -> None:
        self.state.connected, self.state.connections = True, number
        self._up_at_s = asyncio.get_running_loop().time()
        self._now.clear()
        if self._down_told:
            self._down_told = False
            log.info("mqtt_up", host=self._settings.host, port=self._settings.port)
        for call in self._ups:
            call(number)
        self._work.set()

    def _down(self, reason: str) -> None:
        now_s = asyncio.get_running_loop().time()
        self.state.failures += 1
        self.state.reason = reason
        if reason != self._told or now_s - self._told_at_s > SAID_AGAIN_S:
            self._told, self._told_at_s, self._down_told = reason, now_s, True
            log.warning("mqtt_down", reason=reason)

    def _why(self, error: Exception, ear: Ear) -> str:
        """Return what went wrong, from the most telling of what there is."""
        if "SSL" in ear.heard:
            return reasons.of_tls(ear.heard, self._settings)
        said: BaseException | None = error
        while said is not None:
            if isinstance(said, aiomqtt.MqttCodeError):
                if isinstance(said.rc, ReasonCode) and said.rc.value != _UNSPECIFIED:
                    return reasons.of_code(said.rc.value, str(said.rc), self._settings)
            elif isinstance(said, OSError) and str(error) != _NO_ANSWER:
                return reasons.of_connect(said, self._settings)
            said = said.__cause__ or said.__context__
        return reasons.of_break(self._settings, connected=self.state.connected, again=self._brief > 1)


_NO_ANSWER: Final = "Operation timed out"  # aiomqtt, of a question to a broker that is connected
_UNSPECIFIED: Final = 0x80  # what paho calls a connection that broke


class _Mouth(asyncio.Queue[Any]):
    """A queue of which nothing comes out: what the library would put into it is handed on at once.

    So a message costs no task and no wait, and there is no queue to be bounded.
    """

    def __init__(self, maxsize: int, swallow: Callable[[aiomqtt.Message], None]) -> None:
        super().__init__(maxsize)
        self._swallow = swallow

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Hand the message on."""
        self._swallow(item)


async def _listen(client: aiomqtt.Client) -> None:
    """Wait for the connection's end, which is told to who waits for messages; raises MqttError then."""
    async for _ in client.messages:
        pass
