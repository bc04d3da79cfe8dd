"""Groups that come and go while the daemon runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.election import context, holding, roster
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.peers import Liveness
from hafailover.election.reasons import Reason
from hafailover.election.values import (
    Advert,
    GroupAdvert,
    GroupMemory,
    GroupName,
    Leaving,
    Member,
    Memory,
    NodeName,
    Policy,
    Sighting,
    State,
)
from tests.unit.election.bench import (
    BOTH,
    DIGEST,
    GROUP,
    MEMBERS,
    OTHER,
    POLICY,
    START,
    TIMING,
    UNKNOWN,
    VIP,
    A,
    B,
    Bench,
    C,
)

if TYPE_CHECKING:
    from hafailover.election.ledger import Ledger
    from hafailover.election.values import Resource

DB = GroupName("db")
NEW_GROUP = Policy(DB, (OTHER,))
NEW = b"87654321"
DEAD_MS = TIMING.dead_interval_ms


def reconfigure(bench: Bench, *policies: Policy) -> tuple[fx.Effect, ...]:
    return bench.give(ev.Reconfigured(MEMBERS, TIMING, policies, NEW))


def read(bench: Bench, **holders: str | None) -> None:
    """Answer a reading: `vip` and `db` are who has the address of each group."""
    of: dict[str, Resource] = {"vip": VIP, "db": OTHER}
    seen = tuple(Sighting(of[name], holder) for name, holder in holders.items())
    bench.give(ev.HoldersRead(seen, bench.now))


def say(bench: Bench, peer: NodeName, digest: bytes = NEW, *, confirmed: bool = True, **states: State) -> None:
    """Have a peer speak of these groups, and of no others."""
    said = tuple(GroupAdvert(GroupName(name), each, 1, 100, eligible=True) for name, each in states.items())
    advert = Advert(peer, digest, DEAD_MS, Leaving.NO, drained=False, hears=(B,), groups=said)
    bench.give(ev.AdvertReceived(advert, "udp", confirmed))


def repeat(bench: Bench, milliseconds: int, peers: tuple[NodeName, ...] = (A, C), **states: State) -> None:
    """Let time pass in which peers speak of these groups."""
    for _ in range(milliseconds // 100):
        for peer in peers:
            say(bench, peer, NEW, confirmed=True, **states)
        bench.run(100)


def db(bench: Bench) -> State:
    return bench.node.groups[DB].state


def dismissed(effects: tuple[fx.Effect, ...]) -> fx.GroupDismissed:
    (found,) = [each for each in effects if isinstance(each, fx.GroupDismissed)]
    return found


def remembered(effects: tuple[fx.Effect, ...]) -> dict[GroupName, GroupMemory]:
    """Return what is on disk after these."""
    last = [each for each in effects if isinstance(each, fx.Persist)][-1]
    return {each.group: each for each in last.memory.groups}


# -- a group that comes --------------------------------------------------------------------------------------------


def test_it_has_the_holders_read_and_listens_for_a_dead_interval_before_it_asks_for_what_nobody_has() -> None:
    bench = Bench().as_backup()
    told = reconfigure(bench, POLICY, NEW_GROUP)
    assert db(bench) is State.INIT
    assert [each for each in told if isinstance(each, fx.ReadHolders)]
    (sent,) = [each.advert for each in told if isinstance(each, fx.SendAdverts)]
    assert [(each.group, each.state) for each in sent.groups] == [(GROUP, State.BACKUP), (DB, State.INIT)]
    read(bench, vip="eni-a", db=None)
    repeat(bench, DEAD_MS - 100, vip=State.BACKUP)
    assert db(bench) is State.INIT
    assert bench.moves == []
    repeat(bench, 200, (A,), vip=State.MASTER)
    assert db(bench) is State.CLAIMING
    bench.give(ev.GuestArmed(DB, OTHER))
    assert [(move.group, move.resource, move.expected) for move in bench.moves] == [(DB, OTHER, None)]


def test_it_goes_on_as_master_with_what_the_cloud_says_is_here() -> None:
    bench = Bench().as_master()
    reconfigure(bench, POLICY, NEW_GROUP)
    read(bench, vip="eni-b", db="eni-b")
    assert (db(bench), bench.state(), bench.moves) == (State.MASTER, State.MASTER, [])
    assert bench.node.groups[DB].reason is Reason.HELD_AT_START


def test_a_reading_of_before_says_nothing_of_it() -> None:
    bench = Bench().as_master()
    reconfigure(bench, POLICY, NEW_GROUP)
    bench.give(ev.HoldersRead((Sighting(VIP, "eni-b"), Sighting(OTHER, "eni-b")), bench.now - 1))
    assert db(bench) is State.INIT


def test_it_finds_its_master_where_the_others_have_read_of_it_before() -> None:
    bench = Bench().as_backup()
    reconfigure(bench, POLICY, NEW_GROUP)
    say(bench, A, vip=State.MASTER, db=State.MASTER)
    assert db(bench) is State.BACKUP
    assert bench.moves == []


def test_a_startup_delay_counts_from_when_it_came() -> None:
    bench = Bench().as_backup()
    bench.run(5_000, A)
    reconfigure(bench, POLICY, replace(NEW_GROUP, startup_delay_ms=2_000))
    read(bench, vip="eni-a", db=None)
    repeat(bench, 1_900, (A,), vip=State.MASTER)
    assert (db(bench), bench.node.groups[DB].verdict_reason) == (State.BACKUP, Reason.STARTING)
    repeat(bench, 200, (A,), vip=State.MASTER)
    assert db(bench) is State.CLAIMING


def test_it_takes_nothing_from_a_node_that_has_not_read_of_it() -> None:
    bench = Bench().as_backup()
    reconfigure(bench, POLICY, NEW_GROUP)
    read(bench, vip="eni-a", db="eni-a")
    repeat(bench, 3_000, (A,), vip=State.MASTER)
    assert (db(bench), bench.node.groups[DB].verdict_reason) == (State.BACKUP, Reason.HOLDER_KNOWS_NOT)
    assert fx.Refrained(DB, Reason.HOLDER_KNOWS_NOT) in bench.told
    bench.run(DEAD_MS + 1)
    assert db(bench) is State.CLAIMING, "its host is lost, and with it whatever served there"


# -- a group that goes ---------------------------------------------------------------------------------------------


def test_what_a_master_has_stays_where_it_is_and_nothing_is_said_of_it_any_more() -> None:
    bench = Bench().as_master()
    bench.group.term = 7
    told = reconfigure(bench, NEW_GROUP)
    assert dismissed(told) == fx.GroupDismissed(GROUP, State.MASTER, (VIP,))
    assert not [each for each in told if isinstance(each, fx.StopAnswering | fx.RunHook | fx.Move)]
    (sent,) = [each.advert for each in told if isinstance(each, fx.SendAdverts)]
    assert [each.group for each in sent.groups] == [DB]
    assert remembered(told) == {GROUP: GroupMemory(GROUP, 7, held=True)}, "as one of three may return to it"
    assert not [each for each in bench.give(ev.AddressVanished(GROUP, VIP)) if isinstance(each, fx.Arm)]


def test_what_somebody_else_has_by_now_comes_off_the_guest() -> None:
    bench = Bench().as_master()
    bench.node.context.holders.learn(VIP, "eni-a")
    told = reconfigure(bench, NEW_GROUP)
    assert dismissed(told).stays == ()
    assert fx.StopAnswering(GROUP, VIP) in told


def test_what_the_cloud_was_never_asked_for_stays() -> None:
    bench = Bench()
    assert dismissed(reconfigure(bench, NEW_GROUP)) == fx.GroupDismissed(GROUP, State.INIT, (VIP,))


def test_a_renamed_group_goes_on_as_master_without_a_move() -> None:
    bench = Bench().as_master()
    bench.clear()
    reconfigure(bench, replace(POLICY, group=DB))
    read(bench, vip="eni-b")
    assert (db(bench), bench.moves, bench.all(fx.StopAnswering)) == (State.MASTER, [], [])


def test_it_cannot_go_while_anything_is_under_way() -> None:
    claimant, master, sender = Bench().as_claimant(), Bench().as_master(), Bench().as_backup()
    assert roster.unsettled(claimant.group, claimant.now)
    assert not roster.unsettled(master.group, master.now)
    master.hear(C)
    master.give(ev.FailoverAsked(1, GROUP, C))
    assert master.state() is State.RELEASING
    assert roster.unsettled(master.group, master.now)
    sender.group.ledger.ended(VIP, replace(UNKNOWN, open_ms=10), sender.now)
    assert roster.unsettled(sender.group, sender.now)
    assert not roster.unsettled(sender.group, sender.now + 10)


def test_where_it_has_gone_all_the_same_the_next_one_waits_for_what_was_sent() -> None:
    bench = Bench().as_claimant()
    assert len(bench.moves) == 1
    told = reconfigure(bench, replace(POLICY, group=DB))
    assert dismissed(told).state is State.CLAIMING
    assert remembered(told)[GROUP] == GroupMemory(GROUP, 2, moving=True, held=True)
    bench.give(ev.MoveFinished(GROUP, bench.moves[0].move_id, VIP, UNKNOWN))
    ledger: Ledger = bench.node.groups[DB].ledger
    assert ledger.open_until(bench.now) == bench.now + TIMING.request_life_ms
    reconfigure(bench, POLICY)
    assert bench.group.ledger.open_until(bench.now) == bench.now + TIMING.request_life_ms
    assert (bench.group.term, bench.group.returns.entangled) == (2, True)


def test_its_pause_goes_and_its_term_stays() -> None:
    bench = Bench(memory=Memory(groups=(GroupMemory(GROUP, 5, paused=True),))).as_backup()
    assert bench.group.pause.on
    told = reconfigure(bench, NEW_GROUP)
    assert remembered(told) == {GROUP: GroupMemory(GROUP, 5)}
    reconfigure(bench, POLICY)
    assert (bench.group.term, bench.group.pause.on) == (5, False)


def test_of_one_that_was_never_claimed_nothing_is_kept_and_of_others_so_much() -> None:
    bench = Bench()
    assert remembered(reconfigure(bench, NEW_GROUP)) == {}
    names = [GroupName(f"g{number}") for number in range(context.MAX_RETIRED + 5)]
    for number, name in enumerate(names):
        reconfigure(bench, NEW_GROUP, Policy(name, (VIP,)))
        bench.node.groups[name].term = number + 1
    told = reconfigure(bench, NEW_GROUP)
    assert [*remembered(told)] == sorted(names[5:]), "the oldest are forgotten"


def test_what_was_heard_and_read_of_it_does_not_count_when_it_comes_again() -> None:
    bench = Bench().as_backup()
    say(bench, A, vip=State.MASTER)
    reconfigure(bench, NEW_GROUP)
    reconfigure(bench, POLICY, NEW_GROUP)
    assert bench.group.heard_master(bench.now) is None
    assert bench.node.context.holders.sighting(VIP) is None
    assert bench.state() is State.INIT


# -- the files of others -------------------------------------------------------------------------------------------


def test_a_word_of_a_group_is_over_with_the_file_that_named_it() -> None:
    bench = Bench().as_backup()
    say(bench, A, DIGEST, vip=State.MASTER)
    assert bench.group.heard_master(bench.now) is not None
    say(bench, A, NEW, db=State.MASTER)
    assert bench.group.heard_master(bench.now) is None
    bench.read("eni-a")
    repeat(bench, 3_000, (A,), db=State.MASTER)
    assert (bench.state(), bench.group.verdict_reason) == (State.BACKUP, Reason.HOLDER_KNOWS_NOT)
    assert bench.moves == []


def test_so_is_a_pause_but_for_one_that_only_a_recording_leaves_out() -> None:
    bench = Bench().as_backup()
    paused = GroupAdvert(GROUP, State.MASTER, 1, 100, eligible=False, paused_min=5)
    told = Advert(A, DIGEST, DEAD_MS, Leaving.NO, drained=False, hears=(B,), groups=(paused,))
    bench.give(ev.AdvertReceived(told, "udp"))
    bench.run(DEAD_MS + 1)
    say(bench, A, NEW, confirmed=False, db=State.MASTER)
    assert bench.group.pause.holds(bench.now)
    bench.give(ev.AdvertReceived(told, "udp"))
    say(bench, A, NEW, db=State.MASTER)
    assert not bench.group.pause.holds(bench.now)


# -- nodes that come and go ----------------------------------------------------------------------------------------


def renode(bench: Bench, *members: Member) -> tuple[fx.Effect, ...]:
    return bench.give(ev.Reconfigured(members, TIMING, (POLICY,), NEW))


def pair_of_two(me: NodeName = B) -> Bench:
    return Bench(me, members=MEMBERS[:2])


def test_a_peer_that_stays_is_known_as_before_and_one_that_comes_was_never_heard() -> None:
    bench = pair_of_two().as_backup()
    renode(bench, replace(MEMBERS[2], order=0), replace(MEMBERS[0], order=1), replace(MEMBERS[1], order=2))
    peers = {peer.name: peer for peer in bench.node.context.peers}
    assert [*peers] == [C, A]
    assert (peers[A].liveness(bench.now), peers[A].member.order) == (Liveness.ALIVE, 1)
    assert peers[C].liveness(bench.now) is Liveness.NEVER
    assert (bench.state(), bench.node.context.me.order, bench.node.context.size) == (State.BACKUP, 2, 3)
    bench.hear(C)
    assert peers[C].liveness(bench.now) is Liveness.ALIVE


def test_a_peer_that_has_gone_is_a_stranger() -> None:
    bench = Bench().as_backup()
    renode(bench, *MEMBERS[:2])
    assert bench.node.context.peers.get(C) is None
    assert bench.give(ev.PeerRefused(C)) == ()
    bench.read("eni-c")
    assert bench.node.context.is_stranger(Sighting(VIP, "eni-c"))


def test_a_node_whose_memory_is_lost_takes_everything_for_under_way() -> None:
    bench = Bench(memory=Memory(lost=True))
    assert bench.group.ledger.open_until(bench.now) == bench.now + TIMING.request_life_ms


@pytest.mark.parametrize(("held", "lost"), [(True, False), (False, True), (False, False)])
def test_what_it_may_have_had_before_it_started_counts_too(*, held: bool, lost: bool) -> None:
    context = Bench(memory=Memory(groups=(GroupMemory(GROUP, 3, held=held),))).node.context
    group = roster.gather([POLICY], context, START, lost=lost)[GROUP]
    assert group.returns.entangled is (held or lost)
    assert (group.ledger.open_until(START) is not None) is lost


def test_the_return_rule_comes_with_a_third_node_and_counts_what_was_before() -> None:
    bench = pair_of_two().as_master()
    assert (bench.group.returns.needed, bench.group.returns.entangled) == (False, False)
    told = renode(bench, *MEMBERS)
    assert bench.group.returns.entangled
    assert remembered(told)[GROUP].held, "a crash must not forget that it had it"
    bench.hear(A, State.MASTER, 9)
    bench.read("eni-a")
    assert bench.group.returns.pending((VIP,), bench.now) is not None
    assert not [each for each in renode(bench, *MEMBERS) if isinstance(each, fx.Persist)], "it is noted already"


def test_and_what_is_on_disk_of_a_claim_stays_there() -> None:
    bench = Bench(members=MEMBERS[:2], policy=BOTH).as_claimant()
    bench.arm(OTHER)
    bench.read("eni-b", "eni-a")
    told = bench.give(ev.Reconfigured(MEMBERS, TIMING, (bench.group.policy,), NEW))
    assert remembered(told)[GROUP] == GroupMemory(GROUP, 2, moving=True, held=True)


def test_a_backup_of_a_pair_that_never_had_it_is_held_up_by_nothing() -> None:
    bench = pair_of_two().as_backup()
    renode(bench, *MEMBERS)
    assert bench.group.returns.pending((VIP,), bench.now) is None


def test_a_pair_that_is_left_over_is_not_held_up() -> None:
    bench = Bench().as_master()
    renode(bench, *MEMBERS[:2])
    bench.hear(A, State.MASTER, 9)
    bench.read("eni-a")
    assert bench.group.returns.pending((VIP,), bench.now) is None


def why_not(bench: Bench, name: NodeName = C) -> Reason | None:
    return roster.blocks(name, bench.node.groups.values(), bench.node.context, bench.now)


def test_a_node_goes_when_its_daemon_is_heard_no_more() -> None:
    bench = Bench().as_backup()
    assert why_not(bench, NodeName("x")) is None
    bench.give(ev.PeerRefused(C))
    assert why_not(bench) is None, "it was never heard"
    bench.hear(C)
    assert why_not(bench) is Reason.NODE_RUNS
    bench.hear(C, leaving=Leaving.STOPPING)
    assert why_not(bench) is None


def test_a_node_does_not_go_with_what_it_has() -> None:
    bench = Bench().as_backup()
    bench.read("eni-c")
    assert why_not(bench) is Reason.NODE_HOLDS


def test_a_node_does_not_go_while_what_it_asked_for_may_come_about() -> None:
    bench = Bench().as_backup()
    bench.hear(C, State.CLAIMING, moving=True)
    bench.run(DEAD_MS, A)
    assert why_not(bench) is Reason.NODE_MOVES
    bench.run(TIMING.request_life_ms - DEAD_MS - 1, A)
    assert why_not(bench) is Reason.NODE_MOVES
    bench.run(1, A)
    assert why_not(bench) is None


def test_a_holder_that_was_never_heard_keeps_it_while_another_hears_it() -> None:
    bench = Bench(me=C)
    bench.read("eni-a")
    for _ in range(20):
        bench.hear(B, hears=(A, C))
        bench.run(100)
    assert (bench.state(), bench.group.verdict_reason) == (State.BACKUP, Reason.HOLDER_VOUCHED)
    bench.hear(B, hears=(A,))
    assert bench.group.verdict_reason is not Reason.HOLDER_VOUCHED, "who does not hear this node has no say"
    bench.hear(B, hears=(C,), eligible=False)
    bench.run(300, B)
    assert bench.state() is State.CLAIMING, "it is gone for both"


def test_what_may_be_a_recording_vouches_for_nobody() -> None:
    bench = Bench(me=C)
    bench.read("eni-a")
    for _ in range(8):
        bench.hear(B, hears=(A, C), confirmed=False)
        bench.run(100)
    assert not holding.vouched(bench.group, bench.now)


def test_what_is_on_its_way_stays_until_it_is_known_where() -> None:
    bench = Bench().as_master()
    bench.read("eni-a", settled=False)
    assert roster.staying(bench.group) == (VIP,)
