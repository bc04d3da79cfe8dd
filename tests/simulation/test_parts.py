"""Lives in which nodes have two groups: each is judged by itself, and as well as if it were alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.values import Advert, GroupAdvert, Leaving, NodeName, Sighting, State
from tests.simulation.ablation import without
from tests.simulation.ablations import ABLATIONS, options_for
from tests.simulation.invariants import ALL
from tests.simulation.invariants.model_allows import ModelAllows
from tests.simulation.life import live
from tests.simulation.options import GROUP, OTHER_ADDRESS, OTHER_GROUP, Options, Wave, expand
from tests.simulation.parts import OfPart, Part, judges
from tests.simulation.shrink import report
from tests.simulation.universe import Universe

if TYPE_CHECKING:
    from hafailover.election.events import Event

CALM = Options(seed=1, priorities=(("a", 100), ("b", 90)), timing=expand(1, ()).timing, groups=2, trouble_ms=0)
SAID = tuple(
    GroupAdvert(group, state, 1, 100, eligible=False)
    for group, state in ((GROUP, State.MASTER), (OTHER_GROUP, State.BACKUP))
)
ADVERT = Advert(NodeName("b"), b"", 1_000, Leaving.NO, drained=False, hears=(), groups=SAID)


def parts() -> tuple[Universe, Part, Part]:
    universe = Universe(CALM)
    judges(universe, ALL)
    first, second = universe.parts
    return universe, first, second


def test_each_group_has_its_own_invariants_save_for_what_knows_of_groups() -> None:
    universe = Universe(CALM)
    made = judges(universe, ALL)
    assert len(made) == 2 * len(ALL) - 1
    assert [type(each) for each in made if not isinstance(each, OfPart)] == [ModelAllows]
    assert {type(each.inner) for each in made if isinstance(each, OfPart)} == set(ALL) - {ModelAllows}


def test_a_part_sees_what_is_of_its_group() -> None:
    universe, first, second = parts()
    host = universe.hosts["a"]
    host.guest = {"10.0.1.100", OTHER_ADDRESS}
    assert (first.hosts["a"].guest, second.hosts["a"].guest) == ({"10.0.1.100"}, {OTHER_ADDRESS})
    assert (list(first.holder), list(second.holder)) == (["10.0.1.100"], [OTHER_ADDRESS])
    assert second.by_holder[host.member.eni_id] is second.hosts["a"]
    assert first.answered()
    assert second.answered()
    host.guest.discard(OTHER_ADDRESS)
    assert first.answered()
    assert not second.answered()


def test_a_part_is_told_what_is_of_its_group() -> None:
    universe, first, second = parts()
    heard, told = ev.AdvertReceived(ADVERT, "udp"), fx.SendAdverts(ADVERT)
    assert [each.state for each in cast("ev.AdvertReceived", second.event(heard)).advert.groups] == [State.BACKUP]
    assert second.effects((told, fx.RunHook(GROUP, "master"))) == (fx.SendAdverts(second.advert(ADVERT)),)
    seen = tuple(Sighting(each, None) for each in universe.options.resources)
    assert cast("ev.HoldersRead", second.event(ev.HoldersRead(seen, 1))).sightings == seen[1:]
    for event in (ev.GuestProbed(GROUP), ev.FailoverAsked(1, GROUP, None)):
        assert (first.event(event), second.event(event)) == (event, None)
    of_all: Event = ev.PauseAsked(1, None, None)
    assert second.event(of_all) is of_all


def test_that_one_group_has_come_right_stills_no_alert_of_another() -> None:
    universe, first, second = parts()
    first.alert = second.alert = True
    first.alert = False
    assert universe.alert
    second.alert = False
    assert not universe.alert


def test_a_calm_life_moves_nothing() -> None:
    outcome = live(CALM)
    assert outcome.broken is None
    assert outcome.moves == 0


def test_each_group_goes_its_own_way() -> None:
    waves = (Wave("failover", 1_000, 1_000, 10_000, 10_000), Wave("pause", 1_000, 5_000, 10_000, 10_000))
    outcome = live(replace(CALM, waves=waves, trouble_ms=200_000))
    assert outcome.broken is None, report(outcome)
    told = "\n".join(outcome.trace)
    assert "cloud 10.0.1.100 eni-aaaaaaaa -> eni-bbbbbbbb" in told
    assert f"cloud {OTHER_ADDRESS} eni-aaaaaaaa -> eni-bbbbbbbb" in told


def test_a_rule_that_is_off_is_noticed_with_two_groups_too() -> None:
    ablation = next(each for each in ABLATIONS if each.rule == "the guest is silent before the word is out")
    kinds = [kind for kind in ALL if kind is not ModelAllows]
    with without(ablation):
        found = [live(replace(options_for(ablation, seed), groups=2), kinds).broken for seed in range(1, 12)]
    assert {broken.name for broken in found if broken is not None} == {"silent-before-word"}
