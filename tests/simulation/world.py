"""A small universe on virtual time: the election core times N, the emulator's model of the cloud, and a network.

Everything happens at an integer millisecond, in an order that depends on nothing but the calls made: no socket,
no thread, no clock. A host has a guest (addresses), a service, a daemon (the core and a runner that performs
effects at once), and its way to the peers and to the API can be cut in each direction.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.cloud.plan import sightings
from hafailover.cloud.replies import parse_enis
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import Node
from hafailover.election.values import (
    FenceResult,
    GuardVerdict,
    Member,
    Memory,
    NodeName,
    Policy,
    Timing,
)
from hafailover.emulator.actions import WRITE_ACTIONS
from hafailover.emulator.model import Model, Rules
from hafailover.emulator.values import NORMAL, ApiError
from hafailover.emulator.world import NodeSpec, build
from tests.simulation.mover import CALL_TIMEOUT_MS, Mover

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.emulator.values import Handling

LINK_MS = 1
FENCE_MS = 2_000  # until the cloud confirms that an instance is off
STRANGER = NodeSpec("stranger", "ins-zzzzzzzz", "eni-zzzzzzzz", "10.0.1.250")  # a machine without a daemon
DIGEST = b"\0" * 8


@dataclass
class Host:
    """One CVM: what survives its daemon, and the daemon while it runs."""

    member: Member
    node: Node | None = None
    memory: Memory = field(default_factory=Memory)
    powered: bool = True
    service: bool = True
    crippled: bool = False  # the guest's network cannot be configured
    frozen: bool = False
    guest: set[str] = field(default_factory=set)
    backlog: list[Event] = field(default_factory=list)
    promotes: bool = True  # what the promote hook says
    run: int = 0  # counts starts, so that what a dead daemon asked for does not answer to its successor

    @property
    def listening(self) -> bool:
        """Whether a datagram would find an open port."""
        return self.powered and self.node is not None


class World:
    """Hosts, the network between them, and the cloud."""

    def __init__(  # noqa: PLR0913 - what a world is made of, given once
        self,
        priorities: dict[str, int],
        policy: Policy,
        timing: Timing,
        *,
        seed: int = 0,
        api_ms: int = 100,
        task_ms: int = 500,
        hook_ms: int = 200,
        strategy: str = "migrate",
        witnesses: frozenset[str] = frozenset(),
    ) -> None:
        self.now = 0
        self.policy = policy
        self.timing = timing
        self.seed = seed
        self.api_ms = api_ms
        self.hook_ms = hook_ms
        self.strategy = strategy
        specs = tuple(
            NodeSpec(name, f"ins-{name * 8:.8}", f"eni-{name * 8:.8}", f"10.0.1.{17 + place}")
            for place, name in enumerate(priorities)
        )
        network = build((*specs, STRANGER), tuple(resource.id for resource in policy.resources))
        self.cloud = Model(network, rules=Rules(task_ms=task_ms), seed=str(seed))
        self.hosts = {
            name: Host(
                Member(
                    NodeName(name),
                    place,
                    priority,
                    specs[place].eni_id,
                    specs[place].instance_id,
                    witness=name in witnesses,
                )
            )
            for place, (name, priority) in enumerate(priorities.items())
        }
        self.cuts: set[tuple[str, str]] = set()  # (from, to): heartbeats are lost
        self.walls: set[tuple[str, str]] = set()  # (from, to): everything is lost
        self.api_cuts: set[str] = set()
        self.api_faults: list[str] = []
        self.calls: list[tuple[int, str, str, str]] = []
        self.log: Callable[[str, Effect], None] = lambda _name, _effect: None
        self.on_refusal: Callable[[str, str, str], None] = lambda _name, _action, _code: None
        self.answers: dict[int, fx.Answer] = {}
        self.outages: list[tuple[int, int]] = []
        self.double_ms = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0

    # -- time ----------------------------------------------------------------------------------------------------

    def at(self, instant: int, action: Callable[[], None]) -> None:
        """Have something happen at an instant; equal instants keep their order."""
        self._serial += 1
        heapq.heappush(self._queue, (max(instant, self.now), self._serial, action))

    def run_until(self, instant: int) -> None:
        """Let everything happen up to and including an instant."""
        while True:
            due = self.cloud.next_due()
            following = self._queue[0][0] if self._queue else instant + 1
            if due is not None and due <= min(following, instant):
                self._pass_to(due)
                self.cloud.advance(due)
            elif following <= instant:
                self._pass_to(following)
                heapq.heappop(self._queue)[2]()
            else:
                break
        self._pass_to(instant)

    def _pass_to(self, instant: int) -> None:
        """Account for the time up to an instant, during which nothing changed."""
        if instant > self.now and not self.probe_answered():
            if self.outages and self.outages[-1][1] == self.now:
                self.outages[-1] = (self.outages[-1][0], instant)
            else:
                self.outages.append((self.now, instant))
        holders = [host for host in self.hosts.values() if host.powered and host.guest]
        self.double_ms += (instant - self.now) if len(holders) > 1 else 0
        self.now = instant

    def dark_ms(self, since: int = 0) -> int:
        """For how long in all a client has had no answer since an instant."""
        return sum(max(0, end - max(begin, since)) for begin, end in self.outages)

    def probe_answered(self) -> bool:
        """Whether a client would get answers from every address now."""
        return all(self._answers(resource.id) for resource in self.policy.resources)

    def _answers(self, address: str) -> bool:
        eni = self.cloud.holder_of(address, self.now)
        host = next((host for host in self.hosts.values() if host.member.eni_id == eni), None)
        return host is not None and host.powered and host.service and not host.frozen and address in host.guest

    # -- daemons -------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start the daemon of a host."""
        host = self.hosts[name]
        host.run += 1
        host.node = Node(
            host.member,
            [each.member for each in self.hosts.values()],
            self.timing,
            [self.policy],
            config_digest=DIGEST,
            memory=host.memory,
            rng=random.Random(f"{self.seed}:{name}:{host.run}"),  # noqa: S311 - to be repeated, not secret
            now=self.now,
        )
        self.give(name, ev.TimerExpired())

    def kill(self, name: str) -> None:
        """End the daemon of a host without a word."""
        self.hosts[name].node = None

    def power(self, name: str, *, on: bool) -> None:
        """Switch a host off, its memory and guest with it, or on; the daemon starts with it."""
        host = self.hosts[name]
        host.powered = on
        if on:
            self.start(name)
        else:
            host.node = None
            host.guest.clear()

    def freeze(self, name: str, *, frozen: bool) -> None:
        """Stop a host from running while its clock goes on, or let it run again, all that waited first."""
        host = self.hosts[name]
        host.frozen = frozen
        backlog, host.backlog = host.backlog, []
        for event in backlog if not frozen else ():
            self.give(name, event)

    def give(self, name: str, event: Event, run: int | None = None) -> None:
        """Hand an event to a daemon, if it (or the one that asked) still runs, and perform the effects."""
        host = self.hosts[name]
        if host.node is None or not host.powered or (run is not None and run != host.run):
            return
        if host.frozen:
            host.backlog.append(event)
            return
        for effect in host.node.handle(event, now=self.now):
            self.log(name, effect)
            self._perform(name, host, effect)
        self._arm_timer(name, host)

    def _arm_timer(self, name: str, host: Host) -> None:
        if host.node is None:
            return
        node, run = host.node, host.run
        deadline = max(node.deadline, self.now + 1)
        self.at(deadline, lambda: self._wake(name, node, run))

    def _wake(self, name: str, node: Node, run: int) -> None:
        due = node.deadline <= self.now
        if due and not (self.hosts[name].frozen and ev.TimerExpired() in self.hosts[name].backlog):
            self.give(name, ev.TimerExpired(), run)

    def _perform(self, name: str, host: Host, effect: Effect) -> None:  # noqa: C901, PLR0912 - one case per kind of effect
        match effect:
            case fx.Persist():
                host.memory = effect.memory
            case fx.StopAnswering():
                host.guest.discard(effect.resource.id)
            case fx.Arm():
                self._arm(name, host, effect)
            case fx.ProbeGuest():
                error = "no such interface" if host.crippled else ""
                self.at(self.now, self._later(name, ev.GuestProbed(effect.group, error)))
            case fx.SendAdverts():
                self._broadcast(name, effect)
            case fx.ReadHolders():
                self._read(name, host)
            case fx.Move():
                Mover(self, name, effect).begin()
            case fx.AskGuard():
                self._guard(name, effect)
            case fx.RunHook(run_id=int(run_id)):
                ended = ev.HookFinished(effect.group, run_id, effect.hook != "promote" or host.promotes)
                self.at(self.now + self.hook_ms, self._later(name, ended))
            case fx.Fence():
                self.at(self.now + FENCE_MS, lambda: self._stop_instance(name, effect))
            case fx.Answer():
                self.answers[effect.request_id] = effect
            case fx.Leave():
                host.node = None
            case _:
                pass

    def _arm(self, name: str, host: Host, effect: fx.Arm) -> None:
        if not host.crippled:
            host.guest.add(effect.resource.id)
        error = "no such interface" if host.crippled else ""
        self.at(self.now, self._later(name, ev.GuestArmed(effect.group, effect.resource, error)))

    def _stop_instance(self, name: str, effect: fx.Fence) -> None:
        stopped = name not in self.api_cuts
        if stopped:
            self.power(
                next(key for key, host in self.hosts.items() if host.member.eni_id == effect.holder), on=False
            )
        result = FenceResult(stopped=stopped, code="" if stopped else "ClientTimeout")
        self.give(name, ev.FenceFinished(effect.group, effect.fence_id, result))

    def _later(self, name: str, event: Event) -> Callable[[], None]:
        run = self.hosts[name].run
        return lambda: self.give(name, event, run)

    # -- network -------------------------------------------------------------------------------------------------

    def _broadcast(self, sender: str, effect: fx.SendAdverts) -> None:
        for name in self.hosts:
            if name != sender:
                # It answers what the receiver had sent an interval ago at the latest.
                received = ev.AdvertReceived(effect.advert, "udp", True, self.now - self.timing.interval_ms)
                self.at(self.now + LINK_MS, lambda to=name, got=received: self._deliver(sender, to, got))  # type: ignore[misc]

    def _deliver(self, sender: str, name: str, event: ev.AdvertReceived) -> None:
        host = self.hosts[name]
        if (sender, name) in self.cuts | self.walls or not host.powered:
            return
        if host.listening:
            self.give(name, event)
        elif (name, sender) not in self.cuts | self.walls:
            self.give(sender, ev.PeerRefused(NodeName(name)))

    def _guard(self, name: str, effect: fx.AskGuard) -> None:
        """The "vip" guard: does the service answer on the addresses, as seen from this host?"""
        holder = self.cloud.holder_of(self.policy.resources[0].id, self.now)
        target = next((key for key, host in self.hosts.items() if host.member.eni_id == holder), name)
        # A filter on the heartbeats' port lets other traffic pass; a wall between the hosts does not.
        answers = target != name and (name, target) not in self.walls and self.probe_answered()
        delay_ms = 2 * LINK_MS if answers else self.timing.dead_interval_ms // 2 - 5
        verdict = GuardVerdict.DENY if answers else GuardVerdict.ALLOW
        answer = ev.GuardAnswered(effect.group, effect.guard, effect.round_id, verdict)
        self.at(self.now + delay_ms, self._later(name, answer))

    # -- cloud ---------------------------------------------------------------------------------------------------

    def _read(self, name: str, host: Host) -> None:
        asked_at, run = self.now, host.run
        self.at(self.now + self.api_ms, lambda: self._answer_read(name, asked_at, run))

    def _answer_read(self, name: str, asked_at: int, run: int) -> None:
        if name in self.api_cuts:
            late = ev.ReadFailed(asked_at, "ClientTimeout")
            self.at(asked_at + CALL_TIMEOUT_MS, lambda: self.give(name, late, run))
            return
        ids = [host.member.eni_id for host in self.hosts.values()]
        try:
            reply = self.call(name, "DescribeNetworkInterfaces", {"NetworkInterfaceIds": ids, "Limit": 100})
        except ApiError as error:
            self.give(name, ev.ReadFailed(asked_at, error.code), run)
            return
        seen = sightings(self.policy.resources, parse_enis(reply))
        self.give(name, ev.HoldersRead(seen, asked_at), run)

    def call(
        self, name: str, action: str, params: Mapping[str, object], handling: Handling = NORMAL
    ) -> dict[str, object]:
        """One request to the cloud at this instant. Raises ApiError."""
        try:
            reply = self.cloud.request(action, params, name, self.now, handling)
        except ApiError as error:
            self.refuse(name, action, error.code)
            raise
        self.calls.append((self.now, name, action, "OK"))
        return reply

    def refuse(self, name: str, action: str, code: str) -> None:
        """Note a request that ended with an error."""
        self.calls.append((self.now, name, action, code))
        self.on_refusal(name, action, code)

    def moves(self, since: int = 0) -> int:
        """How many times something has truly been given to somebody since an instant."""
        return sum(change.at_ms >= since and change.after is not None for change in self.cloud.history)

    def writes(self, since: int = 0) -> int:
        """How many requests that change something were sent since an instant."""
        return sum(at >= since and action in WRITE_ACTIONS for at, _, action, _ in self.calls)

    def reads(self, since: int = 0) -> int:
        """How many times somebody asked who holds what since an instant."""
        return sum(at >= since and action == "DescribeNetworkInterfaces" for at, _, action, _ in self.calls)

    def owner(self, resource_id: str) -> str:
        """Return the host that truly holds an address or ENI: "nobody", "a stranger" or its name."""
        holder = self.cloud.holder_of(resource_id, self.now)
        if holder is None:
            return "nobody"
        ids = ((name, host.member.eni_id, host.member.instance_id) for name, host in self.hosts.items())
        return next((name for name, *known in ids if holder in known), "a stranger")
