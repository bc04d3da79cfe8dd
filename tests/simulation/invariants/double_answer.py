"""Nobody answers for long for what the cloud has given to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.release import RELEASE_MS
from hafailover.election.values import State
from tests.simulation.invariants.base import Invariant

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from tests.simulation.host import Host
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

RETRY_MS = 5_000  # the cap of the waits between failing reads


def bound_ms(universe: Universe) -> int:
    """Return X: two audits and a second look, with the time that their answers take.

    Who hands several resources over serves all of them until its successor has all, or the hand-over has failed.
    """
    options, timing = universe.options, universe.options.patient
    handing_ms = RELEASE_MS if len(universe.resources) > 1 else 0
    return 2 * timing.audit_interval_ms + 10 * options.api_ms + timing.dead_interval_ms + RETRY_MS + handing_ms


class DoubleAnswer(Invariant):
    """A running daemon that can ask the cloud drops within X what the cloud has given to another (S2, S5).

    A claimant may carry it before it has it: in a VPC nothing reaches it there.
    """

    name = "double-answer"
    decisions = (fx.RoleChanged,)
    events = (ev.GuestArmed,)

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.longest_ms = 0
        self.bound_ms = bound_ms(universe)
        self._since: dict[str, int] = {}
        self._wrong_at: dict[str, int] = {}  # when it was last seen so: nobody looks while nothing happens

    def _suspect(self, *_args: object, **_kwargs: object) -> None:
        """Look from now on until nothing is wrong: something has happened by which it may have become so."""
        self.universe.alert = True

    on_change = on_event = on_decision = on_strike = _suspect

    def on_resume(self, process: Process) -> None:
        """Count anew: while it did not run it could not ask."""
        self._since.pop(process.name, None)
        self._suspect()

    on_start = on_resume

    def on_handled(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:  # noqa: ARG002 - the base's signature
        if self.universe.alert:
            self._look()

    def _look(self) -> None:
        universe = self.universe
        universe.alert = False
        for name, host in universe.hosts.items():
            if not self._wrong(host):
                since = self._since.pop(name, None)
                if since is not None:
                    self.longest_ms = max(self.longest_ms, self._wrong_at[name] - since)
                continue
            universe.alert = True
            self._wrong_at[name] = universe.now
            since = self._since.setdefault(name, universe.now)
            if universe.now - since > self.bound_ms:
                carried = f"{name} has carried {sorted(host.guest)} since {since}"
                self.broken(f"{carried}, the cloud says {universe.holder}")

    def _wrong(self, host: Host) -> bool:
        process = host.process
        if not host.guest or process is None or process.frozen:
            return False
        sky = self.universe.sky
        if sky.outages[process.name] > 0 or sky.read_failures or sky.stale_ms.get(process.name):
            return False
        group = next(iter(process.node.groups.values()))
        if group.state is State.CLAIMING:
            return False
        holders = (self.universe.holder[address] for address in sorted(host.guest))
        return any(holder is not None and self.universe.by_holder.get(holder) is not host for holder in holders)
