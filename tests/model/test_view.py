"""Each sentence of the view admits what it must, and is broken by what it forbids."""

from __future__ import annotations

from dataclasses import replace

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.returns import LAG_MS
from hafailover.election.values import (
    Advert,
    GroupAdvert,
    GuardVerdict,
    Leaving,
    MoveResult,
    NodeName,
    Outcome,
    Sighting,
    State,
)
from tests.model import view
from tests.model.view import View, view_of
from tests.unit.election.bench import DIGEST, GROUP, MEMBERS, START, VIP, A, B, Bench, C

ENI_A, ENI_B, ENI_C = (member.eni_id for member in MEMBERS)
DEAD_MS = 400
PATIENCE_MS = 3_000


class Seen:
    """The view of b, shown things by hand; its node stays as it was at its start."""

    def __init__(self, *, pair: bool = False) -> None:
        self.now = START
        node = Bench(members=MEMBERS[:2] if pair else MEMBERS).node
        self.view: View = view_of(node.groups[GROUP], node, self.now)

    def learn(self, event: ev.Event) -> None:
        self.view.node.deadline = self.now
        self.view.due = self.now  # awake all the time
        self.view.learn(event, self.now)

    def hear(
        self,
        name: NodeName,
        state: State,
        *,
        confirmed: bool = True,
        term: int = 1,
        moving: bool = False,
        said_after: int | None = None,
    ) -> None:
        said = GroupAdvert(GROUP, state, term, 100, False, moving=moving)
        advert = Advert(name, DIGEST, DEAD_MS, Leaving.NO, False, (), (said,))
        self.learn(ev.AdvertReceived(advert, "udp", confirmed, said_after))

    def read(self, holder: str | None) -> None:
        self.learn(ev.HoldersRead((Sighting(VIP, holder),), self.now))

    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds

    def judge(self, effect: fx.Effect) -> list[str]:
        return [sentence for holds, sentence in self.view.rules(effect, self.now) if not holds]

    def take_in(self, effect: fx.Effect) -> None:
        self.view.take_in(effect, self.now)

    def claims(self, reason: Reason = Reason.MASTER_ABSENT) -> list[str]:
        return self.judge(role(State.BACKUP, State.CLAIMING, reason))

    def moves(self, expected: str | None = ENI_A) -> list[str]:
        return self.judge(move(expected))


def role(old: State, new: State, reason: Reason, term: int = 2) -> fx.RoleChanged:
    return fx.RoleChanged(GROUP, old, new, reason, term)


def move(expected: str | None) -> fx.Move:
    return fx.Move(GROUP, 1, VIP, expected, ENI_B)


def lost_unheard() -> Seen:
    seen = Seen()
    seen.hear(A, State.BACKUP)
    seen.hear(C, State.BACKUP)
    seen.read(ENI_B)
    seen.wait(PATIENCE_MS + 1)
    seen.read(ENI_A)
    return seen


def test_what_somebody_unheard_took_is_not_taken_back_before_he_is_heard() -> None:
    seen = lost_unheard()
    assert seen.claims() == [view.UNHEARD]
    assert seen.claims(Reason.HANDED_OVER) == []
    seen.hear(C, State.BACKUP)
    assert seen.claims() == [view.UNHEARD]
    seen.hear(A, State.BACKUP)
    assert seen.claims() == []
    refused = lost_unheard()
    refused.learn(ev.PeerRefused(C))
    assert refused.claims() == [view.UNHEARD]
    refused.learn(ev.PeerRefused(A))
    assert refused.claims() == []


def test_nor_before_a_guard_has_learned_better() -> None:
    seen = lost_unheard()
    seen.learn(ev.GuardAnswered(GROUP, "vip", 1, GuardVerdict.ALLOW))
    assert seen.claims() == [view.UNHEARD]
    seen.learn(ev.GuardAnswered(GROUP, "vip", 2, GuardVerdict.DENY))
    seen.learn(ev.GuardAnswered(GROUP, "vip", 3, GuardVerdict.ALLOW))
    assert seen.claims() == []


def test_who_fell_silent_while_he_claimed_may_have_died_since() -> None:
    seen = Seen()
    seen.hear(A, State.CLAIMING)
    seen.hear(C, State.BACKUP)
    seen.read(ENI_B)
    seen.wait(PATIENCE_MS + 1)
    seen.read(ENI_A)
    assert seen.claims() == []


def test_a_master_is_dead_after_a_silence_on_every_path() -> None:
    seen = Seen()
    seen.hear(C, State.BACKUP)
    seen.hear(A, State.MASTER)
    seen.view.group.last_master = A
    seen.wait(DEAD_MS - 1)
    assert seen.claims(Reason.MASTER_DEAD) == [view.PATHS]
    seen.wait(1)
    assert seen.claims(Reason.MASTER_DEAD) == []


def test_a_refusal_is_no_word_whatever_the_dead_interval_becomes() -> None:
    seen = Seen()
    seen.hear(C, State.BACKUP)
    seen.hear(A, State.MASTER)
    seen.view.group.last_master = A
    seen.wait(3 * DEAD_MS)
    seen.learn(ev.PeerRefused(A))
    context = seen.view.node.context
    members = (context.me, *(peer.member for peer in context.peers))
    context.reconfigure(members, replace(context.timing, dead_interval_ms=2 * DEAD_MS))
    assert seen.claims(Reason.MASTER_GONE) == []


