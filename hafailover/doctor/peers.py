"""Who hears whom, with which key and configuration: by the daemon's status, or by listening in its place. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hafailover.doctor.findings import Note, Seen, failure, judged, warning
from hafailover.heartbeat.wire import Reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hafailover.doctor.findings import Finding

    Status = Mapping[str, Any]

# Datagrams that come and are thrown away, where that says something of the configuration.
REASONS: Mapping[str, tuple[str, str]] = {
    Reject.BAD_MAC: ("heartbeat-key", "datagrams come that are signed with another key"),
    Reject.WRONG_CLUSTER: ("heartbeat-cluster", "datagrams of another cluster come to this node's address"),
    Reject.BAD_VERSION: ("heartbeat-version", "datagrams of another version of the protocol come"),
    Reject.UNKNOWN_NODE: ("heartbeat-stranger", "a node sends heartbeats that this file does not list"),
    Reject.OWN_NAME: ("heartbeat-name", "datagrams come from another daemon of this node's name"),
}


@dataclass(frozen=True, slots=True)
class Listened:
    """What was heard in `seconds` of listening on the node's own heartbeat address; `error`: it cannot be bound.

    `digests` gives the configuration digest that each peer sent, in hex; `rejected` the datagrams not taken.
    """

    seconds: float = 0.0
    digests: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


def rejected(status: Status) -> Mapping[str, int]:
    """Return how many datagrams a daemon has not taken, by reason, over all of its paths."""
    total: dict[str, int] = {}
    for of_path in (status.get("rejected") or {}).values():
        for reason, count in of_path.items():
            total[reason] = total.get(reason, 0) + count
    return total


def is_calm(status: Status) -> bool:
    """Return whether one look is enough: all peers are heard, and nothing telling was ever thrown away."""
    return all(peer.get("alive") for peer in status.get("peers") or ()) and not set(REASONS) & set(rejected(status))


def by_status(status: Status, later: Status, me: str, digest: str) -> Seen:
    """Look at what a daemon says, twice: what it has thrown away between the two is what comes now."""
    names = ", ".join(str(peer["node"]) for peer in later.get("peers") or ())
    return judged(_by_status(status, later, me, digest), f"heard, and hearing this node: {names}")


def _by_status(status: Status, later: Status, me: str, digest: str) -> Iterator[Finding]:
    if later.get("node") != me:
        yield failure("daemon-node", me, f"the daemon that answers is {later.get('node')}")
        return
    if later.get("config_digest") != digest:
        found = f"the file has the digest {digest}, and the daemon works by {later.get('config_digest')}"
        yield warning("file-not-loaded", me, found)
    broker = later.get("mqtt") or {"connected": True}
    if not broker.get("connected"):
        yield warning("broker", me, str(broker.get("reason") or "there is no connection yet"))
    before, now = rejected(status), rejected(later)
    fresh = {reason: now[reason] - before.get(reason, 0) for reason in now}
    heard = {peer["node"]: bool(peer.get("alive")) for peer in later.get("peers") or ()}
    yield from _heard(heard, fresh)
    for peer in later.get("peers") or ():
        if peer.get("alive"):
            yield from _alive(peer)


def _alive(peer: Status) -> Iterator[Finding]:
    name = str(peer["node"])
    if peer.get("config_match") is False:
        yield failure("peer-config", name, "its configuration is another one than this node's")
    if peer.get("hears_us") is False:
        yield failure("peer-deaf", name, "it is heard, and does not hear this node")
    for path, of_path in (peer.get("paths") or {}).items():
        if not of_path.get("up"):
            yield warning("peer-path", name, f"it is not heard on {path}")


def _heard(heard: Mapping[str, bool], fresh: Mapping[str, int]) -> Iterator[Finding]:
    """Tell of the silent ones, and of what was thrown away: where one is silent, that is its reason."""
    silent = [name for name, is_heard in heard.items() if not is_heard]
    reasons = [REASONS[reason] for reason in REASONS if fresh.get(reason, 0) > 0]
    for name, text in reasons:
        yield failure(name, "heartbeats", text) if silent else warning(name, "heartbeats", text)
    if len(silent) > 1 or not reasons:
        for name in silent:
            yield failure("peer-silent", name, "nothing is heard of it")


def by_listening(said: Listened, peers: Sequence[str], me: str, digest: str) -> Seen:
    """Look at what was heard in the place of a daemon."""
    if said.error:
        return Seen((failure("heartbeat-address", me, said.error),))
    findings: list[Finding] = [*_heard({peer: peer in said.digests for peer in peers}, said.rejected)]
    for peer, theirs in said.digests.items():
        if theirs != digest:
            found = f"its configuration has the digest {theirs}, and this file {digest}"
            findings.append(failure("peer-config", peer, found))
    text = "whether they hear this node shows once its daemon runs: doctor listens and sends nothing"
    return Seen(tuple(findings), tuple(_unproven(said.digests, text)))


def _unproven(heard: Iterable[str], text: str) -> Iterator[Note]:
    names = ", ".join(heard)
    if names:
        yield Note(names, text)
