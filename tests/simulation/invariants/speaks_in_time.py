"""Who listens to a node that changes its intervals is not kept waiting for its next word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.election import effects as fx
from tests.simulation.invariants.base import Invariant
from tests.simulation.process import waits_ms

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from tests.simulation.process import Process


class SpeaksInTime(Invariant):
    """A node that has taken in another file speaks again before any peer that hears it has reason to suspect it.

    That is half of what the peer waits for it, by its own file and by what it has heard of the node's. Whoever has
    heard nothing for all of that time has taken the node for dead already.
    """

    name = "speaks-in-time"
    decisions = (fx.SendAdverts,)

    def on_decision(self, process: Process, effect: Effect) -> None:  # noqa: ARG002 - the base's signature
        if process.retimed_at is None:
            return
        next_ms = process.node.deadline - process.clock
        for host in self.universe.hosts.values():
            listener = host.process
            if listener is None or listener is process or listener.frozen:
                continue
            patience_ms, heard = waits_ms(listener, process.name), listener.heard.get(process.name)
            if heard is None or heard.advert is not heard.sure or listener.clock - heard.at >= patience_ms:
                continue
            since_started, suspects_ms = heard.at - host.offset_ms >= process.started_at, patience_ms // 2
            if since_started and next_ms > suspects_ms:
                self.broken(
                    f"{process.name} speaks in {next_ms} ms, {host.member.name} suspects in {suspects_ms} ms"
                )
