"""The table of rules: each reason is reached, and each one hides those after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.election.guards import GuardStatus
from hafailover.election.peers import Liveness
from hafailover.election.reasons import Reason
from hafailover.election.rules import Situation, may_claim, unfit

CLEAR = Situation(loss=Reason.MASTER_DEAD)

# In order of precedence: what speaks against a claim, and the reason that is given for it.
TABLE: tuple[tuple[dict[str, object], Reason], ...] = (
    ({"witness": True}, Reason.WITNESS),
    ({"stopping": True}, Reason.STOPPING),
    ({"drained": True}, Reason.DRAINED),
    ({"checks_pending": True}, Reason.CHECKS_PENDING),
    ({"distrust": True}, Reason.DISTRUST),
    ({"master": Liveness.ALIVE}, Reason.MASTER_ALIVE),
    ({"master": Liveness.LATE}, Reason.MASTER_LATE),
    ({"master": Liveness.RESTARTING}, Reason.MASTER_RESTARTING),
    ({"paused": True}, Reason.PAUSED),
    ({"holder_known": False}, Reason.HOLDER_UNKNOWN),
    ({"settling": True}, Reason.STARTING),
    ({"stranger": True}, Reason.HELD_BY_STRANGER),
    ({"hold_down": True}, Reason.HOLD_DOWN),
    ({"taken_unheard": True}, Reason.TAKEN_UNHEARD),
    ({"returning": True}, Reason.RETURNING),
    ({"holder_may_go_on": True}, Reason.HOLDER_ALIVE),
    ({"rival_claims": True}, Reason.OUTRANKED),
    ({"rank": 1, "waited_ms": 399, "turn_ms": 400}, Reason.OUTRANKED),
    ({"guarded": True, "quorum": False, "votes_due": True}, Reason.GUARD_PENDING),
    ({"guarded": True, "quorum": False, "votes_due": False}, Reason.NO_QUORUM),
    ({"guarded": True, "guards": GuardStatus.PENDING}, Reason.GUARD_PENDING),
    ({"guarded": True, "guards": GuardStatus.DENIED}, Reason.GUARD_DENIED),
)


def test_when_nothing_speaks_against_it_the_loss_is_the_reason() -> None:
    verdict = may_claim(CLEAR)
    assert verdict.allowed
    assert verdict.reason is Reason.MASTER_DEAD
    assert unfit(CLEAR) is None


@pytest.mark.parametrize(("facts", "reason"), TABLE, ids=lambda each: getattr(each, "label", None))
def test_each_rule_alone_forbids_a_claim(facts: dict[str, object], reason: Reason) -> None:
    verdict = may_claim(replace(CLEAR, **facts))  # type: ignore[arg-type]
    assert not verdict.allowed
    assert verdict.reason is reason


@pytest.mark.parametrize("place", range(len(TABLE)))
def test_the_first_rule_that_applies_gives_the_reason(place: int) -> None:
    everything_after: dict[str, object] = {}
    for facts, _ in reversed(TABLE[place:]):
        everything_after.update(facts)
    assert may_claim(replace(CLEAR, **everything_after)).reason is TABLE[place][1]  # type: ignore[arg-type]


def test_an_offer_overrules_all_but_unfitness_and_the_return_rule() -> None:
    facts: dict[str, object] = {}
    for each, _ in TABLE[5:]:
        facts.update(each)
    facts["returning"] = False
    offered = replace(CLEAR, offered=True, **facts)  # type: ignore[arg-type]
    assert may_claim(offered).reason is Reason.HANDED_OVER
    assert may_claim(offered).allowed
    assert not may_claim(replace(offered, drained=True)).allowed
    assert not may_claim(replace(offered, returning=True)).allowed


def test_what_this_node_holds_needs_neither_patience_nor_guards() -> None:
    held = replace(CLEAR, held_by_me=True, hold_down=True, taken_unheard=True, guarded=True, rank=3)
    verdict = may_claim(held)
    assert verdict.allowed
    assert verdict.reason is Reason.HELD


def test_but_a_rival_that_is_asking_for_it_already_is_waited_for() -> None:
    assert may_claim(replace(CLEAR, held_by_me=True, rival_claims=True)).reason is Reason.OUTRANKED


@pytest.mark.parametrize(("waited_ms", "allowed"), [(799, False), (800, True), (801, True)])
def test_each_before_this_node_has_one_turn(waited_ms: int, *, allowed: bool) -> None:
    assert may_claim(replace(CLEAR, rank=2, waited_ms=waited_ms, turn_ms=400)).allowed is allowed


@pytest.mark.parametrize("silence", [Liveness.DOWN, Liveness.LEFT, Liveness.NEVER, None])
def test_nobody_waits_for_a_master_that_is_gone(silence: Liveness | None) -> None:
    assert may_claim(replace(CLEAR, master=silence)).allowed


@pytest.mark.parametrize(
    ("guards", "silent", "allowed"),
    [
        (GuardStatus.ALLOWED, True, True),
        (GuardStatus.ALLOWED, False, False),
        (GuardStatus.SILENT, True, False),
        (GuardStatus.NONE, True, False),
        (GuardStatus.DENIED, True, False),
    ],
)
def test_evidence_ends_the_patience_with_a_restarting_daemon(
    guards: GuardStatus, *, silent: bool, allowed: bool
) -> None:
    facts = replace(CLEAR, master=Liveness.RESTARTING, silent_for_dead_interval=silent, guarded=True, guards=guards)
    assert may_claim(facts).allowed is allowed


@pytest.mark.parametrize("guards", [GuardStatus.NONE, GuardStatus.SILENT, GuardStatus.ALLOWED])
def test_guards_that_do_not_object_hold_nothing_back(guards: GuardStatus) -> None:
    assert may_claim(replace(CLEAR, guarded=True, guards=guards)).allowed


@pytest.mark.parametrize("guards", [GuardStatus.PENDING, GuardStatus.DENIED])
def test_guards_are_not_asked_about_a_holder_that_speaks_for_itself(guards: GuardStatus) -> None:
    assert may_claim(replace(CLEAR, guarded=False, guards=guards)).allowed
