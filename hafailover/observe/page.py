"""The status page: one HTML document made of the status and the history, for a person who wants to know. PURE.

It needs no script, no cookie and no other file; it shows nothing that `status --json` does not; and its size is
bounded, however many groups there are: beyond `FEW` they are rows of a table, where one can be opened by its name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from hafailover.observe import attention, cards, picture, style
from hafailover.observe.markup import Markup, join, parts, table, tag, text
from hafailover.words import clean, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hafailover.observe.attention import Note
    from hafailover.observe.markup import Part

CONTENT_TYPE = "text/html; charset=utf-8"
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {style.SOURCE}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
REFRESH_S = 5
FEW = 8  # groups that are shown whole; with more, only the one that was asked for is
MAX_ROWS = 500
MAX_NOTES = 30


def render(status: Part, failovers: Sequence[Part], query: Mapping[str, str], *, now_ms: int) -> bytes:
    """Return the page, in UTF-8, of a status in the shape of `status --json`; `failovers` are the newest first.

    `query`: "refresh" = "off" keeps the page as it is, "group" is the name of the one to be shown whole. `now_ms`
    is wall time since the epoch.
    """
    refresh = query.get("refresh") != "off"
    groups = parts(status, "groups")
    body = tag(
        "body",
        _header(status),
        _notes(attention.notes(status)),
        *_cards(status, query, now_ms),
        cards.peers(status),
        _failovers(failovers),
        _node(status),
        _others(groups, query) if len(groups) > FEW else "",
        _footer(query, now_ms, refresh=refresh),
    )
    return f'<!doctype html>\n<html lang="en">{_head(status, refresh=refresh)}{body}</html>\n'.encode(
        errors="replace"
    )


def _head(status: Part, *, refresh: bool) -> Markup:
    groups = parts(status, "groups")
    states = sorted({str(group.get("state")) for group in groups})
    masters = sum(group.get("state") == "MASTER" for group in groups)
    what = f"master of {masters} of {len(groups)}" if len(groups) > 1 else "".join(states)
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="refresh", content=str(REFRESH_S)) if refresh else "",
        tag("title", f"{clean(status.get('node'))} {what} - hafailover"),
        Markup(f"<style>{style.CSS}</style>"),
    )


def _header(status: Part) -> Markup:
    groups = parts(status, "groups")
    return tag(
        "header",
        tag("h1", text(status.get("node"))),
        *(tag("span", f"{name} ", cards.state(state)) for name, state in _states(groups)),
        tag("a", f"all {len(groups)} groups", href="#all") if len(groups) > FEW else "",
        tag("span", f"hafailover {clean(status.get('version'))}", class_="dim"),
    )


def _states(groups: Sequence[Part]) -> Iterator[tuple[str, object]]:
    """Yield what is said of several groups beside the node's name: each, or how many are in a state."""
    if len(groups) <= FEW:
        yield from ((clean(group.get("name")), group.get("state")) for group in groups if len(groups) > 1)
        return
    states = [clean(group.get("state")) for group in groups]
    yield from ((str(states.count(state)), state) for state in sorted(set(states)))


def _notes(notes: Sequence[Note]) -> Markup | str:
    if not notes:
        return tag("p", tag("span", "All is well", class_="good"), " as far as this node can see.")
    shown = [
        tag("li", tag("b", note.level.value), note.text, class_=f"n-{note.level.value}")
        for note in notes[:MAX_NOTES]
    ]
    more = len(notes) - len(shown)
    return tag("ul", *shown, tag("li", f"and {more} more", class_="n-note") if more else "", class_="notes")


def _cards(status: Part, query: Mapping[str, str], now_ms: int) -> Iterator[Markup]:
    groups = parts(status, "groups")
    if not groups:
        yield tag("section", tag("h2", "Groups"), tag("p", "This node has no group."))
    for group in groups:
        if len(groups) <= FEW or group.get("name") == query.get("group"):
            yield cards.group(group, status, now_ms)


def _others(groups: Sequence[Part], query: Mapping[str, str]) -> Markup:
    rows = (
        (
            tag("a", text(group.get("name")), href=_link(query, group=str(group.get("name")))),
            cards.state(group.get("state")),
            text(group.get("master")),
            cards.holders(group),
            text(group.get("why")),
        )
        for group in groups[:MAX_ROWS]
    )
    more = len(groups) - MAX_ROWS
    return tag(
        "section",
        tag("h2", f"All {len(groups)} groups", id="all"),
        table(("Group", "State here", "Master", "Holder (cloud)", "Why here"), rows),
        tag("p", f"and {more} more: see `hafailover status`") if more > 0 else "",
    )


def _link(query: Mapping[str, str], **changes: str | None) -> str:
    """Return the address of this page with what was asked for before, changed; None takes a field away."""
    asked = {key: query[key] for key in ("group", "refresh") if key in query} | changes
    return "/?" + urlencode({key: value for key, value in asked.items() if value is not None})


def _failovers(failovers: Sequence[Part]) -> Markup:
    title = tag("h2", "Last failovers")
    if not failovers:
        return tag("section", title, tag("p", "None that this node has had a part in.", class_="dim"))
    more = len(failovers) - picture.MAX_BARS
    rest = tag("p", f"{more} older: see `hafailover history`", class_="dim") if more > 0 else ""
    return tag("section", title, picture.draw(failovers), rest)


def _node(status: Part) -> Markup:
    cloud = status.get("cloud") or {}
    fails = f"fails ({clean(cloud['error'])}); " if cloud.get("error") else ""
    alike = [peer for peer in parts(status, "peers") if peer.get("config_match")]
    return tag(
        "section",
        tag("h2", "This node"),
        cards.facts(
            ("Name", text(status.get("node"))),
            ("Version", text(status.get("version"))),
            ("Up for", duration(status.get("uptime_s"))),
            ("Drained", "yes" if status.get("drained") else "no"),
            ("Configuration", text(status.get("config_digest"))),
            ("The same configuration on", f"{len(alike)} of {len(parts(status, 'peers'))} peers"),
            ("Cloud", f"{fails}{cards.age_of(cloud)}"),
        ),
    )


def _footer(query: Mapping[str, str], now_ms: int, *, refresh: bool) -> Markup:
    at = f"{datetime.fromtimestamp(now_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    told = f"As of {at}, renewed every {REFRESH_S} s" if refresh else f"As of {at}, not renewed"
    other = tag("a", "stop that", href=_link(query, refresh="off")) if refresh else None
    return tag(
        "footer",
        tag("span", told),
        other or tag("a", "renew", href=_link(query, refresh=None)),
        *(tag("a", path, href=path) for path in ("/metrics", "/healthz", "/readyz")),
        tag("span", join(("/master/GROUP and /backup/GROUP", "for load balancers"), " ")),
    )
