"""A seed expands into a set of options, which is printed: the same seed gives the same life, on any machine.

Each seed enables a random few of the kinds of faults (swarm testing: what is rare in a mixture of everything is
common where only little is enabled), each with its own lengths of trouble and of calm.
"""

from __future__ import annotations

import random
from dataclasses import astuple, dataclass, fields, replace
from typing import TYPE_CHECKING

from hafailover.election.values import GroupName, Handover, Policy, Resource, ResourceKind, Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GROUP, OTHER_GROUP = GroupName("vip"), GroupName("other")
CHECK = "web"
ADDRESSES = ("10.0.1.100", "10.0.1.101")
OTHER_ADDRESS = "10.0.1.110"  # of the other group, which has nothing else
SIX = "2001:db8:1::100"
ENIS = ("eni-11111111", "eni-22222222")  # each with an address of its own
CALM_MS = 120_000
TROUBLE_MS = 480_000
NAMES = "abcde"
FENCED_MS = 120_000  # within which a host that was powered off is back, and has what is its own by rank

# (interval, dead interval, restart grace)
TIMINGS = ((1_000, 3_000, 6_000), (1_000, 4_000, 4_000), (500, 1_500, 3_000), (200, 1_000, 3_000))

# Seeds below live the lives that they lived when they found something; what is drawn since is drawn for the others.
NEW_SEEDS = 10_000
NEW_KINDS = ("slow-hooks",)
# A life costs what it has in events. So those with short intervals are short: as many heartbeats as the others.
NEW_TIMINGS = (
    (Timing(1_000, 3_000, 6_000, 30_000), 1),
    (Timing(1_000, 4_000, 4_000, 10_000), 1),
    (Timing(500, 1_500, 3_000, 30_000), 2),
    (Timing(200, 1_000, 3_000, 30_000), 4),
    (Timing(100, 400, 2_000, 10_000), 8),
)

# From here on a life may have ENIs, IPv6 addresses and EIPs, and what befalls these. They are drawn from random
# numbers of their own, so that the seeds below stand for the lives that they stood for.
RESOURCE_SEEDS = 10_000_000
RESOURCE_KINDS = ("quota", "mutex", "take-refused", "to-stranger")
ENI_KINDS = ("no-eni-migration", "late-links", "no-links")

# From here on nodes may be paused, and their file be read again with another timing; drawn apart again.
RELOAD_SEEDS = 10_010_000
RELOAD_KINDS = ("pause", "reload")

# From here on a third of the lives have a broker, and what befalls it; drawn apart again.
BROKER_SEEDS = 10_100_000
BROKER_KINDS = (
    "broker-down",
    "broker-cut",
    "broker-restart",
    "broker-takeover",
    "broker-stale",
    "broker-replay",
    "broker-late-wills",
    "broker-slow",
    "broker-spikes",
    "broker-loss",
    "broker-double",
)

# From here on a second group, or one node of several, may come and go by the file, with no broker; drawn apart.
REGROUP_SEEDS = 20_000_000
REGROUP_KINDS = ("regroup", "renode")

CUTTING = ("cut", "one-way-cut", "isolate", "partition", "flapping")  # of UDP alone, for a broker to bridge
LATER_KINDS = (*RESOURCE_KINDS, *ENI_KINDS, *RELOAD_KINDS, *BROKER_KINDS, *REGROUP_KINDS)

# Without one of these nothing would move, and what befalls moves would befall nothing.
STIRRING = ("power-off", "kill", "host-dark", "isolate-host", "service-down", "failover", "console", "freeze")


@dataclass(frozen=True, slots=True)
class Wave:
    """How one kind of fault comes and goes: the least and the mean length of trouble, and of calm between."""

    kind: str
    least_ms: int
    mean_ms: int
    least_calm_ms: int
    mean_calm_ms: int


