"""One group of a life with several, as if it were alone: what an invariant is shown of it, and what it sees.

An invariant speaks of one group. Where nodes have several, each is judged by a set of invariants of its own, which
sees the universe through a `Part`: the same hosts and daemons, and of everything that is told by groups, only this.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import Leaving
from tests.simulation.invariants.base import Invariant
from tests.simulation.invariants.model_allows import ModelAllows
from tests.simulation.options import REGROUP_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.values import Advert, GroupName, Policy
    from hafailover.emulator.values import Change
    from tests.simulation.broker import Word
    from tests.simulation.host import Host
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe


class Seen:
    """Something as it is, but for what a subclass says otherwise."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def __getattr__(self, name: str) -> Any:
        """Return what the whole has."""
        return getattr(self.whole, name)


class SeenNode(Seen):
    """A core with one group."""

    def __init__(self, whole: Any, group: GroupName) -> None:
        super().__init__(whole)
        self._group = group

    @property
    def groups(self) -> dict[GroupName, Any]:
        """That one."""
        return {self._group: self.whole.groups[self._group]}


class SeenProcess(Seen):
    """A daemon with one group, and what it has heard of that; one anew each time that the group comes."""

    def __init__(self, whole: Process, part: Part, group: Any) -> None:
        super().__init__(whole)
        self._part = part
        self.known = group
        self.boot, self._turns_before = part.next_boot(whole)
        self.node = SeenNode(whole.node, part.group)
        self.host = part.hosts[whole.name]

    @property
    def turns(self) -> int:
        """Events handled since the group came."""
        return int(self.whole.turns) - self._turns_before

    @property
    def heard(self) -> dict[str, Any]:
        """What was heard of each peer that speaks of the group."""
        seen = {name: SeenHeard(heard, self._part) for name, heard in self.whole.heard.items()}
        return {name: heard for name, heard in seen.items() if heard.advert is not None}


class SeenHeard(Seen):
    """What was heard of one peer, as far as it is of this group."""

    def __init__(self, whole: Any, part: Part) -> None:
        super().__init__(whole)
        self.advert, self.before, self.sure = (part.said(each) for each in (whole.advert, whole.before, whole.sure))


class SeenHost(Seen):
    """A host with what it carries and remembers of one group."""

    def __init__(self, whole: Host, part: Part) -> None:
        super().__init__(whole)
        self._part = part

    @property
    def process(self) -> Process | None:
        """The daemon, if it runs and has the group."""
        process = self.whole.process
        return None if process is None or not self._part.knows(process) else self._part.process(process)

    @property
    def guest(self) -> set[str]:
        """What the guest carries."""
        return {each for each in self.whole.guest if each in self._part.resources}

    @property
    def memory(self) -> Any:
        """What is on the disk."""
        memory = self.whole.memory
        return replace(memory, groups=tuple(each for each in memory.groups if each.group == self._part.group))


