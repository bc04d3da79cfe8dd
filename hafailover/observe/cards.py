"""The parts of the status page that show one thing whole: a group, and the peers. PURE."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from hafailover.observe.markup import Markup, join, parts, table, tag, text
from hafailover.observe.picture import when
from hafailover.words import ago, clean, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hafailover.observe.markup import Part

_STATES = frozenset({"INIT", "BACKUP", "CLAIMING", "MASTER", "RELEASING", "FAULT"})
_CHECKS: Mapping[object, str] = {"up": "good", "down": "bad"}


def state(name: object) -> Markup:
    """Return the badge of a state; one that this version does not know looks neutral."""
    return tag("span", text(name), class_=f"state {name}" if name in _STATES else "state")


def facts(*pairs: tuple[str, str]) -> Markup:
    """Return pairs of a word and what there is to say."""
    return tag("dl", *(tag("div", tag("dt", word), tag("dd", said)) for word, said in pairs))


def holders(group: Part) -> str:
    """Return the nodes that hold a group's addresses and ENIs, each once."""
    named = [clean(each.get("holder")) for key in ("addresses", "enis") for each in parts(group, key)]
    return ", ".join(dict.fromkeys(named)) or "-"


def group(group: Part, status: Part, now_ms: int) -> Markup:
    """Return the card of a group; `status` is the whole, for the node's name and the age of the cloud's word."""
    me, master = text(status.get("node")), text(group.get("master"))
    return tag(
        "section",
        tag("div", tag("h2", text(group.get("name"))), state(group.get("state")), _flags(group), class_="title"),
        tag(
            "p",
            _who(me, master),
            tag("b", me),
            " is ",
            text(group.get("state")),
            ": ",
            text(group.get("why")),
            ".",
        ),
        *_on_peers(parts(group, "nodes")),
        facts(
            ("Since", f"{when(group.get('since'))} ({_age(group.get('since'), now_ms)})"),
            ("Term", text(group.get("term"))),
            ("Priority", _priority(group)),
            ("Hold-down", duration(group["hold_down_s"]) if group.get("hold_down_s") else "none"),
        ),
        _resources(group, status.get("cloud") or {}),
        _checks(parts(group, "checks")),
    )


def _who(me: str, master: str) -> Markup:
    if master == "-":
        return join((tag("b", "No node is known as master", class_="bad"), ". "))
    here = " (this node)" if master == me else ""
    return join(("Master: ", tag("b", master), f"{here}. "))


def _on_peers(nodes: Sequence[Part]) -> Iterator[Markup]:
    """Yield a line for each peer: what it said last of the group, and why it is or is not master."""
    for node in nodes:
        state_there = f" is {clean(node['state'])}" if node.get("state") else ""
        yield tag("p", tag("b", text(node.get("node"))), f"{state_there}: {clean(node.get('why'))}.")


def _flags(group: Part) -> Markup:
    said = [
        "paused" if group.get("paused") else "",
        "could not take over" if group.get("eligible") is False and group.get("state") == "BACKUP" else "",
    ]
    return join(tag("span", each, class_="warn") for each in said if each)


def _age(since: object, now_ms: int) -> str:
    try:
        return ago(max(0.0, now_ms / 1000 - datetime.fromisoformat(str(since)).timestamp()))
    except (ValueError, OverflowError):
        return "-"


def _priority(group: Part) -> str:
    priority, effective = group.get("priority"), group.get("effective_priority")
    return text(priority) if effective in (None, priority) else f"{clean(effective)}, configured {clean(priority)}"


def _resources(group: Part, cloud: Part) -> Markup | str:
    rows = [
        (
            text(each.get(key)),
            _node(each.get("holder"), cloud),
            text(each.get(carrier)),
            "configured" if each.get("configured") else "not configured",
        )
        for resources, key, carrier in (("addresses", "address", "eni"), ("enis", "eni", "instance"))
        for each in parts(group, resources)
    ]
    if not rows:
        return ""
    return table(("Resource", "Holder", "On", "In this guest"), rows, f"What the cloud says: {age_of(cloud)}")


