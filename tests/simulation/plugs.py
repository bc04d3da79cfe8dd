"""The links of ENIs on simulated guests: each comes some time after its ENI is attached, and goes with it.

As in `hafailover.daemon.arming`: who is to answer for an ENI waits for its link, and only from when the cloud has
said that it is attached there has that waiting an end.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hafailover.daemon.arming import PLUG_DEADLINE_S
from hafailover.election import events as ev
from hafailover.election.values import ResourceKind

if TYPE_CHECKING:
    from hafailover.election.effects import Arm
    from hafailover.emulator.values import Change
    from tests.simulation.host import Host
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

LOOK_EVERY_MS = 500
PLUG_DEADLINE_MS = int(1000 * PLUG_DEADLINE_S)


class Plugs:
    """Which links there are. `late_ms`: by how much they come later; `without`: hosts on which none comes."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._there_from: dict[str, int] = {}
        self._turns: Counter[tuple[int, str]] = Counter()  # how many times a run has asked for an ENI
        self.late_ms = 0
        self.without: Counter[str] = Counter()

    def there(self, host: Host, eni: str) -> bool:
        """Whether the guest of a host has the link of an ENI."""
        universe = self._universe
        broken = host.crippled or self.without[host.member.name] > 0
        attached = universe.holder[eni] == host.member.instance_id
        return attached and not broken and universe.now >= self._there_from.get(eni, 0)

    def changed(self, change: Change) -> None:
        """See a resource move: where it is an ENI, its link goes with all that was on it, and another comes."""
        universe = self._universe
        resource = universe.resources[change.resource]
        if resource.kind is not ResourceKind.ENI:
            return
        self._there_from[resource.id] = universe.now + universe.options.plug_ms + self.late_ms
        left = universe.by_holder.get(change.before or "")
        if left is None or resource.id not in left.guest:
            return
        left.guest.discard(resource.id)
        left.late.discard(resource.id)
        if left.process is not None and resource.id in left.process.wanted:
            universe.at(
                universe.now, left.process.post, ev.AddressVanished(universe.group_of[resource.id], resource)
            )

    def arm(self, process: Process, effect: Arm) -> None:
        """Have a guest answer for an ENI as soon as its link is there; what comes of it is posted."""
        self._turns[process.boot, effect.resource.id] += 1
        turn = self._turns[process.boot, effect.resource.id]
        self._wait(process, effect, turn, self._universe.now, self._was_here(process, effect))

    def _wait(self, process: Process, effect: Arm, turn: int, since: int, was_here: bool) -> None:  # noqa: FBT001 - given by the queue
        process.when_running(lambda: self._look(process, effect, turn, since, was_here=was_here))

    def _look(self, process: Process, effect: Arm, turn: int, since: int, *, was_here: bool) -> None:
        universe, eni = self._universe, effect.resource.id
        if turn != self._turns[process.boot, eni]:
            return  # it was asked for anew, and what comes of that is told
        if eni in process.wanted and not self.there(process.host, eni):
            if universe.now - since < PLUG_DEADLINE_MS:
                universe.at(universe.now + LOOK_EVERY_MS, self._wait, process, effect, turn, since, was_here)
            elif was_here and self._is_here(process, eni):
                process.post(ev.GuestArmed(effect.group, effect.resource, "no such link"))
            else:
                here = self._was_here(process, effect)
                universe.at(universe.now + LOOK_EVERY_MS, self._wait, process, effect, turn, universe.now, here)
            return
        if eni in process.wanted:
            universe.carry(process, effect)
        process.post(ev.GuestArmed(effect.group, effect.resource))

    @staticmethod
    def _was_here(process: Process, effect: Arm) -> bool:
        """Whether the last reading says so."""
        sighting = process.node.context.holders.sighting(effect.resource)
        return sighting is not None and sighting.holder == process.host.member.instance_id

    def _is_here(self, process: Process, eni: str) -> bool:
        """Whether the cloud says so when it is asked."""
        reached = not self._universe.sky.outages[process.name]
        return reached and self._universe.holder[eni] == process.host.member.instance_id
