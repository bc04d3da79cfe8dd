"""A master is not dead because this node was not listening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.host import Host
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

DEAD = (Reason.MASTER_DEAD, Reason.MASTER_GONE)


class SilenceIsTheirs(Invariant):
    """A node takes its master for dead only after a dead interval of silence that it was awake for (S10)."""

    name = "silence-is-theirs"
    decisions = (fx.RoleChanged,)
    events = (ev.Reconfigured,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._resumed: dict[int, int] = {}
        self._read_at: dict[int, int] = {}  # boot: when it has last read its file again

    def on_event(self, process: Process, event: Event) -> None:  # noqa: ARG002 - the base's signature
        self._read_at[process.boot] = self.universe.now

    def on_resume(self, process: Process) -> None:
        slept_ms = self.universe.now - process.turned_at
        if slept_ms > 2 * self.universe.options.patient.dead_interval_ms and not process.barred:
            self._resumed[process.boot] = process.clock

    def _patience_ms(self, process: Process, master: Host | None) -> int:
        """Return how long is waited; who has read its file again gives one that has not the longer time of both.

        Who has started with another file than its peers' does not know theirs, and is not judged by it.
        """
        options = self.universe.options
        other = None if master is None else master.process
        differ = other is not None and other.node.config_digest != process.node.config_digest
        if differ and other is not None and self._read_at.get(process.boot, 0) > self._read_at.get(other.boot, 0):
            return options.patient.dead_interval_ms
        return options.hasty.dead_interval_ms

    def on_decision(self, process: Process, effect: Effect) -> None:
        assert isinstance(effect, fx.RoleChanged)
        if effect.new is not State.CLAIMING or effect.reason not in DEAD:
            return
        master = process.node.groups[effect.group].last_master
        heard = process.heard.get(str(master))
        heard_at = 0 if heard is None else heard.at
        if heard is not None and heard.sure is not None and not heard.sure.groups[0].state.serves:
            return  # it had stepped down, or come back without being master: its silence is not the reason
        host = self.universe.hosts.get(str(master))
        if heard is not None and not heard.confirmed and host is not None and host.process is None:
            return  # what was heard was a recording, and its daemon is away
        awake_since = self._resumed.get(process.boot, 0)
        silent_ms = process.clock - max(heard_at, awake_since)
        if silent_ms < self._patience_ms(process, host):
            self.broken(f"{process.name} takes {master} for dead after {silent_ms} ms")