@dataclass(frozen=True, slots=True)
class Options:
    """All that is drawn before a life begins. Times are in milliseconds."""

    seed: int
    priorities: tuple[tuple[str, int], ...]
    timing: Timing  # of the first version of the file
    preempt: bool = False
    preempt_delay_ms: int = 0
    handover: Handover = Handover.OVERLAP
    demote: bool = False
    guards: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("udp",)  # with "mqtt" there is a broker
    broker_ms: int = 5  # one way to it
    strategy: str = "migrate"
    groups: int = 1
    addresses: int = 1
    sixes: int = 0  # IPv6 addresses, of which there is one
    enis: int = 0
    eips: int = 0  # so many of the addresses have one
    retimed: Timing | None = None  # of another version of the file
    plug_ms: int = 500  # from an ENI's attachment to its link on the guest
    checked: bool = True
    hold_down_ms: int = 30_000
    api_ms: int = 100  # the median of one request
    api_spread: float = 0.3  # sigma of the logarithm
    task_ms: int = 500
    link_ms: int = 1
    disk_ms: int = 0
    guest_ms: int = 0
    paused: bool = False
    witnesses: tuple[str, ...] = ()
    fence: bool = False
    hook_ms: int = 200  # what a hook takes
    hook_timeout_ms: int = 30_000
    waves: tuple[Wave, ...] = ()
    calm_ms: int = CALM_MS
    trouble_ms: int = TROUBLE_MS

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What all groups have."""
        return tuple(each for policy in self.policies for each in policy.resources)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All groups; the second is treated as the first."""
        other = (Resource(ResourceKind.ADDRESS, OTHER_ADDRESS),)
        second = replace(self.policy, group=OTHER_GROUP, resources=other)
        return (self.policy, second)[: self.groups]

    @property
    def _first_resources(self) -> tuple[Resource, ...]:
        addresses = (*ADDRESSES[: self.addresses], *(SIX,) * self.sixes)
        enis = (Resource(ResourceKind.ENI, each) for each in ENIS[: self.enis])
        return (*(Resource(ResourceKind.ADDRESS, each) for each in addresses), *enis)

    @property
    def hasty(self) -> Timing:
        """What nobody may undercut, whichever version of the file is in force."""
        return self._extreme(min)

    @property
    def patient(self) -> Timing:
        """What nobody may exceed."""
        return self._extreme(max)

    def _extreme(self, choose: Callable[[int, int], int]) -> Timing:
        if self.retimed is None:
            return self.timing
        both = zip(astuple(self.timing), astuple(self.retimed), strict=True)
        return Timing(*(choose(one, other) for one, other in both))

    @property
    def policy(self) -> Policy:
        """The first group as its configuration would have it."""
        return Policy(
            group=GROUP,
            resources=self._first_resources,
            preempt=self.preempt,
            preempt_delay_ms=self.preempt_delay_ms,
            handover=self.handover,
            demote_when_isolated=self.demote,
            hold_down_ms=self.hold_down_ms,
            guards=self.guards,
            fence=self.fence,
            hook_timeout_ms=self.hook_timeout_ms,
            checks=((CHECK, 0),) if self.checked else (),
        )

    def told(self) -> str:
        """Return the options as one text, a line for the life and one for each kind of fault."""
        shown = (each.name for each in fields(self) if each.name not in ("waves", "timing"))
        lines = [" ".join(f"{name}={_plain(getattr(self, name))}" for name in shown), f"  {self.timing}"]
        lines.extend(f"  {wave}" for wave in self.waves)
        return "\n".join(lines)


def _plain(value: object) -> object:
    return value.value if isinstance(value, Handover) else value


def expand(seed: int, kinds: tuple[str, ...]) -> Options:
    """Return the options of a seed; `kinds` are the faults to choose from."""
    rng = random.Random(f"{seed}:options")  # noqa: S311 - to be repeated, not secret
    if seed >= REGROUP_SEEDS:
        return _with_regroups(_with_broker(_with_reloads(_with_resources(_newer(rng, seed, kinds)))))
    if seed >= BROKER_SEEDS:
        return _with_broker(_with_reloads(_with_resources(_newer(rng, seed, kinds))))
    if seed >= RELOAD_SEEDS:
        return _with_reloads(_with_resources(_newer(rng, seed, kinds)))
    if seed >= RESOURCE_SEEDS:
        return _with_resources(_newer(rng, seed, kinds))
    if seed >= NEW_SEEDS:
        return _newer(rng, seed, kinds)
    return _drawn(rng, seed, kinds)


