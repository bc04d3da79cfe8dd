"""What somebody who looks at a node should see first: all in its status that is not as it should be. PURE."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from hafailover import words
from hafailover.observe.markup import parts
from hafailover.words import ago, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hafailover.observe.markup import Part


class Level(Enum):
    """How much a note matters, the worst first."""

    FAULT = "fault"
    WARNING = "warning"
    NOTE = "note"


class Note(NamedTuple):
    """One finding, as a sentence without its end."""

    level: Level
    text: str


_SILENCE: Mapping[str, str] = {
    "never": "was not heard since this daemon has started",
    "restarting": "has no daemon at the moment, but its host answers",
    "left": "has said goodbye: its daemon was stopped",
}
_RANK = {level: rank for rank, level in enumerate(Level)}


def notes(status: Part) -> Sequence[Note]:
    """Return what there is to note, the worst first, else in the order of the status."""
    found = [*_node(status)]
    for peer in parts(status, "peers"):
        found += _peer(peer)
    for group in parts(status, "groups"):
        found += (Note(level, f"{group.get('name')}: {text}") for level, text in _group(group))
    return sorted(found, key=lambda note: _RANK[note.level])


def _node(status: Part) -> Iterator[Note]:
    cloud = status.get("cloud") or {}
    if cloud.get("error"):
        last = ago(cloud.get("read_age_s"))
        yield Note(Level.FAULT, f"the cloud's API fails: {cloud['error']}; holders were last read {last}")
    broker = status.get("mqtt") or {}
    if broker and not broker.get("connected"):
        yield Note(Level.WARNING, f"no connection to the MQTT broker: {broker.get('reason') or 'not yet'}")
    for finding in parts(status.get("readiness") or {}, "findings"):
        level = Level.WARNING if finding.get("level") == "failure" else Level.NOTE
        yield Note(level, f"{finding.get('name')}: {finding.get('about')}: {finding.get('what')}")
    yield from _drained(status)
    if status.get("leaving") not in (None, "no"):
        yield Note(Level.WARNING, f"this daemon is {status['leaving']}")
    if status.get("log_lines_lost"):
        yield Note(Level.NOTE, f"{status['log_lines_lost']} log lines were lost to a journal that stalled")


def _drained(status: Part) -> Iterator[Note]:
    """Note what is announced, and whether this node stays out because of it or of an operator."""
    announced = status.get("announced") or {}
    for source, error in (announced.get("sources") or {}).items():
        if error:
            yield Note(Level.WARNING, f"what is announced by {source} is not known: {error}")
    for event in parts(announced, "events"):
        yield Note(Level.WARNING, f"announced: {words.event(event)}")
    if announced.get("drained"):
        yield Note(
            Level.WARNING, "this node has drained itself because of what is announced, and comes back after it"
        )
    elif status.get("drained"):
        yield Note(Level.WARNING, "this node is drained: it stays out until `hafailover undrain`")


def _peer(peer: Part) -> Iterator[Note]:
    name = peer.get("node")
    if not peer.get("alive"):
        yield Note(Level.FAULT, f"{name} {_SILENCE.get(str(peer.get('liveness')), 'is not heard')}")
        return
    if peer.get("hears_us") is False:
        yield Note(Level.FAULT, f"{name} is heard, but does not hear this node: the path is cut in one direction")
    if peer.get("config_match") is False:
        yield Note(Level.WARNING, f"{name} has another configuration than this node")
    for path, of_path in (peer.get("paths") or {}).items():
        if not of_path.get("up"):
            yield Note(Level.WARNING, f"{name} is not heard on {path}")


def _group(group: Part) -> Iterator[tuple[Level, str]]:
    if not group.get("master"):
        yield Level.FAULT, "no node is known as master"
    if group.get("state") == "FAULT":
        yield Level.FAULT, "this node is at fault and cannot take over"
    if group.get("paused"):
        yield Level.WARNING, _pause(group)
    if group.get("hold_down_s"):
        yield Level.WARNING, f"in hold-down: this node does not claim for {duration(group['hold_down_s'])}"
    for address in parts(group, "addresses"):
        yield from _holder(group, address.get("address"), address.get("holder"), address.get("eni"))
    for eni in parts(group, "enis"):
        yield from _holder(group, eni.get("eni"), eni.get("holder"), eni.get("instance"))
    for check in parts(group, "checks"):
        if check.get("state") == "down":
            level = Level.WARNING if check.get("weight") else Level.FAULT
            yield level, f"check {check.get('name')} is down"


def _pause(group: Part) -> str:
    by = ", ".join(str(node) for node in group.get("paused_by") or ())
    left = group.get("pause_left_s")
    return "".join(
        (
            "automatic moves are paused",
            f" on {by}" if by else "",
            "" if left is None else f" for {duration(left)} more",
        )
    )


def _holder(group: Part, resource: object, node: object, stranger: object) -> Iterator[tuple[Level, str]]:
    """Compare who holds a resource with who is master; both may be unknown, and during a move they differ."""
    if node is None and stranger is not None:
        yield Level.FAULT, f"the cloud says that {resource} is on {stranger}, which belongs to no configured node"
    elif node is not None and group.get("master") not in (None, "", node):
        yield Level.WARNING, f"the cloud says that {node} holds {resource}, but {group['master']} is master"
