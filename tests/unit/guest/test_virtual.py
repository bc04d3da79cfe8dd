from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.config.routing import VirtualRoute, route, rule
from hafailover.errors import GuestError
from hafailover.guest.virtual import Standing, matching, missed, obstacles, on_device, refuse

if TYPE_CHECKING:
    from hafailover.config.routing import Virtual

VIP = "10.0.1.100"
SUBNET = route("10.0.1.0/24 dev eth0 src 10.0.1.17")
DEFAULT = route("default via 10.0.1.1 dev eth0")
NODE = Standing(
    frozenset(), frozenset({SUBNET, DEFAULT}), frozenset(), frozenset({"10.0.1.17"}), {"eth0": True, "eth1": True}
)
RULE = rule(f"from {VIP} table 9")


def found(*wanted: Virtual, standing: Standing = NODE, coming: tuple[str, ...] = (VIP,)) -> list[str]:
    return list(obstacles(on_device(wanted, "eth0"), standing, coming).values())


def test_a_route_without_an_interface_has_the_given_one_and_no_other_has() -> None:
    wanted = (route("10.8.0.0/16"), route("10.8.0.0/16 dev eth1"), route("blackhole 10.9.0.0/16"), RULE)
    assert [str(each) for each in on_device(wanted, "eth0")] == [
        "10.8.0.0/16 dev eth0",
        "10.8.0.0/16 dev eth1",
        "blackhole 10.9.0.0/16",
        f"from {VIP}/32 table 9",
    ]


def test_a_route_matches_what_has_its_place_and_a_rule_only_itself() -> None:
    here = (route("10.8.0.0/16 via 10.0.1.9 dev eth0"), route("10.8.0.0/16 table 9"), RULE, replace(RULE, table=8))
    meant = (route("blackhole 10.8.0.0/16"), RULE)
    assert matching(here, meant) == {here[0], RULE}


def test_what_is_there_is_not_lacking() -> None:
    wanted = route("10.8.0.0/16 via 10.0.1.1 dev eth0")
    assert found(wanted, RULE) == ["", ""]
    there = replace(NODE, ours=frozenset({wanted}), rules=frozenset({RULE}))
    assert found(wanted, RULE, standing=there) == []
    assert found(replace(wanted, gateway="10.0.1.2"), standing=there) == [""]  # takes its place


@pytest.mark.parametrize(
    ("text", "obstacle"),
    [
        ("10.8.0.0/16 via 10.0.1.1", ""),
        ("10.8.0.0/16 dev eth9", "there is no interface eth9"),
        (f"10.8.0.0/16 src {VIP}", ""),
        ("10.8.0.0/16 src 10.0.1.17", ""),
        ("10.8.0.0/16 src 10.0.1.18", "10.0.1.18 is no address of this node"),
        ("10.8.0.0/16 via 10.0.2.1", "the gateway 10.0.2.1 is not on the link of eth0"),
        ("10.8.0.0/16 via 10.0.1.1 dev eth1", "the gateway 10.0.1.1 is not on the link of eth1"),
        ("10.8.0.0/16 via 10.0.2.1 onlink", ""),
        ("default via fe80::1", ""),
        ("default via 2001:db8::1", "the gateway 2001:db8::1 is not on the link of eth0"),
        (
            "blackhole default",
            f"the place is taken by a route of somebody else, {DEFAULT}: one of the two needs another metric",
        ),
        ("blackhole default metric 5", ""),
        ("blackhole 10.9.0.0/16", ""),
    ],
)
def test_what_is_in_the_way_of_a_route(text: str, obstacle: str) -> None:
    assert found(route(text)) == [obstacle]


def test_a_gateway_is_on_the_link_by_the_longest_prefix_or_another_route_of_the_group() -> None:
    wanted = route("10.8.0.0/16 via 10.0.1.1")
    elsewhere = route("10.0.1.1 via 10.0.1.9 dev eth0")
    assert found(wanted, standing=replace(NODE, others=NODE.others | {elsewhere})) != [""]
    for by in (route("10.0.2.0/24 table 9"), route("10.0.2.1")):
        assert found(by, route("10.8.0.0/16 via 10.0.2.1 table 9")) == ["", ""]


def test_a_gateway_that_only_another_table_leads_to_is_not_on_the_link() -> None:
    by = route("10.0.2.0/24 table 9")
    told = "the gateway 10.0.2.1 is not on the link of eth0"
    assert found(by, route("10.8.0.0/16 via 10.0.2.1")) == ["", told]
    assert found(by, route("10.8.0.0/16 via 10.0.2.1 table 8")) == ["", told]


def test_a_route_is_not_its_own_way_to_its_gateway() -> None:
    assert found(route("10.0.0.0/8 via 10.7.0.1")) == ["the gateway 10.7.0.1 is not on the link of eth0"]


def test_a_route_out_of_an_interface_that_is_down_is_not_missed() -> None:
    wanted = (VirtualRoute("10.8.0.0/16", device="eth0"),)
    assert missed(wanted, NODE)
    assert not missed(wanted, replace(NODE, ours=frozenset(wanted)))
    assert not missed(wanted, replace(NODE, links={"eth0": False}))
    for other in (RULE, route("blackhole 10.9.0.0/16")):
        assert missed((other,), replace(NODE, links={"eth0": False}))


def test_the_first_obstacle_is_told_with_what_it_is_in_the_way_of() -> None:
    refuse({})
    refuse({"10.8.0.0/16": ""})
    with pytest.raises(GuestError, match=r'^cannot set "10.9.0.0/16": it is taken$'):
        refuse({"10.8.0.0/16": "", "10.9.0.0/16": "it is taken", "10.10.0.0/16": "it is too"})
