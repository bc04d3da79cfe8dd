"""The status as a text for people. What an older or newer daemon does not say is left out or shown as "-"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hafailover import words
from hafailover.words import ago, clean, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Part = Mapping[str, Any]

_COLORS = {
    "MASTER": "32",
    "up": "32",
    "BACKUP": "36",
    "CLAIMING": "33",
    "RELEASING": "33",
    "INIT": "33",
    "pending": "33",
    "FAULT": "31",
    "down": "31",
    "no": "31",
    "DIFFERS": "31",
    "FAILS": "31",
    "DRAINED": "33",
    "PAUSED": "33",
}


def render(status: Part, *, colored: bool = False) -> str:
    """Return the text for the mapping that `status --json` shows, with a line feed at its end."""
    paint = _paint if colored else _plain
    sections = [
        [
            _header(status, paint),
            *_cloud(status.get("cloud") or {}, paint),
            *_broker(status.get("mqtt") or {}, paint),
            *_announced(status.get("announced") or {}, paint),
            *_readiness(status.get("readiness") or {}, paint),
        ],
        _groups(status.get("groups") or (), paint),
        _peers(status.get("peers") or (), paint),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def handed_over(reply: Part) -> str:
    """Return the text for the answer to a planned hand-over, with a line feed at its end."""
    if not reply.get("master"):
        return "accepted; `hafailover status` shows when it is done\n"
    phases = _phases(reply.get("phases_s") or {})
    return f"{clean(reply['master'])} is master{': ' if phases else ''}{phases}\n"


def step(step: Part) -> str:
    """Return the text for a step on the way to an answer, with a line feed at its end."""
    return f"{clean(step.get('after_s')):>7} s  {clean(step.get('text'))}\n"


def drained(reply: Part) -> str:
    """Return the text for the answer to `drain` and `undrain`, with a line feed at its end."""
    if not reply.get("drained"):
        return "this node takes part again\n"
    groups = [f"{clean(group.get('name'))} {clean(group.get('fate'))}" for group in reply.get("groups") or ()]
    return "\n".join(("this node gives everything up and stays out, until `hafailover undrain`", *groups)) + "\n"


def reloaded(reply: Part) -> str:
    """Return the text for the answer to `reload`, with a line feed at its end."""
    changed = [clean(key) for key in reply.get("changed") or ()]
    if not changed:
        return "the file says what it said before\n"
    fates = [_fate_of_dismissed(group) for group in reply.get("dismissed") or ()]
    return "\n".join(("in force:", *(f"    {key}" for key in changed), *fates)) + "\n"


def _fate_of_dismissed(group: Part) -> str:
    name, stays = clean(group.get("name")), ", ".join(clean(each) for each in group.get("stays") or ())
    if not stays:
        return f"{name}: this node looks after it no longer; what it has stays where the cloud has it"
    where = "in the cloud and on its network" if group.get("guest") else "in the cloud"
    return f"{name}: {stays} stays on this node, {where}; nobody looks after it any more"


def paused(reply: Part) -> str:
    """Return the text for the answer to `pause` and `resume`, with a line feed at its end."""
    lines = []
    for group in reply.get("groups") or ():
        name = clean(group.get("name"))
        if group.get("paused"):
            where = ", ".join(clean(node) for node in group.get("paused_by") or ())
            lines.append(f"{name}: nothing moves by itself, {_pause_end(group)}; paused on {where}")
        else:
            lines.append(f"{name}: not paused")
    return "\n".join(lines) + "\n"


def _pause_end(group: Part) -> str:
    left = group.get("pause_left_s")
    return "until `hafailover resume`" if left is None else f"for {duration(left)} more"


def history(reply: Part) -> str:
    """Return the text for the answer to `history`, with a line feed at its end."""
    records = reply.get("failovers") or ()
    heads = ("AT", "GROUP", "RESULT", "FROM", "TO", "TERM", "DECIDED BY")
    keys = ("at", "group", "result", "from", "to", "term", "decided_by")
    rows = [tuple(clean(record.get(key)) for key in keys) for record in records]
    if not rows:
        return "no failover yet\n"
    table = _table(heads, rows, _plain)
    lines: list[str] = table[:1]
    for record, row in zip(records, table[1:], strict=True):
        lines += [row, *(f"    {key:<9}{text}" for key, text in _record(record) if text)]
    return "\n".join(lines) + "\n"


def _record(record: Part) -> Iterator[tuple[str, str]]:
    """Yield what stands below a record's row, as pairs of a word and a text."""
    if record.get("why"):
        yield "why", clean(record["why"])
    if record.get("ended_why"):
        yield "ended", clean(record["ended_why"])
    yield "evidence", ", ".join(_evidence(record.get("evidence") or {}))
    yield "phases", _phases(record.get("phases_s") or {})


