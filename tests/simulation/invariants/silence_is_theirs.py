"""A master is not dead because this node was not listening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant
from tests.simulation.process import waits_ms

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

DEAD = (Reason.MASTER_DEAD, Reason.MASTER_GONE)


class SilenceIsTheirs(Invariant):
    """A node takes its master for dead only after a dead interval of silence that it was awake for (S10).

    That of its own file, or the one that the master asks for if that is longer.
    """

    name = "silence-is-theirs"
    decisions = (fx.RoleChanged,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._resumed: dict[int, int] = {}

    def on_resume(self, process: Process) -> None:
        slept_ms = self.universe.now - process.turned_at
        if slept_ms > 2 * self.universe.options.patient.dead_interval_ms and not process.barred:
            self._resumed[process.boot] = process.clock

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
        if silent_ms < waits_ms(process, str(master)):
            self.broken(f"{process.name} takes {master} for dead after {silent_ms} ms")
