"""What may be a recording moves nobody."""

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
    from hafailover.election.group import Group
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

# What a node may do all the same at that moment: follow, or go on with what its own readings have told it.
HARMLESS = (
    Reason.HEARD_MASTER,
    Reason.HELD_AT_START,
    Reason.HELD,
    Reason.CLAIM_DONE,
    Reason.CHECK_PASSED,
    Reason.CHECK_FAILED,  # its own, when the time for the hook was over
    Reason.LISTENED,
    Reason.STOPPING,  # it stops in any case, and had only waited for somebody to hand over to
    Reason.CLAIM_LOST,  # what another claimant has that turns out to live is left to it
    Reason.CLAIM_VOID,  # and what a master has that comes back, before anything was asked of the cloud
)


# What may take an address off the guest: following a master, ending a claim that had only got ready, and the end.
LETS_GO = (Reason.HEARD_MASTER, Reason.CLAIM_VOID, Reason.CLAIM_LOST, Reason.STOPPING)


class UnconfirmedWord(Invariant):
    """An advert that could be a recording makes nobody claim, step down or let an address go (S11)."""

    name = "unconfirmed-word"

    def on_handled(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        if not isinstance(event, ev.AdvertReceived) or event.confirmed:
            return
        heard = process.heard[event.advert.node]
        said = None if heard.sure is None else heard.sure.groups[0].state
        due = [*HARMLESS]  # and what follows from the last confirmed word, of which this is a sign of life
        if said is not None and not said.serves:
            due += [Reason.MASTER_FAULT, Reason.MASTER_ABSENT, Reason.PREEMPTED]
        group = next(iter(process.node.groups.values()))
        if group.last_master != event.advert.node and "quorum" not in group.policy.guards:
            due += [Reason.MASTER_DEAD, Reason.MASTER_GONE]  # of somebody else, whose time was over
        if _from_nobody(self.universe, group):
            due += [Reason.MASTER_ABSENT]
        before = None if heard.sure is not None or heard.before is None else heard.before.groups[0].state
        if before is not None and (before is State.CLAIMING or before.serves):
            due += [Reason.MASTER_ABSENT]  # only a word of the same worth kept it from that
        changes = [each for each in effects if isinstance(each, fx.RoleChanged) and each.reason not in due]
        dropped = [each for each in effects if isinstance(each, fx.StopAnswering)]
        follows = any(isinstance(each, fx.RoleChanged) and each.reason in LETS_GO for each in effects)
        if changes or (dropped and not follows):
            self.broken(f"{process.name} acts on an unconfirmed word of {event.advert.node}: {changes or dropped}")


def _from_nobody(universe: Universe, group: Group) -> bool:
    """Return whether nobody has anything, or had when the node last read: it cannot know what has moved since."""
    seen = group.sightings(group.trust_after)
    read_so = seen is not None and all(each.settled and each.holder is None for each in seen)
    return read_so or not any(universe.holder.values())
