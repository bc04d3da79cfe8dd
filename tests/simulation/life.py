"""A seed's life: calm, trouble, healing, and then all must come right within a bound computed beforehand."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.election.holddown import CAP_MS
from hafailover.election.returns import LAG_MS
from hafailover.election.values import Handover, State
from tests.simulation.eips import eip_bound_ms
from tests.simulation.faults import Storm
from tests.simulation.invariants import ALL
from tests.simulation.invariants.double_answer import DoubleAnswer
from tests.simulation.invariants.model_allows import ModelAllows
from tests.simulation.parts import OfPart, judges
from tests.simulation.plugs import PLUG_DEADLINE_MS
from tests.simulation.sky import CALL_TIMEOUT_MS, FENCE_MS, LIFE_MS, MOVE_DEADLINE_MS
from tests.simulation.survey import Survey
from tests.simulation.universe import Broken, Universe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hafailover.election.group import Group
    from tests.simulation.host import Host
    from tests.simulation.invariants.base import Invariant
    from tests.simulation.options import Options

QUIET_MS = 60_000  # after everything has come right, nothing may move
LOOK_EVERY_MS = 500
BACKOFF_MS = 5_000  # the cap of the core's own waits
RETRY_MS = 10_000  # until a guest that failed is tried again
RELEASE_MS = 30_000  # what a hand-over may take
BROKER_BACK_MS = (
    15_000  # until all are back at a broker and the guard trusts it (link.LONGEST_DELAY_S, SETTLING_US)
)

Bounded = tuple[int, int]


@dataclass(slots=True)
class Outcome:
    """What one life has shown."""

    options: Options
    broken: Broken | None = None
    sha256: str = ""
    trace: list[str] = field(default_factory=list)
    simulated_ms: int = 0
    events: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    moves: int = 0
    dark: list[tuple[int, str]] = field(default_factory=list)  # (length, the kind that struck last before it)
    double_ms: int = 0
    healed_in_ms: int = 0
    healed_at: int | None = None  # None where a life did not come so far
    cpu_s: float = 0.0
    # Each the longest of its kind, with the bound that the configuration gives it.
    double: Bounded = (0, 1)  # a node answers for what the cloud has given to another
    recovery: Bounded = (0, 1)  # from the last fault's end until all is as it should be
    unanswered: Bounded = (0, 1)  # a client has no answer, after the healing
    vacant: Bounded = (0, 1)  # nobody has the address, after the healing
    longest_vacant_ms: int = 0  # nobody has the address, whatever goes on
    steps: int = 0  # calls of the core that were held against the models
    pairs: set[tuple[str, str]] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)
    failovers: list[tuple[str, int]] = field(default_factory=list)


def live(options: Options, kinds: Iterable[type[Invariant]] = ALL) -> Outcome:
    """Live one life, watched by these invariants; what breaks is in the outcome."""
    began = time.process_time()
    universe = Universe(options)
    invariants = judges(universe, kinds)
    universe.watch(invariants)
    outcome = Outcome(options)
    try:
        _through(universe, outcome)
        for each in invariants:
            each.at_end()
    except Broken as broken:
        outcome.broken = broken
    _account(universe, outcome)
    outcome.cpu_s = time.process_time() - began
    return outcome


def _through(universe: Universe, outcome: Outcome) -> None:
    options = universe.options
    universe.watch([Survey(universe)])
    for name in universe.hosts:
        universe.start(name)
    universe.run_until(options.calm_ms)
    while _handing_over(universe) and universe.now < options.calm_ms + recovery_bound_ms(options):
        universe.run_until(universe.now + LOOK_EVERY_MS)
    if not options.paused:
        _require(astray(universe), "elects")
    storm, end = Storm(universe), universe.now + options.trouble_ms
    storm.begin(end)
    universe.run_until(end)
    storm.heal()
    healed_at, bound_ms = universe.now, recovery_bound_ms(options) + held_down_ms(universe)
    universe.run_until(healed_at + settling_ms(options))
    while (wrong := astray(universe)) and universe.now < healed_at + bound_ms:
        universe.run_until(min(universe.now + LOOK_EVERY_MS, healed_at + bound_ms))
    outcome.healed_in_ms = universe.now - healed_at
    if not options.paused:
        _require(wrong and f"{wrong} after {bound_ms} ms", "recovers")
        outcome.recovery = (outcome.healed_in_ms, max(bound_ms, settling_ms(options)))
        outcome.healed_at = healed_at
    moves = _moves(universe)
    universe.run_until(universe.now + QUIET_MS)
    _require("" if _moves(universe) == moves else "something moved", "quiet")
    if not options.paused:
        _require(astray(universe), "quiet")


def _moves(universe: Universe) -> int:
    """Return what has moved so far, EIPs that were lost with it; one may be remembered at any time."""
    return sum(change.resource in universe.holder or change.after is None for change in universe.cloud.history)


def _handing_over(universe: Universe) -> bool:
    """Whether a first pre-emption is still under way, as with a slow hook, a slow API or a link that comes late."""
    return any(_is_busy(part, host) for part in _parts(universe) for host in part.hosts.values())


def _is_busy(part: Universe, host: Host) -> bool:
    state = _state(host)
    return state in (State.RELEASING, State.CLAIMING) or (
        state is State.MASTER and not host.guest >= set(part.holder)
    )


def _parts(universe: Universe) -> list[Universe]:
    """Return each group as if it were alone."""
    return universe.parts or [universe]


def _require(wrong: str, name: str) -> None:
    if wrong:
        raise Broken(name, wrong)


def settling_ms(options: Options) -> int:
    """Return for how long what happened before the healing may still have its consequences."""
    return options.patient.dead_interval_ms + options.patient.restart_grace_ms


def recovery_bound_ms(options: Options) -> int:
    """Return within what time after all faults have ended the right node must be master, and everybody know it."""
    timing = options.patient
    request_ms = round(options.api_ms * math.exp(3 * options.api_spread))
    patience_ms = max(timing.dead_interval_ms, timing.restart_grace_ms)
    listen_ms = patience_ms + len(options.priorities) * timing.dead_interval_ms
    # An ENI that cannot be migrated is detached and attached after that was refused.
    addresses = options.addresses + options.groups - 1
    calls = addresses * (2 if options.strategy == "reassign" else 1) + 2 * options.sixes + 3 * options.enis
    move_ms = calls * (3 * request_ms + options.task_ms + 1_000) + 2 * request_ms
    straggler_ms = LIFE_MS + max(options.task_ms, 12_000) + 2 * timing.audit_interval_ms
    waits_ms = MOVE_DEADLINE_MS + RELEASE_MS + RETRY_MS + 2 * BACKOFF_MS + options.preempt_delay_ms
    quiet_ms = 2 * options.hook_timeout_ms + 5_000 if options.handover is Handover.STRICT else 0
    # The return rule; in a pair nobody waits for it.
    return_ms = 2 * LAG_MS + timing.request_life_ms + BACKOFF_MS if len(options.priorities) > 2 else 0
    fence_ms = 2 * (FENCE_MS + CALL_TIMEOUT_MS + RETRY_MS) if options.fence else 0
    # A link that fails to come is given its time and then counts as a guest that failed.
    link_ms = options.plug_ms + PLUG_DEADLINE_MS + RETRY_MS if options.enis else 0
    eips_ms = eip_bound_ms(options) if options.eips else 0
    broker_ms = BROKER_BACK_MS if "mqtt" in options.paths else 0
    rest_ms = straggler_ms + waits_ms + return_ms + fence_ms + link_ms + eips_ms + broker_ms
    return listen_ms + 2 * move_ms + 2 * quiet_ms + rest_ms


def held_down_ms(universe: Universe) -> int:
    """Return for how long a node may have to stay away from what it has lost, where rank brings it back.

    What it has lost by now, or finds that it has lost once it runs or reads again.
    """
    hosts = [host for part in _parts(universe) for host in part.hosts.values()]
    groups = [(group, host) for host in hosts if (group := _group(host)) is not None]
    waits = [group.hold_down.until - host.process.clock for group, host in groups if host.process is not None]
    first_ms = universe.options.hold_down_ms
    waits.extend(min(first_ms << min(group.hold_down.losses, 10), CAP_MS) for group, _ in groups)
    return max(waits) if universe.options.preempt else 0


def astray(universe: Universe) -> str:
    """Return what is not as it should be when all is well, empty where nothing is."""
    return next((wrong for part in _parts(universe) if (wrong := _astray(part))), "")


def _astray(universe: Universe) -> str:
    masters = [host for host in universe.hosts.values() if _state(host) is State.MASTER]
    if len(masters) != 1:
        return f"masters: {[host.member.name for host in masters]}"
    master = masters[0]
    looks: tuple[Callable[[Universe, Host], str], ...] = (_roles, _cloud, _guests, _eips, _agreement, _rank, _rest)
    return next((wrong for look in looks if (wrong := look(universe, master))), "")


def _group(host: Host) -> Group | None:
    return None if host.process is None else next(iter(host.process.node.groups.values()))


def _state(host: Host) -> State | None:
    group = _group(host)
    return None if group is None else group.state


def _roles(universe: Universe, master: Host) -> str:
    others = [host for host in universe.hosts.values() if host is not master and _state(host) is not State.BACKUP]
    return "".join(f"{host.member.name} is {_state(host)} " for host in others)


def _cloud(universe: Universe, master: Host) -> str:
    held = all(universe.by_holder.get(holder or "") is master for holder in universe.holder.values())
    return "" if held else f"{master.member.name} is master and the cloud says {universe.holder}"


def _guests(universe: Universe, master: Host) -> str:
    if master.guest != set(universe.holder):
        return f"the master's guest has {sorted(master.guest)}"
    others = [host.member.name for host in universe.hosts.values() if host is not master and host.guest]
    return f"also on the guest of {others}" if others else ""


def _eips(universe: Universe, _master: Host) -> str:
    return f"not bound: {universe.loose_eips}" if universe.loose_eips else ""


def _agreement(universe: Universe, master: Host) -> str:
    term = _term(master)
    for host in universe.hosts.values():
        group = _group(host)
        if host is master or group is None or host.process is None:
            continue
        heard = group.heard_master(host.process.clock)
        seen = None if heard is None else (heard.peer.name, heard.advert.term)
        if seen != (master.member.name, term):
            return f"{host.member.name} believes {seen} and the master is {master.member.name} with term {term}"
    return ""


def _term(host: Host) -> int:
    group = _group(host)
    return 0 if group is None else group.term


def _rank(universe: Universe, master: Host) -> str:
    if not universe.options.preempt:
        return ""
    ready = [host.member for host in universe.hosts.values() if not host.member.witness]
    best = max(ready, key=lambda member: member.priority)
    higher = best.priority > master.member.priority
    return f"{master.member.name} is master and {best.name} has a higher priority" if higher else ""


def _rest(universe: Universe, _master: Host) -> str:
    under_way = universe.cloud.next_due() is not None or any(universe.sky.on_its_way.values())
    if under_way:
        return "a move is under way"
    return "a fence is under way" if universe.sky.fences_on_their_way else ""


def _account(universe: Universe, outcome: Outcome) -> None:
    outcome.sha256 = universe.trace.sha256
    outcome.trace = list(universe.trace.last)
    outcome.simulated_ms = universe.now
    outcome.events = universe.events
    outcome.counts = universe.counts
    given = [change for change in universe.cloud.history if change.after is not None]
    outcome.moves = sum(change.caller != "console" and change.resource in universe.holder for change in given)
    for began, ended in universe.dark:
        before = [kind for at, kind in universe.strikes if at <= began]
        outcome.dark.append((ended - began, before[-1] if before else "start"))
    for each in universe.invariants:
        _take(outcome, each.inner if isinstance(each, OfPart) else each)
    if outcome.healed_at is not None:
        bound_ms = outcome.recovery[1]
        outcome.unanswered = (_longest(universe.dark, outcome.healed_at), bound_ms)


def _take(outcome: Outcome, seen: Invariant) -> None:
    """Take over what one of those who looked on has to tell."""
    if isinstance(seen, DoubleAnswer):
        outcome.double = max(outcome.double, (seen.longest_ms, seen.bound_ms))
        outcome.double_ms = outcome.double[0]
    elif isinstance(seen, ModelAllows):
        outcome.steps = seen.bridge.steps
    elif isinstance(seen, Survey):
        outcome.pairs, outcome.reasons, outcome.failovers = seen.pairs, seen.reasons, seen.failovers
        outcome.longest_vacant_ms = _longest(seen.vacant, 0)
        if outcome.healed_at is not None:
            outcome.vacant = (_longest(seen.vacant, outcome.healed_at), outcome.recovery[1])


def _longest(spans: list[tuple[int, int]], since: int) -> int:
    """Return the longest part of a span that lies after an instant."""
    return max((end - max(begin, since) for begin, end in spans if end > since), default=0)
