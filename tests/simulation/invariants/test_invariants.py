"""Each invariant is shown something that its sentence admits, and something that it does not."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.effects import Evidence
from hafailover.election.reasons import Reason
from hafailover.election.values import (
    Advert,
    CheckState,
    GroupAdvert,
    GroupMemory,
    GuardVerdict,
    Handover,
    Leaving,
    Memory,
    MoveResult,
    NodeName,
    Outcome,
    Refusal,
    Resource,
    ResourceKind,
    Sighting,
    State,
)
from hafailover.emulator.network import PrivateIp
from hafailover.emulator.values import Change
from tests.simulation.broker import Word
from tests.simulation.invariants import ALL
from tests.simulation.invariants.effects_bounded import MOST_EFFECTS
from tests.simulation.options import CHECK, GROUP, Options, Wave, expand
from tests.simulation.universe import Broken, Universe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.invariants.base import Invariant
    from tests.simulation.process import Process

VIP = Resource(ResourceKind.ADDRESS, "10.0.1.100")
ENI_A, ENI_B = "eni-aaaaaaaa", "eni-bbbbbbbb"
A, B = NodeName("a"), NodeName("b")
KINDS = {kind.name: kind for kind in ALL}
TAKES = fx.Move(GROUP, 1, VIP, ENI_A, ENI_B)
AGAIN = fx.Move(GROUP, 2, VIP, ENI_A, ENI_B)
UNKNOWN = ev.MoveFinished(GROUP, 1, VIP, MoveResult(Outcome.UNKNOWN))


class Stage:
    """A pair that has elected `a`, and one invariant that is shown things by hand."""

    def __init__(self, name: str, **settings: object) -> None:
        options: dict[str, Any] = {"seed": 1, "priorities": (("a", 100), ("b", 90)), "timing": expand(1, ()).timing}
        self.universe = Universe(Options(**{**options, **settings}))
        for host in self.universe.hosts:
            self.universe.start(host)
        self.universe.run_until(30_000)
        for host in self.universe.hosts:
            self.process(host).heard.clear()  # what it has heard in this life is no part of the test
        self.invariant: Invariant = KINDS[name](self.universe)
        self.universe.watch([self.invariant])

    def process(self, name: str) -> Process:
        process = self.universe.hosts[name].process
        assert process is not None
        return process

    def event(self, name: str, event: ev.Event) -> None:
        process = self.process(name)
        if isinstance(event, ev.AdvertReceived):
            process.repeated(event)
        if type(event) in self.invariant.events:
            self.invariant.on_event(process, event)

    def handled(self, name: str, event: ev.Event, *effects: fx.Effect) -> None:
        if isinstance(event, ev.AdvertReceived):
            self.process(name).repeated(event)
        self.process(name).turned_at = self.universe.now
        self.invariant.on_handled(self.process(name), event, effects)

    def effect(self, name: str, effect: fx.Effect) -> None:
        if type(effect) in self.invariant.decisions:
            self.invariant.on_decision(self.process(name), effect)
        if type(effect) in self.invariant.effects:
            self.invariant.on_effect(self.process(name), effect)

    def change(self, before: str | None, after: str | None, caller: str = "b") -> None:
        now = self.universe.now = self.universe.now + 20_000
        self.universe.holder[VIP.id] = after
        self.invariant.on_change(Change(now, VIP.id, before, after, caller, "move", accepted_ms=now - 1))


def role(new: State, reason: Reason, term: int = 2, old: State = State.BACKUP) -> fx.RoleChanged:
    return fx.RoleChanged(GROUP, old, new, reason, term)


def advert(
    name: NodeName,
    state: State,
    *,
    eligible: bool = False,
    confirmed: bool = True,
    term: int = 1,
    successor: NodeName | None = None,
) -> ev.AdvertReceived:
    said = GroupAdvert(GROUP, state, term, 100, eligible, successor)
    return ev.AdvertReceived(Advert(name, b"", 1_000, Leaving.NO, False, (), (said,)), "udp", confirmed=confirmed)


CLAIM = role(State.CLAIMING, Reason.MASTER_DEAD)


def admits_and_breaks(stage: Stage, admitted: Callable[[], None], broken: Callable[[], None]) -> None:
    admitted()
    with pytest.raises(Broken) as raised:
        broken()
    assert raised.value.name == stage.invariant.name


def test_that_every_invariant_is_tested_here_and_says_what_it_means() -> None:
    for name, kind in KINDS.items():
        assert f'Stage("{name}"' in Path(__file__).read_text(), name
        assert kind.__doc__
    assert len(KINDS) == len(ALL)


def test_one_holder() -> None:
    stage = Stage("one-holder")

    def doubled() -> None:
        network = stage.universe.cloud.network
        both = network.with_enis(network.enis[ENI_B].with_ips(PrivateIp(VIP.id)))
        stage.universe.cloud._keep(both, stage.universe.now)
        stage.change(ENI_A, ENI_B)

    admits_and_breaks(stage, lambda: stage.change(ENI_B, ENI_A, "a"), doubled)


def test_no_stale_steal() -> None:
    stage = Stage("no-stale-steal")
    stage.effect("b", TAKES)
    admits_and_breaks(stage, lambda: stage.change(ENI_A, ENI_B), lambda: stage.change("eni-zzzzzzzz", ENI_B))
    stage.change("eni-zzzzzzzz", ENI_B, "console")


def test_one_unresolved_move() -> None:
    stage = Stage("one-unresolved-move")

    def one_after_the_other() -> None:
        stage.effect("b", TAKES)
        stage.event("b", UNKNOWN)
        stage.effect("b", AGAIN)

    admits_and_breaks(stage, one_after_the_other, lambda: stage.effect("b", TAKES))
    other = Stage("one-unresolved-move")
    other.universe.sky.on_its_way["b", VIP.id] = 1
    with pytest.raises(Broken, match="may still arrive"):
        other.effect("b", TAKES)


def test_read_after_unknown() -> None:
    stage = Stage("read-after-unknown")

    def with_a_look() -> None:
        stage.event("b", UNKNOWN)
        stage.event("b", ev.HoldersRead((), stage.process("b").clock))
        stage.effect("b", AGAIN)

    def with_an_older_answer() -> None:
        stage.event("b", UNKNOWN)
        stage.event("b", ev.HoldersRead((), stage.process("b").clock - 1))
        stage.effect("b", AGAIN)

    admits_and_breaks(stage, with_a_look, with_an_older_answer)


def test_fresh_after_pause() -> None:
    stage = Stage("fresh-after-pause")

    def sleep() -> None:
        stage.handled("b", ev.TimerExpired())
        stage.universe.now += 60_000
        stage.invariant.on_resume(stage.process("b"))

    def with_a_look() -> None:
        sleep()
        stage.event("b", ev.HoldersRead((), stage.process("b").clock))
        stage.effect("b", TAKES)

    def at_once() -> None:
        sleep()
        stage.event("b", ev.HoldersRead((), stage.process("b").clock - 1))
        stage.effect("b", TAKES)

    admits_and_breaks(stage, with_a_look, at_once)


def test_no_storm() -> None:
    stage = Stage("no-storm")

    def two() -> None:
        stage.change(ENI_A, ENI_B)
        stage.change(ENI_B, ENI_A, "a")

    admits_and_breaks(stage, two, lambda: stage.change(ENI_A, ENI_B))
    stage.invariant.on_strike("cut", over=False)
    stage.change(ENI_A, ENI_B)


def test_no_storm_allows_for_writes_that_fail_by_chance() -> None:
    stage = Stage("no-storm")
    stage.universe.sky.write_faults["throttle"] = 30

    def three() -> None:
        stage.change(ENI_A, ENI_B)
        stage.change(ENI_B, ENI_A, "a")
        stage.change(ENI_A, ENI_B)

    admits_and_breaks(stage, three, lambda: stage.change(ENI_B, ENI_A, "a"))


def test_no_taking_back() -> None:
    stage = Stage("no-taking-back")
    stage.universe.network.cuts.close([("a", "b"), ("b", "a")])
    stage.universe.hosts["b"].guest.add(VIP.id)

    def there_and_back() -> None:
        stage.change(ENI_A, ENI_B)
        stage.change(ENI_B, ENI_A, "a")

    admits_and_breaks(stage, there_and_back, lambda: stage.change(ENI_A, ENI_B))
    whole = Stage("no-taking-back")
    whole.universe.hosts["b"].guest.add(VIP.id)
    for _ in range(3):
        whole.change(ENI_A, ENI_B)
        whole.change(ENI_B, ENI_A, "a")


def test_terms_grow() -> None:
    stage = Stage("terms-grow")
    admits_and_breaks(stage, lambda: stage.effect("b", CLAIM), lambda: stage.effect("b", CLAIM))


def test_persisted_first() -> None:
    stage = Stage("persisted-first")
    claiming = fx.SendAdverts(advert(B, State.CLAIMING, term=7).advert)

    def stored() -> None:
        stage.universe.hosts["b"].memory = Memory(groups=(GroupMemory(GROUP, 7),))
        stage.effect("b", claiming)
        stage.effect("b", fx.SendAdverts(advert(B, State.BACKUP, term=9).advert))
        stage.effect("b", TAKES)

    def not_stored() -> None:
        stage.universe.hosts["b"].memory = Memory(groups=(GroupMemory(GROUP, 6),))
        stage.effect("b", claiming)

    admits_and_breaks(stage, stored, not_stored)


@pytest.mark.parametrize("asked", ["fault", "drain", "stop", "paused"])
def test_fit_to_claim(asked: str) -> None:
    stage = Stage("fit-to-claim", paused=asked == "paused")
    told: dict[str, ev.Event] = {
        "fault": ev.CheckChanged(GROUP, CHECK, CheckState.DOWN),
        "drain": ev.DrainAsked(1, drained=True),
        "stop": ev.StopAsked(restarting=False),
    }

    def fit() -> None:
        stage.event("b", ev.CheckChanged(GROUP, CHECK, CheckState.UP))
        stage.effect("b", CLAIM if asked != "paused" else role(State.CLAIMING, Reason.HANDED_OVER))

    def unfit() -> None:
        if asked in told:
            stage.event("b", told[asked])
        stage.effect("b", CLAIM)

    admits_and_breaks(stage, fit, unfit)


def test_paused_a_holder_may_go_on_and_moves_nothing() -> None:
    stage = Stage("fit-to-claim", paused=True)
    stage.event("b", ev.CheckChanged(GROUP, CHECK, CheckState.UP))

    def claims(reason: Reason) -> None:
        stage.effect("b", role(State.CLAIMING, reason))

    def moves() -> None:
        stage.effect("b", TAKES)

    def asked_for() -> None:
        claims(Reason.HELD)
        claims(Reason.HANDED_OVER)
        moves()

    def by_itself() -> None:
        claims(Reason.HELD)
        moves()

    admits_and_breaks(stage, asked_for, by_itself)


@pytest.mark.parametrize("for_ms", [None, 60_000])
def test_paused_and_resumed_during_a_life(for_ms: int | None) -> None:
    stage = Stage("fit-to-claim")
    stage.event("b", ev.CheckChanged(GROUP, CHECK, CheckState.UP))

    def pause() -> None:
        stage.event("b", ev.PauseAsked(1, GROUP, for_ms))

    def over() -> None:
        pause()
        if for_ms is None:
            stage.event("b", ev.ResumeAsked(2, GROUP))
        else:
            stage.universe.now += for_ms
        stage.effect("b", CLAIM)

    def not_over() -> None:
        pause()
        stage.effect("b", CLAIM)

    admits_and_breaks(stage, over, not_over)


def test_double_answer() -> None:
    stage = Stage("double-answer")

    def carried_on(after_ms: int) -> None:
        stage.universe.holder[VIP.id] = ENI_B
        stage.event("a", ev.GuestArmed(GROUP, VIP))
        stage.handled("a", ev.TimerExpired())
        stage.universe.now += after_ms
        stage.handled("a", ev.TimerExpired(), fx.ReadHolders())

    admits_and_breaks(stage, lambda: carried_on(20_000), lambda: carried_on(200_000))


def test_no_needless_move() -> None:
    stage = Stage("no-needless-move")
    admits_and_breaks(stage, lambda: stage.effect("b", CLAIM), lambda: heard_and_claimed(stage))
    guarded = Stage("no-needless-move")
    guarded.effect("b", fx.AskGuard(GROUP, "vip", 5))
    guarded.event("b", ev.GuardAnswered(GROUP, "vip", 5, GuardVerdict.DENY))
    with pytest.raises(Broken, match="guard"):
        guarded.effect("b", CLAIM)
    guarded.effect("b", fx.AskGuard(GROUP, "vip", 6))
    guarded.effect("b", CLAIM)


def heard_and_claimed(stage: Stage) -> None:
    stage.event("b", advert(A, State.MASTER))
    stage.effect("b", CLAIM)


def test_one_reason() -> None:
    stage = Stage("one-reason")
    first = role(State.BACKUP, Reason.HEARD_MASTER, old=State.INIT)
    admits_and_breaks(
        stage,
        lambda: stage.effect("b", first),
        lambda: stage.effect("b", role(State.MASTER, Reason.CLAIM_DONE)),
    )


def test_effects_bounded() -> None:
    stage = Stage("effects-bounded")
    many = (fx.RunHook(GROUP, "master"),) * MOST_EFFECTS

    def asks_all_the_time() -> None:
        for _ in range(30):
            stage.handled("b", ev.TimerExpired(), fx.ReadHolders())

    admits_and_breaks(stage, lambda: stage.handled("a", ev.TimerExpired(), *many), asks_all_the_time)
    with pytest.raises(Broken):
        stage.handled("a", ev.TimerExpired(), *many, *many)


def test_stop_ends() -> None:
    stage = Stage("stop-ends")

    def in_time() -> None:
        stage.event("b", ev.StopAsked(restarting=False))
        stage.universe.hosts["b"].guest.clear()
        stage.effect("b", fx.Leave())

    def too_late() -> None:
        stage.universe.now += 20_000
        stage.handled("b", ev.TimerExpired())

    admits_and_breaks(stage, in_time, too_late)
    with pytest.raises(Broken, match="without having been asked"):
        stage.effect("a", fx.Leave())
    stage.event("a", ev.StopAsked(restarting=False))
    with pytest.raises(Broken, match="on its guest"):
        stage.effect("a", fx.Leave())


def test_preemption_waits() -> None:
    stage = Stage("preemption-waits", preempt=True, preempt_delay_ms=5_000)
    gives_way = role(State.RELEASING, Reason.PREEMPTED, old=State.MASTER)

    def after(wait_ms: int) -> None:
        stage.event("a", advert(B, State.BACKUP))
        stage.event("a", advert(B, State.BACKUP, eligible=True))
        stage.universe.now += wait_ms
        stage.effect("a", gives_way)

    admits_and_breaks(stage, lambda: after(5_000), lambda: after(4_999))
    never = Stage("preemption-waits")
    with pytest.raises(Broken):
        never.effect("a", gives_way)


def test_silence_is_theirs() -> None:
    stage = Stage("silence-is-theirs")
    dead_ms = stage.universe.options.timing.dead_interval_ms

    def after(silence_ms: int) -> None:
        stage.event("b", advert(A, State.MASTER))
        stage.universe.now += silence_ms
        stage.effect("b", CLAIM)

    admits_and_breaks(stage, lambda: after(dead_ms), lambda: after(dead_ms - 1))


@pytest.mark.parametrize("whose", ["its own", "the master's"])
def test_silence_is_theirs_by_the_longer_time_of_two_files(whose: str) -> None:
    stage = Stage("silence-is-theirs")
    timing = stage.process("b").timing

    def after(silence_ms: int) -> None:
        said = advert(A, State.MASTER)
        asked = replace(said.advert, dead_interval_ms=60_000) if whose == "the master's" else said.advert
        stage.event("b", replace(said, advert=asked))
        stage.universe.now += silence_ms
        stage.effect("b", CLAIM)

    if whose == "its own":
        stage.process("b").timing = replace(timing, dead_interval_ms=60_000)
    admits_and_breaks(stage, lambda: after(60_000), lambda: after(59_999))


def test_speaks_in_time() -> None:
    stage = Stage("speaks-in-time")
    a, b = stage.process("a"), stage.process("b")
    a.retimed_at = stage.universe.now
    half_ms = b.timing.dead_interval_ms // 2
    said = advert(A, State.MASTER)

    def speak(in_ms: int) -> None:
        stage.event("b", said)
        a.node.deadline = a.clock + in_ms
        stage.effect("a", fx.SendAdverts(said.advert))

    admits_and_breaks(stage, lambda: speak(half_ms), lambda: speak(half_ms + 1))
    stage.universe.now += b.timing.dead_interval_ms
    a.node.deadline = a.clock + half_ms + 1
    stage.effect("a", fx.SendAdverts(said.advert))  # b has heard nothing for so long that it is dead to it


def test_silent_before_word() -> None:
    stage = Stage("silent-before-word")
    master, backup = (fx.SendAdverts(advert(A, state).advert) for state in (State.MASTER, State.BACKUP))

    def stepped_down() -> None:
        stage.effect("a", master)
        guest, stage.universe.hosts["a"].guest = stage.universe.hosts["a"].guest, set()
        stage.effect("a", backup)
        stage.universe.hosts["a"].guest = guest

    def said_so_only() -> None:
        stage.effect("a", master)
        stage.effect("a", backup)

    admits_and_breaks(stage, stepped_down, said_so_only)


def test_taking_turns() -> None:
    stage = Stage("taking-turns")
    stage.process("b").node.groups[GROUP].absent_since = stage.process("b").clock

    def nobody_better() -> None:
        stage.event("b", advert(A, State.FAULT))
        stage.effect("b", CLAIM)

    def before_its_turn() -> None:
        stage.event("b", advert(A, State.BACKUP, eligible=True))
        stage.effect("b", CLAIM)

    admits_and_breaks(stage, nobody_better, before_its_turn)
    stage.event("b", advert(A, State.CLAIMING, eligible=True))
    with pytest.raises(Broken, match="beside"):
        stage.effect("b", CLAIM)


def test_two_readings() -> None:
    stage = Stage("two-readings")
    elsewhere = ev.HoldersRead((Sighting(VIP, ENI_B),), 0)
    down = role(State.BACKUP, Reason.DEPOSED_BY_CLOUD, old=State.MASTER)

    def after_two() -> None:
        stage.event("a", elsewhere)
        stage.event("a", elsewhere)
        stage.effect("a", down)

    def after_one() -> None:
        stage.event("a", ev.HoldersRead((Sighting(VIP, ENI_A),), 0))
        stage.event("a", elsewhere)
        stage.effect("a", down)

    admits_and_breaks(stage, after_two, after_one)


def test_unconfirmed_word() -> None:
    stage = Stage("unconfirmed-word")
    recording, fresh = (advert(A, State.RELEASING, confirmed=sure) for sure in (False, True))
    offered = role(State.CLAIMING, Reason.HANDED_OVER)
    admits_and_breaks(
        stage, lambda: stage.handled("b", fresh, offered), lambda: stage.handled("b", recording, offered)
    )
    with pytest.raises(Broken):
        stage.handled("b", recording, fx.StopAnswering(GROUP, VIP))


def test_from_nobody_a_node_claims_by_its_own_reading_though_somebody_has_it_since() -> None:
    stage = Stage("unconfirmed-word")
    holders = stage.process("b").node.context.holders

    def claims(holder: str | None) -> None:
        holders.answer(ev.HoldersRead((Sighting(VIP, holder),), stage.process("b").clock))
        recording = advert(A, State.INIT, confirmed=False)
        stage.handled("b", recording, role(State.CLAIMING, Reason.MASTER_ABSENT))

    admits_and_breaks(stage, lambda: claims(None), lambda: claims(ENI_A))


def test_model_allows() -> None:
    stage = Stage("model-allows")
    steals = fx.Move(GROUP, 9, VIP, ENI_A, ENI_B)
    process = stage.process("b")
    admits_and_breaks(
        stage,
        lambda: stage.invariant.on_turn(process, ev.TimerExpired(), ()),
        lambda: stage.invariant.on_turn(process, ev.TimerExpired(), (steals,)),
    )
    assert stage.universe.invariants == [stage.invariant]


def test_strict_apart() -> None:
    stage = Stage("strict-apart", handover=Handover.STRICT)
    offers = advert(A, State.RELEASING, successor=B)

    def handed_over(*, carried: bool) -> None:
        stage.effect("a", role(State.RELEASING, Reason.OPERATOR, old=State.MASTER))
        stage.event("b", offers)
        stage.universe.hosts["a"].guest = {VIP.id} if carried else set()
        stage.effect("b", role(State.CLAIMING, Reason.HANDED_OVER))

    admits_and_breaks(stage, lambda: handed_over(carried=False), lambda: handed_over(carried=True))
    stage.universe.hosts["a"].hooks_until[GROUP] = stage.universe.now + 1
    with pytest.raises(Broken, match="hook"):
        handed_over(carried=False)
    stage.event("b", advert(A, State.RELEASING, successor=A))
    stage.effect("b", role(State.CLAIMING, Reason.HANDED_OVER))
    overlapping = Stage("strict-apart")
    overlapping.effect("a", role(State.RELEASING, Reason.OPERATOR, old=State.MASTER))
    overlapping.event("b", offers)
    overlapping.effect("b", role(State.CLAIMING, Reason.HANDED_OVER))


def test_fence_first() -> None:
    stage = Stage("fence-first", fence=True)

    def after_a_stop() -> None:
        stage.effect("b", CLAIM)
        stage.universe.power("a", on=False)
        stage.universe.power("a", on=True)
        stage.effect("b", TAKES)
        stage.effect("b", role(State.CLAIMING, Reason.HANDED_OVER))
        stage.effect("b", TAKES)

    def without() -> None:
        stage.universe.now += 1
        stage.effect("b", CLAIM)
        stage.effect("b", TAKES)

    admits_and_breaks(stage, after_a_stop, without)
    unfenced = Stage("fence-first")
    unfenced.effect("b", TAKES)


def test_quorum_kept() -> None:
    three = (("a", 100), ("b", 90), ("c", 80))
    stage = Stage("quorum-kept", guards=("quorum",), priorities=three)

    def hearing(*names: NodeName) -> None:
        stage.process("b").heard.clear()
        for name in names:
            stage.event("b", advert(name, State.BACKUP))
        stage.effect("b", CLAIM)

    admits_and_breaks(stage, lambda: hearing(NodeName("c")), hearing)
    stage.effect("b", role(State.CLAIMING, Reason.HANDED_OVER))
    Stage("quorum-kept", priorities=three).effect("b", CLAIM)


def test_same_tenure() -> None:
    stage = Stage("same-tenure")

    def asked_and_done() -> None:
        stage.effect("b", TAKES)
        stage.change(ENI_A, ENI_B)

    def asked_before() -> None:
        stage.effect("a", fx.Move(GROUP, 1, VIP, ENI_B, ENI_A))
        stage.change(ENI_B, None, "c")
        stage.change(None, ENI_B, "b")
        stage.change(ENI_B, ENI_A, "a")

    admits_and_breaks(stage, asked_and_done, asked_before)


def test_eip_kept() -> None:
    stage = Stage("eip-kept", eips=1, strategy="reassign")
    eip = next(iter(stage.universe.bound))

    def bound_to(address: str | None) -> None:
        stage.universe.bound[eip] = address
        stage.invariant.on_eip(Change(stage.universe.now, eip, None, address, "b", "AssociateAddress"))

    def lost_and_bound() -> None:
        bound_to(None)
        bound_to(VIP.id)
        stage.invariant.at_end()

    admits_and_breaks(stage, lost_and_bound, lambda: bound_to("10.0.1.101"))

    def lost_for_good() -> None:
        bound_to(None)
        stage.invariant.at_end()

    admits_and_breaks(stage, lambda: None, lost_for_good)
    forgetful = Stage("eip-kept", eips=1, waves=(Wave("kill-disk-lost", 1, 1, 1, 1),))
    forgetful.universe.bound[eip] = None
    forgetful.invariant.at_end()


@pytest.mark.parametrize("holder", [None, "ins-zzzzzzzz"])
def test_eni_attached(holder: str | None) -> None:
    stage = Stage("eni-attached", addresses=0, enis=1)

    def elsewhere() -> None:
        stage.universe.holder["eni-11111111"] = holder
        stage.invariant.at_end()

    admits_and_breaks(stage, stage.invariant.at_end, elsewhere)
    paused = Stage("eni-attached", addresses=0, enis=1, paused=True)
    paused.universe.holder["eni-11111111"] = holder
    paused.invariant.at_end()


def test_strangers_keep() -> None:
    stage = Stage("strangers-keep")

    def by_hand() -> None:
        stage.change(ENI_A, "eni-zzzzzzzz", "console")
        stage.change("eni-zzzzzzzz", None, "console")
        stage.change(None, ENI_B)

    admits_and_breaks(stage, by_hand, lambda: stage.change("eni-zzzzzzzz", ENI_B))


def test_quota_patience() -> None:
    stage = Stage("quota-patience")

    def refuse(times: int, every_ms: int, refusal: Refusal = Refusal.QUOTA) -> None:
        for _ in range(times):
            stage.universe.now += every_ms
            result = MoveResult(Outcome.REFUSED, "LimitExceeded", refusal)
            stage.event("b", ev.MoveFinished(GROUP, 1, VIP, result))

    def with_waits() -> None:
        refuse(100, 2_000)
        refuse(100, 100, Refusal.CONFLICT)

    admits_and_breaks(stage, with_waits, lambda: refuse(41, 1_000))


def test_what_is_broken_can_be_told_by_another_process() -> None:
    told = pickle.loads(pickle.dumps(Broken("one-holder", "two")))  # noqa: S301 - our own
    assert (told.name, told.seen, str(told)) == ("one-holder", "two", "one-holder: two")


def test_what_is_not_overridden_does_nothing() -> None:
    stage = Stage("one-holder")
    stage.invariant.on_event(stage.process("a"), ev.TimerExpired())
    stage.handled("a", ev.TimerExpired())
    stage.invariant.on_turn(stage.process("a"), ev.TimerExpired(), ())
    stage.invariant.on_decision(stage.process("a"), CLAIM)
    stage.invariant.on_effect(stage.process("a"), CLAIM)
    stage.invariant.on_start(stage.process("a"))
    stage.invariant.on_resume(stage.process("a"))
    stage.invariant.on_strike("cut", over=True)
    stage.invariant.on_eip(Change(0, "eip-00000000", None, VIP.id, "a", "AssociateAddress"))
    stage.invariant.at_end()
    assert stage.invariant.effects == stage.invariant.events == ()


def test_newest_word() -> None:
    stage = Stage("newest-word", paths=("udp", "mqtt"))
    word = Word("a", 1, 7, 1_000)

    def takes(number: int, path: str, *, boot: int = 1, confirmed: bool = True) -> None:
        event = replace(advert(A, State.MASTER, confirmed=confirmed), path=path)
        stage.invariant.on_word(stage.process("b"), event, word._replace(boot=boot, number=number))

    def one_after_the_other() -> None:
        takes(7, "udp")
        takes(7, "mqtt")
        takes(8, "mqtt")
        takes(6, "mqtt", confirmed=False)
        takes(1, "udp", boot=2)

    admits_and_breaks(stage, one_after_the_other, lambda: takes(9, "mqtt"))
    other = Stage("newest-word", paths=("udp", "mqtt"))
    other.invariant.on_word(stage.process("b"), advert(A, State.MASTER), word)
    other.invariant.on_word(stage.process("a"), advert(A, State.MASTER), word._replace(number=1))


def test_newest_word_is_shown_what_the_paths_take() -> None:
    stage = Stage("newest-word", paths=("udp", "mqtt"))
    stage.universe.run_until(stage.universe.now + 5_000)
    newest = stage.invariant._newest  # type: ignore[attr-defined] # of that invariant
    assert {word.node for word in newest.values()} == {"a", "b"}
    assert min(word.number for word in newest.values()) > 5


def test_blind_witness() -> None:
    stage = Stage("blind-witness", paths=("udp", "mqtt"))
    broker, boot = stage.universe.broker, stage.process("b").boot
    assert broker is not None

    def answered(round_id: int, verdict: GuardVerdict, guard: str = "mqtt") -> None:
        stage.effect("b", fx.AskGuard(GROUP, guard, round_id))
        stage.universe.now += 100
        stage.event("b", ev.GuardAnswered(GROUP, guard, round_id, verdict))

    def seen() -> None:
        broker.taken_at[boot] = stage.universe.now
        answered(5, GuardVerdict.ALLOW)
        answered(6, GuardVerdict.DENY)
        answered(7, GuardVerdict.ALLOW, "vip")

    admits_and_breaks(stage, seen, lambda: answered(8, GuardVerdict.ALLOW))


def test_kernels_outweigh_wills() -> None:
    stage = Stage("kernels-outweigh-wills", paths=("udp", "mqtt"))
    group, grace_ms = stage.process("b").node.groups[GROUP], stage.universe.options.hasty.restart_grace_ms

    def claims(reason: Reason, silence_ms: int, **guards: GuardVerdict) -> None:
        cause = SimpleNamespace(evidence=Evidence(silence_ms, State.MASTER, tuple(guards.items()), ()))
        claim: Any = SimpleNamespace(cause=cause)
        group.claim = claim
        stage.effect("b", role(State.CLAIMING, reason))

    def well_founded() -> None:
        stage.effect("b", role(State.MASTER, Reason.CLAIM_DONE))
        stage.effect("b", role(State.CLAIMING, Reason.MASTER_GONE))
        claims(Reason.MASTER_DEAD, grace_ms - 1, mqtt=GuardVerdict.ALLOW)
        claims(Reason.MASTER_GONE, grace_ms, mqtt=GuardVerdict.ALLOW)
        claims(Reason.MASTER_GONE, grace_ms - 1, mqtt=GuardVerdict.ALLOW, vip=GuardVerdict.ALLOW)
        claims(Reason.MASTER_GONE, grace_ms - 1, mqtt=GuardVerdict.UNKNOWN, vip=GuardVerdict.ALLOW)

    admits_and_breaks(
        stage, well_founded, lambda: claims(Reason.MASTER_GONE, grace_ms - 1, mqtt=GuardVerdict.ALLOW)
    )


@pytest.mark.parametrize(
    "disturbed", ["nothing", "broker", "way", "lately", "silent", "young", "restarted", "busy"]
)
def test_bridged_cut(disturbed: str) -> None:
    stage = Stage("bridged-cut", paths=("udp", "mqtt"))
    universe, a, b = stage.universe, stage.process("a"), stage.process("b")
    broker = universe.broker
    assert broker is not None

    def claims(reason: Reason) -> None:
        stage.effect("b", role(State.CLAIMING, reason))

    if disturbed == "nothing":
        admits_and_breaks(stage, lambda: claims(Reason.HANDED_OVER), lambda: claims(Reason.MASTER_DEAD))
        return
    if disturbed == "broker":
        broker.delay_ms = 500
    elif disturbed == "way":
        universe.hosts["a"].dark = 1
    elif disturbed == "lately":
        stage.invariant.on_strike("broker-cut", over=True)
    elif disturbed == "silent":
        universe.now += universe.options.timing.dead_interval_ms // 2
    elif disturbed == "young":
        next(iter(a.node.groups.values())).since = a.clock
    elif disturbed == "busy":
        b._inbox.append(advert(A, State.MASTER))
    else:
        broker.brought[b.boot, "a"] = broker.brought[b.boot, "a"]._replace(boot=99)
    claims(Reason.MASTER_DEAD)


def test_bridged_cut_asks_nothing_without_a_broker() -> None:
    stage = Stage("bridged-cut")
    stage.effect("b", role(State.CLAIMING, Reason.MASTER_DEAD))


def test_unaware_keep() -> None:
    stage = Stage("unaware-keep")
    mute = ev.AdvertReceived(Advert(A, b"", 1_000, Leaving.NO, False, (), ()), "udp")

    def after(event: ev.AdvertReceived, silence_ms: int = 0) -> None:
        stage.event("b", event)
        stage.universe.now += silence_ms
        stage.effect("b", CLAIM)

    after(advert(A, State.BACKUP))
    after(mute, stage.universe.options.timing.dead_interval_ms)
    admits_and_breaks(stage, lambda: after(replace(mute, confirmed=False)), lambda: after(mute))