def _evidence(evidence: Part) -> Iterator[str]:
    if evidence.get("silence_s") is not None:
        said = f", {clean(evidence['said'])} by its last word" if evidence.get("said") else ""
        yield f"heard {duration(evidence['silence_s'])} ago{said}"
    for guard, verdict in (evidence.get("guards") or {}).items():
        yield f"guard {clean(guard)} {'has not answered' if verdict is None else clean(verdict)}"
    for check, state in (evidence.get("checks") or {}).items():
        yield f"check {clean(check)} {clean(state)}"


def _header(status: Part, paint: Callable[[str], str]) -> str:
    words = [
        clean(status.get("node")),
        f"hafailover {clean(status.get('version'))}",
        f"up {duration(status.get('uptime_s'))}",
        f"configuration {clean(status.get('config_digest'))}",
    ]
    if status.get("drained"):
        words.append(paint("DRAINED"))
    return "  ".join(words)


def _cloud(cloud: Part, paint: Callable[[str], str]) -> Iterator[str]:
    """Yield a line on the last read of who holds what; none where the daemon does not say."""
    if cloud.get("error"):
        yield f"cloud  {paint('FAILS')}: {clean(cloud['error'])}, last read {ago(cloud.get('read_age_s'))}"
    elif "read_age_s" in cloud:
        yield f"cloud  read {ago(cloud['read_age_s'])}"


def _broker(broker: Part, paint: Callable[[str], str]) -> list[str]:
    """Say that there is no connection to the broker; nothing where there is one, or no broker."""
    if not broker or broker.get("connected"):
        return []
    return [f"mqtt {paint('FAILS')}: {clean(broker.get('reason') or 'not connected yet')}"]


def _announced(announced: Part, paint: Callable[[str], str]) -> Iterator[str]:
    """Yield what cannot be read, whether this node has left because of an event, and each that is announced."""
    for source, error in (announced.get("sources") or {}).items():
        if error:
            yield f"announced  {clean(source)} {paint('FAILS')}: {clean(error)}"
    if announced.get("drained"):
        yield f"announced  {paint('DRAINED')} by this daemon, which undrains it when nothing is announced any more"
    for event in announced.get("events") or ():
        overruled = ", overruled by `hafailover undrain`" if event.get("overruled") else ""
        yield f"announced  {words.event(event)}{overruled}"


def _readiness(readiness: Part, paint: Callable[[str], str]) -> Iterator[str]:
    """Yield a line for each thing that a failover to this node may fail at."""
    for finding in readiness.get("findings") or ():
        name, about, what = (clean(finding.get(key)) for key in ("name", "about", "what"))
        yield f"ready  {paint('no')}: {name}: {about}: {what}; `hafailover doctor` says how to mend it"


def _groups(groups: Sequence[Part], paint: Callable[[str], str]) -> list[str]:
    if not groups:
        return []
    heads = ("GROUP", "STATE", "MASTER", "TERM", "PRIORITY", "SINCE", "")
    table = _table(heads, [_group_row(group) for group in groups], paint)
    lines: list[str] = table[:1]
    for group, row in zip(groups, table[1:], strict=True):
        lines += [row, *(f"    {key:<9}{text}" for key, text in _details(group, paint) if text)]
    return lines


