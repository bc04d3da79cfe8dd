"""Whatever happens to a node, in whatever order: what must hold after every event, and what must not matter."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.node import Node
from hafailover.election.values import (
    Advert,
    CheckState,
    GroupAdvert,
    GroupName,
    GuardVerdict,
    Handover,
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
    Wish,
)

if TYPE_CHECKING:
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")
MEMBERS = tuple(
    Member(NodeName(name), place, 100 - 10 * place, f"eni-{name}", f"ins-{name}")
    for place, name in enumerate("abc")
)
VIP, OTHER = Resource(ResourceKind.ADDRESS, "10.0.1.100"), Resource(ResourceKind.ADDRESS, "10.0.1.101")
GROUP = GroupName("vip")
TIMING = Timing(100, 400, 1_000, 5_000)
HOLDERS = ("eni-a", "eni-b", "eni-c", "eni-stranger", None)
START = 1_000

peers = st.sampled_from((A, C))
results = st.one_of(
    st.just(MoveResult(Outcome.APPLIED)),
    st.just(MoveResult(Outcome.THROTTLED, "RequestLimitExceeded")),
    st.just(MoveResult(Outcome.UNKNOWN, "ClientTimeout")),
    st.sampled_from(Refusal).map(lambda why: MoveResult(Outcome.REFUSED, "Refused", why)),
    st.just(MoveResult(Outcome.UNKNOWN, "ClientTimeout", half_done=True, holder=None)),
)
wishes = st.none() | st.builds(Wish, st.integers(0, 3), st.sampled_from((A, B, C, None)))
said = st.builds(
    GroupAdvert,
    group=st.just(GROUP),
    state=st.sampled_from(State),
    term=st.integers(0, 6),
    priority=st.integers(-20, 200),
    eligible=st.booleans(),
    successor=st.sampled_from((A, B, C, None)),
    wish=wishes,
)
adverts = st.builds(
    Advert,
    node=peers,
    config_digest=st.just(b"12345678"),
    leaving=st.sampled_from((Leaving.NO, Leaving.NO, Leaving.NO, Leaving.STOPPING, Leaving.RESTARTING)),
    drained=st.booleans(),
    hears=st.just((B,)),
    groups=st.tuples(said) | st.just(()),
)
policies = st.builds(
    Policy,
    group=st.just(GROUP),
    resources=st.sampled_from(((VIP,), (VIP, OTHER))),
    preempt=st.booleans(),
    preempt_delay_ms=st.sampled_from((0, 500)),
    handover=st.sampled_from(Handover),
    demote_when_isolated=st.booleans(),
    isolation_timeout_ms=st.just(2_000),
    hold_down_ms=st.sampled_from((0, 1_000)),
    guards=st.sampled_from(((), ("vip",), ("vip", "cloud"))),
    checks=st.sampled_from(((), (("web", 0),), (("web", 0), ("db", -30)))),
)
checks = st.builds(
    ev.CheckChanged, st.just(GROUP), st.sampled_from(("web", "db", "old")), st.sampled_from(CheckState)
)
common = st.one_of(
    st.just(ev.TimerExpired()),
    st.builds(ev.AdvertReceived, adverts, st.just("udp"), st.sampled_from((True, True, False))),
    st.builds(ev.PeerRefused, peers),
    checks,
    st.builds(ev.LoopLagged, st.integers(0, 30_000)),
    st.builds(ev.FailoverAsked, st.integers(1, 9), st.sampled_from((GROUP, GroupName("x"))), st.none() | peers),
    st.builds(ev.DrainAsked, st.integers(1, 9), st.booleans()),
    st.builds(ev.AddressVanished, st.just(GROUP), st.sampled_from((VIP, OTHER))),
)


def make(policy: Policy, memory: Memory, now: int) -> Node:
    rng = random.Random(7)  # noqa: S311 - to be repeated, not secret
    return Node(MEMBERS[1], MEMBERS, TIMING, [policy], config_digest=b"12345678", memory=memory, rng=rng, now=now)


class AnyOrder(RuleBasedStateMachine):
    """One node, any events in any order while time only grows; open questions may be answered or not."""

    @initialize(policy=policies)
    def begin(self, policy: Policy) -> None:
        self.now = START
        self.policy = policy
        self.memory = Memory()
        self.begin_run()

    def begin_run(self) -> None:
        self.node = make(self.policy, self.memory, self.now)
        self.reading: int | None = None
        self.moves: dict[Resource, fx.Move] = {}
        self.rounds: list[fx.AskGuard] = []
        self.arming: list[Resource] = []
        self.guest = set(self.policy.resources)  # an earlier run may have left them there
        self.vague: dict[Resource, int] = {}
        self.asked_at: int | None = None
        self.left = False
        self.top_term = self.node.groups[GROUP].term
        self.give(ev.TimerExpired())

    def give(self, event: Event) -> None:
        effects = self.node.handle(event, now=self.now)
        term = self.node.groups[GROUP].term
        assert term >= self.top_term, "a term never decreases"
        self.top_term = term
        assert sum(isinstance(effect, fx.SendAdverts) for effect in effects) <= 1
        assert sum(isinstance(effect, fx.ReadHolders) for effect in effects) <= 1
        for effect in effects:
            self.judge(effect)
        assert self.node.deadline >= START

    def judge(self, effect: Effect) -> None:
        match effect:
            case fx.Persist():
                self.memory = effect.memory
            case fx.Move():
                self.judge_move(effect)
            case fx.ReadHolders():
                assert self.reading is None, "one reading at a time"
                self.reading = self.now
            case fx.AskGuard():
                assert effect.guard in self.policy.guards
                self.rounds.append(effect)
            case fx.Arm():
                self.guest.add(effect.resource)
                self.arming.append(effect.resource)
            case fx.StopAnswering():
                self.guest.remove(effect.resource)
            case fx.SendAdverts(advert=advert):
                assert advert.node == B
                assert all(group.term <= self.top_term for group in advert.groups)
            case fx.Leave():
                assert not self.left, "a node leaves once"
                self.left = True
            case _:
                pass

    def judge_move(self, move: fx.Move) -> None:
        assert self.node.groups[GROUP].state is State.CLAIMING
        assert move.resource not in self.moves, "one unresolved move per resource"
        assert move.target == "eni-b"
        assert move.expected != move.target
        saved = {group.group: group.term for group in self.memory.groups}
        assert saved[GROUP] == self.node.groups[GROUP].term, "the term is on disk before anything moves"
        assert self.asked_at is not None, "never without knowing the holder"
        assert self.asked_at >= self.vague.get(move.resource, 0), "an unknown outcome is looked into first"
        self.moves[move.resource] = move

    @rule(wait=st.sampled_from((1, 50, 100, 199, 200, 400, 1_000, 5_000)))
    def wait(self, wait: int) -> None:
        """Let time pass as the timer asks for it."""
        end = self.now + wait
        for _ in range(400):
            if self.node.deadline > end:
                break
            self.now = max(self.now, self.node.deadline)
            self.give(ev.TimerExpired())
        else:
            raise AssertionError("the timer never rests")
        self.now = end

    @rule(wait=st.integers(0, 20_000))
    def sleep(self, wait: int) -> None:
        self.now += wait

    @rule(event=common)
    def happen(self, event: Event) -> None:
        self.give(event)

    @rule(restarting=st.booleans(), really=st.integers(0, 19).map(lambda drawn: drawn == 0))
    def stop(self, *, restarting: bool, really: bool) -> None:
        if really:
            self.give(ev.StopAsked(restarting=restarting))

    @rule(holder=st.sampled_from(HOLDERS), guard=st.sampled_from((GuardVerdict.ALLOW, GuardVerdict.UNKNOWN)))
    def be_the_last_one_left(self, holder: str | None, guard: GuardVerdict) -> None:
        """Clear this node's way to a claim, which chance alone seldom does."""
        self.give(ev.DrainAsked(9, drained=False))
        self.give(ev.CheckChanged(GROUP, "web", CheckState.UP))
        for _ in range(12):
            self.wait(100)
            self.read((holder, holder), settled=True)
            self.answer_guard(guard, late=False)
        while self.arming:
            self.arm("")

    @rule(holders=st.tuples(st.sampled_from(HOLDERS), st.sampled_from(HOLDERS)), settled=st.booleans())
    def read(self, holders: tuple[str | None, str | None], *, settled: bool) -> None:
        if self.reading is None:
            return
        asked_at, self.reading = self.reading, None
        self.asked_at = asked_at
        seen = [Sighting(each, who, settled) for each, who in zip((VIP, OTHER), holders, strict=True)]
        self.give(ev.HoldersRead(tuple(seen), asked_at))

    @rule()
    def fail_read(self) -> None:
        if self.reading is not None:
            asked_at, self.reading = self.reading, None
            self.give(ev.ReadFailed(asked_at, "ClientTimeout"))

    @rule(result=results, which=st.sampled_from((VIP, OTHER)))
    def finish(self, result: MoveResult, which: Resource) -> None:
        move = self.moves.pop(which, None)
        if move is None:
            return
        if result.outcome in (Outcome.UNKNOWN, Outcome.REFUSED) and not result.half_done:
            self.vague[which] = self.now
        self.give(ev.MoveFinished(GROUP, move.move_id, which, result))

    @rule(move_id=st.integers(0, 50), result=results)
    def finish_another(self, move_id: int, result: MoveResult) -> None:
        if move_id not in [move.move_id for move in self.moves.values()]:
            self.give(ev.MoveFinished(GROUP, move_id, VIP, result))

    @rule(error=st.sampled_from(("", "", "", "no such interface")))
    def arm(self, error: str) -> None:
        if self.arming:
            resource = self.arming.pop(0)
            if not error:
                self.guest.add(resource)  # also where it was let go while the guest was at work
            self.give(ev.GuestArmed(GROUP, resource, error))

    @rule(verdict=st.sampled_from(GuardVerdict), late=st.booleans())
    def answer_guard(self, verdict: GuardVerdict, *, late: bool) -> None:
        if self.rounds:
            asked = self.rounds[0 if late else -1]
            self.give(ev.GuardAnswered(GROUP, asked.guard, asked.round_id, verdict))

    @rule()
    def crash_and_return(self) -> None:
        """The daemon dies between two events, and comes back with what is on disk."""
        if not self.moves:
            self.begin_run()

    @invariant()
    def an_advertised_claim_is_on_disk(self) -> None:
        group = self.node.groups[GROUP]
        saved = {each.group: each.term for each in self.memory.groups}
        assert group.state is not State.CLAIMING or saved[GROUP] == group.term

    @invariant()
    def the_guest_carries_what_the_group_says(self) -> None:
        on_guest = self.node.groups[GROUP].guest.carries
        assert len(set(on_guest)) == len(on_guest)
        assert set(on_guest) == self.guest


