"""The heartbeat paths of a simulated daemon where there is a broker: the product's own, on simulated wires.

Real datagrams, signed; `heartbeat.endpoint` reads those of UDP, and `heartbeat.mqtt` with all that it consists of
those of the broker. Simulated are what carries them (`broker`, `wire`) and the connection (`Link`, as
`hafailover.broker.link`). Without a broker `wire.Ears` are enough, and cost less.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hafailover.broker.dialing import ANSWER_S
from hafailover.broker.link import STEADY_S, LinkState, Subscription, pause_s
from hafailover.election import events as ev
from hafailover.election.values import NodeName
from hafailover.heartbeat.endpoint import Endpoint, Membership
from hafailover.heartbeat.lineage import Lineages
from hafailover.heartbeat.mqtt import MARGIN_S, MqttPath, keepalive_s
from hafailover.heartbeat.wire import PathId
from tests.simulation.broker import Parcel, Publication, Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.election.effects import AskGuard
    from hafailover.election.events import AdvertReceived, Event
    from hafailover.election.values import Advert, GroupName, Timing
    from tests.simulation.broker import Broker, Session
    from tests.simulation.process import Process

KEYS = (b"simulated heartbeats",)
CLUSTER, ROOT = "simulated", "hafailover/simulated"


class Letter(NamedTuple):
    """A real datagram of UDP."""

    sender: str
    sequence: int
    data: bytes
    word: Word


class Question(NamedTuple):
    """What the guard "mqtt" was asked, when, and until when it may wait for the broker."""

    effect: AskGuard
    asked_at_us: int


class Wires:
    """All that leads to the peers of one daemon; takes the place of `wire.Ears`."""

    def __init__(self, process: Process, broker: Broker) -> None:
        universe, options = process.universe, process.universe.options
        self._process, self._universe = process, universe
        self._tick_us = 0
        self._number = 0
        self._hearing: Word | None = None
        self._heard: AdvertReceived | None = None
        self._last: dict[str, Advert] = {}
        self._questions: list[Question] = []
        dead_ms = universe.file.timing.dead_interval_ms
        self._told: dict[str, Any] = {
            "peers": tuple(NodeName(name) for name in process.peers),
            "groups": [policy.group for policy in options.policies],
        }
        me, boot_id = NodeName(process.name), process.boot.to_bytes(8, "big")
        self._membership = Membership(me, CLUSTER, self._told["peers"], tuple(self._told["groups"]))
        lineages, silent_after_us = Lineages(several=len(options.paths) > 1), dead_ms * 500
        self._udp: Endpoint | None = None
        if "udp" in options.paths:
            self._udp = Endpoint(
                PathId.UDP,
                self._membership,
                KEYS,
                boot_id=boot_id,
                silent_after_us=silent_after_us,
                lineages=lineages,
            )
        self.link = Link(self, process, broker, 1_500 * keepalive_s(dead_ms))
        link: Any = self.link  # it has what a path asks of one
        self.mqtt = MqttPath(
            me=me,
            cluster=CLUSTER,
            root=ROOT,
            keys=KEYS,
            deliver=self._deliver,
            clock_us=self._now_us,
            boot_id=boot_id,
            silent_after_us=silent_after_us,
            lineages=lineages,
            link=link,
            alone=len(options.paths) == 1,
            **self._told,
        )
        universe.at(universe.now, process.when_running, self.link.dial)

    def configure(self, timing: Timing) -> None:
        """Take in another version of the file, as `hafailover.daemon.wires` does."""
        silent_after_us = timing.dead_interval_ms * 500
        if self._udp is not None:
            self._udp.configure(self._membership, KEYS, silent_after_us)
        self.mqtt.configure(keys=KEYS, silent_after_us=silent_after_us, **self._told)

    def _now_us(self) -> int:
        """Return the host's monotonic clock, which no two calls find at the same instant."""
        self._tick_us = max(self._tick_us + 1, 1000 * self._process.clock)
        return self._tick_us

    def word(self) -> Word:
        """Return the making of what is being made."""
        return Word(self._process.name, self._process.boot, self._number, self._universe.now)

    # -- heartbeats --------------------------------------------------------------------------------------------

    def send(self, advert: Advert, _clock: int) -> Letter | None:
        """Publish an advert by the broker; return the datagram for UDP, None where that is no path."""
        now_us = self._now_us()
        self._number += 1
        letter = None
        if self._udp is not None:
            (data,) = self._udp.datagrams(advert, now_us)
            letter = Letter(self._process.name, self._number, data, self.word())
        self.mqtt.send(advert, now_us)
        return letter

    def hear(self, got: Letter | Parcel, _now: int) -> AdvertReceived | None:
        """Return what a datagram or a message tells, None where it is of no use; answers are sent at once."""
        self._heard = None
        if isinstance(got, Parcel):
            self._hear_broker(got)
        elif self._udp is not None:
            self._hearing = got.word
            heard = self._udp.receive(got.data, self._now_us())
            if heard is not None and heard.answer is not None:
                self._number += 1
                answer = Letter(self._process.name, self._number, heard.answer, self.word())
                self._universe.network.spread(answer, self._process.peers)
            if heard is not None and heard.event is not None:
                self._deliver(heard.event)
        return self._heard

    def _hear_broker(self, got: Parcel) -> None:
        word, brought = got.what.word, self.link.broker.brought
        self._hearing = word
        if word is not None and not got.retained:
            key = self._process.boot, word.node
            brought[key] = max(word, brought.get(key, word))
        self.link.hand_on(got)
        while self._questions and (self.mqtt.witness.returned_us or 0) >= self._questions[0].asked_at_us:
            self._answer(self._questions[0])

    def _deliver(self, event: Event) -> None:
        assert isinstance(event, ev.AdvertReceived)
        assert self._hearing is not None
        advert = self._last.get(event.advert.node)
        if advert != event.advert:
            advert = self._last[event.advert.node] = event.advert
        # The same words are the same object, as they are on simulated datagrams.
        self._heard = ev.AdvertReceived(advert, event.path, event.confirmed, event.said_after)
        self._universe.worded(self._process, self._heard, self._hearing)

    def refused(self, peer: NodeName) -> None:
        """Take in that a peer's kernel has answered, as `hafailover.daemon.wires` does."""
        self.mqtt.witness.refused(peer, self._now_us())

    # -- the guard ---------------------------------------------------------------------------------------------

    def ask(self, effect: AskGuard, timeout_ms: int) -> None:
        """Ask the broker about a silent master, as `MqttPath.find` does."""
        question = Question(effect, self._now_us())
        self._questions.append(question)
        latest = self.mqtt._latest
        if latest is not None:
            self.again(partial(self.mqtt.send, latest, question.asked_at_us))
        universe, margin_ms = self._universe, int(1000 * MARGIN_S)
        overdue = partial(self._answer, question)
        universe.at(universe.now + max(0, timeout_ms - margin_ms), self._process.when_running, overdue)

    def again(self, publish: Callable[[], None]) -> None:
        """Publish the latest advert once more, as a word of its own."""
        self._number += 1
        publish()

    def _answer(self, question: Question) -> None:
        if question not in self._questions:
            return
        self._questions.remove(question)
        effect = question.effect
        finding = self.mqtt.witness.find(self._master(effect.group), self._now_us(), question.asked_at_us)
        self._universe.trace.note(self._universe.now, f"{self._process.tag} finds {finding.name}")
        self._process.post(ev.GuardAnswered(effect.group, effect.guard, effect.round_id, finding.verdict))

    def _master(self, group: GroupName) -> NodeName | None:
        """Return the node that a claim would accuse, as in `hafailover.daemon.supervisor`."""
        node = self._process.node
        last, resources = node.groups[group].last_master, node.groups[group].policy.resources
        seen = node.context.holders.sighting(resources[0])
        if last is not None or seen is None:
            return last
        members = (peer.member for peer in node.context.peers)
        return next((each.name for each in members if each.holder_id(seen.resource) == seen.holder), None)

    def close(self) -> None:
        """Take leave of the broker."""
        if self.link.session is not None:
            self.link.keep(*self.mqtt.goodbye())
            self.link.session.say("bye")
            self.link.session = None


