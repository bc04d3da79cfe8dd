"""One node on a bench: events are given by hand, effects gathered, and its timer wound as far as a test wants."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import Node
from hafailover.election.values import (
    Advert,
    CheckState,
    GroupAdvert,
    GroupName,
    Leaving,
    Member,
    Memory,
    MoveResult,
    NodeName,
    Outcome,
    Policy,
    Refusal,
    Resource,
    ResourceKind,
    Sighting,
    State,
    Timing,
)

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.group import Group
    from hafailover.election.values import Wish

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")
MEMBERS = (
    Member(A, 0, 100, "eni-a", "ins-a"),
    Member(B, 1, 90, "eni-b", "ins-b"),
    Member(C, 2, 80, "eni-c", "ins-c"),
)
VIP = Resource(ResourceKind.ADDRESS, "10.0.1.100")
OTHER = Resource(ResourceKind.ADDRESS, "10.0.1.101")
ENI = Resource(ResourceKind.ENI, "eni-x")
GROUP = GroupName("vip")
POLICY = Policy(GROUP, (VIP,))
BOTH = Policy(GROUP, (VIP, OTHER))
TIMING = Timing(interval_ms=100, dead_interval_ms=400, restart_grace_ms=3_000, audit_interval_ms=30_000)
DIGEST = b"12345678"
START = 10_000

APPLIED = MoveResult(Outcome.APPLIED)
CONFLICT = MoveResult(Outcome.REFUSED, "ResourceInUse", Refusal.CONFLICT)
QUOTA = MoveResult(Outcome.REFUSED, "LimitExceeded", Refusal.QUOTA)
THROTTLED = MoveResult(Outcome.THROTTLED, "RequestLimitExceeded")
UNKNOWN = MoveResult(Outcome.UNKNOWN, "ClientTimeout")

Kind = TypeVar("Kind")


class Bench:
    """A node, `b` unless told otherwise, from START on."""

    def __init__(
        self,
        me: NodeName = B,
        policy: Policy = POLICY,
        *,
        members: tuple[Member, ...] = MEMBERS,
        timing: Timing = TIMING,
        memory: Memory | None = None,
    ) -> None:
        self.now = START
        self.told: list[Effect] = []
        self.moves: list[fx.Move] = []
        mine = next(member for member in members if member.name == me)
        self.node = Node(
            mine,
            members,
            timing,
            [policy],
            config_digest=DIGEST,
            memory=memory or Memory(),
            rng=random.Random(1),  # noqa: S311 - to be repeated, not secret
            now=self.now,
        )
        self.give(ev.TimerExpired())

    @property
    def group(self) -> Group:
        return self.node.groups[GROUP]

    def state(self) -> State:
        return self.group.state

    def give(self, event: Event) -> tuple[Effect, ...]:
        effects = self.node.handle(event, now=self.now)
        for effect in effects:
            if isinstance(effect, fx.RoleChanged):
                assert self.node.groups[effect.group].since == self.now
        self.told.extend(effects)
        self.moves.extend(effect for effect in effects if isinstance(effect, fx.Move))
        return effects

    def run(self, milliseconds: int, *heard: NodeName) -> None:
        """Let time pass with only the timer; the peers named repeat their last adverts every interval."""
        end = self.now + milliseconds
        following = self.now + 100
        while True:
            due = min(max(self.node.deadline, self.now + 1), following if heard else end + 1)
            if due > end:
                break
            self.now = due
            if heard and due == following:
                following += 100
                for name in heard:
                    self.repeat(name)
            else:
                self.give(ev.TimerExpired())
        self.now = end

    def repeat(self, name: NodeName) -> None:
        peer = self.node.context.peers.get(name)
        assert peer is not None
        assert peer.advert is not None
        said = peer.group(GROUP)
        assert said is not None
        groups = (said,)
        advert = Advert(name, DIGEST, 400, peer.advert.leaving, peer.advert.drained, peer.advert.hears, groups)
        self.give(ev.AdvertReceived(advert, "udp", confirmed=peer.confirmed))

    def hear(  # noqa: PLR0913 - all that an advert can say
        self,
        name: NodeName,
        state: State = State.BACKUP,
        term: int = 0,
        *,
        eligible: bool = True,
        priority: int = 0,
        leaving: Leaving = Leaving.NO,
        drained: bool = False,
        successor: NodeName | None = None,
        wish: Wish | None = None,
        moving: bool = False,
        hears: tuple[NodeName, ...] = (B,),
        confirmed: bool = True,
        said_after: int | None = None,
    ) -> tuple[Effect, ...]:
        said = GroupAdvert(GROUP, state, term, priority, eligible, successor, wish, moving)
        advert = Advert(name, DIGEST, 400, leaving, drained, hears, (said,))
        return self.give(ev.AdvertReceived(advert, "udp", confirmed, said_after))

    def read(self, *holders: str | None, settled: bool = True, asked_at: int | None = None) -> tuple[Effect, ...]:
        """Answer a reading: one holder for each resource of the group, or one for all."""
        resources = self.group.policy.resources
        named = holders if len(holders) == len(resources) else holders * len(resources)
        seen = tuple(Sighting(each, holder, settled) for each, holder in zip(resources, named, strict=True))
        return self.give(ev.HoldersRead(seen, self.now if asked_at is None else asked_at))

    def fail_read(self) -> tuple[Effect, ...]:
        return self.give(ev.ReadFailed(self.now, "ClientTimeout"))

    def check(self, state: CheckState, name: str = "web") -> tuple[Effect, ...]:
        return self.give(ev.CheckChanged(GROUP, name, state))

    def arm(self, resource: Resource = VIP, error: str = "") -> tuple[Effect, ...]:
        return self.give(ev.GuestArmed(GROUP, resource, error))

    def finish(self, result: MoveResult, resource: Resource = VIP) -> tuple[Effect, ...]:
        move = [each for each in self.moves if each.resource == resource][-1]
        effects = self.give(ev.MoveFinished(GROUP, move.move_id, resource, result))
        self.now += 1
        return effects

    def end_hook(self) -> tuple[Effect, ...]:
        """End the run of the hook that is awaited."""
        run = next(each for each in reversed(self.all(fx.RunHook)) if each.run_id is not None)
        assert run.run_id is not None
        return self.give(ev.HookFinished(GROUP, run.run_id))

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Return the effects of a kind since the last `clear`."""
        return [effect for effect in self.told if isinstance(effect, kind)]

    def clear(self) -> None:
        self.told.clear()

    # -- ways to begin -------------------------------------------------------------------------------------------

    def as_backup(self, term: int = 1) -> Bench:
        """Make it a backup of master `a`, which the cloud names as the holder; `c` has been missed."""
        self.read("eni-a")
        self.hear(A, State.MASTER, term)
        self.run(TIMING.dead_interval_ms, A)
        self.now += 1
        self.read("eni-a")
        self.clear()
        assert self.state() is State.BACKUP
        return self

    def as_master(self) -> Bench:
        """Make it the master that the cloud names; `a` and `c` have been missed."""
        self.read(self.node.context.me.eni_id)
        self.run(TIMING.dead_interval_ms)
        self.read(self.node.context.me.eni_id)
        self.clear()
        assert self.state() is State.MASTER
        return self

    def as_claimant(self) -> Bench:
        """Make it a claimant after `a` fell silent, armed, its first move sent."""
        self.as_backup()
        self.run(400)
        self.arm()
        assert self.state() is State.CLAIMING
        return self

    def as_loser(self) -> Bench:
        """Make it one that has just lost one of two addresses to `c`, which would take over before it."""
        self.as_backup()
        self.run(800)
        self.arm(VIP)
        self.arm(OTHER)
        self.hear(C, State.BACKUP, 1, priority=100)
        self.run(5_000, C)
        self.finish(CONFLICT)
        self.read("eni-c", "eni-a")
        assert self.state() is State.BACKUP
        self.now += 1
        self.read("eni-c", "eni-a")
        return self


def reasons(effects: list[fx.RoleChanged]) -> list[str]:
    """Return the labels of why roles changed."""
    return [effect.reason.label for effect in effects]
