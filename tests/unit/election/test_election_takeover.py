from __future__ import annotations

import random

import pytest

from hafailover.election.context import Context
from hafailover.election.takeover import Takeovers
from hafailover.election.values import Advert, GroupAdvert, GuardVerdict, Leaving, NodeName, Sighting, State
from tests.unit.election.bench import DIGEST, GROUP, MEMBERS, OTHER, TIMING, VIP, A, C

NOW = 50_000


@pytest.fixture
def context() -> Context:
    return Context(MEMBERS[1], MEMBERS, TIMING, random.Random(1), NOW)  # noqa: S311 - to be repeated, not secret


@pytest.fixture
def takeovers(context: Context) -> Takeovers:
    """What `b` has seen: `a` holds the address, and nobody is heard."""
    takeovers = Takeovers(GROUP, context)
    takeovers.see(Sighting(VIP, "eni-a"), NOW)
    return takeovers


def hear(context: Context, name: NodeName, state: State, at: int, *, moving: bool = False) -> None:
    peer = context.peers.get(name)
    assert peer is not None
    said = GroupAdvert(GROUP, state, 1, 100, eligible=True, moving=moving)
    peer.hear(Advert(name, DIGEST, 400, Leaving.NO, False, (), (said,)), at, confirmed=True)


def test_the_first_holder_seen_has_taken_nothing(takeovers: Takeovers) -> None:
    assert not takeovers.forbid
    takeovers.see(Sighting(VIP, "eni-a"), NOW)
    assert not takeovers.forbid


@pytest.mark.parametrize("taker", ["eni-c", "eni-stranger"])
def test_who_takes_it_unheard_is_alive(takeovers: Takeovers, taker: str) -> None:
    takeovers.see(Sighting(VIP, taker), NOW)
    assert takeovers.forbid
    takeovers.see(Sighting(VIP, taker), NOW + 3_600_000)
    assert takeovers.forbid


def test_what_is_still_being_moved_proves_nothing(takeovers: Takeovers) -> None:
    takeovers.see(Sighting(VIP, "eni-c", settled=False), NOW)
    assert not takeovers.forbid


@pytest.mark.parametrize("holder", [None, "eni-b"])
def test_nobody_and_this_node_end_it(takeovers: Takeovers, holder: str | None) -> None:
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    takeovers.see(Sighting(VIP, holder), NOW)
    assert not takeovers.forbid


def refuse(context: Context, name: NodeName, *times: int) -> None:
    peer = context.peers.get(name)
    assert peer is not None
    for at in times:
        peer.refuse(at)


def test_a_taker_whose_kernel_refuses_may_have_been_there_to_take_it(
    takeovers: Takeovers, context: Context
) -> None:
    refuse(context, C, NOW)
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    assert takeovers.forbid
    refuse(context, C, *range(NOW, NOW + 3_000, 1_000))
    takeovers.see(Sighting(VIP, "eni-c"), NOW + 2_999)
    assert takeovers.forbid
    takeovers.see(Sighting(VIP, "eni-c"), NOW + 3_000)
    assert not takeovers.forbid, "no daemon has been there for all of the grace"


def test_refusals_of_long_ago_say_nothing_of_now(takeovers: Takeovers, context: Context) -> None:
    refuse(context, C, NOW)
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    takeovers.see(Sighting(VIP, "eni-c"), NOW + 3_000)
    assert takeovers.forbid


def test_hearing_the_taker_ends_it(takeovers: Takeovers, context: Context) -> None:
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    hear(context, C, State.BACKUP, NOW)
    takeovers.see(Sighting(VIP, "eni-c"), NOW + 399)
    assert not takeovers.forbid
    takeovers.see(Sighting(VIP, "eni-c"), NOW + 400)
    assert not takeovers.forbid, "it fell silent after that, as others do that die"


def test_a_taker_that_is_heard_took_it_openly(takeovers: Takeovers, context: Context) -> None:
    hear(context, C, State.BACKUP, NOW)
    takeovers.see(Sighting(VIP, "eni-c"), NOW + 399)
    assert not takeovers.forbid


@pytest.mark.parametrize(
    ("last_words", "forbid"),
    [
        (State.CLAIMING, False),
        (State.MASTER, False),
        (State.RELEASING, False),
        (State.BACKUP, True),
        (State.INIT, True),
    ],
)
def test_a_taker_that_fell_silent_while_it_claimed_may_have_died(
    takeovers: Takeovers, context: Context, last_words: State, *, forbid: bool
) -> None:
    hear(context, C, last_words, NOW)
    takeovers.see(Sighting(VIP, "eni-c"), NOW + 400)
    assert takeovers.forbid is forbid
    assert takeovers.orphaned(VIP, "eni-c", NOW + 400) is not forbid
    assert not takeovers.orphaned(VIP, "eni-c", NOW + 399)