class Link:
    """A daemon's connection to the broker, kept up as by `hafailover.broker.link`; `patience_ms`: the broker's."""

    def __init__(self, wires: Wires, process: Process, broker: Broker, patience_ms: int) -> None:
        self._wires = wires
        self.process, self.broker, self.patience_ms = process, broker, patience_ms
        self.session: Session | None = None
        self.state = LinkState()
        self._subscriptions: list[Subscription] = []
        self._ups: list[Callable[[int], None]] = []
        self._kept: dict[str, bytes] = {}
        self._rng = broker.stream(process.tag)
        self._up_at = 0
        self._attempt = 0

    def subscribe(self, subscription: Subscription) -> None:
        """Listen from the next connection on."""
        self._subscriptions.append(subscription)

    def when_up(self, call: Callable[[int], None]) -> None:
        """Have this called with each connection's number once it stands."""
        self._ups.append(call)

    def publish(self, topic: str, payload: bytes, kind: str = "") -> None:
        """Say something that is worth nothing later."""
        if self.session is not None:
            if kind.startswith("answer"):
                self._wires.again(lambda: None)
            self.session.say(Publication(topic, payload, keep=False, word=self._wires.word()))

    def keep(self, topic: str, payload: bytes) -> None:
        """Have the broker keep something; later if it is away."""
        if self.session is None:
            self._kept[topic] = payload
        else:
            self.session.say(Publication(topic, payload, keep=True, word=None))

    def drop(self, why: str) -> None:
        """Give up the connection that stands, and connect anew."""
        if self.session is not None:
            universe = self.process.universe
            universe.trace.note(universe.now, f"{self.process.tag} drops the broker: {why[:20]}")
            self.session.say("end")
            self._down()

    # -- the connection ----------------------------------------------------------------------------------------

    def dial(self) -> None:
        """Connect; what comes of it takes time."""
        broker, universe = self.broker, self.process.universe
        if not broker.way(self.process.host):
            universe.at(universe.now + int(1000 * ANSWER_S), self.process.when_running, self._down)
        else:
            universe.at(universe.now + 4 * broker.flight_ms(), self.process.when_running, self._connected)

    def _connected(self) -> None:
        broker, number = self.broker, self.state.connections + 1
        if broker.down or not broker.way(self.process.host):
            self._down()
            return
        topic, payload = self._wires.mqtt.will(number)
        self.session = broker.accept(self, Publication(topic, payload, keep=True, word=None))
        self.state.connected, self.state.connections = True, number
        self._up_at = self.process.universe.now
        for call in self._ups:
            self._wires.again(partial(call, number))
        kept, self._kept = self._kept, {}
        for each in kept.items():
            self.keep(*each)

    def _down(self) -> None:
        universe = self.process.universe
        steady = self.session is not None and universe.now - self._up_at > 1000 * STEADY_S
        self.session, self.state.connected = None, False
        self._attempt = 0 if steady else self._attempt + 1
        wait_ms = round(1000 * pause_s(self._attempt, self._rng))
        universe.at(universe.now + wait_ms, self.process.when_running, self.dial)

    def take(self, what: Parcel | None) -> None:
        """Let something arrive, or the end of the connection."""
        if what is None:
            self.process.when_running(partial(self._ended, self.session))
        elif self.process.frozen:
            self.process.socket.append(what)
        else:
            self.process.take_in(what)

    def _ended(self, session: Session | None) -> None:
        if self.session is session and session is not None:
            self._down()

    def hand_on(self, got: Parcel) -> None:
        """Give a message to the path."""
        what = got.what
        for each in self._subscriptions:
            if what.topic.startswith(each.topic.removesuffix("+")) and (each.retained or not got.retained):
                each.take(what.topic, what.payload, got.retained)

    def end(self) -> None:
        """See the daemon die, whose kernel closes the connection."""
        session, self.session = self.session, None
        if session is not None and self.broker.way(self.process.host):
            session.say("end")