def test_who_slept_cannot_tell() -> None:
    seen = Seen()
    seen.hear(C, State.BACKUP)
    seen.hear(A, State.MASTER)
    seen.view.group.last_master = A
    seen.wait(DEAD_MS)
    seen.view.learn(ev.LoopLagged(DEAD_MS), seen.now)
    assert seen.claims(Reason.MASTER_DEAD) == [view.PATHS]


def test_who_was_silent_before_the_sleep_is_not_excused() -> None:
    seen = Seen()
    seen.hear(A, State.MASTER)
    seen.wait(PATIENCE_MS)
    seen.hear(C, State.BACKUP)
    seen.view.group.last_master = A
    seen.view.learn(ev.LoopLagged(DEAD_MS), seen.now)
    assert seen.claims(Reason.MASTER_DEAD) == []


def test_a_holder_that_serves_and_is_heard_is_left_alone() -> None:
    seen = Seen()
    seen.read(ENI_A)
    seen.hear(C, State.BACKUP)
    seen.hear(A, State.MASTER, confirmed=False)
    assert seen.claims() == [view.SERVED]
    assert seen.claims(Reason.HANDED_OVER) == []
    seen.hear(A, State.FAULT)
    assert seen.claims() == []


def test_after_its_start_a_node_listens_first() -> None:
    seen = Seen()
    seen.hear(A, State.BACKUP)
    seen.wait(DEAD_MS - 1)
    assert seen.claims() == [view.LISTENED]
    seen.wait(1)
    assert seen.claims() == []
    early = Seen(pair=True)
    early.hear(A, State.BACKUP)
    assert early.claims() == []


def test_a_claim_does_not_follow_the_address() -> None:
    seen = Seen()
    assert seen.moves(ENI_A) == []
    seen.take_in(move(ENI_A))
    assert seen.moves(ENI_A) == seen.moves(None) == []
    assert seen.moves(ENI_C) == [view.ELSEWHERE]
    seen.hear(C, State.CLAIMING)
    seen.wait(DEAD_MS)
    assert seen.moves(ENI_C) == []
    again = Seen()
    again.take_in(move(ENI_A))
    again.take_in(role(State.BACKUP, State.CLAIMING, Reason.MASTER_ABSENT))
    assert again.moves(ENI_C) == []


def test_an_applied_move_does_not_yield_to_an_equal_term() -> None:
    seen = Seen()
    gives_way = role(State.CLAIMING, State.BACKUP, Reason.CLAIM_LOST)
    assert seen.judge(gives_way) == []
    seen.take_in(move(ENI_A))
    seen.learn(ev.MoveFinished(GROUP, 1, VIP, MoveResult(Outcome.APPLIED)))
    seen.read(ENI_B)
    seen.hear(A, State.MASTER, term=2)
    assert seen.judge(gives_way) == [view.TIED]
    seen.hear(A, State.MASTER, term=3)
    assert seen.judge(gives_way) == []
    seen.hear(A, State.BACKUP, term=3)
    seen.read(ENI_A)
    assert seen.judge(gives_way) == []


def test_two_readings_in_a_row_depose_a_master() -> None:
    seen = Seen()
    seen.take_in(role(State.CLAIMING, State.MASTER, Reason.CLAIM_DONE))
    for holder in (ENI_A, ENI_B, ENI_A, None, ENI_A):
        seen.wait(1)
        seen.read(holder)
        assert not seen.view.overstays()
    seen.wait(1)
    seen.read(ENI_A)
    assert seen.view.overstays()
    seen.take_in(role(State.MASTER, State.BACKUP, Reason.DEPOSED_BY_CLOUD))
    assert not seen.view.overstays()


def test_what_was_had_is_taken_again_only_after_another_was_read_late_enough_and_a_request_has_died() -> None:
    seen = Seen()
    seen.take_in(move(ENI_A))
    seen.learn(ev.MoveFinished(GROUP, 1, VIP, MoveResult(Outcome.APPLIED)))
    seen.take_in(role(State.BACKUP, State.CLAIMING, Reason.MASTER_ABSENT))
    seen.wait(LAG_MS - 1)
    seen.read(ENI_A)
    assert seen.moves() == [view.RETURN]
    seen.wait(1)
    seen.read(ENI_A)
    seen.wait(LAG_MS + seen.view.node.context.timing.request_life_ms)
    assert seen.moves() == [view.RETURN]
    seen.wait(1)
    assert seen.moves() == []


def test_or_after_all_others_have_said_that_they_have_no_move_under_way() -> None:
    seen = Seen()
    seen.read(ENI_B)
    seen.wait(1)
    seen.read(ENI_A)
    enough = seen.now + LAG_MS
    seen.hear(A, State.BACKUP, said_after=enough)
    assert seen.moves() == [view.RETURN]
    seen.hear(C, State.BACKUP, said_after=enough - 1)
    assert seen.moves() == [view.RETURN]
    seen.hear(C, State.BACKUP, said_after=enough, moving=True)
    assert seen.moves() == [view.RETURN]
    seen.hear(C, State.BACKUP, said_after=enough)
    assert seen.moves() == []


def test_a_pair_needs_no_such_wait() -> None:
    seen = Seen(pair=True)
    seen.read(ENI_B)
    seen.read(ENI_A)
    assert seen.moves() == []
    assert seen.view.node.context.me.name == B