TestAnyOrder = AnyOrder.TestCase


# -- what must not matter ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """After `wait_ms`, an event; a reading is answered as asked then."""

    wait_ms: int
    event: Event | tuple[str | None, str | None]


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from((0, 1, 50, 100, 150, 200, 399, 400, 1_000)),
        common | st.tuples(st.sampled_from(HOLDERS), st.sampled_from(HOLDERS)),
    ),
    max_size=40,
)


def play(policy: Policy, story: list[Step], start: int, *, echoes: bool = False) -> list[tuple[int, Effect]]:
    """Tell a node a story; return what it did, at times counted from the start."""
    node, now = make(policy, Memory(), start), start
    done: list[tuple[int, Effect]] = []

    def give(event: Event) -> None:
        done.extend((now - start, effect) for effect in node.handle(event, now=now))

    for step in story:
        end = now + step.wait_ms
        while node.deadline <= end:
            now = max(now, node.deadline)
            give(ev.TimerExpired())
        now = end
        if isinstance(step.event, tuple):
            seen = tuple(Sighting(each, who) for each, who in zip((VIP, OTHER), step.event, strict=True))
            give(ev.HoldersRead(seen, now))
        else:
            give(step.event)
            if echoes and isinstance(step.event, ev.AdvertReceived):
                give(step.event)
                give(step.event)
    return done


@given(policy=policies, story=steps, offset=st.sampled_from((1, 999, 10**9)))
def test_the_hour_does_not_matter(policy: Policy, story: list[Step], offset: int) -> None:
    def told(start: int) -> list[tuple[int, Effect]]:
        return [(at, effect) for at, effect in play(policy, story, start) if not isinstance(effect, fx.SendAdverts)]

    assert told(START) == told(START + offset)


@given(policy=policies, story=steps)
def test_an_advert_told_three_times_says_no_more_than_once(policy: Policy, story: list[Step]) -> None:
    assert play(policy, story, START) == play(policy, story, START, echoes=True)


@given(policy=policies, story=steps)
def test_the_same_story_has_the_same_end(policy: Policy, story: list[Step]) -> None:
    assert play(policy, story, START) == play(policy, story, START)
