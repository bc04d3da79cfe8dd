"""The simulated universe, tier 2: tier 1's hosts, cloud, links and faults, with whole daemons on one loop."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hafailover.config import model
from hafailover.election import effects as fx
from hafailover.election import node
from hafailover.election.values import ResourceKind
from tests.simulation.daemons.clients import Clients
from tests.simulation.daemons.daemon import Incarnation
from tests.simulation.daemons.guest import Disk, save, write
from tests.simulation.daemons.log import Log
from tests.simulation.daemons.loop import Owner, let_go
from tests.simulation.daemons.net import Wire
from tests.simulation.daemons.streams import ServingLoop
from tests.simulation.options import CHECK, GROUP
from tests.simulation.universe import Broken, Universe

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.options import Options
    from tests.simulation.process import Process

EPOCH_MS = 1_800_000_000_000  # the time of day at which every life begins
SKEWS_MS = (0, 0, 800, -2_500, 400_000, -3_600_000)  # a host's time of day minus the true one
HOOK_MS = 5_000
CHECK_EVERY_MS = 2_000
STOP_MS = node.STOP_MS + 2 * HOOK_MS + 6_000  # the last hooks end, and then whatever is open is closed
STALLED_MS = 5_000
HOOK = ("/usr/local/bin/hook",)


class Town(Universe):
    """Hosts with whole daemons. `noise`: the kernel schedules as it likes."""

    port = 7694

    def __init__(self, options: Options, *, noise: bool = True) -> None:
        make_loop: Any = ServingLoop  # what it does not have would reach outside
        self.loop: ServingLoop = make_loop(options.seed, noise=noise)
        self.loop.next_outside = self._next_change
        self.loop.let_outside = self._let_change
        self.loop.job_us = self._job_us
        self.log = Log()
        self.sink: Any = None
        self.roles: list[tuple[str, str, str, str]] = []
        self.slow_guests_ms: dict[str, int] = {}
        self.disks = {name: Disk() for name, _ in options.priorities}
        super().__init__(options)
        clocks = random.Random(f"{options.seed}:walls")  # noqa: S311 - to be repeated, not secret
        self.skews_ms = {name: clocks.choice(SKEWS_MS) for name in self.hosts}
        self.wire = Wire(self, random.Random(f"{options.seed}:net"))  # noqa: S311 - as above
        self.network = self.wire
        self.wire.addresses = {(self.address(name), self.port): name for name in self.hosts}
        self.config = configuration(self, noise=noise)
        self.clients = Clients(self)
        self._graves: list[Incarnation] = []

    @property
    def now(self) -> int:
        """The milliseconds since the beginning."""
        return self.loop.now_us // 1000

    @now.setter
    def now(self, _value: int) -> None:
        """Only the loop goes on in time."""

    def address(self, name: str) -> str:
        """Return the heartbeat address of a host."""
        return f"10.0.1.{17 + self.hosts[name].member.order}"

    def process(self, name: str) -> Incarnation:
        """Return the running daemon of a host."""
        process: Any = self.hosts[name].process
        return cast("Incarnation", process)

    # -- time ----------------------------------------------------------------------------------------------------

    def wall_ms(self) -> int:
        """Return the true time of day."""
        return EPOCH_MS + self.now

    def wall_of_ms(self, name: str) -> int:
        """Return the time of day as a host has it."""
        return self.wall_ms() + self.skews_ms[name]

    def at(self, instant: int, action: Callable[..., None], *arguments: object) -> None:
        """Have something happen at an instant."""
        self.loop.world_at(max(instant, self.now) * 1000, action, *arguments)

    def run_until(self, instant: int) -> None:
        """Let everything happen up to and including an instant."""
        self.loop.run_until(instant * 1000)
        self._look_for_stalled()

    def _next_change(self) -> int | None:
        due = self.cloud.next_due()
        return None if due is None else due * 1000

    def _let_change(self, _now_us: int) -> None:
        try:
            self.cloud.advance(self.now)
        except Broken as broken:
            self.loop.fail(broken)
            raise

    def _job_us(self, owner: Owner, job: Any) -> int:
        if job not in (save, write) or not isinstance(owner, Incarnation):
            return 200
        return 1000 * (self.options.disk_ms + owner.disk.hangs_ms)

    def _look_for_stalled(self) -> None:
        for host in self.hosts.values():
            process: Any = host.process
            if process is None or process.frozen or process.left_at is not None:
                continue
            if self.now - process.turned_at > STALLED_MS + process.disk.hangs_ms:
                raise Broken("stalled", f"{process.name} has not turned since {process.turned_at} ms")

    # -- daemons -------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start the daemon of a host, if it is powered and has none."""
        host = self.hosts[name]
        if host.process is not None or not host.powered or host.suspended:
            return
        self._boots += 1
        process = Incarnation(self, host, self._boots)
        host.process = cast("Process", process)
        self.trace.note(self.now, f"start {name}")
        process.begin()

    def born(self, process: Incarnation) -> None:
        """Note that a daemon has its core."""
        process.turned_at = self.now
        for each in self.invariants:
            each.on_start(cast("Process", process))

    def kill(self, name: str) -> None:
        """End the daemon of a host without a word."""
        process: Any = self.hosts[name].process
        if process is not None:
            self._graves.append(process)
        super().kill(name)

    def ended(self, process: Incarnation, error: BaseException | None) -> None:
        """See a daemon's process end by itself: all must be closed, and nothing be left running."""
        if process.dead:
            return
        self.trace.note(self.now, f"ended {process.name}{process.boot} {error!r}")
        left = [task for task in process.tasks if not (task.done() or task is process.main)]
        open_still = [where for where, doors in process.doors.items() if doors.open]
        late_ms = 0 if process.asked_to_stop_at is None else self.now - process.asked_to_stop_at
        if error is not None:
            self._broken("daemon-lives", f"{process.name} ends by {error!r}")
        elif process.left_at is None:
            self._broken("daemon-lives", f"{process.name} ends without having left")
        elif left or open_still or process.socket is not None:
            self._broken("nothing-left", f"{process.name} leaves {left} {open_still} {process.socket}")
        elif late_ms > STOP_MS and not self.froze(process):
            self._broken("stop-in-time", f"{process.name} was asked to stop {late_ms} ms ago")
        self.kill(process.name)

    def froze(self, process: Incarnation) -> bool:
        """Whether a process was stopped by others since it was asked to end: then it may be late."""
        return process.resumed_at is not None and process.resumed_at >= (process.asked_to_stop_at or 0)

    def _broken(self, name: str, seen: str) -> None:
        self.loop.fail(Broken(name, f"at {self.now} ms: {seen}"))

    def check(self, process: Process) -> None:
        """Leave it to the daemon's own check to notice."""

    def reload(self, name: str) -> None:
        """Change no file: a daemon of this tier has read the only one that there is."""

    def ask(self, name: str, make: Callable[[int], Event]) -> None:
        """Have an operator ask the daemon of a host for something, over its control socket."""
        self.clients.ask(name, make(0))

    def performing(self, process: Incarnation, effect: Effect) -> None:
        """Show an effect to the invariants as it is carried out."""
        for watcher in self._effect_watchers.get(type(effect), ()):
            watcher(cast("Process", process), effect)
        if isinstance(effect, fx.FailoverFinished):
            self.finished.append((self.now, effect))
        elif isinstance(effect, fx.RoleChanged):
            self.roles.append((process.name, effect.old.value, effect.new.value, effect.reason.name))
        elif isinstance(effect, fx.Leave):
            process.left_at = self.now

    def bury(self) -> None:
        """Let go of all that is left, at the end of a life."""
        running = [cast("Incarnation", host.process) for host in self.hosts.values() if host.process is not None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the dead had begun and nobody will await
            for owner in (*self._graves, *running, self.loop.world):
                let_go([task for task in owner.tasks if not task.done()])
                owner.tasks.clear()
        self._graves.clear()
        for end in self.loop.ends:
            end.forget()


def configuration(town: Town, *, noise: bool) -> model.Config:
    """Return the file of a cluster, as its loader would make it, for the options of a life."""
    options = town.options
    timing = options.timing
    nodes = tuple(
        model.Node(
            name,
            town.address(name),
            town.port,
            host.member.instance_id,
            host.member.eni_id,
            None,
            priority,
            "witness" if name in options.witnesses else "member",
        )
        for (name, priority), host in zip(options.priorities, town.hosts.values(), strict=True)
    )
    check = model.Check(
        CHECK, "tcp", interval_ms=CHECK_EVERY_MS, timeout_ms=300, rise=1, fall=1, address=("10.0.1.1", 80)
    )
    group = model.Group(
        str(GROUP),
        addresses=tuple(each.id for each in options.resources if each.kind is ResourceKind.ADDRESS),
        enis=tuple(each.id for each in options.resources if each.kind is ResourceKind.ENI),
        preempt=options.preempt,
        preempt_delay_ms=options.preempt_delay_ms,
        handover=options.handover,
        on_isolation="demote" if options.demote else "hold",
        isolation_timeout_ms=options.policy.isolation_timeout_ms,
        hold_down_ms=options.hold_down_ms,
        guards=cast("Any", options.guards),
        vip_port=80 if "vip" in options.guards else None,
        checks=(check,) if options.checked else (),
        notify=model.Notify(master=HOOK, backup=HOOK, stop=HOOK, timeout_ms=HOOK_MS) if noise else model.Notify(),
    )
    return model.Config(
        path=Path("/nowhere/config.toml"),
        digest=bytes(8),
        keys=(bytes(range(32)),),
        cluster=model.Cluster("sim", ()),
        heartbeat=model.Heartbeat(
            timing.interval_ms, timing.dead_interval_ms, timing.restart_grace_ms, cast("Any", options.paths)
        ),
        mqtt=None if town.broker is None else model.Mqtt("broker.test", tls=False),
        cloud=model.Cloud(
            region="ap-guangzhou",
            credentials="env",
            endpoint="http://vpc.test",
            cvm_endpoint="http://cvm.test",
            strategy=cast("Any", options.strategy),
            audit_interval_ms=timing.audit_interval_ms,
        ),
        nodes=nodes,
        groups=(group,),
        control=model.Control(Path("/nowhere/control.sock")),
        state=model.State(Path("/nowhere/state")),
        log=model.Log("info", "json"),
    )
