"""The proof that the simulation sees: each rule of safety is switched off, and that must be noticed.

`python -m tests.simulation.ablations --seeds 200` tries each on so many lives and says how many it took.
A rule is switched off from here, by replacing the predicate or method that it is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hafailover.cloud.eips import EipBook
from hafailover.election import claim, claiming, invariants, standby, tenure
from hafailover.election.answering import Answering
from hafailover.election.claim import Claim
from hafailover.election.context import Context
from hafailover.election.effects import Persist, StopAnswering
from hafailover.election.group import Group
from hafailover.election.ledger import Ledger
from hafailover.election.node import Node
from hafailover.election.peers import Peer
from hafailover.election.returns import Returns
from hafailover.election.takeover import Takeovers
from hafailover.election.values import Handover, Timing
from hafailover.election.values import Outcome as Ending
from hafailover.emulator.eni_moves import MoveEni
from hafailover.emulator.writes import MigrateIp
from hafailover.heartbeat.lineage import Lineage
from hafailover.heartbeat.mqtt import MqttPath
from hafailover.heartbeat.witness import Witness
from tests.simulation.ablation import Ablation, without
from tests.simulation.host import Host
from tests.simulation.invariants import ALL
from tests.simulation.invariants.model_allows import ModelAllows
from tests.simulation.life import live
from tests.simulation.options import Wave, expand
from tests.simulation.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.life import Outcome
    from tests.simulation.options import Options


def _any_instance(step: Any, self: MoveEni, network: Any) -> object:
    holder = network.holder_of(self.eni)
    takes = self.source and holder not in (None, self.target)
    return step(replace(self, source=holder) if takes else self, network)


def _forgets_on_a_gap(see: Any, self: EipBook, address: str, carriers: Any, now_ms: int) -> None:
    if len(carriers) != 1:
        self.forget(address)
    see(self, address, carriers, now_ms)


def _by_own_file_alone(wait: Any, self: Peer, _asked_ms: int) -> None:
    wait(self, 0)


def _without_own_return(find: Any, self: Witness, peer: object, now_us: int, _asked_at_us: int) -> object:
    return find(self, peer, now_us, self.returned_us or 0)


def _constant(value: object) -> Callable[..., object]:
    return lambda *_args, **_kwargs: value


def _property(value: object) -> property:
    return property(lambda _self: value)


def _wrapped(owner: Any, name: str, change: Callable[..., object]) -> tuple[object, str, object]:
    original = getattr(owner, name)
    return owner, name, lambda *args, **kwargs: change(original, *args, **kwargs)


def _late_persist(handle: Any, self: Node, event: object, *, now: int) -> tuple[object, ...]:
    effects = handle(self, event, now=now)
    barriers = [each for each in effects if isinstance(each, Persist)]
    return (*(each for each in effects if not isinstance(each, Persist)), *barriers)


def _late_stop(handle: Any, self: Node, event: object, *, now: int) -> tuple[object, ...]:
    effects = handle(self, event, now=now)
    barriers = [each for each in effects if isinstance(each, StopAnswering)]
    return (*(each for each in effects if not isinstance(each, StopAnswering)), *barriers)


def _confirmed_always(
    hear: Any, self: Peer, advert: object, now: int, *, confirmed: bool, said_after: int | None = None
) -> bool:
    del confirmed
    return bool(hear(self, advert, now, confirmed=True, said_after=said_after))


def _never_in_flight(drive: Any, self: Claim, *args: object) -> tuple[object, ...]:
    moves: tuple[object, ...] = drive(self, *args)
    for task in self._tasks:
        task.move_id = None
    return moves


def _unknown_is_throttled(finished: Any, self: Claim, event: Any, *args: object) -> None:
    if event.result.outcome is Ending.UNKNOWN:
        event = replace(event, result=replace(event.result, outcome=Ending.THROTTLED))
    finished(self, event, *args)


def _any_source(finish: Any, self: MigrateIp, network: Any) -> object:
    holder = network.holder_of(self.address)
    return finish(replace(self, source=holder), network) if holder not in (None, self.destination) else network


def _any_source_begin(begin: Any, self: MigrateIp, network: Any) -> object:
    holder = network.holder_of(self.address)
    return begin(replace(self, source=holder) if holder not in (None, self.destination) else self, network)


def _no_preempt_delay(preempted: Any, group: Group, *args: object) -> bool:
    policy, group.policy = group.policy, replace(group.policy, preempt_delay_ms=0)
    try:
        return bool(preempted(group, *args))
    finally:
        group.policy = policy


def _situation(**changes: object) -> tuple[object, str, object]:
    original = standby.situation
    return standby, "situation", lambda *args: replace(original(*args), **changes)  # type: ignore[arg-type]


def _quiet_at_once(
    release_quietly: Any, successor: object, reason: object, now: int, *args: object, **kwargs: object
) -> object:
    return replace(release_quietly(successor, reason, now, *args, **kwargs), quiet_at=now)


def _contradicted_at_once(_contradicted: Any, group: Group, now: int) -> bool:
    return group.context.holders.asked_at is not None and bool(tenure._elsewhere(group, group.since, now))


def _forgets_term(remember: Any, self: Context, group: Any, term: int, **kwargs: object) -> object:
    del term
    return remember(self, group, 0, **kwargs)


CLOUDY = ("late-effect", "request-lost", "reply-lost", "error-before", "error-after", "power-off", "service-down")
_FAILOVERS = Wave("failover", 1_000, 3_000, 5_000, 20_000)
THREE = (("a", 100), ("b", 100), ("c", 100))
# One hand-over after the other, most of whose calls arrive when nobody waits for them any more.
BUSY = (
    Wave("failover", 1_000, 3_000, 500, 2_500),
    Wave("stop", 1_000, 3_000, 500, 2_500),
    Wave("late-effect", 20_000, 60_000, 500, 1_000),
)
# A master's daemon stands still and its service answers; then those who look on lose the broker, one by one.
BLINDED = (
    Wave("freeze", 60_000, 10_000, 20_000, 10_000),
    Wave("broker-cut", 10_000, 10_000, 5_000, 10_000),
)
# Daemons are killed, whose wills come late by a broker that is beside UDP; in both tiers.
BURIED: tuple[tuple[str, Any], ...] = (
    ("paths", ("udp", "mqtt")),
    ("guards", ("mqtt",)),
    (
        "waves",
        (
            Wave("kill", 5_000, 10_000, 5_000, 20_000),
            Wave("broker-late-wills", 60_000, 60_000, 1_000, 1_000),
        ),
    ),
    ("timing", Timing(200, 1_000, 3_000, 30_000)),
)
SPLIT = ("cut", "wall", "isolate", "isolate-host", "partition", "host-dark", "one-way-cut")

ABLATIONS = (
    Ablation(
        "the cloud checks the expected holder",
        (_wrapped(MigrateIp, "finish", _any_source), _wrapped(MigrateIp, "begin", _any_source_begin)),
        (*SPLIT, "console", "late-effect", "freeze"),
        ("no-stale-steal",),
        (("strategy", "migrate"),),
    ),
    Ablation(
        "one unresolved move at a time",
        (_wrapped(Claim, "drive", _never_in_flight),),
        CLOUDY,
        ("one-unresolved-move",),
    ),
    Ablation(
        "nothing is sent while an unanswered move may take effect",
        ((Ledger, "until", _constant(None)), (Ledger, "open_until", _constant(None))),
        (*CLOUDY, "kill"),
        ("one-unresolved-move",),
    ),
    Ablation(
        "an unknown outcome is read about",
        (_wrapped(Claim, "finished", _unknown_is_throttled),),
        CLOUDY,
        ("read-after-unknown",),
    ),
    Ablation(
        "a term is on disk before it is told",
        (_wrapped(Node, "handle", _late_persist), (invariants, "check", _constant(None))),
        ("kill-interrupted", "power-off", "kill"),
        ("persisted-first", "terms-grow"),
        (("disk_ms", 60),),
    ),
    Ablation(
        "a term survives a restart",
        (_wrapped(Context, "remember", _forgets_term),),
        ("kill", "power-off", "failover"),
        ("terms-grow", "persisted-first"),
    ),
    Ablation(
        "who has slept distrusts its view",
        ((Context, "distrust", _constant(None)),),
        ("freeze", "hiccup", "suspend"),
        ("silence-is-theirs", "fresh-after-pause"),
    ),
    Ablation(
        "who has slept reads before it acts",
        (
            (Context, "trust_after", property(lambda self: self.started_at, lambda _self, _value: None)),
            (Group, "outdate", _constant(None)),
        ),
        ("freeze", "suspend", "power-off", "cut"),
        ("fresh-after-pause",),
    ),
    Ablation(
        "only a confirmed advert is believed",
        (_wrapped(Peer, "hear", _confirmed_always),),
        ("replay", "kill", "restart", "power-off", "failover"),
        ("unconfirmed-word",),
    ),
    Ablation(
        "nothing is taken back from a node that lives unheard",
        ((Takeovers, "forbid", _property(False)),),
        ("cut", "isolate", "partition"),
        ("no-taking-back", "no-storm"),
        (("hold_down_ms", 5_000), ("guards", ())),
    ),
    Ablation(
        "pre-emption waits",
        (_wrapped(tenure, "_preempted", _no_preempt_delay),),
        ("power-off", "service-down", "drain"),
        ("preemption-waits",),
        (("preempt", True), ("preempt_delay_ms", 30_000)),
    ),
    Ablation(
        "a guard's word counts",
        (_situation(guarded=False),),
        ("cut", "isolate"),
        ("no-needless-move",),
        (("guards", ("vip",)),),
    ),
    Ablation(
        "a tie is broken",
        ((tenure, "preempts", lambda one, other: one.priority >= other.priority and one.name != other.name),),
        ("failover", "power-off"),
        ("no-storm", "quiet", "recovers", "elects"),
        (("preempt", True), ("preempt_delay_ms", 0), ("priorities", (("a", 100), ("b", 100)))),
    ),
    Ablation(
        "the guest is silent before the word is out",
        (_wrapped(Node, "handle", _late_stop),),
        ("failover", "cut", "drain"),
        ("silent-before-word",),
    ),
    Ablation(
        "two readings depose",
        (_wrapped(tenure, "_contradicted", _contradicted_at_once),),
        ("stale-reads", "failover", "power-off"),
        ("two-readings",),
    ),
    Ablation(
        "the holder is read back from time to time",
        ((Node, "_audit", lambda self, now: setattr(self, "_next_audit", now + 10**9)),),
        ("console", "isolate-host"),
        ("double-answer", "recovers", "quiet"),
    ),
    Ablation(
        "each candidate has its turn",
        (_situation(rank=0, rival_claims=False),),
        ("power-off", "kill"),
        ("taking-turns",),
        (("priorities", THREE), ("strategy", "migrate")),
    ),
    Ablation(
        "who is at fault claims nothing",
        ((Group, "fault", _property(False)), _situation(checks_pending=False)),
        ("services-down", "service-down", "kill"),
        ("fit-to-claim",),
        (("checked", True),),
    ),
    Ablation(
        "a drained node claims nothing",
        (_situation(drained=False), (claiming, "_void", _constant(None))),
        ("drain", "power-off"),
        ("fit-to-claim",),
    ),
    Ablation(
        "who hands over strictly has ended before another is named",
        (_wrapped(tenure, "release_quietly", _quiet_at_once),),
        ("failover", "drain", "service-down"),
        ("strict-apart",),
        (("handover", Handover.STRICT), ("hook_ms", 20_000)),
    ),
    Ablation(
        "with a fence nothing moves before the old master is off",
        ((claiming, "_fencing", _constant(None)),),
        (*SPLIT, "freeze"),
        ("fence-first",),
        (("fence", True), ("guards", ())),
    ),
    Ablation(
        "a minority claims nothing",
        (_situation(quorum=True),),
        ("isolate", "isolate-host", "partition"),
        ("quorum-kept",),
        (("priorities", THREE), ("guards", ("quorum",))),
    ),
    Ablation(
        "what one had is not taken again while others' moves of that time may arrive",
        ((Returns, "wait", _constant(None)), (Returns, "pending", _constant(None))),
        ("failover", "late-effect", "stop"),
        ("same-tenure",),
        (
            ("priorities", THREE),
            ("hold_down_ms", 5_000),
            ("guards", ()),
            ("strategy", "migrate"),
            ("preempt", False),
            ("api_ms", 30),
            ("waves", BUSY),
        ),
    ),
    Ablation(
        "who detaches an ENI names whom it takes it from",
        (_wrapped(MoveEni, "begin", _any_instance), _wrapped(MoveEni, "finish", _any_instance)),
        ("console", "late-effect", "freeze", "isolate-host", "power-off"),
        ("no-stale-steal", "strangers-keep"),
        (("enis", 1), ("addresses", 0), ("strategy", "reassign")),
    ),
    Ablation(
        "nothing is taken from a stranger",
        (
            (Context, "is_stranger", _constant(False)),
            (Universe, "refuses", _constant(False)),
            (Takeovers, "forbid", _property(False)),  # it protects strangers too, as it does whoever is not heard
        ),
        ("to-stranger",),
        ("strangers-keep",),
        (
            ("enis", 1),
            ("addresses", 0),
            ("hold_down_ms", 5_000),
            ("guards", ()),
            ("waves", (Wave("to-stranger", 60_000, 60_000, 5_000, 5_000),)),
        ),
    ),
    Ablation(
        "an ENI is not waited for before it is asked for",
        ((Answering, "ahead", property(lambda self: self.resources)),),
        ("power-off", "failover"),
        ("elects", "recovers", "quiet"),
        (("enis", 1), ("handover", Handover.OVERLAP)),
    ),
    Ablation(
        "who is refused for want of room waits longer and longer",
        ((claim, "backoff_ms", _constant(0)),),
        ("quota", "power-off", "failover"),
        ("quota-patience", "effects-bounded"),
        (("api_ms", 30), ("waves", (Wave("quota", 60_000, 60_000, 1_000, 1_000), _FAILOVERS))),
    ),
    Ablation(
        "what was bound to a released address is remembered",
        (_wrapped(EipBook, "_see", _forgets_on_a_gap),),
        ("failover", "power-off", "console"),
        ("recovers", "eip-kept"),
        (("eips", 1), ("strategy", "reassign"), ("addresses", 1)),
    ),
    Ablation(
        "what was bound is on disk",
        ((Host, "note_eips", _constant(None)),),
        ("failover", "kill", "kill-interrupted", "power-off"),
        ("recovers", "eip-kept"),
        (("eips", 1), ("strategy", "reassign"), ("addresses", 1)),
    ),
    Ablation(
        "a paused group claims nothing by itself",
        (_situation(paused=False),),
        ("pause", "power-off"),
        ("fit-to-claim",),
        (("waves", (Wave("pause", 60_000, 60_000, 1_000, 1_000), Wave("power-off", 20_000, 5_000, 5_000, 5_000))),),
    ),
    Ablation(
        "what a node has whose file has not the group is left to it",
        (_situation(holder_knows_not=False),),
        ("regroup", "failover"),
        ("unaware-keep",),
        (
            ("groups", 2),
            ("guards", ()),
            (
                "waves",
                (Wave("regroup", 20_000, 20_000, 5_000, 5_000), Wave("failover", 1_000, 1_000, 9_000, 9_000)),
            ),
        ),
    ),
    Ablation(
        "a peer is given the dead interval that it asks for",
        (_wrapped(Peer, "_wait", _by_own_file_alone),),
        ("reload", "cut", "loss"),
        ("silence-is-theirs", "no-needless-move"),
        (
            ("guards", ()),
            ("timing", Timing(1_000, 4_000, 4_000, 30_000)),
            ("retimed", Timing(200, 1_000, 3_000, 30_000)),
        ),
    ),
    Ablation(
        "who is to speak less often does so once its peers have heard that",
        ((Node, "_interval_ms", lambda self, _now: self.context.timing.interval_ms),),
        ("reload",),
        ("speaks-in-time",),
        (("timing", Timing(200, 1_000, 3_000, 30_000)), ("retimed", Timing(1_000, 4_000, 4_000, 30_000))),
    ),
    Ablation(
        "what the broker brings counts",
        ((MqttPath, "_take", _constant(None)),),
        ("cut", "isolate", "partition"),
        ("bridged-cut",),
        (("paths", ("udp", "mqtt")), ("guards", ())),
    ),
    Ablation(
        "only whom the broker sees accuses by it",
        (_wrapped(Witness, "find", _without_own_return),),
        ("freeze", "broker-cut"),
        ("blind-witness",),
        (("paths", ("udp", "mqtt")), ("guards", ("vip", "mqtt")), ("waves", BLINDED)),
    ),
    Ablation(
        "a word that comes late by one path replaces no newer one",
        ((Lineage, "news", lambda _self, advert, _sent_at_us: advert),),
        ("broker-slow", "failover", "cut"),
        ("newest-word",),
        (("paths", ("udp", "mqtt")),),
    ),
    Ablation(
        "a will that comes late says nothing against a host whose kernel has answered since",
        ((Witness, "refused", _constant(None)),),
        ("kill", "broker-late-wills"),
        ("kernels-outweigh-wills",),
        BURIED,
    ),
    Ablation(
        "a late arming is taken back",
        (_wrapped(Answering, "armed", lambda _original, self, event, now: _armed_blindly(self, event)),),  # noqa: ARG005 - the original's
        ("flapping", "delay", "loss"),
        ("double-answer", "recovers", "quiet"),
        (("guest_ms", 200), ("guards", ()), ("handover", Handover.OVERLAP)),
    ),
)


def _armed_blindly(self: Answering, event: Any) -> bool:
    self.error = event.error
    return not event.error


def options_for(ablation: Ablation, seed: int) -> Options:
    """Return a life with the faults and settings that bring the rule out."""
    drawn = expand(seed, ablation.kinds)
    waves = drawn.waves if len(drawn.waves) > 1 else tuple(_wave(kind) for kind in ablation.kinds)
    return replace(drawn, **{"waves": waves, "paused": False, **dict(ablation.settings)})


def _wave(kind: str) -> Wave:
    return Wave(kind, 2_000, 8_000, 2_000, 20_000)


def seeds_to_find(ablation: Ablation, seeds: range) -> tuple[int | None, Outcome | None]:
    """Return how many lives it took to see that a rule is off, and the one that showed it; None where none did."""
    # The bridge sees most of it at once; what the others see by themselves is to be shown too.
    kinds = [kind for kind in ALL if kind is not ModelAllows or kind.name in ablation.breaks]
    with without(ablation):
        for count, seed in enumerate(seeds, 1):
            outcome = live(options_for(ablation, seed), kinds)
            if outcome.broken is not None and outcome.broken.name in ablation.breaks:
                return count, outcome
    return None, None


def main() -> int:
    """Try all ablations, several times each with other seeds."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.ablations", description=__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="the budget of one search")
    parser.add_argument("--searches", type=int, default=3)
    given = parser.parse_args()
    caught, took = 0, []
    for ablation in ABLATIONS:
        found = []
        for search in range(given.searches):
            start = 1 + search * given.seeds
            count, outcome = seeds_to_find(ablation, range(start, start + given.seeds))
            found.append((count, None if outcome is None or outcome.broken is None else outcome.broken.name))
        counts = [count for count, _ in found if count is not None]
        caught += len(counts) == len(found)
        took += counts
        median = statistics.median(counts) if counts else None
        names = sorted({name for _, name in found if name})
        tally = f"{len(counts)}/{len(found)} median {median} worst {max(counts, default=None)}"
        print(f"{ablation.rule:<60} {tally} {names}", flush=True)  # noqa: T201 - this is a program
    lives = f"lives to find: median {statistics.median(took)}, worst {max(took)}" if took else "none found"
    print(f"{caught}/{len(ABLATIONS)} caught in every search; {lives}")  # noqa: T201 - this is a program
    return 0 if caught == len(ABLATIONS) else 1


if __name__ == "__main__":
    sys.exit(main())
