"""Lives of clusters under faults, a bounded number of them; `run.py` lives more, `ablations.py` tries all rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hafailover.election.values import Timing
from tests.simulation.ablation import Ablation, in_place, without
from tests.simulation.ablations import ABLATIONS, seeds_to_find
from tests.simulation.faults import KINDS
from tests.simulation.figures import Figures
from tests.simulation.invariants import ALL
from tests.simulation.invariants.model_allows import ModelAllows
from tests.simulation.life import live
from tests.simulation.options import BROKER_KINDS, CUTTING, LATER_KINDS, REGROUP_KINDS, Options, Wave, expand
from tests.simulation.run import TIER, known_finds, live_seed
from tests.simulation.shrink import report, shrink

NOTES = (Path(__file__).parent / "seeds.txt").read_text().splitlines()
FOUND = [int(line.split()[0]) for line in NOTES if line[0] != "#"]
SEEDS = (
    *FOUND,
    *range(1_001, 1_011),
    *range(10_010_001, 10_010_006),
    *range(10_100_001, 10_100_011),
    *range(20_000_001, 20_000_016),
)
PAIR = (("a", 100), ("b", 90))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_life(seed: int) -> None:
    outcome = live_seed(seed)
    if outcome.broken is not None and outcome.broken.name == known_finds().get(seed):
        pytest.xfail(str(outcome.broken))
    assert outcome.broken is None, report(outcome)
    assert outcome.events > 500


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_of_fault_happens_and_is_survived(kind: str) -> None:
    nodes = (*PAIR, ("c", 80)) if kind in ("swizzle", "renode") else PAIR
    drawn = replace(expand(1, (kind,)), enis=int(kind in LATER_KINDS), retimed=Timing(500, 1_500, 3_000, 30_000))
    if kind in REGROUP_KINDS:
        drawn = replace(drawn, groups=2)
    if kind in BROKER_KINDS:
        drawn = replace(drawn, paths=("udp", "mqtt"), guards=("mqtt",))
    waves = (Wave(kind, 1_000, 3_000, 1_000, 5_000), Wave("kill", 1_000, 1_000, 20_000, 20_000))
    outcome = live(replace(drawn, priorities=nodes, waves=waves, checked=True, paused=False, trouble_ms=60_000))
    assert outcome.broken is None, report(outcome)
    assert outcome.counts[f"fault:{kind}"] > 0


def test_a_seed_is_the_same_life_everywhere() -> None:
    here = live_seed(1_002).sha256
    assert here == live_seed(1_002).sha256
    assert here == TIER.replay_elsewhere(1_002)
    assert here != live_seed(1_003).sha256


def test_options_are_told_in_full() -> None:
    drawn = expand(5, tuple(KINDS))
    told = drawn.told()
    assert all(wave.kind in told for wave in drawn.waves)
    assert "seed=5" in told
    assert expand(5, tuple(KINDS)) == drawn


def test_leaving_a_kind_out_changes_no_other() -> None:
    drawn = expand(5, tuple(KINDS))
    assert set(drawn.waves[1:]) < set(drawn.waves)


@pytest.mark.parametrize("kind", CUTTING)
def test_a_cut_of_udp_alone_moves_nothing_while_a_broker_carries_the_adverts(kind: str) -> None:
    waves = (Wave(kind, 20_000, 20_000, 5_000, 5_000),)
    calm = Options(seed=1, priorities=PAIR, timing=expand(1, ()).timing, trouble_ms=180_000, waves=waves)
    bridged = live(replace(calm, paths=("udp", "mqtt")))
    assert bridged.broken is None, report(bridged)
    assert bridged.counts[f"fault:{kind}"] > 1
    assert bridged.moves == 0
    assert live(calm).moves > 0 or kind in ("flapping", "one-way-cut")


@pytest.mark.parametrize("kind", ["broker-down", "broker-cut", "broker-restart", "broker-takeover"])
@pytest.mark.parametrize("paths", [("udp", "mqtt"), ("mqtt",)])
def test_the_loss_of_the_broker_alone_moves_nothing(kind: str, paths: tuple[str, ...]) -> None:
    waves = (Wave(kind, 10_000, 20_000, 5_000, 10_000),)
    calm = Options(seed=1, priorities=PAIR, timing=expand(1, ()).timing, trouble_ms=240_000, waves=waves)
    # Where it is the only path, to be cut off from it is to be silent, and a guard is asked who sees the service.
    outcome = live(replace(calm, paths=paths, guards=() if len(paths) > 1 else ("vip", "mqtt")))
    assert outcome.broken is None, report(outcome)
    assert outcome.counts[f"fault:{kind}"] > 1
    assert outcome.moves == 0


@pytest.mark.parametrize("paths", [("udp", "mqtt"), ("mqtt",)])
def test_with_a_broker_a_lost_host_is_replaced_and_the_life_is_the_same_again(paths: tuple[str, ...]) -> None:
    waves = (Wave("power-off", 60_000, 5_000, 5_000, 5_000),)
    life = Options(seed=2, priorities=PAIR, timing=expand(1, ()).timing, trouble_ms=60_000, waves=waves)
    outcome = live(replace(life, paths=paths, guards=("mqtt",)))
    assert outcome.broken is None, report(outcome)
    assert outcome.moves == 1
    assert outcome.sha256 == live(outcome.options).sha256


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda each: each.rule.replace(" ", "-"))
def test_a_rule_that_is_off_is_noticed(ablation: Ablation) -> None:
    count, outcome = seeds_to_find(ablation, range(1, 61))
    assert count is not None
    assert outcome is not None


def test_a_rule_is_on_again_afterwards() -> None:
    before = in_place(ABLATIONS)
    for ablation in ABLATIONS:
        with without(ablation):
            pass
    assert before == in_place(ABLATIONS)


def test_every_ablation_names_invariants_that_exist() -> None:
    known = {kind.name for kind in ALL} | {"elects", "recovers", "quiet"}
    assert [each.rule for each in ABLATIONS if not set(each.breaks) <= known] == []


def test_a_failing_life_is_made_small_and_told() -> None:
    ablation = next(each for each in ABLATIONS if each.rule == "the guest is silent before the word is out")
    kinds = [kind for kind in ALL if kind is not ModelAllows]  # which would see it first
    with without(ablation):
        _, outcome = seeds_to_find(ablation, range(1, 12))
        assert outcome is not None
        assert outcome.broken is not None
        smallest = shrink(outcome, most_lives=8, live=lambda options: live(options, kinds))
        assert smallest.broken is not None
        assert smallest.broken.name == outcome.broken.name
        assert len(smallest.options.waves) < len(outcome.options.waves)
    told = report(outcome, most_lives=0)
    assert f"seed {outcome.options.seed} breaks silent-before-word" in told
    assert outcome.trace[-1] in told


def test_figures_add_up() -> None:
    figures = Figures()
    calm = replace(expand(3, ()), priorities=PAIR, trouble_ms=0, waves=())
    figures.add(live(calm))
    figures.add(live(replace(calm, waves=(Wave("power-off", 5_000, 5_000, 5_000, 5_000),), trouble_ms=60_000)))
    assert figures.seeds == 2
    assert figures.counts["fault:power-off"] > 0
    assert "violations 0" in figures.told()


def test_a_calm_life_moves_nothing() -> None:
    outcome = live(Options(seed=1, priorities=PAIR, timing=expand(1, ()).timing, trouble_ms=0))
    assert outcome.broken is None
    assert outcome.moves == 0
    assert outcome.counts == {}


def test_an_ablation_is_a_value() -> None:
    assert isinstance(ABLATIONS[0], Ablation)
    assert len({each.rule for each in ABLATIONS}) == len(ABLATIONS) >= 15