def test_one_that_served_before_this_node_had_it_lives(takeovers: Takeovers, context: Context) -> None:
    hear(context, A, State.MASTER, NOW)
    takeovers.see(Sighting(VIP, "eni-b"), NOW + 500)
    takeovers.see(Sighting(VIP, "eni-a"), NOW + 5_000)
    assert takeovers.forbid
    assert not takeovers.orphaned(VIP, "eni-a", NOW + 5_000)


@pytest.mark.parametrize(("heard_at", "dead"), [(NOW + 499, False), (NOW + 500, False), (NOW + 501, True)])
def test_unless_it_was_heard_to_serve_after_that(
    takeovers: Takeovers, context: Context, heard_at: int, *, dead: bool
) -> None:
    takeovers.see(Sighting(VIP, "eni-b"), NOW + 500)
    hear(context, A, State.MASTER, heard_at)
    takeovers.see(Sighting(VIP, "eni-a"), NOW + 5_000)
    assert takeovers.forbid is not dead
    assert takeovers.orphaned(VIP, "eni-a", NOW + 5_000) is dead


def test_what_a_claim_left_here_is_no_evidence_by_itself(takeovers: Takeovers) -> None:
    takeovers.see(Sighting(VIP, "eni-stranger"), NOW)
    assert not takeovers.orphaned(VIP, "eni-stranger", NOW)
    assert takeovers.forbid
    takeovers.see(Sighting(VIP, None), NOW)
    assert not takeovers.forbid


@pytest.mark.parametrize(("state", "moving"), [(State.CLAIMING, False), (State.BACKUP, True)])
def test_but_a_move_of_one_that_claimed_may_come_late(
    takeovers: Takeovers, context: Context, state: State, *, moving: bool
) -> None:
    hear(context, A, state, NOW, moving=moving)
    takeovers.see(Sighting(VIP, "eni-b"), NOW + 500)
    takeovers.see(Sighting(VIP, "eni-a"), NOW + 5_000)
    assert not takeovers.forbid


@pytest.mark.parametrize(("mine_ms", "lives"), [(14_999, False), (15_000, True)])
def test_but_not_later_than_it_can_have_its_effect(
    takeovers: Takeovers, context: Context, mine_ms: int, *, lives: bool
) -> None:
    hear(context, A, State.CLAIMING, NOW)
    takeovers.see(Sighting(VIP, "eni-b"), NOW + mine_ms)
    takeovers.see(Sighting(VIP, "eni-a"), NOW + 40_000)
    assert takeovers.forbid is lives
    assert takeovers.orphaned(VIP, "eni-a", NOW + 40_000) is not lives


def test_nobody_inherits_from_strangers_or_the_never_heard(takeovers: Takeovers) -> None:
    assert not takeovers.orphaned(VIP, "eni-stranger", NOW)
    assert not takeovers.orphaned(VIP, "eni-a", NOW)


def test_last_words_do_not_explain_what_was_proof_of_life_before(takeovers: Takeovers, context: Context) -> None:
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    hear(context, C, State.CLAIMING, NOW - 1_000)
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    assert takeovers.forbid


def test_one_of_several_resources_is_enough(takeovers: Takeovers, context: Context) -> None:
    takeovers.see(Sighting(OTHER, "eni-b"), NOW)
    takeovers.see(Sighting(OTHER, "eni-c"), NOW)
    takeovers.see(Sighting(VIP, "eni-a"), NOW)
    assert takeovers.forbid
    hear(context, A, State.BACKUP, NOW)
    assert takeovers.forbid


ALLOW, DENY, UNKNOWN = GuardVerdict.ALLOW, GuardVerdict.DENY, GuardVerdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdicts", "forbid"),
    [
        ([("vip", ALLOW), ("vip", ALLOW)], True),
        ([("vip", DENY)], True),
        ([("vip", DENY), ("vip", ALLOW)], False),
        ([("cloud", UNKNOWN), ("vip", ALLOW)], True),
        ([("cloud", UNKNOWN), ("cloud", ALLOW)], False),
        ([("vip", DENY), ("vip", ALLOW), ("vip", ALLOW)], False),
    ],
)
def test_only_what_a_guard_finds_anew_is_evidence(
    takeovers: Takeovers, verdicts: list[tuple[str, GuardVerdict]], *, forbid: bool
) -> None:
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    for guard, verdict in verdicts:
        takeovers.answered(guard, verdict)
    assert takeovers.forbid is forbid


def test_the_next_takeover_needs_evidence_of_its_own(takeovers: Takeovers) -> None:
    takeovers.see(Sighting(VIP, "eni-c"), NOW)
    takeovers.answered("vip", DENY)
    takeovers.answered("vip", ALLOW)
    takeovers.see(Sighting(VIP, "eni-a"), NOW)
    assert takeovers.forbid
    takeovers.answered("vip", ALLOW)
    assert takeovers.forbid
