"""A simulated host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.election.values import Memory

if TYPE_CHECKING:
    from hafailover.cloud.eips import Binding
    from hafailover.election.values import GroupName, Member
    from tests.simulation.process import Process


@dataclass(eq=False)
class Host:
    """One CVM: what survives its daemon, and the daemon while it runs.

    `offset_ms`: its monotonic clock minus the universe's.
    """

    member: Member
    offset_ms: int
    memory: Memory = field(default_factory=Memory)
    older_memory: Memory = field(default_factory=Memory)
    eips: tuple[Binding, ...] = ()  # what the keeper of EIPs has on its disk
    older_eips: tuple[Binding, ...] = ()
    process: Process | None = None
    powered: bool = True
    suspended: bool = False
    service: bool = True
    crippled: bool = False  # the guest's network cannot be configured
    guest: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)  # what the guest put there after it was let go: it goes at once
    slowness: int = 1  # how many times longer than it should a hook takes
    dark: int = 0  # how many faults keep its network card from everything, the gateway included
    on_since: int = -1  # when it was last powered on
    # When the latest hook of each group that something waits for will have ended.
    hooks_until: dict[GroupName, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.older_memory = self.memory

    def note_eips(self, bindings: tuple[Binding, ...]) -> None:
        """Put the EIPs on the disk."""
        self.older_eips, self.eips = self.eips, bindings

    @property
    def running(self) -> bool:
        """Whether a daemon turns here."""
        return self.process is not None and not self.process.frozen
