"""What all paths of a node know together of one peer: which of its daemons lives, and how new its words are. PURE.

Each path has its own sequences and asks its own challenges (`session`), for a datagram of one path must not be
replayed on another. Two things belong to the peer and not to a path:

- *Which boot is the living one.* A boot that was confirmed on one path ends the former one on all of them, and the
  candidates of all paths have to answer a later challenge, for the reason that `session` gives: what a boot that
  has ended sent over the slow path would else displace the successor that the fast path has confirmed.
- *What is new.* The paths of one daemon share its clock, so "sent at" orders its words across them, where their
  sequences cannot. A message that a broker held back is authentic and the next of its path, and older than what UDP
  has brought long ago. Group by group, since the parts of a split advert may come on different paths.

An equal time is the same advert on another path: it says nothing new and is no new sign of life either. Else a
broker that is slow would stretch the time after which a dead peer is found dead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hafailover.election.values import Advert, GroupName, NodeName

MAX_RETIRED: Final = 16
_NEVER: Final = -1


class Lineage:
    """The daemons of one peer, one after the other, on all paths together."""

    __slots__ = ("_groups", "_head", "_head_at_us", "_retired", "boot", "generation", "heard_at_us", "pauses_us")

    def __init__(self) -> None:
        self.boot: bytes | None = None  # confirmed, and not displaced since
        self.generation = 0  # how many boots were confirmed
        self.heard_at_us = 0  # when that boot was last heard, on whichever path
        self.pauses_us = 0  # half the dead interval that it asks for: it may well be as silent as that
        self._retired: deque[bytes] = deque(maxlen=MAX_RETIRED)
        self._begin()

    def _begin(self) -> None:
        self._head: Advert | None = None
        self._head_at_us = _NEVER
        self._groups: dict[GroupName, int] = {}

    def is_over(self, boot: bytes) -> bool:
        """Tell whether a boot's successor has been confirmed."""
        return boot in self._retired

    def confirm(self, boot: bytes) -> None:
        """Take a boot for the living one; that of before is over."""
        if boot == self.boot:
            return
        if self.boot is not None:
            self._retired.append(self.boot)
        self.boot = boot
        self.generation += 1
        self._begin()

    def news(self, advert: Advert, sent_at_us: int) -> Advert | None:
        """Return what an advert of the living boot says that is newer than what was heard of it; None for nothing.

        What it says of the node itself is replaced by newer words; groups that are known as of then or later are
        left out. `sent_at_us` is on the peer's clock.
        """
        said = self._groups
        fresh = tuple(group for group in advert.groups if said.get(group.group, _NEVER) < sent_at_us)
        newer = sent_at_us > self._head_at_us
        if not newer and not fresh:
            return None
        said.update((group.group, sent_at_us) for group in fresh)
        if newer or self._head is None:
            self._head, self._head_at_us = replace(advert, groups=()), sent_at_us
        elif sent_at_us < self._head_at_us:
            return replace(self._head, groups=fresh)
        return advert if len(fresh) == len(advert.groups) else replace(advert, groups=fresh)


class Lineages:
    """One lineage for each peer, shared by the paths; `several`: whether there is more than one path."""

    __slots__ = ("_of", "several")

    def __init__(self, *, several: bool = False) -> None:
        self.several = several
        self._of: dict[NodeName, Lineage] = {}

    def of(self, peer: NodeName) -> Lineage:
        """Return a peer's lineage, the same one for each path."""
        return self._of.setdefault(peer, Lineage())
