"""A small universe on virtual time: the election core times N, the emulator's model of the cloud, and a network.

Everything happens at an integer millisecond, in an order that depends on nothing but the calls made: no socket,
no thread, no clock. A host has a guest (addresses), a service, a daemon (the core and a runner that performs effects
at once), and its way to the peers and to the API can be cut in each direction.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.cloud.outcome import classify
from hafailover.cloud.plan import next_call, sightings
from hafailover.cloud.replies import parse_enis, parse_task
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import Node
from hafailover.election.values import (
    GuardVerdict,
    Member,
    Memory,
    MoveResult,
    NodeName,
    Outcome,
    Policy,
    Refusal,
    Timing,
)
from hafailover.emulator.model import Model, Rules
from hafailover.emulator.values import ApiError
from hafailover.emulator.world import NodeSpec, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.values import GroupName

LINK_MS = 1
POLL_MS = 200
CALL_TIMEOUT_MS = 3_000
DIGEST = b"\0" * 8


@dataclass
class Host:
    """One CVM: what survives its daemon, and the daemon while it runs."""

    member: Member
    node: Node | None = None
    memory: Memory = field(default_factory=Memory)
    powered: bool = True
    service: bool = True
    frozen: bool = False
    guest: set[str] = field(default_factory=set)
    backlog: list[Event] = field(default_factory=list)
    run: int = 0  # counts starts, so that what a dead daemon asked for does not answer to its successor

    @property
    def listening(self) -> bool:
        """Whether a datagram would find an open port."""
        return self.powered and self.node is not None


class World:
    """Hosts, the network between them, and the cloud."""

    def __init__(
        self,
        priorities: dict[str, int],
        policy: Policy,
        timing: Timing,
        *,
        seed: int = 0,
        api_ms: int = 100,
        task_ms: int = 500,
        strategy: str = "migrate",
    ) -> None:
        self.now = 0
        self.policy = policy
        self.timing = timing
        self.rng = random.Random(f"{seed}:net")
        self.seed = seed
        self.api_ms = api_ms
        self.strategy = strategy
        specs = tuple(
            NodeSpec(name, f"ins-{name * 8:.8}", f"eni-{name * 8:.8}", f"10.0.1.{17 + place}")
            for place, name in enumerate(priorities)
        )
        network = build(specs, tuple(resource.id for resource in policy.resources))
        self.cloud = Model(network, rules=Rules(task_ms=task_ms), seed=str(seed))
        self.hosts = {
            name: Host(Member(NodeName(name), place, priority, specs[place].eni_id, specs[place].instance_id))
            for place, (name, priority) in enumerate(priorities.items())
        }
        self.cuts: set[tuple[str, str]] = set()
        self.api_cuts: set[str] = set()
        self.api_faults: list[str] = []
        self.calls: list[tuple[int, str, str, str]] = []
        self.log: Callable[[str, Effect], None] = lambda _name, _effect: None
        self.answers: dict[int, fx.Answer] = {}
        self.outages: list[tuple[int, int]] = []
        self.double_ms = 0
        self._dark_since: int | None = None
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
        if self.probe_answered():
            if self._dark_since is not None:
                self.outages.append((self._dark_since, self.now))
                self._dark_since = None
        elif self._dark_since is None:
            self._dark_since = self.now
        holders = [host for host in self.hosts.values() if host.powered and host.guest]
        self.double_ms += (instant - self.now) if len(holders) > 1 else 0
        self.now = instant

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
            rng=random.Random(f"{self.seed}:{name}:{host.run}"),
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

    def _perform(self, name: str, host: Host, effect: Effect) -> None:
        match effect:
            case fx.Persist():
                host.memory = effect.memory
            case fx.StopAnswering():
                host.guest.discard(effect.resource.id)
            case fx.Arm():
                host.guest.add(effect.resource.id)
                self.at(self.now, self._later(name, ev.GuestArmed(effect.group, effect.resource)))
            case fx.SendAdverts():
                self._broadcast(name, effect)
            case fx.ReadHolders():
                self._read(name, host)
            case fx.Move():
                Mover(self, name, effect).begin()
            case fx.AskGuard():
                self._guard(name, effect)
            case fx.Answer():
                self.answers[effect.request_id] = effect
            case fx.Leave():
                host.node = None
            case _:
                pass

    def _later(self, name: str, event: Event) -> Callable[[], None]:
        run = self.hosts[name].run
        return lambda: self.give(name, event, run)

    # -- network -------------------------------------------------------------------------------------------------

    def _broadcast(self, sender: str, effect: fx.SendAdverts) -> None:
        for name in self.hosts:
            if name != sender:
                received = ev.AdvertReceived(effect.advert, "udp")
                self.at(self.now + LINK_MS, lambda to=name, got=received: self._deliver(sender, to, got))  # type: ignore[misc]

    def _deliver(self, sender: str, name: str, event: ev.AdvertReceived) -> None:
        host = self.hosts[name]
        if (sender, name) in self.cuts or not host.powered:
            return
        if host.listening:
            self.give(name, event)
        elif (name, sender) not in self.cuts:
            self.give(sender, ev.PeerRefused(NodeName(name)))

    def _guard(self, name: str, effect: fx.AskGuard) -> None:
        """The "vip" guard: does the address still answer, as seen from this host?"""
        holder = self.cloud.holder_of(self.policy.resources[0].id, self.now)
        target = next((key for key, host in self.hosts.items() if host.member.eni_id == holder), name)
        # The heartbeat path may be cut by a filter on its port: other traffic passes unless the host is lost.
        answers = self.probe_answered()
        verdict = GuardVerdict.DENY if answers and target != name else GuardVerdict.ALLOW
        delay_ms = 2 * LINK_MS if answers else self.timing.dead_interval_ms // 2 - 5
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

    def call(self, name: str, action: str, params: dict[str, object]) -> dict[str, object]:
        """One request to the cloud at this instant. Raises ApiError."""
        try:
            reply = self.cloud.request(action, params, name, self.now)
        except ApiError as error:
            self.calls.append((self.now, name, action, error.code))
            raise
        self.calls.append((self.now, name, action, "OK"))
        return reply

    @property
    def moves(self) -> int:
        """How many times an address has truly changed hands, the first assignment included."""
        return len(self.cloud.history)


class Mover:
    """One move under way: the plan's calls and the polling of their tasks, as the daemon's cloud client does it."""

    def __init__(self, world: World, name: str, move: fx.Move) -> None:
        self.world, self.name, self.move = world, name, move
        self.holder = move.expected
        self.started = False
        self.run = world.hosts[name].run

    def begin(self) -> None:
        """Send the next call, or end where there is none."""
        call = next_call(self.move.resource, self.holder, self.move.target, self.world.strategy)  # type: ignore[arg-type]
        if call is None:
            self._end(MoveResult(Outcome.APPLIED))
            return
        fault = self.world.api_faults.pop(0) if self.world.api_faults else ""
        world = self.world
        world.at(world.now + world.api_ms, lambda: self._arrive(call.action, dict(call.parameters), fault))

    def _arrive(self, action: str, params: dict[str, object], fault: str) -> None:
        world = self.world
        if self.name in world.api_cuts:
            world.at(world.now + CALL_TIMEOUT_MS, lambda: self._end(MoveResult(Outcome.UNKNOWN, "ClientTimeout")))
            return
        if fault in ("throttle", "http-500"):
            code = "RequestLimitExceeded" if fault == "throttle" else "ServerNetworkError"
            world.calls.append((world.now, self.name, action, code))
            self._end(self._classified(code, action))
            return
        try:
            reply = world.call(self.name, action, params)
        except ApiError as error:
            self._end(self._classified(error.code, action))
            return
        if fault == "reply-lost":
            self._end(MoveResult(Outcome.UNKNOWN, "ClientNetworkError"))
            return
        self._poll(str(reply["RequestId"]))

    @staticmethod
    def _classified(code: str, action: str) -> MoveResult:
        kind = classify(code, action)
        return MoveResult(kind.outcome, code, kind.refusal)

    def _poll(self, task: str) -> None:
        self.world.at(self.world.now + POLL_MS, lambda: self._ask(task))

    def _ask(self, task: str) -> None:
        status = parse_task(self.world.call(self.name, "DescribeVpcTaskResult", {"TaskId": task})).value
        if status == "RUNNING":
            self._poll(task)
        elif status == "FAILED":
            self._end(MoveResult(Outcome.REFUSED, "TaskFailed", Refusal.CONFLICT))
        else:
            call = next_call(self.move.resource, self.holder, self.move.target, self.world.strategy)  # type: ignore[arg-type]
            assert call is not None
            self.holder, self.started = call.holder_after, True
            self.begin()

    def _end(self, result: MoveResult) -> None:
        if self.started and result.outcome is not Outcome.APPLIED:
            result = MoveResult(result.outcome, result.code, result.refusal, half_done=True, holder=self.holder)
        finished = ev.MoveFinished(self.move.group, self.move.move_id, self.move.resource, result)
        self.world.give(self.name, finished, self.run)


def group_name(policy: Policy) -> GroupName:
    """Return the name of the world's one group."""
    return policy.group
