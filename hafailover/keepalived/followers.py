"""Routes and rules that follow the addresses: virtual_routes and virtual_rules. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.config import routing
from hafailover.config.schema import MOST_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.keepalived.draft import GroupDraft
    from hafailover.keepalived.facts import Instance
    from hafailover.keepalived.parser import Statement
    from hafailover.keepalived.remarks import Remarks

_PAIRS = frozenset({"via", "dev", "src", "table", "metric", "from", "to", "priority"})
_SAME = {"gw": "via", "lookup": "table", "preference": "priority", "prio": "priority", "pref": "priority"}
_LEFT_OUT = {"scope": 1, "proto": 1, "protocol": 1, "track_group": 1, "no_track": 0, "inet": 0, "inet6": 0}


def add_followers(instance: Instance, interface: str, group: GroupDraft, remarks: Remarks) -> None:
    """Make a route or rule of each line that is one here too; `interface` is what a route has without "dev"."""
    for block in instance.at.all("virtual_routes", "virtual_rules"):
        remarks.carried(block)
        for line in block.inner:
            if block.keyword == "virtual_routes":
                _add(line, _route(line, interface), routing.route, group.routes, remarks)
            else:
                _add(line, _sorted(line), routing.rule, group.rules, remarks)


def _add(
    line: Statement, words: list[str], read: Callable[[str], object], made: list[str], remarks: Remarks
) -> None:
    text = " ".join(words)
    try:
        text = str(read(text))
    except ValueError as error:
        remarks.missing(line, f'"{text}" {error}')
        return
    if len(made) == MOST_ROUTES and text not in made:
        remarks.missing(line, f"a group has {MOST_ROUTES} of them at most; make another group")
        return
    left_out = [word for word in line.words if word in _LEFT_OUT]
    remarks.carried(line, f"without {', '.join(left_out)}" if left_out else "")
    if text not in made:
        made.append(text)


def _route(line: Statement, interface: str) -> list[str]:
    """Return the words of a route, without the interface that it has anyway: another node may call it otherwise."""
    words = _sorted(line, but=("to",))
    own = [place for place in range(len(words)) if words[place : place + 2] == ["dev", interface]]
    for place in reversed(own):
        del words[place : place + 2]
    return words


def _sorted(line: Statement, but: tuple[str, ...] = ()) -> list[str]:
    """Return the words without what has no meaning here, and what has no word before it first."""
    first: list[str] = []
    pairs: list[str] = []
    words = [_SAME.get(word, word) for word in line.words if word not in but]
    while words:
        word = words.pop(0)
        values = _LEFT_OUT.get(word, int(word in _PAIRS))
        taken, words = words[:values], words[values:]
        if word in _PAIRS:
            pairs += [word, *taken]
        elif word not in _LEFT_OUT:
            first.append(word)
    return first + pairs