def _group_row(group: Part) -> tuple[str, ...]:
    priority, effective = group.get("priority"), group.get("effective_priority")
    hold_down = group.get("hold_down_s")
    notes = [
        _pause_note(group),
        f"hold-down {duration(hold_down)}" if hold_down else "",
    ]
    return (
        clean(group.get("name")),
        clean(group.get("state")),
        clean(group.get("master")),
        clean(group.get("term")),
        clean(priority) if effective in (None, priority) else f"{clean(effective)} of {clean(priority)}",
        clean(group.get("since")),
        " ".join(note for note in notes if note),
    )


def _pause_note(group: Part) -> str:
    if not group.get("paused"):
        return ""
    left = group.get("pause_left_s")
    return "PAUSED" if left is None else f"PAUSED for {duration(left)} more"


def _details(group: Part, paint: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield what stands below a group's row, as pairs of a word and a text."""
    if group.get("why"):
        yield "why", clean(group["why"])
    for node in group.get("nodes") or ():
        yield "node", f"{clean(node.get('node'))} {paint(clean(node.get('state')))}: {clean(node.get('why'))}"
    for address in group.get("addresses") or ():
        eni = f" ({clean(address['eni'])})" if address.get("eni") else ""
        guest = ", in the guest" if address.get("configured") else ""
        yield "address", f"{clean(address.get('address'))} -> {clean(address.get('holder'))}{eni}{guest}"
    for eni in group.get("enis") or ():
        guest = ", in the guest" if eni.get("configured") else ""
        instance = f" ({clean(eni['instance'])})" if eni.get("instance") else ""
        yield "eni", f"{clean(eni.get('eni'))} -> {clean(eni.get('holder'))}{instance}{guest}"
    for key, name in (("routes", "route"), ("rules", "rule")):
        for each in group.get(key) or ():
            yield name, f"{clean(each.get(name))}{', in the guest' if each.get('configured') else ''}"
    for check in group.get("checks") or ():
        yield "check", _check(check, paint)
    if group.get("last_failover"):
        yield from _failover(group["last_failover"])


def _check(check: Part, paint: Callable[[str], str]) -> str:
    weight = f", weight {clean(check['weight'])}" if check.get("weight") else ""
    detail = f": {clean(check['detail'])}" if check.get("detail") else ""
    return f"{clean(check.get('name'))} {paint(clean(check.get('state')))}{weight}{detail}"


def _failover(record: Part) -> Iterator[tuple[str, str]]:
    at = f" at {clean(record['at'])}" if record.get("at") else ""
    why = record.get("why") or record.get("reason")
    yield "last", f"{clean(record.get('from'))} -> {clean(record.get('to'))}{at}: {clean(why)}"
    yield "", _phases(record.get("phases_s") or {})


def _phases(phases: Part) -> str:
    return ", ".join(f"{clean(name)} {duration(seconds)}" for name, seconds in phases.items())


def _peers(peers: Iterable[Part], paint: Callable[[str], str]) -> list[str]:
    rows = [row for peer in peers for row in _peer_rows(peer)]
    return _table(("PEER", "ALIVE", "CONFIG", "PATH", "UP", "SEEN", "RTT", "LOSS"), rows, paint) if rows else []


def _peer_rows(peer: Part) -> Iterator[tuple[str, ...]]:
    """Yield a row for each path to the peer; what belongs to the peer itself stands in the first one."""
    match = _either(peer.get("config_match"), "same", "DIFFERS")
    own = (clean(peer.get("node")), _either(peer.get("alive"), "yes", "no"), match)
    for name, path in (peer.get("paths") or {"-": {}}).items():
        yield (
            *own,
            clean(name),
            _either(path.get("up"), "yes", "no"),
            duration(path.get("last_seen_s")),
            duration(path.get("rtt_s")),
            "-" if path.get("loss") is None else f"{path['loss']:.1%}",
        )
        own = ("", "", "")


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], paint: Callable[[str], str]) -> list[str]:
    """Return aligned lines; colours are painted after the padding, as they have no width."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()]
    for row in rows:
        cells = (paint(cell) + " " * (width - len(cell)) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return lines


def _either(value: object, yes: str, no: str) -> str:
    if value is None:
        return "-"
    return yes if value else no


def _plain(text: str) -> str:
    return text


def _paint(text: str) -> str:
    color = _COLORS.get(text)
    return f"\x1b[{color}m{text}\x1b[0m" if color else text