def kinds_of(seed: int, kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of faults that a seed has to choose from; those of new resources come on top."""
    return tuple(kind for kind in kinds if kind not in LATER_KINDS and (seed >= NEW_SEEDS or kind not in NEW_KINDS))


def _newer(rng: random.Random, seed: int, kinds: tuple[str, ...]) -> Options:
    """Return the options of a seed that may have everything."""
    drawn = _drawn(rng, seed, kinds)
    timing, haste = rng.choices(NEW_TIMINGS, (10, 8, 3, 1, 1))[0]
    guards = rng.choice((drawn.guards, drawn.guards, (*drawn.guards, "gateway"), (*drawn.guards, "quorum")))
    nodes = drawn.priorities
    watched = len(nodes) > 2 and rng.random() < 0.4
    strict = drawn.handover is Handover.STRICT or rng.random() < 0.1
    fence = rng.random() < 0.1
    return replace(
        drawn,
        timing=timing,
        guards=guards if len(nodes) > 2 else tuple(each for each in guards if each != "quorum"),
        witnesses=(nodes[-1][0],) if watched else (),
        handover=Handover.STRICT if strict else Handover.OVERLAP,
        fence=fence,
        hook_ms=rng.choice((0, 200, 3_000, 20_000)) if strict else 200,
        hook_timeout_ms=rng.choice((5_000, 30_000)),
        calm_ms=max(30_000, drawn.calm_ms // haste) + drawn.preempt_delay_ms + (FENCED_MS if fence else 0),
        trouble_ms=drawn.trouble_ms // haste,
    )


def _with_resources(drawn: Options) -> Options:
    """Return the options of a seed that may have every kind of resource, which half of them have."""
    rng = random.Random(f"{drawn.seed}:resources")  # noqa: S311 - to be repeated, not secret
    enis = rng.choices((0, 1, 2), (5, 4, 1))[0]
    addresses = 0 if enis and rng.random() < 0.6 else drawn.addresses
    released = drawn.strategy == "reassign"
    kinds = (*RESOURCE_KINDS, *ENI_KINDS) if enis else RESOURCE_KINDS
    chosen = rng.sample(kinds, rng.choices((0, 1, 2, 3), (4, 4, 2, 1))[0])
    return replace(
        drawn,
        enis=enis,
        addresses=addresses,
        sixes=int(addresses > 0 and rng.random() < 0.2),
        eips=rng.randrange(addresses + 1) if rng.random() < (0.8 if released else 0.2) else 0,
        plug_ms=rng.choice((50, 500, 2_000, 6_000)),
        waves=(*drawn.waves, *(_wave(rng, kind) for kind in chosen)),
    )


def _with_reloads(drawn: Options) -> Options:
    """Return the options of a seed with two groups perhaps, whose people may pause nodes and change the file."""
    rng = random.Random(f"{drawn.seed}:reloads")  # noqa: S311 - to be repeated, not secret
    # A life that is short for its short intervals stays so; one with long ones would cost more with shorter.
    slow = [timing for timing, haste in NEW_TIMINGS if haste == 1]
    retimed = rng.choice(slow) if rng.random() < 0.2 else None
    kinds = ("pause",) * (rng.random() < 0.15) + ("reload",) * (retimed is not None)
    groups = 2 if rng.random() < 0.08 and not drawn.fence else 1
    return replace(
        drawn, groups=groups, retimed=retimed, waves=(*drawn.waves, *(_wave(rng, kind) for kind in kinds))
    )


def _with_broker(drawn: Options) -> Options:
    """Return the options of a seed with a broker perhaps, beside UDP or in its place."""
    rng = random.Random(f"{drawn.seed}:with-broker")  # noqa: S311 - to be repeated, not secret
    if rng.random() >= 1 / 3:
        return drawn
    alone = rng.random() < 0.25
    guards = (*drawn.guards, "mqtt") if alone or rng.random() < 0.5 else drawn.guards
    chosen = rng.sample(BROKER_KINDS, rng.choices((0, 1, 2, 4), (1, 4, 3, 1))[0])
    if not alone and not {each.kind for each in drawn.waves} & {*CUTTING}:
        chosen += rng.sample(CUTTING, rng.randrange(2))
    return replace(
        drawn,
        paths=("mqtt",) if alone else ("udp", "mqtt"),
        guards=guards,
        broker_ms=rng.choice((1, 2, 5, 20)),
        waves=(*drawn.waves, *(_wave(rng, kind) for kind in chosen)),
    )


def _with_regroups(drawn: Options) -> Options:
    """Return the options of a seed whose second group, or one of whose nodes, is in the file for a while only."""
    rng = random.Random(f"{drawn.seed}:regroups")  # noqa: S311 - to be repeated, not secret
    chance, several = rng.random(), len(drawn.priorities) > 2
    kind = "regroup" if chance < 1 / 3 else "renode" if several and chance < 5 / 6 else ""
    if not kind or drawn.fence:
        return drawn
    kept = tuple(wave for wave in drawn.waves if wave.kind not in (*BROKER_KINDS, "reload"))
    guards = tuple(guard for guard in drawn.guards if guard != "mqtt")
    return replace(
        drawn,
        groups=2 if kind == "regroup" else drawn.groups,
        retimed=None,
        paths=("udp",),
        guards=guards,
        waves=(*kept, _wave(rng, kind)),
    )


def _drawn(rng: random.Random, seed: int, kinds: tuple[str, ...]) -> Options:
    names = NAMES[: rng.choices((2, 3, 4, 5), (12, 4, 1, 1))[0]]
    preempt = rng.random() < 0.35
    return Options(
        seed=seed,
        priorities=tuple((name, rng.choice((100, 100, 90, 80))) for name in names),
        timing=_timing(rng),
        preempt=preempt,
        preempt_delay_ms=rng.choice((0, 5_000, 30_000)) if preempt else 0,
        handover=Handover.STRICT if rng.random() < 0.2 else Handover.OVERLAP,
        demote=rng.random() < 0.25,
        guards=rng.choice(((), ("vip",), ("cloud",), ("vip", "cloud"), ("vip", "cloud"))),
        strategy="reassign" if rng.random() < 0.3 else "migrate",
        addresses=2 if rng.random() < 0.2 else 1,
        checked=rng.random() < 0.8,
        hold_down_ms=rng.choice((5_000, 30_000, 30_000)),
        api_ms=rng.choice((30, 100, 200, 600)),
        api_spread=rng.choice((0.0, 0.3, 0.8)),
        task_ms=rng.choice((100, 500, 1_000, 4_000)),
        link_ms=rng.choice((1, 1, 5, 40)),
        disk_ms=rng.choice((0, 0, 2, 60)),
        guest_ms=rng.choice((0, 0, 5)),
        paused=rng.random() < 0.03,
        waves=_waves(rng, kinds),
    )


def _timing(rng: random.Random) -> Timing:
    interval_ms, dead_ms, grace_ms = rng.choices(TIMINGS, (5, 4, 3, 2))[0]
    return Timing(interval_ms, dead_ms, grace_ms, rng.choice((10_000, 30_000, 30_000)))


def _waves(rng: random.Random, kinds: tuple[str, ...]) -> tuple[Wave, ...]:
    chosen = rng.sample(kinds, min(len(kinds), rng.choices((1, 2, 3, 5, 8), (4, 5, 4, 3, 1))[0]))
    stirring = [kind for kind in kinds if kind in STIRRING]
    if stirring and not set(chosen) & set(stirring):
        chosen.append(rng.choice(stirring))
    return tuple(_wave(rng, kind) for kind in chosen)


def _wave(rng: random.Random, kind: str) -> Wave:
    return Wave(
        kind=kind,
        least_ms=rng.choice((100, 1_000, 5_000)),
        mean_ms=rng.choice((500, 3_000, 10_000, 40_000)),
        least_calm_ms=rng.choice((1_000, 10_000, 40_000)),
        mean_calm_ms=rng.choice((5_000, 20_000, 60_000)),
    )