def age_of(cloud: Part) -> str:
    """Return how old the cloud's word on the holders is."""
    return "not read yet" if cloud.get("read_age_s") is None else f"read {ago(cloud['read_age_s'])}"


def _node(holder: object, cloud: Part) -> Markup:
    if holder:
        return tag("b", text(holder))
    return tag("span", "unknown" if cloud.get("read_age_s") is None else "no node", class_="bad")


def _checks(checks: Sequence[Part]) -> Markup | str:
    rows = [
        (
            text(check.get("name")),
            tag("span", text(check.get("state")), class_=_CHECKS.get(check.get("state"), "warn")),
            f"weight {clean(check['weight'])}" if check.get("weight") else "fault if down",
            text(check.get("detail")),
        )
        for check in checks
    ]
    return table(("Check", "State", "Counts as", "Last result"), rows, "Checks") if rows else ""


def peers(status: Part) -> Markup:
    """Return who hears whom, and how this node reaches each peer."""
    others = parts(status, "peers")
    title = tag("h2", "Who hears whom")
    if not others:
        return tag("section", title, tag("p", "There is no other node."))
    heads = ("Peer", "Daemon", "Configuration", "Path", "Heard", "Round trip", "Loss")
    rows = [row for peer in others for row in _paths(peer)]
    return tag("section", title, _matrix(text(status.get("node")), others), table(heads, rows, "Seen from here"))


def _matrix(me: str, others: Sequence[Part]) -> Markup:
    """Return a row for each node that listens and a column for each that is heard."""
    names = [text(peer.get("node")) for peer in others]
    own = (tag("td", "-"), *(tag("td", _hears(peer.get("alive")), _quality(peer)) for peer in others))
    rows = [tag("tr", tag("th", f"{me} hears", scope="row"), *own)]
    for peer, name in zip(others, names, strict=True):
        cells = (tag("td", said) for said in _said_by(peer, (me, *names)))
        rows.append(tag("tr", tag("th", f"{name} hears", scope="row"), *cells))
    heads = (tag("th", name, scope="col") for name in ("", me, *names))
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="hears")


def _quality(peer: Part) -> Markup:
    """Return round trip and loss of each path to a peer that is heard, as far as they are known."""
    said = (
        f"{name} {duration(path.get('rtt_s'))}, {_share(path.get('loss'))} lost"
        for name, path in (peer.get("paths") or {}).items()
        if path.get("up")
    )
    return join(tag("div", each, class_="dim") for each in said)


def _share(ratio: object) -> str:
    return f"{ratio:.1%}" if isinstance(ratio, int | float) else "-"


def _said_by(peer: Part, heard: Sequence[str]) -> Iterator[Markup | str]:
    """Yield whom a peer hears by its own word, which counts for nothing once it is not heard itself."""
    said = peer.get("hears")
    for name in heard:
        if name == text(peer.get("node")):
            yield "-"
        elif not peer.get("alive") or said is None:
            yield _hears(None)
        else:
            yield _hears(name in said)


def _hears(heard: object) -> Markup:
    if heard is None:
        return tag("span", "unknown", class_="dim")
    return tag("span", "yes", class_="good") if heard else tag("span", "no", class_="bad")


def _paths(peer: Part) -> Iterator[tuple[str, ...]]:
    """Yield a row for each path to the peer."""
    for name, path in (peer.get("paths") or {"-": {}}).items():
        yield (
            tag("b", text(peer.get("node"))),
            _daemon(peer),
            _configuration(peer.get("config_match")),
            text(name),
            _last_heard(path),
            duration(path.get("rtt_s")),
            _share(path.get("loss")),
        )


def _last_heard(path: Part) -> Markup:
    if path.get("last_seen_s") is None:
        return tag("span", "never", class_="bad")
    return tag("span", _hears(path.get("up")), f", {ago(path['last_seen_s'])}")


def _daemon(peer: Part) -> Markup:
    said = peer.get("liveness") or ("alive" if peer.get("alive") else "not heard")
    return tag("span", text(said), class_="good" if said == "alive" else "warn" if peer.get("alive") else "bad")


def _configuration(match: object) -> Markup | str:
    if match is None:
        return "-"
    return tag("span", "the same", class_="good") if match else tag("span", "DIFFERS", class_="bad")
