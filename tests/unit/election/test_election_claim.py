"""One claim on its own, against what the cloud says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election.claim import SETTLE_MS, UNRESOLVED_LOOK_MS, Cause, Claim
from hafailover.election.context import Context
from hafailover.election.effects import Move
from hafailover.election.events import HoldersRead, MoveFinished
from hafailover.election.holders import Holders
from hafailover.election.ledger import Ledger
from hafailover.election.reasons import Reason
from hafailover.election.returns import FRESH_MS, LAG_MS, Returns
from hafailover.election.values import Member, MoveResult, Outcome, Resource, Sighting
from tests.unit.election.bench import (
    APPLIED,
    CONFLICT,
    ENI,
    GROUP,
    MEMBERS,
    OTHER,
    QUOTA,
    THROTTLED,
    TIMING,
    UNKNOWN,
    VIP,
)

NOW = 1_000
LIFE_MS = 10_000
HALF_DONE = MoveResult(Outcome.UNKNOWN, "ClientTimeout", half_done=True, holder=None)


class Most:
    def randint(self, a: int, b: int) -> int:
        del a
        return b


class Attempt:
    """A claim of `b` on some resources, and the readings that it sees."""

    def __init__(
        self, *resources: Resource, trust_after: int = 0, members: tuple[Member, ...] = MEMBERS[:2]
    ) -> None:
        self.holders = Holders(Most())
        cause = Cause(Reason.MASTER_DEAD, source=None)
        self.orphans: tuple[str, ...] = ()
        self.ledger = Ledger(LIFE_MS)
        self.returns = Returns(GROUP, Context(MEMBERS[1], members, TIMING, Most(), NOW))
        self.claim = Claim(
            GROUP,
            resources,
            MEMBERS[1],
            cause,
            now=NOW,
            trust_after=trust_after,
            rng=Most(),
            ledger=self.ledger,
            returns=self.returns,
        )

    def done(self) -> bool:
        return self.claim.done

    def idle(self) -> bool:
        return self.claim.idle

    def lost(self) -> bool:
        return self.claim.lost

    def read(self, at: int, *sightings: Sighting) -> None:
        self.holders.answer(HoldersRead(sightings, at))

    def drive(self, at: int, new_id: int = 1) -> tuple[Move, ...]:
        return self.claim.drive(self.holders, at, new_id, lambda _resource, holder, _now: holder in self.orphans)

    def finish(self, at: int, result: MoveResult, move_id: int = 1, resource: Resource = VIP) -> None:
        self.claim.finished(MoveFinished(GROUP, move_id, resource, result), self.holders, at)


@pytest.fixture
def attempt() -> Attempt:
    """A claim on the address that `a` holds; the first move is sent."""
    attempt = Attempt(VIP)
    attempt.read(900, Sighting(VIP, "eni-a"))
    assert attempt.drive(NOW) == (Move(GROUP, 1, VIP, "eni-a", "eni-b"),)
    return attempt


def test_a_move_names_the_holder_just_seen_and_is_sent_once(attempt: Attempt) -> None:
    assert attempt.claim.moves == 1
    assert not attempt.idle()
    assert attempt.drive(NOW + 10_000) == ()
    assert attempt.claim.deadline(NOW) is None


def test_whom_it_is_taken_from_is_what_the_last_move_names_if_it_names_anybody(attempt: Attempt) -> None:
    assert attempt.claim.taken_from == (VIP, "eni-a")
    attempt.finish(1_500, HALF_DONE)
    attempt.read(NOW + LIFE_MS + LAG_MS, Sighting(VIP, None))
    (move,) = attempt.drive(NOW + LIFE_MS + LAG_MS, 2)
    assert (move.expected, attempt.claim.taken_from) == (None, (VIP, "eni-a"))


def test_done_is_what_a_later_reading_says(attempt: Attempt) -> None:
    attempt.finish(1_500, APPLIED)
    assert attempt.idle()
    assert attempt.drive(1_500) == ()
    assert attempt.holders.want(1_500), "the answer is a task's end: the state is read"
    attempt.read(1_499, Sighting(VIP, "eni-b"))
    attempt.drive(1_600)
    assert not attempt.done()
    attempt.read(1_500, Sighting(VIP, "eni-b"))
    attempt.drive(1_600)
    assert attempt.done()
    assert attempt.claim.applied_at == 1_500
    assert attempt.drive(1_700) == ()


def test_what_is_held_already_needs_no_move() -> None:
    attempt = Attempt(VIP)
    attempt.read(900, Sighting(VIP, "eni-b"))
    assert attempt.drive(NOW) == ()
    assert attempt.done()
    assert attempt.claim.applied_at == NOW
    assert attempt.claim.moves == 0


def test_what_was_here_long_ago_is_looked_at_while_the_rest_moves() -> None:
    attempt = Attempt(VIP, OTHER, trust_after=-LIFE_MS)
    old = NOW - FRESH_MS - 1
    attempt.read(old, Sighting(VIP, "eni-b"), Sighting(OTHER, "eni-a"))
    assert attempt.drive(NOW) == (Move(GROUP, 1, OTHER, "eni-a", "eni-b"),)
    assert attempt.holders.want(NOW), "it may have been taken since"
    attempt.read(NOW, Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-a"))
    assert attempt.drive(NOW + 100, 2) == (Move(GROUP, 2, VIP, "eni-a", "eni-b"),)
    again = Attempt(VIP, trust_after=-LIFE_MS)
    again.read(old + 1, Sighting(VIP, "eni-b"))
    again.drive(NOW)
    assert again.done()


def test_an_eni_is_moved_to_the_instance() -> None:
    attempt = Attempt(ENI)
    attempt.read(900, Sighting(ENI, None))
    assert attempt.drive(NOW, 5) == (Move(GROUP, 5, ENI, None, "ins-b"),)


@pytest.mark.parametrize(("asked_at", "moves"), [(799, 0), (800, 1), (801, 1)])
def test_a_reading_older_than_trust_is_not_acted_on(asked_at: int, moves: int) -> None:
    attempt = Attempt(VIP, trust_after=800)
    attempt.read(asked_at, Sighting(VIP, "eni-a"))
    assert len(attempt.drive(NOW)) == moves
    assert attempt.holders.want(NOW) is (moves == 0)


def test_what_the_cloud_is_moving_is_looked_at_again() -> None:
    attempt = Attempt(VIP)
    attempt.read(900, Sighting(VIP, "eni-a", settled=False))
    assert attempt.drive(NOW) == ()
    assert attempt.claim.deadline(NOW) == NOW + SETTLE_MS
    attempt.read(NOW + SETTLE_MS - 1, Sighting(VIP, "eni-a"))
    assert attempt.drive(NOW + SETTLE_MS - 1) == ()
    assert attempt.drive(NOW + SETTLE_MS) == (), "that was read too early"
    assert attempt.holders.want(NOW + SETTLE_MS)
    attempt.read(NOW + SETTLE_MS, Sighting(VIP, "eni-a"))
    assert len(attempt.drive(NOW + SETTLE_MS)) == 1


@pytest.mark.parametrize("source", ["eni-a", None])
def test_what_was_on_its_way_when_the_claim_began_is_whose_it_becomes(source: str | None) -> None:
    attempt = Attempt(VIP)
    attempt.read(900, Sighting(VIP, source, settled=False))
    assert attempt.drive(NOW) == ()
    later = NOW + SETTLE_MS + LAG_MS
    attempt.read(later, Sighting(VIP, "eni-c"))
    assert attempt.drive(later) == ()
    assert attempt.lost()


@pytest.mark.parametrize(("source", "lost"), [("eni-a", True), (None, False)])
def test_where_it_was_with_nobody_a_reading_may_lag_behind(source: str | None, *, lost: bool) -> None:
    attempt = Attempt(VIP)
    attempt.read(900, Sighting(VIP, source, settled=False))
    assert attempt.drive(NOW) == ()
    for look in (1, 2):
        attempt.read(NOW + look * SETTLE_MS, Sighting(VIP, "eni-c"))
        assert attempt.drive(NOW + look * SETTLE_MS) == ()
    assert attempt.lost() is lost
    attempt.read(NOW + LAG_MS, Sighting(VIP, "eni-c"))
    attempt.drive(NOW + LAG_MS)
    assert attempt.lost()


def test_where_it_goes_back_to_whom_it_was_leaving_the_claim_goes_on() -> None:
    attempt = Attempt(VIP)
    attempt.read(900, Sighting(VIP, "eni-a", settled=False))
    attempt.drive(NOW)
    attempt.read(NOW + SETTLE_MS, Sighting(VIP, "eni-a", settled=False))
    attempt.drive(NOW + SETTLE_MS)
    attempt.read(NOW + 2 * SETTLE_MS, Sighting(VIP, "eni-a"))
    assert attempt.drive(NOW + 2 * SETTLE_MS) == (Move(GROUP, 1, VIP, "eni-a", "eni-b"),)


def test_an_unknown_outcome_is_resolved_by_a_reading_asked_afterwards(attempt: Attempt) -> None:
    attempt.finish(1_500, UNKNOWN)
    assert attempt.claim.failures == 1
    attempt.read(1_499, Sighting(VIP, "eni-a"))
    assert attempt.drive(2_000) == ()
    attempt.read(1_500, Sighting(VIP, "eni-b"))
    assert attempt.drive(2_000) == ()
    assert attempt.done()
    assert attempt.claim.moves == 1


@pytest.mark.parametrize(("at", "moves"), [(1_599, 0), (1_600, 1), (1_601, 1)])
def test_and_asked_again_after_a_wait_if_it_was_not_done(attempt: Attempt, at: int, moves: int) -> None:
    attempt.finish(1_500, UNKNOWN)
    attempt.read(1_550, Sighting(VIP, "eni-a"))
    assert len(attempt.drive(at, 2)) == moves


def test_a_throttled_call_was_not_done_and_is_asked_again(attempt: Attempt) -> None:
    attempt.finish(1_500, THROTTLED)
    assert attempt.claim.deadline(1_500) == 1_600
    assert attempt.holders.want(1_500), "it may be somebody else's move that is in the way"
    assert len(attempt.drive(1_600, 2)) == 1, "but its answer is not waited for"


def test_waits_grow_and_success_begins_anew(attempt: Attempt) -> None:
    for number, wait_ms in ((1, 100), (2, 200), (3, 400)):
        attempt.finish(10_000 * number, THROTTLED, number)
        assert attempt.claim.deadline(10_000 * number) == 10_000 * number + wait_ms
        assert len(attempt.drive(10_000 * number + wait_ms, number + 1)) == 1
    attempt.finish(50_000, APPLIED, 4)
    assert attempt.claim.failures == 0


def test_waiting_for_anothers_request_is_no_failure_of_this_node(attempt: Attempt) -> None:
    """A claimant that counts as failing is joined by the next in rank, whose requests would keep both waiting."""
    busy = replace(THROTTLED, busy=True)
    for number, wait_ms in ((1, 100), (2, 200), (3, 400)):
        attempt.finish(10_000 * number, busy, number)
        assert attempt.claim.failures == 0
        assert attempt.claim.deadline(10_000 * number) == 10_000 * number + wait_ms
        assert len(attempt.drive(10_000 * number + wait_ms, number + 1)) == 1
    attempt.finish(50_000, THROTTLED, 4)
    assert attempt.claim.failures == 1
    assert attempt.claim.deadline(50_000) == 50_100


def test_the_first_conflict_costs_only_a_reading(attempt: Attempt) -> None:
    attempt.finish(1_500, CONFLICT)
    assert attempt.claim.deadline(1_500) is None
    assert attempt.drive(1_500) == ()
    attempt.read(1_500, Sighting(VIP, None))
    assert attempt.drive(1_600, 2) == (Move(GROUP, 2, VIP, None, "eni-b"),)
    attempt.finish(2_000, CONFLICT, 2)
    assert attempt.claim.deadline(2_000) == 2_200, "a second one in a row is waited out"


def test_a_conflict_after_throttling_is_a_first_one_again(attempt: Attempt) -> None:
    attempt.finish(1_500, THROTTLED)
    attempt.drive(1_600, 2)
    attempt.finish(1_700, CONFLICT, 2)
    assert attempt.claim.deadline(1_700) is None


def test_any_other_refusal_is_read_about_and_asked_again(attempt: Attempt) -> None:
    attempt.finish(1_500, QUOTA)
    assert attempt.claim.deadline(1_500) == 1_600
    assert attempt.holders.want(1_500)


def test_what_is_half_done_goes_on_from_there(attempt: Attempt) -> None:
    attempt.finish(1_500, replace(HALF_DONE, outcome=Outcome.THROTTLED))
    assert attempt.drive(1_600, 2) == (Move(GROUP, 2, VIP, None, "eni-b"),)


def test_but_an_unknown_second_half_is_read_about_first(attempt: Attempt) -> None:
    attempt.finish(1_500, HALF_DONE)
    assert attempt.drive(1_600, 2) == ()
    assert attempt.holders.want(1_600)
    attempt.read(1_600, Sighting(VIP, "eni-b"))
    assert attempt.drive(1_700, 2) == ()
    assert attempt.done(), "it had been done"


@pytest.mark.parametrize("result", [CONFLICT, UNKNOWN])
def test_another_who_was_faster_is_left_alone(attempt: Attempt, result: MoveResult) -> None:
    attempt.finish(1_500, result)
    attempt.read(1_600, Sighting(VIP, "eni-c"))
    assert attempt.drive(1_700, 2) == ()
    assert attempt.lost()
    assert attempt.drive(1_800, 2) == ()


def test_a_claimant_that_died_is_inherited_from(attempt: Attempt) -> None:
    attempt.orphans = ("eni-c",)
    attempt.finish(1_500, CONFLICT)
    attempt.read(1_600, Sighting(VIP, "eni-c"))
    assert attempt.drive(1_700, 2) == (Move(GROUP, 2, VIP, "eni-c", "eni-b"),)
    assert not attempt.lost()


def test_and_no_longer_once_it_is_heard_again(attempt: Attempt) -> None:
    attempt.orphans = ("eni-c",)
    attempt.finish(1_500, CONFLICT)
    attempt.read(1_600, Sighting(VIP, "eni-c"))
    attempt.drive(1_700, 2)
    attempt.finish(1_800, THROTTLED, move_id=2)
    attempt.orphans = ()
    attempt.read(9_000, Sighting(VIP, "eni-c"))
    assert attempt.drive(9_000, 3) == ()
    assert attempt.lost()


@pytest.mark.parametrize(("after", "lost"), [(LAG_MS - 1, False), (LAG_MS, True)])
def test_what_was_released_and_is_with_its_old_holder_again_is_left_there(
    attempt: Attempt, after: int, *, lost: bool
) -> None:
    attempt.finish(1_500, replace(HALF_DONE, outcome=Outcome.THROTTLED))
    assert attempt.drive(1_600, 2) == (Move(GROUP, 2, VIP, None, "eni-b"),)
    attempt.finish(1_600, THROTTLED, move_id=2)
    attempt.read(1_500 + after, Sighting(VIP, "eni-a"))
    assert attempt.drive(1_500 + after, 3) == ()
    assert attempt.claim.lost is lost


def test_also_where_no_reading_has_shown_it_with_nobody(attempt: Attempt) -> None:
    attempt.finish(1_500, replace(HALF_DONE, outcome=Outcome.REFUSED))
    attempt.read(1_600, Sighting(VIP, None, settled=False))
    assert attempt.drive(1_600, 2) == ()
    later = 1_500 + LAG_MS
    attempt.read(later, Sighting(VIP, "eni-a"))
    assert attempt.drive(later, 2) == ()
    assert attempt.lost(), "its holder lives and has taken it back"


def test_but_not_where_this_claim_had_it_already(attempt: Attempt) -> None:
    attempt.orphans = ("eni-c",)
    attempt.finish(1_500, APPLIED)
    attempt.read(1_500 + LAG_MS, Sighting(VIP, "eni-c"))
    assert attempt.drive(1_500 + LAG_MS, 2) == ()
    assert attempt.lost()


@pytest.mark.parametrize(("members", "sent"), [(MEMBERS[:2], True), (MEMBERS, False)])
def test_with_three_members_a_wait_ends_with_a_new_reading(members: tuple[Member, ...], *, sent: bool) -> None:
    attempt = Attempt(VIP, members=members)
    at = NOW
    for move_id in range(1, 9):
        attempt.read(at, Sighting(VIP, "eni-a"))
        assert attempt.drive(at, move_id)
        attempt.finish(at, THROTTLED, move_id=move_id)
        deadline = attempt.claim.deadline(at)
        assert deadline is not None
        read_at, at = at, deadline
    assert at - read_at > FRESH_MS, "by now it waits for longer than a reading lasts"
    assert bool(attempt.drive(at, 9)) is sent
    if not sent:
        assert attempt.holders.want(at)
        attempt.read(at, Sighting(VIP, "eni-a"))
        assert attempt.drive(at + 1, 9)


def test_a_claim_that_is_lost_by_one_resource_waits_for_what_it_sent_for_another() -> None:
    attempt = Attempt(VIP, OTHER)
    attempt.read(900, Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-a", settled=False))
    assert [move.resource for move in attempt.drive(NOW)] == [VIP]
    attempt.read(NOW + SETTLE_MS, Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-c"))
    assert attempt.drive(NOW + SETTLE_MS, 2) == ()
    assert (attempt.lost(), attempt.idle()) == (True, False)
    attempt.finish(NOW + 300, UNKNOWN)
    assert attempt.idle()


def test_what_a_reading_of_before_a_sleep_says_takes_back_nothing() -> None:
    attempt = Attempt(VIP, OTHER)
    attempt.read(900, Sighting(VIP, "eni-b"), Sighting(OTHER, "eni-a"))
    assert [move.resource for move in attempt.drive(NOW)] == [OTHER]
    attempt.claim.trust(NOW + 200)
    attempt.read(NOW + 100, Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-a"))
    attempt.drive(NOW + 300)
    attempt.finish(NOW + 300, APPLIED, resource=OTHER)
    attempt.read(NOW + 301, Sighting(VIP, "eni-b"), Sighting(OTHER, "eni-b"))
    assert attempt.drive(NOW + 400, 2) == ()
    assert attempt.done()


def test_what_has_come_is_open_no_longer() -> None:
    attempt = Attempt(VIP)
    attempt.ledger.inherit((VIP,), NOW)
    attempt.read(NOW, Sighting(VIP, "eni-b"))
    attempt.drive(NOW)
    assert (attempt.done(), attempt.ledger.until(VIP)) == (True, None)


@pytest.mark.parametrize("members", [MEMBERS[:2], MEMBERS])
def test_what_has_not_come_by_its_time_is_open_no_longer(members: tuple[Member, ...]) -> None:
    attempt = Attempt(VIP, members=members)
    attempt.ledger.inherit((VIP,), NOW)
    over = NOW + LIFE_MS
    attempt.read(over - 1, Sighting(VIP, "eni-a"))
    assert attempt.drive(over) == ()
    assert attempt.drive(over) == ()
    assert attempt.holders.want(over), "a reading of before says nothing of that time"
    attempt.read(over, Sighting(VIP, "eni-a"))
    assert len(attempt.drive(over)) == 1
    assert attempt.ledger.until(VIP) is None


def test_what_it_lately_had_waits_for_a_reading_of_after_that() -> None:
    attempt = Attempt(VIP, members=MEMBERS)
    attempt.returns.had((VIP,), NOW)
    attempt.read(NOW, Sighting(VIP, "eni-a"))
    assert attempt.drive(NOW) == ()
    assert attempt.claim.deadline(NOW) == NOW + LAG_MS


def test_a_half_done_move_tells_who_has_it_now(attempt: Attempt) -> None:
    attempt.finish(1_500, replace(HALF_DONE, outcome=Outcome.THROTTLED, holder="eni-c"))
    assert attempt.holders.sighting(VIP) == Sighting(VIP, "eni-c")


def test_one_that_has_left_it_where_it_was_has_released_nothing(attempt: Attempt) -> None:
    attempt.finish(1_500, replace(HALF_DONE, outcome=Outcome.REFUSED, holder="eni-a"))
    attempt.read(1_500 + LAG_MS, Sighting(VIP, "eni-a"))
    assert attempt.drive(1_500 + LAG_MS, 2) == (Move(GROUP, 2, VIP, "eni-a", "eni-b"),)


@pytest.mark.parametrize(("after", "lost"), [(LAG_MS - 1, False), (LAG_MS, True)])
def test_what_was_read_to_be_with_nobody_may_be_with_its_holder_by_an_older_reading(
    attempt: Attempt, after: int, *, lost: bool
) -> None:
    attempt.finish(1_500, CONFLICT)
    attempt.read(1_600, Sighting(VIP, None))
    assert attempt.drive(1_600, 2) == (Move(GROUP, 2, VIP, None, "eni-b"),)
    attempt.finish(1_700, THROTTLED, 2)
    attempt.read(1_600 + after, Sighting(VIP, "eni-a"))
    assert attempt.drive(1_600 + after, 3) == ()
    assert attempt.claim.lost is lost


def test_the_end_of_an_earlier_claims_move_is_ignored(attempt: Attempt) -> None:
    attempt.finish(1_500, APPLIED, move_id=99)
    assert not attempt.idle()


@pytest.mark.parametrize(("after", "lost"), [(LAG_MS - 1, False), (LAG_MS, True)])
def test_what_was_given_and_taken_again_is_left_alone(attempt: Attempt, after: int, *, lost: bool) -> None:
    attempt.finish(1_500, APPLIED)
    for at in range(1_500, 1_500 + after, SETTLE_MS):
        attempt.read(at, Sighting(VIP, "eni-a"))
        assert attempt.drive(at, 2) == (), "the reading may be of the time before, or a has it back"
    attempt.read(1_500 + after, Sighting(VIP, "eni-a"))
    assert attempt.drive(1_500 + after, 2) == ()
    assert attempt.claim.lost is lost


def test_and_a_reading_that_lags_behind_costs_nothing(attempt: Attempt) -> None:
    attempt.finish(1_500, APPLIED)
    attempt.read(1_500, Sighting(VIP, "eni-a"))
    assert attempt.drive(1_500, 2) == ()
    assert attempt.claim.deadline(1_500) == 1_500 + SETTLE_MS
    attempt.read(1_700, Sighting(VIP, "eni-b"))
    assert attempt.drive(1_700, 2) == ()
    assert attempt.done()
    assert not attempt.claim.lost


def test_what_was_asked_before_a_sleep_counts_no_more(attempt: Attempt) -> None:
    attempt.finish(1_500, THROTTLED)
    attempt.claim.trust(9_000)
    attempt.read(8_999, Sighting(VIP, "eni-a"))
    assert attempt.drive(9_000, 2) == ()
    assert attempt.holders.want(9_000)
    attempt.read(9_000, Sighting(VIP, "eni-a"))
    assert len(attempt.drive(9_100, 2)) == 1


def test_nothing_moves_before_the_guest_is_armed() -> None:
    attempt = Attempt(VIP, OTHER)
    attempt.claim.arming((VIP, OTHER))
    attempt.read(900, Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-b"))
    assert attempt.drive(NOW) == ()
    attempt.claim.armed(VIP, NOW + 10)
    assert attempt.drive(NOW + 10) == ()
    early = attempt.claim.armed_at
    attempt.claim.armed(OTHER, NOW + 20)
    attempt.claim.armed(OTHER, NOW + 30)
    assert (early, attempt.claim.armed_at) == (None, NOW + 20)
    assert attempt.drive(NOW + 20) == (Move(GROUP, 1, VIP, "eni-a", "eni-b"),)
    assert not attempt.done()


@pytest.mark.parametrize("order", [(VIP, OTHER), (OTHER, VIP)])
def test_what_is_lost_is_lost_with_all_that_belongs_to_it(order: tuple[Resource, Resource]) -> None:
    attempt = Attempt(*order)
    attempt.read(900, Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-a"))
    first, second = attempt.drive(NOW, 7)
    attempt.finish(1_500, CONFLICT, first.move_id, first.resource)
    attempt.finish(1_500, THROTTLED, second.move_id, second.resource)
    attempt.read(1_700, Sighting(VIP, "eni-c"), Sighting(OTHER, "eni-a"))
    assert attempt.drive(1_800, 9) == ()
    assert attempt.claim.lost
    assert attempt.idle()
    assert attempt.claim.moves == 2


def test_several_resources_move_side_by_side() -> None:
    attempt = Attempt(VIP, OTHER)
    attempt.read(900, Sighting(VIP, "eni-a"), Sighting(OTHER, None))
    assert [move.move_id for move in attempt.drive(NOW, 7)] == [7, 8]
    attempt.finish(1_500, APPLIED, 8, OTHER)
    attempt.read(1_500, Sighting(VIP, "eni-a"), Sighting(OTHER, "eni-b"))
    assert attempt.drive(1_600, 9) == ()
    assert not attempt.done()
    assert not attempt.idle()


def beside_another(*, given: bool) -> Attempt:
    """Return a claim on two addresses; the first is confirmed at 1.5 s, having been moved or from the start."""
    attempt = Attempt(VIP, OTHER)
    attempt.read(900, Sighting(VIP, "eni-a" if given else "eni-b"), Sighting(OTHER, "eni-a"))
    attempt.drive(NOW)
    if given:
        attempt.finish(1_500, APPLIED)
    attempt.read(1_500, Sighting(VIP, "eni-b"), Sighting(OTHER, "eni-a"))
    attempt.drive(1_500, 3)
    return attempt


@pytest.mark.parametrize(
    ("given", "at", "lost"), [(False, 4_600, False), (True, 4_499, False), (True, 4_500, True)]
)
def test_what_was_confirmed_counts_no_more_once_it_is_elsewhere(at: int, *, given: bool, lost: bool) -> None:
    attempt = beside_another(given=given)
    attempt.read(at, Sighting(VIP, "eni-c"), Sighting(OTHER, "eni-b"))
    assert attempt.drive(at, 5) == ()
    assert (attempt.done(), attempt.lost()) == (False, lost), "a reading that lags behind costs nothing"
    attempt.read(at + LAG_MS, Sighting(VIP, "eni-c"), Sighting(OTHER, "eni-b"))
    attempt.drive(at + LAG_MS, 7)
    assert attempt.lost()


@pytest.mark.parametrize(("holder", "settled"), [("eni-c", False), ("eni-b", True)])
def test_but_not_while_the_cloud_is_moving_it(holder: str, *, settled: bool) -> None:
    attempt = beside_another(given=True)
    attempt.finish(1_600, APPLIED, 2 if not attempt.idle() else 1, OTHER)
    attempt.read(5_000, Sighting(VIP, holder, settled=settled), Sighting(OTHER, "eni-b"))
    attempt.drive(5_000, 5)
    assert (attempt.done(), attempt.lost()) == (True, False)


def test_a_claim_on_nothing_is_done() -> None:
    attempt = Attempt()
    assert attempt.drive(NOW) == ()
    assert attempt.done()
    assert attempt.claim.failures == 0


def test_an_unanswered_move_is_not_followed_by_another_while_it_may_take_effect(attempt: Attempt) -> None:
    attempt.finish(1_500, MoveResult(Outcome.UNKNOWN, "ClientTimeout", open_ms=6_000))
    at = 1_500
    while at < 7_500:
        attempt.read(at, Sighting(VIP, "eni-a"))
        assert attempt.drive(at, 2) == (), at
        deadline = attempt.claim.deadline(at)
        assert deadline is not None
        assert deadline - at <= UNRESOLVED_LOOK_MS
        at = deadline
    attempt.read(at, Sighting(VIP, "eni-a"))
    assert len(attempt.drive(at, 2)) == 1


@pytest.mark.parametrize(("asked_at", "moves"), [(1_549, 0), (1_550, 1), (1_551, 1)])
def test_only_a_reading_of_after_its_life_tells_that_a_move_had_no_effect(
    attempt: Attempt, asked_at: int, moves: int
) -> None:
    attempt.finish(1_500, MoveResult(Outcome.UNKNOWN, "ClientTimeout", open_ms=50))
    attempt.read(asked_at, Sighting(VIP, "eni-a"))
    assert len(attempt.drive(1_600, 2)) == moves
    if not moves:
        assert attempt.holders.want(1_600), "another reading is asked for"
