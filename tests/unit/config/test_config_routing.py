"""Routes and rules as texts: what is understood, in which form it comes back, and what is told of all else."""

from __future__ import annotations

import pytest

from hafailover.config import kinds, routing
from hafailover.config.routing import VirtualRoute, VirtualRule

ROUTES: list[tuple[str, str, VirtualRoute]] = [
    ("10.8.0.0/16", "10.8.0.0/16", VirtualRoute("10.8.0.0/16")),
    ("10.8.0.9", "10.8.0.9/32", VirtualRoute("10.8.0.9/32")),
    (
        "  10.8.0.0/16 table 100  src 10.0.1.100 via 10.0.1.1 metric 50 dev eth0 onlink",
        "10.8.0.0/16 via 10.0.1.1 dev eth0 src 10.0.1.100 table 100 metric 50 onlink",
        VirtualRoute(
            "10.8.0.0/16",
            gateway="10.0.1.1",
            device="eth0",
            source="10.0.1.100",
            table=100,
            metric=50,
            onlink=True,
        ),
    ),
    ("default via 10.0.1.1", "default via 10.0.1.1", VirtualRoute("0.0.0.0/0", gateway="10.0.1.1")),
    ("default dev eth0", "default dev eth0", VirtualRoute("0.0.0.0/0", device="eth0")),
    ("default table main", "default", VirtualRoute("0.0.0.0/0")),
    ("default via FE80::1", "::/0 via fe80::1", VirtualRoute("::/0", gateway="fe80::1", metric=1024)),
    ("default src 2001:db8::1", "::/0 src 2001:db8::1", VirtualRoute("::/0", source="2001:db8::1", metric=1024)),
    (
        "2001:DB8::/32 dev eth0 metric 5",
        "2001:db8::/32 dev eth0 metric 5",
        VirtualRoute("2001:db8::/32", device="eth0", metric=5),
    ),
    ("unicast 10.8.0.0/16", "10.8.0.0/16", VirtualRoute("10.8.0.0/16")),
    ("blackhole 10.8.0.0/16", "blackhole 10.8.0.0/16", VirtualRoute("10.8.0.0/16", "blackhole")),
    ("prohibit default", "prohibit default", VirtualRoute("0.0.0.0/0", "prohibit")),
    (
        "unreachable ::/0 table 9 metric 7",
        "unreachable ::/0 table 9 metric 7",
        VirtualRoute("::/0", "unreachable", table=9, metric=7),
    ),
]
RULES: list[tuple[str, str, VirtualRule]] = [
    ("from 10.0.1.100 table 100", "from 10.0.1.100/32 table 100", VirtualRule("10.0.1.100/32", "", 100)),
    ("to 10.8.0.0/16 lookup main", "to 10.8.0.0/16 table 254", VirtualRule("", "10.8.0.0/16", 254)),
    (
        "priority 5 from ::1 to 2001:db8::/32 table 9",
        "from ::1/128 to 2001:db8::/32 table 9 priority 5",
        VirtualRule("::1/128", "2001:db8::/32", 9, 5),
    ),
    ("from 10.0.1.100 table 1 pref 7693", "from 10.0.1.100/32 table 1", VirtualRule("10.0.1.100/32", "", 1)),
]


@pytest.mark.parametrize(("text", "shown", "route"), ROUTES)
def test_a_route_is_understood_and_shown_in_one_form(text: str, shown: str, route: VirtualRoute) -> None:
    assert routing.route(text) == route
    assert (str(route), routing.route(shown)) == (shown, route)


@pytest.mark.parametrize(("text", "shown", "rule"), RULES)
def test_a_rule_is_understood_and_shown_in_one_form(text: str, shown: str, rule: VirtualRule) -> None:
    assert routing.rule(text) == rule
    assert (str(rule), routing.rule(shown)) == (shown, rule)


