"""The simulated universe, tier 1: the election core times N, the emulator's model of the cloud, links that fail.

All happens at integer milliseconds, in an order that follows from the seed alone: no socket, no thread, no clock.
The true state of everything is known here, and each event and effect is shown to the invariants as it happens.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hafailover.daemon.performer import HELD_BY_STRANGER
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election import roster
from hafailover.election.values import (
    CheckState,
    GroupMemory,
    GuardVerdict,
    Member,
    Memory,
    MoveResult,
    NodeName,
    Outcome,
    Refusal,
    Resource,
    ResourceKind,
)
from hafailover.emulator.model import BY_HAND, Model, Rules
from hafailover.emulator.network import InstanceState
from hafailover.errors import InvariantError
from tests.simulation.broker import Broker
from tests.simulation.ground import eips_of, network_of, specs_of
from tests.simulation.host import Host
from tests.simulation.options import CHECK
from tests.simulation.plugs import Plugs
from tests.simulation.process import DIGEST, Process
from tests.simulation.sky import Errand, Sky
from tests.simulation.trace import Trace
from tests.simulation.wire import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.values import Policy, Timing
    from hafailover.emulator.values import Change
    from tests.simulation.broker import Word
    from tests.simulation.invariants.base import Invariant
    from tests.simulation.options import Options

CHECK_MS = 1_000  # from a change of the service to the check's word
FIRST_PASS_MS = 300
REFUSED_RELOAD_MS = 2_000  # after which the operator tries again
FORGETFUL = frozenset({"kill-disk-lost", "kill-disk-old", "disk-full", "disk-hangs"})


class Broken(AssertionError):  # noqa: N818 - it names the finding, not an error of this program
    """An invariant does not hold: its name, and what was seen."""

    def __init__(self, name: str, seen: str) -> None:
        self.name, self.seen = name, seen
        super().__init__(f"{name}: {seen}")

    def __reduce__(self) -> tuple[type[Broken], tuple[str, str]]:
        return Broken, (self.name, self.seen)  # so that another process can tell of it


class File(NamedTuple):
    """What of the file may change while daemons run."""

    timing: Timing
    digest: bytes
    policies: tuple[Policy, ...]
    names: tuple[str, ...]


class Universe:
    """Hosts, the network between them, the cloud, and time."""

    def __init__(self, options: Options) -> None:
        seed = options.seed
        self.options = options
        self.now = 0
        self.events = 0
        self.faults_rng = _stream(seed, "faults")
        specs = specs_of(options)
        self.cloud = Model(network_of(options), rules=Rules(task_ms=options.task_ms), seed=str(seed))
        self.cloud.listeners.append(self._changed)
        self.resources = {each.id: each for each in options.resources}
        self.bound: dict[str, str | None] = dict(eips_of(options))  # each EIP with the address that it is bound to
        self.taken_off: set[str] = set()  # EIPs that somebody has taken off by hand, with their address perhaps
        self.group_of = {each.id: policy.group for policy in options.policies for each in policy.resources}
        memory = Memory(groups=tuple(GroupMemory(policy.group, paused=True) for policy in options.policies))
        clocks = _stream(seed, "clocks")
        self.hosts = {
            name: Host(
                Member(
                    NodeName(name),
                    place,
                    priority,
                    specs[place].eni_id,
                    specs[place].instance_id,
                    witness=name in options.witnesses,
                ),
                clocks.randrange(10**9),
                memory if options.paused else Memory(),
            )
            for place, (name, priority) in enumerate(options.priorities)
        }
        members = [host.member for host in self.hosts.values()]
        self.holder: dict[str, str | None] = {
            name: members[0].holder_id(each) for name, each in self.resources.items()
        }
        self.by_holder = {
            holder: host for host in self.hosts.values() for holder in (host.member.eni_id, host.member.instance_id)
        }
        self.network = Network(self, _stream(seed, "net"))
        self.broker = Broker(self, _stream(seed, "broker")) if "mqtt" in options.paths else None
        self.sky = Sky(self, _stream(seed, "cloud"))
        self.plugs = Plugs(self)
        self.trace = Trace()
        self.counts: Counter[str] = Counter()
        self.invariants: list[Invariant] = []
        self.file = File(options.timing, DIGEST, options.policies, tuple(name for name, _ in options.priorities))
        self.out: set[str] = set()  # whom people keep from starting, for they take it out of the file
        self.parts: list[Any] = []  # each group as if it were alone, where there are several
        self.alert = False  # an invariant wants to see every event now, also those that cause nothing
        self.strikes: list[tuple[int, str]] = []
        self.finished: list[tuple[int, fx.FailoverFinished]] = []
        self.dark: list[tuple[int, int]] = []  # when a client had no answer
        self._dark_since: int | None = None
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = 0
        self._boots = 0
        self._request = 0
        self._errands: dict[Process, dict[str, deque[Errand]]] = {}
        self._performers: dict[type, Callable[[Process, Any], int | None]] = {
            fx.SendAdverts: self._advertise,
            fx.ReadHolders: lambda process, _effect: self.sky.read(process),
            fx.Persist: self._persist,
            fx.StopAnswering: self._disarm,
            fx.Arm: self._arm,
            fx.ProbeGuest: self._probe_guest,
            fx.Move: self._move,
            fx.AskGuard: self._guard,
            fx.RunHook: self._run_hook,
            fx.Fence: self.sky.fence,
            fx.FailoverFinished: lambda _process, effect: self.finished.append((self.now, effect)),
            fx.Leave: lambda process, _effect: self._leave(process),
        }
        self._word_watchers: list[Callable[[Process, ev.AdvertReceived, Word], None]] = []
        self._turn_watchers: list[Callable[[Process, Event, tuple[Effect, ...]], None]] = []
        self._handled_watchers: list[Callable[[Process, Event, tuple[Effect, ...]], None]] = []
        self._decision_watchers: dict[type, list[Callable[[Process, Effect], None]]] = {}
        self._effect_watchers: dict[type, list[Callable[[Process, Effect], None]]] = {}
        self._event_watchers: dict[type, list[Callable[[Process, Event], None]]] = {}

    def watch(self, invariants: Iterable[Invariant]) -> None:
        """Have invariants look at everything from now on."""
        for each in invariants:
            self.invariants.append(each)
            if overrides(each, "on_word"):
                self._word_watchers.append(each.on_word)
            if overrides(each, "on_turn"):
                self._turn_watchers.append(each.on_turn)
            if overrides(each, "on_handled"):
                self._handled_watchers.append(each.on_handled)
            for kind in each.decisions:
                self._decision_watchers.setdefault(kind, []).append(each.on_decision)
            for kind in each.effects:
                self._effect_watchers.setdefault(kind, []).append(each.on_effect)
            for kind in each.events:
                self._event_watchers.setdefault(kind, []).append(each.on_event)

    # -- time --------------------------------------------------------------------------------------------------

    def at(self, instant: int, action: Callable[..., None], *arguments: object) -> None:
        """Have something happen at an instant; equal instants keep their order."""
        self._serial += 1
        heapq.heappush(self._queue, (max(instant, self.now), self._serial, action, arguments))

    def run_until(self, instant: int) -> None:
        """Let everything happen up to and including an instant."""
        queue, cloud, next_due, pop = self._queue, self.cloud, self.cloud.tasks.next_due, heapq.heappop
        while True:
            due = next_due()
            following = queue[0][0] if queue else instant + 1
            if due is not None and due <= following and due <= instant:
                self.now = max(self.now, due)
                cloud.advance(due)
            elif following <= instant:
                self.now, _, action, arguments = pop(queue)
                action(*arguments)
            else:
                break
        self.now = instant

    # -- what the invariants see ---------------------------------------------------------------------------------

    def handled(self, process: Process, event: Event) -> tuple[Effect, ...]:
        """Have the core handle an event, and show both to the invariants."""
        self.events += 1
        repeated = process.repeated(event) if type(event) is ev.AdvertReceived else None
        if repeated is None:
            for watcher in self._event_watchers.get(type(event), ()):
                watcher(process, event)
        try:
            effects = process.node.handle(event, now=process.clock)
        except InvariantError as error:
            raise Broken("core", str(error)) from error
        process.turned_at = self.now
        for turn in self._turn_watchers:
            turn(process, event, effects)
        if repeated is not None and not effects:
            self.trace.routine(self.now, process, repeated.text)
        else:
            self.trace.line(self.now, process, event, effects)
        if effects or self.alert:
            self._show(process, event, effects)
        return effects

    def worded(self, process: Process, event: ev.AdvertReceived, word: Word) -> None:
        """Show the invariants what a path has taken for a peer's word, where there is a broker."""
        for watcher in self._word_watchers:
            watcher(process, event, word)

    def _show(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            for watcher in self._decision_watchers.get(type(effect), ()):
                watcher(process, effect)
        for look in self._handled_watchers:
            look(process, event, effects)

    def _changed(self, change: Change) -> None:
        self.trace.note(self.now, f"cloud {change.resource} {change.before} -> {change.after} by {change.caller}")
        if change.resource in self.bound:
            self.bound[change.resource] = change.after
            by_hand = change.after is None and change.caller == BY_HAND
            (self.taken_off.add if by_hand else self.taken_off.discard)(change.resource)
            for each in self.invariants:
                each.on_eip(change)
            return
        self.holder[change.resource] = change.after
        self.plugs.changed(change)
        for each in self.invariants:
            each.on_change(change)
        self.truth_changed()

    def struck(self, kind: str, detail: str, *, over: bool = False) -> None:
        """Note that a fault begins or ends."""
        if not over:
            self.counts[f"fault:{kind}"] += 1
        self.strikes.append((self.now, kind))
        self.trace.note(self.now, f"fault {kind} {'over' if over else 'begins'}: {detail}")
        for each in self.invariants:
            each.on_strike(kind, over=over)

    # -- what a client sees --------------------------------------------------------------------------------------

    def serves(self, host: Host | None, address: str) -> bool:
        """Whether a request that the cloud sends to this host is answered."""
        return host is not None and host.powered and not host.suspended and host.service and address in host.guest

    def answered(self) -> bool:
        """Whether a client would get answers from every address now."""
        return all(self.serves(self.by_holder.get(eni or ""), address) for address, eni in self.holder.items())

    def truth_changed(self) -> None:
        """Account for the client's outage; called after whatever may change it."""
        answered = self.answered()
        if answered and self._dark_since is not None:
            if self.now > self._dark_since:
                self.dark.append((self._dark_since, self.now))
            self._dark_since = None
        elif not answered and self._dark_since is None:
            self._dark_since = self.now

    # -- daemons and hosts ---------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start the daemon of a host, if it is powered and has none."""
        host = self.hosts[name]
        if host.process is not None or not host.powered or host.suspended or name in self.out:
            return
        self._boots += 1
        process = host.process = Process(self, host, self._boots)
        self.trace.note(self.now, f"start {name}")
        for each in self.invariants:
            each.on_start(process)
        process.post(ev.TimerExpired())
        self.at(self.now + FIRST_PASS_MS, self.check, process)

    def kill(self, name: str) -> None:
        """End the daemon of a host without a word."""
        host = self.hosts[name]
        if host.process is not None:
            self.trace.note(self.now, f"kill {name}")
            if self.broker is not None:
                self.broker.close(host.process)
            host.process.die()
            self._errands.pop(host.process, None)
            host.process = None
            host.guest -= host.late
            host.late.clear()

    def power(self, name: str, *, on: bool) -> None:
        """Switch a host off, its guest's configuration with it, or on; the daemon starts with it."""
        host = self.hosts[name]
        if not on:
            if host.process is not None and self.broker is not None:
                self.broker.lose(host.process)
            self.kill(name)
            host.suspended = False
            host.guest.clear()
            host.late.clear()
        if on and not host.powered:
            host.on_since = self.now
        host.powered = on
        state = InstanceState.RUNNING if on else InstanceState.STOPPED
        self.cloud.set_instance_state(host.member.instance_id, state, self.now)
        self.truth_changed()
        if on:
            self.start(name)

    def fenced(self, host: Host) -> None:
        """Power a host off on another's behalf; somebody looks after it and switches it on again."""
        name = host.member.name
        self.struck("fenced", name)
        self.power(name, on=False)
        self.at(self.now + self.faults_rng.randrange(20_000, 90_000), self._return, host)

    def _return(self, host: Host) -> None:
        if not host.powered:
            self.struck("fenced", host.member.name, over=True)
            self.power(host.member.name, on=True)

    def serve(self, name: str, *, up: bool) -> None:
        """Break or mend the service of a host; its check says so in time."""
        host = self.hosts[name]
        host.service = up
        self.truth_changed()
        if host.process is not None:
            self.at(self.now + CHECK_MS, self.check, host.process)

    def check(self, process: Process) -> None:
        """Tell a daemon how its service is."""
        if self.options.checked:
            state = CheckState.UP if process.host.service else CheckState.DOWN
            for policy in self.options.policies:
                process.post(ev.CheckChanged(policy.group, CHECK, state))

    def reload(self, name: str) -> None:
        """Have the daemon of a host read its file again; what stands in the file when it runs is what it reads."""
        process = self.hosts[name].process
        if process is not None:
            process.when_running(partial(self._read_again, process))

    def _read_again(self, process: Process) -> None:
        file, groups = self.file, process.node.groups
        if process.has_read == file.digest or process.name not in file.names:
            return
        names = {policy.group for policy in file.policies}
        going = [NodeName(name) for name in process.peers if name not in file.names]
        context = process.node.context
        if any(
            roster.unsettled(group, process.clock) for name, group in groups.items() if name not in names
        ) or any(roster.blocks(name, groups.values(), context, process.clock) for name in going):
            self.at(self.now + REFUSED_RELOAD_MS, self.reload, process.name)  # as `hafailover.daemon.intake` does
            return
        come = names - process.groups
        process.has_read = file.digest
        process.listens_to(file)
        members = tuple(self.hosts[name].member for name in file.names)
        process.post(ev.Reconfigured(members, file.timing, file.policies, file.digest))
        if come:
            self.at(self.now + FIRST_PASS_MS, self.check, process)
        if process.wires is not None:
            process.wires.configure(file.timing)

    def ask(self, name: str, make: Callable[[int], Event]) -> None:
        """Have an operator ask the daemon of a host for something."""
        process = self.hosts[name].process
        if process is not None:
            self._request += 1
            process.post(make(self._request))

    # -- effects -------------------------------------------------------------------------------------------------

    def perform(self, process: Process, effect: Effect) -> int:
        """Carry out an effect; return for how long what follows must wait."""
        kind = type(effect)
        for watcher in self._effect_watchers.get(kind, ()):
            watcher(process, effect)
        performer = self._performers.get(kind)
        return 0 if performer is None else performer(process, effect) or 0

    def _advertise(self, process: Process, effect: fx.SendAdverts) -> None:
        self.network.broadcast(process, effect.advert)

    def _leave(self, process: Process) -> None:
        if process.wires is not None:
            process.wires.close()
        self.kill(process.name)

    def _disarm(self, process: Process, effect: fx.StopAnswering) -> int:
        process.wanted.discard(effect.resource.id)
        process.host.guest.discard(effect.resource.id)
        process.host.late.discard(effect.resource.id)
        self.truth_changed()
        return self.options.guest_ms

    def _persist(self, process: Process, effect: fx.Persist) -> int:
        host = process.host
        host.older_memory, host.memory = host.memory, effect.memory
        return self.options.disk_ms

    def _arm(self, process: Process, effect: fx.Arm) -> None:
        process.wanted.add(effect.resource.id)
        armed = self.plugs.arm if effect.resource.kind is ResourceKind.ENI else self._armed
        self.at(self.now + self.options.guest_ms, armed, process, effect)

    def _probe_guest(self, process: Process, effect: fx.ProbeGuest) -> None:
        error = "no such interface" if process.host.crippled else ""
        self.at(self.now + self.options.guest_ms, process.post, ev.GuestProbed(effect.group, error))

    def _armed(self, process: Process, effect: fx.Arm) -> None:
        if not process.alive:
            return
        crippled = process.host.crippled
        if not crippled:
            self.carry(process, effect)
        error = "no such interface" if crippled else ""
        process.post(ev.GuestArmed(effect.group, effect.resource, error))

    def carry(self, process: Process, effect: fx.Arm) -> None:
        """Put a resource on the guest; where it was let go meanwhile, it is on its way off again."""
        process.host.guest.add(effect.resource.id)
        group = process.node.groups.get(effect.group)  # None: it has gone meanwhile, and was left as it was
        if group is not None and effect.resource not in group.guest.carries:
            process.host.late.add(effect.resource.id)
        else:
            process.host.late.discard(effect.resource.id)
        self.truth_changed()

    def _run_hook(self, process: Process, effect: fx.RunHook) -> None:
        """Run a hook; one that takes too long is killed, and everything goes on all the same."""
        if effect.run_id is None:
            return
        takes_ms = min(self.options.hook_ms * process.host.slowness, self.options.hook_timeout_ms)
        until = process.host.hooks_until[effect.group] = self.now + takes_ms
        ended = ev.HookFinished(effect.group, effect.run_id)
        self.at(until, process.when_running, partial(process.post, ended))

    def _move(self, process: Process, effect: fx.Move) -> None:
        """Moves that work on the same ENI wait for each other, as in the narrow `hafailover.cloud.lanes`.

        A stranger is asked for nothing, as in `hafailover.daemon.performer`.
        """
        if self.refuses(effect):
            refused = MoveResult(Outcome.REFUSED, HELD_BY_STRANGER, Refusal.CONFLICT)
            ended = ev.MoveFinished(effect.group, effect.move_id, effect.resource, refused)
            self.at(self.now, process.when_running, partial(process.post, ended))
            return
        waiting = self._errands.setdefault(process, {}).setdefault(_lane(effect.resource), deque())
        waiting.append(Errand(self.sky, process, effect))
        if len(waiting) == 1:
            waiting[0].begin()

    @property
    def loose_eips(self) -> list[str]:
        """The EIPs that are bound to nothing and should be.

        Nothing is asked where a disk of this life forgets, for what was bound to a released address is written
        nowhere else; nor of what was taken off by hand, for nobody can tell that its address has not stayed.
        """
        if any(wave.kind in FORGETFUL for wave in self.options.waves):
            return []
        return [eip for eip, address in self.bound.items() if address is None and eip not in self.taken_off]

    def refuses(self, effect: fx.Move) -> bool:
        """Whether a performer does not even ask the cloud, for the holder is no node's."""
        return self.is_stranger(effect.expected)

    def is_stranger(self, holder: str | None) -> bool:
        """Whether a holder is no node's."""
        return holder is not None and holder not in self.by_holder

    def errand_done(self, process: Process, resource: Resource) -> None:
        """Begin the next move of a process that has waited for one of this resource."""
        waiting = self._errands.get(process, {}).get(_lane(resource))
        if waiting:
            waiting.popleft()
            if waiting:
                waiting[0].begin()

    def _guard(self, process: Process, effect: fx.AskGuard) -> None:
        if effect.guard == "mqtt":
            assert process.wires is not None
            process.wires.ask(effect, self.file.timing.dead_interval_ms // 2)
            return
        verdict = self._verdict(process, effect)
        slow = verdict is GuardVerdict.ALLOW and effect.guard == "vip"
        slow = slow or (verdict is GuardVerdict.DENY and effect.guard == "gateway")
        limit_ms = self.options.hasty.dead_interval_ms // 2
        delay_ms = limit_ms - 5 if slow else min(limit_ms, 2 * self.options.link_ms)
        if effect.guard == "cloud":
            delay_ms = self.sky.latency_ms()
            if self.sky.outages[process.name] or delay_ms > limit_ms:
                delay_ms, verdict = limit_ms, GuardVerdict.UNKNOWN
        answer = ev.GuardAnswered(effect.group, effect.guard, effect.round_id, verdict)
        self.at(self.now + delay_ms, process.post, answer)

    def _verdict(self, process: Process, asked: fx.AskGuard) -> GuardVerdict:
        if asked.guard == "gateway":
            return GuardVerdict.DENY if process.host.dark else GuardVerdict.PASS
        holder = {name: each for name, each in self.holder.items() if self.group_of[name] == asked.group}
        return self._vip(process, holder) if asked.guard == "vip" else self._instance(holder)

    def _vip(self, process: Process, holder: dict[str, str | None]) -> GuardVerdict:
        """Whether the service answers on any address, as seen from this host."""
        for address, eni in holder.items():
            host = self.by_holder.get(eni or "")
            walled = host is not None and (process.name, host.member.name) in self.network.walls
            if host is not process.host and not walled and self.serves(host, address):
                return GuardVerdict.DENY
        return GuardVerdict.ALLOW

    def _instance(self, holder: dict[str, str | None]) -> GuardVerdict:
        host = self.by_holder.get(next(iter(holder.values())) or "")
        return GuardVerdict.UNKNOWN if host is None or host.powered else GuardVerdict.ALLOW


def overrides(invariant: Invariant, method: str) -> bool:
    """Whether an invariant wants to see this at all: most events are routine, and most look elsewhere."""
    return method in vars(type(getattr(invariant, "inner", invariant)))


def _lane(resource: Resource) -> str:
    return resource.id if resource.kind is ResourceKind.ENI else ""


def _stream(seed: int, name: str) -> random.Random:
    """Return the random numbers of one purpose; a text as a seed does not depend on the hash seed."""
    return random.Random(f"{seed}:{name}")  # noqa: S311 - to be repeated, not secret