class Part(Seen):
    """The universe with one group."""

    def __init__(self, whole: Universe, policy: Policy) -> None:
        super().__init__(whole)
        self.group = policy.group
        self.resources = {each.id: each for each in policy.resources}
        self.options = SeenOptions(whole.options, policy)
        self.hosts: dict[str, Host] = {
            name: cast("Host", SeenHost(each, self)) for name, each in whole.hosts.items()
        }
        self.by_holder = {holder: self.hosts[host.member.name] for holder, host in whole.by_holder.items()}
        self.bound = whole.bound if policy is whole.options.policies[0] else {}
        self._processes: dict[int, Process] = {}
        self._comings = 0
        self._alert = False
        self._advert: tuple[Advert | None, Advert | None] = (None, None)
        self._effects: tuple[tuple[Effect, ...], tuple[Effect, ...]] = ((), ())

    @property
    def holder(self) -> dict[str, str | None]:
        """Who has what."""
        return {name: self.whole.holder[name] for name in self.resources}

    @property
    def alert(self) -> bool:
        """Whether an invariant of this group wants to see every event now."""
        return self._alert

    @alert.setter
    def alert(self, value: bool) -> None:
        self._alert = value
        self.whole.alert = any(part._alert for part in self.whole.parts)

    def answered(self) -> bool:
        """Whether a client would get answers from every address now."""
        return all(self.serves(self.by_holder.get(each or ""), name) for name, each in self.holder.items())

    def process(self, process: Process) -> Process:
        """Return a daemon as it is seen here."""
        seen, group = self._processes.get(process.boot), process.node.groups[self.group]
        if seen is None or cast("SeenProcess", seen).known is not group:
            seen = self._processes[process.boot] = cast("Process", SeenProcess(process, self, group))
        return seen

    def knows(self, process: Process) -> bool:
        """Whether a daemon has the group now."""
        return self.group in process.node.groups

    def next_boot(self, process: Process) -> tuple[int, int]:
        """Return what tells a daemon, and a group of it that has come again, from others; its turns so far."""
        if process.boot not in self._processes:
            return process.boot, 0
        self._comings += 1
        return self._comings * 1_000_000 + process.boot, process.turns

    # -- what is told -----------------------------------------------------------------------------------------

    def advert(self, advert: Advert) -> Advert:
        """Return an advert with what it says of this group; the same is asked for again and again."""
        if self._advert[0] is not advert:
            said = tuple(each for each in advert.groups if each.group == self.group)
            self._advert = advert, replace(advert, groups=said)
        assert self._advert[1] is not None
        return self._advert[1]

    def said(self, advert: Advert | None) -> Advert | None:
        """Return what an advert says of this group, None where that is nothing."""
        seen = None if advert is None else self.advert(advert)
        return seen if seen is not None and seen.groups else None

    def event(self, event: Event) -> Event | None:
        """Return an event as far as it is of this group, None where it is another's."""
        if isinstance(event, ev.AdvertReceived):
            said = self.said(event.advert)
            return None if said is None else replace(event, advert=said)
        if isinstance(event, ev.HoldersRead):
            seen = tuple(each for each in event.sightings if each.resource.id in self.resources)
            return replace(event, sightings=seen)
        return event if getattr(event, "group", None) in (None, self.group) else None

    def effects(self, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        """Return those effects that are of this group; each invariant asks for the same ones."""
        if self._effects[0] is not effects:
            self._effects = effects, tuple(seen for each in effects if (seen := self.effect(each)) is not None)
        return self._effects[1]

    def effect(self, effect: Effect) -> Effect | None:
        """Return an effect as far as it is of this group, None where it is another's."""
        if isinstance(effect, fx.SendAdverts):
            said = self.said(effect.advert)
            return None if said is None else fx.SendAdverts(said)
        return effect if getattr(effect, "group", self.group) == self.group else None


class SeenOptions(Seen):
    """Options with one group."""

    def __init__(self, whole: Any, policy: Policy) -> None:
        super().__init__(whole)
        self.policy, self.resources = policy, policy.resources


def judges(universe: Universe, kinds: Iterable[type[Invariant]]) -> list[Invariant]:
    """Return the invariants of a life: where it has several groups, a set for each."""
    if len(universe.options.policies) == 1:
        nodes_change = any(wave.kind == "renode" for wave in universe.options.waves)
        return [kind(universe) for kind in kinds if kind is not ModelAllows or not nodes_change]
    universe.parts = [Part(universe, policy) for policy in universe.options.policies]
    comes_and_goes = any(wave.kind in REGROUP_KINDS for wave in universe.options.waves)
    made: list[Invariant] = [Usher(universe)] if comes_and_goes else []
    for kind in kinds:
        alone = kind is ModelAllows  # it knows of groups, and not that they come and go
        if alone and comes_and_goes:
            continue
        made += [kind(universe)] if alone else [OfPart(kind, part) for part in universe.parts]
    return made


class Usher(Invariant):
    """No sentence: shows the invariants of a group its coming to a daemon that runs, as that daemon's start."""

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._had: dict[int, frozenset[GroupName]] = {}

    def on_start(self, process: Process) -> None:
        self._had[process.boot] = frozenset(process.node.groups)

    def on_handled(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:  # noqa: ARG002 - the base's signature
        if not isinstance(event, ev.Reconfigured):
            return
        had, leaving = self._had[process.boot], process.node.context.leaving
        self._had[process.boot] = frozenset(process.node.groups)
        for each in self.universe.invariants:
            if isinstance(each, OfPart) and each.group in self._had[process.boot] - had:
                each.on_start(process)
                if leaving is not Leaving.NO and ev.StopAsked in each.events:
                    each.on_event(process, ev.StopAsked(restarting=leaving is Leaving.RESTARTING))


class OfPart(Invariant):
    """An invariant of one group among several; none of these looks at every turn."""

    def __init__(self, kind: type[Invariant], part: Part) -> None:
        seen = cast("Universe", part)
        super().__init__(seen)
        self.inner, self._part, self.group = kind(seen), part, part.group
        self.decisions, self.effects, self.events = kind.decisions, kind.effects, kind.events  # type: ignore[misc]

    def on_event(self, process: Process, event: Event) -> None:
        seen = self._part.event(event)
        if seen is not None and self._part.knows(process):
            self.inner.on_event(self._part.process(process), seen)

    def on_word(self, process: Process, event: ev.AdvertReceived, word: Word) -> None:
        seen = cast("ev.AdvertReceived", self._part.event(event))
        self.inner.on_word(self._part.process(process), seen, word)

    def on_decision(self, process: Process, effect: Effect) -> None:
        seen = self._part.effect(effect)
        if seen is not None and self._part.knows(process):
            self.inner.on_decision(self._part.process(process), seen)

    def on_effect(self, process: Process, effect: Effect) -> None:
        seen = self._part.effect(effect)
        if seen is not None and self._part.knows(process):
            self.inner.on_effect(self._part.process(process), seen)

    def on_handled(self, process: Process, event: Event, effects: tuple[Effect, ...]) -> None:
        if not self._part.knows(process) or self._part.event(event) is None:
            return
        seen = self._part.effects(effects)
        self.inner.on_handled(self._part.process(process), event, seen)

    def on_change(self, change: Change) -> None:
        if change.resource in self._part.resources:
            self.inner.on_change(change)

    def on_eip(self, change: Change) -> None:
        if change.resource in self._part.bound:
            self.inner.on_eip(change)

    def on_start(self, process: Process) -> None:
        if self._part.knows(process):
            self.inner.on_start(self._part.process(process))

    def on_resume(self, process: Process) -> None:
        if self._part.knows(process):
            self.inner.on_resume(self._part.process(process))

    def on_strike(self, kind: str, *, over: bool) -> None:
        self.inner.on_strike(kind, over=over)

    def at_end(self) -> None:
        self.inner.at_end()