def test_of_one_place_there_is_one_route() -> None:
    first, second, other = map(routing.route, ("10.8.0.0/16 via 10.0.1.1", "blackhole 10.8.0.0/16", "10.8.0.0/17"))
    assert first.place == second.place != other.place


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no destination"),
        ("blackhole", "has no destination"),
        ("x", 'has "x", which is not a network such as 10.8.0.0/16'),
        ("10.8.0.0/33", 'has "10.8.0.0/33", which is not a network such as 10.8.0.0/16'),
        ("fe80::%eth0/64", 'has "fe80::%eth0/64", which is not a network such as 10.8.0.0/16'),
        ("10.8.0.1/16", 'has "10.8.0.1/16", which is not a network; 10.8.0.0/16 is'),
        ("2001:db8::1/32", 'has "2001:db8::1/32", which is not a network; 2001:db8::/32 is'),
        ("10.8.0.0/16 scope link", 'has "scope", which is none of via, dev, src, table, metric'),
        ("10.8.0.0/16 via", 'has nothing behind "via"'),
        ("10.8.0.0/16 via 10.0.1.1 via 10.0.1.2", 'has "via" twice'),
        ("10.8.0.0/16 via gateway", 'has "gateway" behind "via", which is not an IP address'),
        ("10.8.0.0/16 src 0.0.0.0", 'has "0.0.0.0" behind "src", which is no single node\'s address'),
        ("10.8.0.0/16 via 224.0.0.1", 'has "224.0.0.1" behind "via", which is no single node\'s address'),
        ("::/0 via fe80::1%eth0", 'has "fe80::1%eth0" behind "via", which is no single node\'s address'),
        ("10.8.0.0/16 via fe80::1", "has IPv4 and IPv6 in it"),
        ("10.8.0.0/16 via 10.0.1.1 src fe80::1", "has IPv4 and IPv6 in it"),
        ("10.8.0.0/16 dev sixteen-letters-", 'has "sixteen-letters-" behind "dev", which is not the name'),
        ("10.8.0.0/16 dev a/b", 'has "a/b" behind "dev", which is not the name of a network interface'),
        ("10.8.0.0/16 dev eth0:1", 'has "eth0:1" behind "dev", which is not the name of a network interface'),
        ("10.8.0.0/16 dev ..", 'has ".." behind "dev", which is not the name of a network interface'),
        ("10.8.0.0/16 table 0", 'has "0" behind "table", which is no number from 1 to 16777215'),
        ("10.8.0.0/16 table 16777216", 'has "16777216" behind "table", which is no number from 1 to 16777215'),
        ("10.8.0.0/16 table 255", "has the table 255, which is the kernel's own"),
        ("10.8.0.0/16 table local", 'has "local" behind "table", which is no number from 1 to 16777215'),
        ("10.8.0.0/16 metric -1", 'has "-1" behind "metric", which is no number from 0 to 4294967295'),
        ("10.8.0.0/16 metric ٣", 'has "٣" behind "metric", which is no number from 0 to 4294967295'),
        ("10.8.0.0/16 metric 4294967296", 'has "4294967296" behind "metric", which is no number'),
        ("10.8.0.0/16 metric 99999999999", 'has "99999999999" behind "metric", which is no number'),
        ("10.8.0.0/16 onlink", 'has "onlink" without a gateway'),
        ("blackhole 10.8.0.0/16 dev eth0", 'leads nowhere, being of type "blackhole", and has "dev"'),
        ("prohibit 10.8.0.0/16 onlink", 'leads nowhere, being of type "prohibit", and has "onlink"'),
        ("10.8.0.0/16 via " + "1" * 500, "is longer than 500 characters"),
    ],
)
def test_what_is_no_route_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        routing.route(text)
    assert str(error.value).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", 'has neither "from" nor "to"'),
        ("table 9", 'has neither "from" nor "to"'),
        ("from 10.0.1.100", "has no table"),
        ("from all table 9", 'has "all", which is not a network such as 10.8.0.0/16'),
        ("from 10.0.1.100 to ::/0 table 9", "has IPv4 and IPv6 in it"),
        ("from 10.0.1.100 iif eth0 table 9", 'has "iif", which is none of from, to, table, priority'),
        ("from 10.0.1.100 table 9 lookup 9", 'has "table" twice'),
        ("from 10.0.1.100 table 9 priority 0", 'has "0" behind "priority", which is no number from 1 to 32765'),
        ("from 10.0.1.100 table 9 priority 32766", 'has "32766" behind "priority", which is no number'),
        ("from " + "1" * 500, "is longer than 500 characters"),
    ],
)
def test_what_is_no_rule_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        routing.rule(text)
    assert str(error.value).startswith(told)


def test_the_examples_are_good_and_the_kinds_tell_of_the_rest() -> None:
    assert kinds.ROUTE.read(routing.ROUTE_EXAMPLE) == routing.route(routing.ROUTE_EXAMPLE)
    assert kinds.RULE.read(routing.RULE_EXAMPLE) == routing.rule(routing.RULE_EXAMPLE)
    with pytest.raises(
        ValueError, match=r'^"10\.8\.0\.0/16 via" has nothing behind "via"; allowed: a route such as'
    ):
        kinds.ROUTE.read("10.8.0.0/16 via")
