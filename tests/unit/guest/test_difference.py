from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.config.routing import MAIN_TABLE
from hafailover.guest.difference import KERNEL_PROTOCOL, Route, Rule, Seen, addition, difference
from hafailover.guest.interface import GATEWAY6, Interface

ENI = Interface("20:90:6f:00:0a:01", ("10.0.2.5", "10.0.2.6", "2001:DB8::5"), 24, "10.0.2.1")
T = ENI.table
SUBNET = Route("10.0.2.0/24", "", 3, T)
WAY, WAY6 = Route("0.0.0.0/0", "10.0.2.1", 3, T), Route("::/0", GATEWAY6, 3, T)
RULES = tuple(Rule(address, T) for address in ("10.0.2.5", "10.0.2.6", "2001:db8::5"))
ADDRESSES = frozenset(rule.source for rule in RULES)
WHOLE = Seen(3, True, True, (0, 0), ADDRESSES, frozenset(RULES), frozenset({SUBNET, WAY, WAY6}))
BARE = Seen(3, False, True, (1, 0), frozenset(), frozenset(), frozenset())


def test_nothing_is_to_be_done_where_all_is_so() -> None:
    assert not difference(ENI, WHOLE)


def test_a_bare_interface_lacks_everything_and_the_subnet_before_its_gateway() -> None:
    todo = difference(ENI, BARE)
    assert todo
    assert (todo.bring_up, todo.loosen) == (True, True)
    assert todo.lacking_routes == (SUBNET, WAY, WAY6)
    assert todo.lacking_rules == RULES
    assert todo.lacking_addresses == ("10.0.2.5", "10.0.2.6", "2001:db8::5")
    assert not any((todo.surplus_addresses, todo.surplus_routes, todo.surplus_rules))


@pytest.mark.parametrize(
    ("filters", "loosen"),
    [((0, 0), False), ((1, 0), True), ((0, 1), True), ((2, 1), False), ((1, 2), False), ((2, 0), False)],
)
def test_the_greater_reverse_path_filter_counts(filters: tuple[int, int], loosen: bool) -> None:  # noqa: FBT001 - a parameter
    todo = difference(ENI, replace(WHOLE, filters=filters))
    assert (todo.loosen, bool(todo)) == (loosen, loosen)


def test_only_the_families_that_the_eni_has_get_routes() -> None:
    only4 = replace(ENI, addresses=("10.0.2.5",))
    assert difference(only4, BARE).lacking_routes == (SUBNET, WAY)
    only6 = replace(ENI, addresses=("2001:db8::5",))
    assert difference(only6, BARE).lacking_routes == (WAY6,)


def test_where_ipv6_is_off_only_the_ipv4_addresses_are_wanted() -> None:
    todo = difference(ENI, replace(BARE, ipv6=False))
    assert todo.lacking_routes == (SUBNET, WAY)
    assert todo.lacking_rules == RULES[:2]
    assert todo.lacking_addresses == ("10.0.2.5", "10.0.2.6")
    left = difference(ENI, replace(WHOLE, ipv6=False, addresses=ADDRESSES - {"2001:db8::5"}))
    assert (left.surplus_routes, left.surplus_rules) == ((WAY6,), (RULES[2],))


def test_another_gateway_takes_the_place_of_the_one_that_is_there() -> None:
    wrong = replace(WAY, gateway="10.0.2.9")
    todo = difference(ENI, replace(WHOLE, routes=frozenset({SUBNET, wrong, WAY6})))
    assert (todo.surplus_routes, todo.lacking_routes) == ((wrong,), (WAY,))


def test_a_connected_route_in_the_main_table_is_too_much() -> None:
    connected = Route("10.0.2.0/24", "", 3, MAIN_TABLE, KERNEL_PROTOCOL)
    todo = difference(ENI, replace(WHOLE, routes=WHOLE.routes | {connected}))
    assert (todo.surplus_routes, todo.lacking_routes) == ((connected,), ())


def test_an_address_of_before_goes_with_its_rule_and_one_of_others_stays() -> None:
    former = Rule("10.0.2.8", T)
    state = replace(WHOLE, rules=WHOLE.rules | {former}, addresses=WHOLE.addresses | {"10.0.2.8", "192.0.2.1"})
    todo = difference(ENI, state)
    assert (todo.surplus_rules, todo.surplus_addresses) == ((former,), ("10.0.2.8",))


def test_a_rule_that_leads_elsewhere_goes_and_that_of_another_eni_stays() -> None:
    elsewhere, others = Rule("10.0.2.5", T + 1), Rule("10.0.2.9", T + 1)
    todo = difference(ENI, replace(WHOLE, rules=WHOLE.rules | {elsewhere, others}))
    assert (todo.surplus_rules, todo.surplus_addresses, todo.lacking_rules) == ((elsewhere,), (), ())


OWN = replace(ENI, addresses=(), own=True)
OT = OWN.table
OWN4 = tuple(replace(route, table=OT) for route in (SUBNET, WAY))
OWN6 = replace(WAY6, table=OT)
NEW, NEW6 = "10.0.2.9", "2001:DB8::9"


def test_a_nodes_own_eni_lacks_the_way_of_a_new_address_and_has_nothing_too_much() -> None:
    connected = Route("10.0.2.0/24", "", 3, MAIN_TABLE, KERNEL_PROTOCOL)
    state = replace(WHOLE, rules=WHOLE.rules | {Rule("10.0.2.8", OT)}, routes=frozenset({connected}))
    todo = addition(OWN, NEW, state)
    assert (todo.lacking_rules, todo.lacking_routes) == ((Rule(NEW, OT),), OWN4)
    assert addition(OWN, NEW6, state).lacking_rules == (Rule("2001:db8::9", OT),)
    assert addition(OWN, NEW6, state).lacking_routes == (OWN6,)
    for done in (todo, addition(OWN, NEW6, state)):
        assert not any((done.surplus_rules, done.surplus_routes, done.surplus_addresses, done.lacking_addresses))


@pytest.mark.parametrize("address", [NEW, NEW6])
def test_it_lacks_nothing_where_the_way_is_there(address: str) -> None:
    both = frozenset({Rule(NEW, OT), Rule("2001:db8::9", OT)})
    assert not addition(OWN, address, replace(WHOLE, rules=both, routes=frozenset({*OWN4, OWN6})))


def test_what_takes_its_place_makes_room_for_it() -> None:
    elsewhere, wrong = Rule(NEW, T), replace(OWN4[1], gateway="10.0.2.99")
    wrong6 = replace(OWN6, gateway="fe80::1")
    state = replace(WHOLE, rules=frozenset({elsewhere}), routes=frozenset({OWN4[0], wrong, wrong6}))
    todo = addition(OWN, NEW, state)
    assert (todo.surplus_rules, todo.lacking_rules) == ((elsewhere,), (Rule(NEW, OT),))
    assert (todo.surplus_routes, todo.lacking_routes) == ((wrong,), (OWN4[1],))
    assert (addition(OWN, NEW6, state).surplus_routes, addition(OWN, NEW6, state).lacking_routes) == (
        (wrong6,),
        (OWN6,),
    )
