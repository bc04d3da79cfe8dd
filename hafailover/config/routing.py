"""The routes and rules that follow a group's addresses, in the words of `ip route` and `ip rule`. PURE.

A conversion raises ValueError with the rest of a sentence that begins with the text: "has no table".
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

RouteType = Literal["unicast", "blackhole", "unreachable", "prohibit"]

MAIN_TABLE: Final = 254
RULE_PRIORITY: Final = 7693  # before those of ENIs (7694, `guest.interface`), which lead all from an address out
ROUTE_EXAMPLE: Final = "10.8.0.0/16 via 10.0.1.1 src 10.0.1.100"
RULE_EXAMPLE: Final = "from 10.0.1.100 table 100"
_METRIC6: Final = 1024  # what the kernel takes for IPv6 where none is given (IP6_RT_PRIO_USER)
_LOCAL_TABLE: Final = 255
_MOST_TABLE: Final = (1 << 24) - 1  # those beyond are the ENIs' own, see `guest.interface`
_MOST_METRIC: Final = (1 << 32) - 1
_MOST_PRIORITY: Final = 32765
_MOST_DIGITS: Final = 10
_LONGEST_NAME: Final = 15
_LONGEST: Final = 500
_TYPES: Final[dict[str, RouteType]] = {kind: kind for kind in get_args(RouteType)}
_ROUTE_WORDS: Final = ("via", "dev", "src", "table", "metric")
_RULE_WORDS: Final = {"lookup": "table", "pref": "priority"}
_ANY4, _ANY6 = "0.0.0.0/0", "::/0"


@dataclass(frozen=True, slots=True)
class VirtualRoute:
    """A route; `destination` is a network, the addresses are canonical, an empty text stands for: not given.

    An empty `device` stands for the interface of the node's ENI, unless the type is another one than "unicast".
    """

    destination: str
    type: RouteType = "unicast"
    gateway: str = ""
    device: str = ""
    source: str = ""
    table: int = MAIN_TABLE
    metric: int = 0
    onlink: bool = False

    @property
    def place(self) -> tuple[str, int, int]:
        """What the kernel has one route of."""
        return self.destination, self.table, self.metric

    def __str__(self) -> str:
        """Return it as `ip route` would take it."""
        return " ".join(self._words())

    def _words(self) -> Iterator[str]:
        if self.type != "unicast":
            yield self.type
        yield "default" if self.destination == _ANY4 else self.destination
        for word, value in (("via", self.gateway), ("dev", self.device), ("src", self.source)):
            yield from (word, value) if value else ()
        yield from ("table", str(self.table)) if self.table != MAIN_TABLE else ()
        yield from ("metric", str(self.metric)) if self.metric != _least_metric(self.destination) else ()
        yield from ("onlink",) if self.onlink else ()


@dataclass(frozen=True, slots=True)
class VirtualRule:
    """A rule; `source` and `destination` are networks, of which one may be empty: any."""

    source: str
    destination: str
    table: int
    priority: int = RULE_PRIORITY

    def __str__(self) -> str:
        """Return it as `ip rule` would take it."""
        parts = (("from", self.source), ("to", self.destination))
        words = [f"{word} {network} " for word, network in parts if network]
        priority = f" priority {self.priority}" if self.priority != RULE_PRIORITY else ""
        return f"{''.join(words)}table {self.table}{priority}"


Virtual = VirtualRoute | VirtualRule


def route(text: str) -> VirtualRoute:
    """Return the route that a text means: [TYPE] DESTINATION [via IP] [dev NAME] [src IP] [table N] [metric N]."""
    words = _split(text)
    kind = _TYPES.get(words[0]) if words else None
    if kind is not None:
        words.pop(0)
    if not words:
        raise ValueError("has no destination")
    first, onlink = words.pop(0), "onlink" in words
    given = _pairs([word for word in words if word != "onlink"], _ROUTE_WORDS)
    gateway, source = (_address(word, given[word]) if word in given else "" for word in ("via", "src"))
    destination = _destination(first, gateway or source)
    _same_family(destination, gateway, source)
    _judge(kind or "unicast", given, onlink=onlink)
    return VirtualRoute(
        destination=destination,
        type=kind or "unicast",
        gateway=gateway,
        device=_name(given["dev"]) if "dev" in given else "",
        source=source,
        table=_table(given["table"]) if "table" in given else MAIN_TABLE,
        metric=_number("metric", given.get("metric", "0"), 0, _MOST_METRIC) or _least_metric(destination),
        onlink=onlink,
    )


def rule(text: str) -> VirtualRule:
    """Return the rule that a text means: [from NETWORK] [to NETWORK] table N [priority N]."""
    words = [_RULE_WORDS.get(word, word) for word in _split(text)]
    given = _pairs(words, ("from", "to", "table", "priority"))
    source, destination = (_network(given[word]) if word in given else "" for word in ("from", "to"))
    if not source and not destination:
        raise ValueError('has neither "from" nor "to"')
    if "table" not in given:
        raise ValueError("has no table")
    _same_family(source, destination)
    priority = given.get("priority", str(RULE_PRIORITY))
    return VirtualRule(
        source, destination, _table(given["table"]), _number("priority", priority, 1, _MOST_PRIORITY)
    )


def _split(text: str) -> list[str]:
    if len(text) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    return text.split()


def _pairs(words: list[str], allowed: tuple[str, ...]) -> dict[str, str]:
    """Return the values by the words before them."""
    given: dict[str, str] = {}
    for word, value in zip(words[::2], [*words[1::2], ""], strict=False):
        if word not in allowed:
            raise ValueError(f'has "{word}", which is none of {", ".join(allowed)}')
        if word in given:
            raise ValueError(f'has "{word}" twice')
        if not value:
            raise ValueError(f'has nothing behind "{word}"')
        given[word] = value
    return given


def _judge(kind: RouteType, given: dict[str, str], *, onlink: bool) -> None:
    leading = sorted(given.keys() & {"via", "dev", "src"})
    if kind != "unicast" and (leading or onlink):
        raise ValueError(f'leads nowhere, being of type "{kind}", and has "{[*leading, "onlink"][0]}"')
    if onlink and "via" not in given:
        raise ValueError('has "onlink" without a gateway')


def _address(word: str, text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f'has "{text}" behind "{word}", which is not an IP address') from None
    if "%" in text or address.is_unspecified or address.is_multicast:
        raise ValueError(f'has "{text}" behind "{word}", which is no single node\'s address')
    return str(address)


def _destination(text: str, other: str) -> str:
    """Return the network; "default" is of the family of the other address, IPv4 where there is none."""
    if text == "default":
        return _ANY6 if ":" in other else _ANY4
    return _network(text)


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "%" in text:
        raise ValueError(f'has "{text}", which is not a network such as 10.8.0.0/16')
    if network.network_address != ip_address(text.partition("/")[0]):
        raise ValueError(f'has "{text}", which is not a network; {network} is')
    return str(network)


def _same_family(*parts: str) -> None:
    if len({":" in part for part in parts if part}) > 1:
        raise ValueError("has IPv4 and IPv6 in it")


def _least_metric(destination: str) -> int:
    return _METRIC6 if ":" in destination else 0


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or "/" in text or ":" in text or text in (".", ".."):
        raise ValueError(f'has "{text}" behind "dev", which is not the name of a network interface')
    return text


def _table(text: str) -> int:
    number = MAIN_TABLE if text == "main" else _number("table", text, 1, _MOST_TABLE)
    if number == _LOCAL_TABLE:
        raise ValueError("has the table 255, which is the kernel's own")
    return number


def _number(word: str, text: str, low: int, high: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else -1
    if not low <= number <= high:
        raise ValueError(f'has "{text}" behind "{word}", which is no number from {low} to {high}')
    return number
