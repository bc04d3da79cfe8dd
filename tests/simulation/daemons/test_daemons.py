"""Lives of whole daemons, a bounded number of them; `run.py` lives more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.ablation import Ablation, in_place, without
from tests.simulation.daemons import faults
from tests.simulation.daemons.ablations import ABLATIONS, seeds_to_find
from tests.simulation.daemons.compare import both, certain
from tests.simulation.daemons.life import live, options_of
from tests.simulation.daemons.run import TIER, live_seed, report
from tests.simulation.options import BROKER_KINDS, Options, Wave, expand

PAIR = (("a", 100), ("b", 90))


@pytest.mark.parametrize("seed", range(1_001, 1_004))
def test_a_life(seed: int) -> None:
    outcome = live_seed(seed)
    assert outcome.broken is None, report(outcome, 0)
    assert outcome.events > 500


@pytest.mark.parametrize("kind", sorted(faults.OWN))
def test_each_kind_of_its_own_happens_and_is_survived(kind: str) -> None:
    waves = (Wave(kind, 1_000, 3_000, 1_000, 5_000), Wave("kill", 1_000, 1_000, 20_000, 20_000))
    drawn = replace(options_of(1), priorities=PAIR, waves=waves, checked=True, paused=False)
    outcome = live(replace(drawn, calm_ms=30_000, trouble_ms=60_000))
    assert outcome.broken is None, report(outcome, 0)
    assert outcome.counts[f"fault:{kind}"] > 0


@pytest.mark.parametrize("paths", [("udp", "mqtt"), ("mqtt",)], ids=["beside UDP", "alone"])
def test_all_that_can_befall_a_broker_happens_and_is_survived(paths: tuple[str, ...]) -> None:
    waves = tuple(Wave(kind, 1_000, 3_000, 10_000, 20_000) for kind in (*BROKER_KINDS, "kill", "failover"))
    drawn = replace(options_of(3), priorities=PAIR, waves=waves, checked=True, paused=False, paths=paths)
    outcome = live(replace(drawn, guards=("vip", "mqtt"), calm_ms=30_000, trouble_ms=150_000))
    assert outcome.broken is None, report(outcome, 0)
    assert {kind for kind in BROKER_KINDS if outcome.counts[f"fault:{kind}"] == 0} == set()
    assert outcome.moves > 0


def test_a_cut_of_udp_that_the_broker_bridges_moves_nothing() -> None:
    waves = (Wave("cut", 10_000, 20_000, 5_000, 10_000),)
    drawn = replace(options_of(1), priorities=PAIR, waves=waves, checked=True, paused=False, guards=())
    bridged = live(replace(drawn, paths=("udp", "mqtt"), calm_ms=30_000, trouble_ms=90_000))
    assert bridged.broken is None, report(bridged, 0)
    assert bridged.counts["fault:cut"] > 0
    assert bridged.moves == 0
    assert live(replace(drawn, calm_ms=30_000, trouble_ms=90_000)).moves > 0, "without the broker it does"


def test_commands_come_through_the_control_socket_and_are_carried_out() -> None:
    waves = (Wave("failover", 1_000, 1_000, 20_000, 20_000), Wave("drain", 5_000, 9_000, 20_000, 20_000))
    outcome = live(replace(options_of(2), priorities=PAIR, waves=waves, checked=True, paused=False, preempt=False))
    assert outcome.broken is None, report(outcome, 0)
    told = "\n".join(outcome.trace)
    assert "answers failover: True" in told
    assert "answers failover: False" in told
    assert "answers drain: True" in told
    assert "answers undrain: True" in told
    assert "failover asked" in told
    assert outcome.moves > 2


def test_a_seed_is_the_same_life_everywhere() -> None:
    here = live_seed(1_002).sha256
    assert here == live_seed(1_002).sha256
    assert here == TIER.replay_elsewhere(1_002)
    assert here != live_seed(1_003).sha256


def test_a_calm_life_moves_nothing_and_ends() -> None:
    outcome = live(Options(seed=1, priorities=PAIR, timing=expand(1, ()).timing, trouble_ms=0))
    assert outcome.broken is None, report(outcome, 0)
    assert outcome.moves == 0


@pytest.mark.parametrize("seed", [2, 3])
def test_both_tiers_come_to_the_same_roles(seed: int) -> None:
    pair = both(certain(seed))
    assert pair.alike, (pair.core, pair.daemons)
    assert sum(map(len, pair.core.values())) > 4


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda each: each.rule)
def test_a_rule_that_is_off_is_noticed(ablation: Ablation) -> None:
    count, outcome = seeds_to_find(ablation, range(1, 5))
    assert count is not None
    assert outcome is not None


def test_a_rule_is_on_again_afterwards() -> None:
    before = in_place(ABLATIONS)
    for ablation in ABLATIONS:
        with without(ablation):
            pass
    assert before == in_place(ABLATIONS)
