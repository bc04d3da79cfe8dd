"""What is told by the broker to whoever listens, as the documents of docs/mqtt.schema.json. PURE.

Each is made of named fields of the status or of an effect and of nothing else, so what is not listed here is not
told: no check's detail, no key, no endpoint. Fields are added and never renamed; `schema` counts the changes that
are more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hafailover.election.effects import Refrained, RoleChanged

    Document = dict[str, Any]

SCHEMA = 1
_NODE = ("version", "config_digest", "drained", "leaving")
_PEER = ("node", "alive", "config_match")
_GROUP = (
    "state",
    "master",
    "why",
    "why_label",
    "term",
    "since",
    "priority",
    "effective_priority",
    "eligible",
    "successor",
    "paused",
)
_ADDRESS = ("address", "holder", "configured")
_ENI = ("eni", "holder")
_CHECK = ("name", "state", "weight")
_FAILOVER = (
    "result",
    "reason",
    "why",
    "decided_by",
    "from",
    "to",
    "term",
    "phases_s",
    "ended",
    "ended_why",
    "moves",
)


def of_node(status: Mapping[str, Any], cluster: str) -> Document:
    """Return the node's own part of a status that is as `status --json` prints it."""
    return {
        "schema": SCHEMA,
        "cluster": cluster,
        "node": status["node"],
        **_some(status, _NODE),
        "peers": _each(status["peers"], _PEER),
        "groups": {group["name"]: group["state"] for group in status["groups"]},
    }


def of_groups(status: Mapping[str, Any], cluster: str) -> dict[str, Document]:
    """Return the part of each group, by its name."""
    head = {"schema": SCHEMA, "cluster": cluster, "node": status["node"]}
    return {
        group["name"]: {
            **head,
            "group": group["name"],
            **_some(group, _GROUP),
            "addresses": _each(group["addresses"], _ADDRESS),
            "enis": _each(group["enis"], _ENI),
            "checks": _each(group["checks"], _CHECK),
        }
        for group in status["groups"]
    }


def of_role(effect: RoleChanged) -> Document:
    """Return the event of a change of state."""
    return {
        "event": "role",
        "group": effect.group,
        "old": effect.old.value,
        "new": effect.new.value,
        "reason": effect.reason.label,
        "why": effect.reason.value,
        "term": effect.term,
    }


def of_refrained(effect: Refrained) -> Document:
    """Return the event of a node that hears no master and holds back."""
    return {
        "event": "held_back",
        "group": effect.group,
        "reason": effect.reason.label,
        "why": effect.reason.value,
    }


def of_failover(record: Mapping[str, Any]) -> Document:
    """Return the event of a claim or a hand-over that has come to its end; the record is the history's."""
    return {"event": "failover", "group": record["group"], **_some(record, _FAILOVER)}


def _some(part: Mapping[str, Any], names: Iterable[str]) -> Document:
    return {name: part[name] for name in names if name in part}


def _each(parts: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[Document]:
    return [_some(part, names) for part in parts]
