"""What the status says, as metrics: read at the moment of a scrape, so that nothing has to be kept in step.

Each table row is a metric's name, its help text, and how its value is read; None gives no sample.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from hafailover.election.values import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    Part = Mapping[str, Any]
    Row = tuple[str, str, Callable[[Part], float | None]]
    Labelled = tuple[list[str], Part]

PREFIX = "hafailover_"
MOVING = (State.CLAIMING.value, State.RELEASING.value)


def _number(key: str) -> Callable[[Part], float | None]:
    def read(part: Part) -> float | None:
        value = part.get(key)
        return float(value) if isinstance(value, bool | int | float) else None

    return read


def _check_up(check: Part) -> float | None:
    return {"up": 1.0, "down": 0.0}.get(str(check.get("state")))


def _timestamp(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def _since(group: Part) -> float | None:
    return _timestamp(group.get("since"))


def _read_age(status: Part) -> float | None:
    return _number("read_age_s")(status.get("cloud") or {})


def _read_ok(status: Part) -> float | None:
    """Return whether the cloud answered when it was last asked; None where it never was."""
    cloud = status.get("cloud") or {}
    asked = cloud.get("error") or cloud.get("read_age_s") is not None
    return float(not cloud.get("error")) if asked else None


def _one(_part: Part) -> float:
    return 1.0


NODE: Sequence[Row] = (
    ("cloud_last_read_successful", "Whether the cloud answered when it was last asked who holds what.", _read_ok),
    ("node_drained", "Whether this node gives everything up and stays out.", _number("drained")),
    ("cloud_read_age_seconds", "Time since the cloud last said who holds what.", _read_age),
)
GROUP: Sequence[Row] = (
    ("group_is_master", "Whether this node is master.", lambda group: float(group.get("state") == "MASTER")),
    ("group_term", "Number of the last claim known.", _number("term")),
    ("group_priority", "Configured priority.", _number("priority")),
    ("group_effective_priority", "Priority with the weights of the checks.", _number("effective_priority")),
    ("group_hold_down_seconds", "Time for which this node does not claim.", _number("hold_down_s")),
    ("group_eligible", "Whether this node would claim if it were its turn.", _number("eligible")),
    ("group_paused", "Whether automatic moves are paused.", _number("paused")),
    ("group_state_start_timestamp_seconds", "When the group came into its state.", _since),
)
PEER: Sequence[Row] = (
    ("peer_alive", "Whether the peer is heard on any path.", _number("alive")),
    ("peer_hears_this_node", "Whether the peer says that it hears this node.", _number("hears_us")),
    ("peer_config_match", "Whether the peer has the same configuration.", _number("config_match")),
)
PATH: Sequence[Row] = (
    ("peer_path_up", "Whether the peer is heard on this path.", _number("up")),
    ("peer_path_silence_seconds", "Time since the peer was last heard.", _number("last_seen_s")),
    ("peer_path_rtt_seconds", "Round-trip time to the peer.", _number("rtt_s")),
    ("peer_path_loss_ratio", "Part of the peer's advertisements that got lost.", _number("loss")),
)
PATH_COUNTS: Sequence[Row] = (
    ("heartbeat_datagrams_sent", "Datagrams sent to the peer.", _number("sent")),
    ("heartbeat_datagrams_received", "Valid datagrams received from the peer.", _number("received")),
    ("heartbeat_refusals", "Times that the peer's kernel said that nobody listens.", _number("refused")),
    (
        "heartbeat_foreign_source",
        "Datagrams of the peer from another address than its own.",
        _number("foreign_source"),
    ),
    ("heartbeat_send_errors", "Datagrams that this node's kernel did not send.", _number("send_errors")),
)
CHECK: Sequence[Row] = (
    ("check_up", "Whether the check says that the service is up; no sample until it knows.", _check_up),
)
MASTER: Sequence[Row] = (("group_master_info", "The node that this node takes for the master.", _one),)
ADDRESS: Sequence[Row] = (("address_holder_info", "The node that holds the address according to the cloud.", _one),)
ADDRESS_GUEST: Sequence[Row] = (
    ("address_configured", "Whether this node's guest carries the address.", _number("configured")),
)
ENI: Sequence[Row] = (("eni_holder_info", "The node that the ENI is attached to.", _one),)
PHASE: Sequence[Row] = (
    ("last_failover_phase_seconds", "What a phase of the last failover took.", _number("seconds")),
)


BROKER: Sequence[Row] = (
    ("mqtt_connected", "Whether the connection to the broker stands.", _number("connected")),
    (
        "mqtt_round_trip_seconds",
        "How long this node's newest heartbeat took to the broker and back.",
        _number("round_trip_s"),
    ),
)
BROKER_COUNTS: Sequence[Row] = (
    ("mqtt_connections", "Connections to the broker that stood.", _number("connections")),
    ("mqtt_failures", "Connections to the broker that broke or did not come about.", _number("failures")),
    ("mqtt_events_lost", "Events that the broker will not be told of: it was away for too long.", _number("lost")),
)
READINESS: Sequence[Row] = (
    (
        "readiness",
        "Whether this check of what a failover to this node needs is in order; no sample where that is not known.",
        _number("ok"),
    ),
)
ANNOUNCED: Sequence[Row] = (
    ("announced_drained", "Whether this node has drained itself because of what is announced.", _number("drained")),
)
ANNOUNCED_BY: Sequence[Row] = (
    ("announced_source_readable", "Whether this source could be asked when it last was.", _number("readable")),
)
EVENT: Sequence[Row] = (
    ("announced_event_timestamp_seconds", "When the next event of this source is to be.", _number("at_s")),
)
LOST: Sequence[Row] = (
    ("log_lines_lost", "Log lines that a stalled journal did not take.", _number("log_lines_lost")),
)


def families(status: Part) -> Iterator[Metric]:
    """Yield the gauges of a status in the shape of `status --json`; what it does not say is left out."""
    groups = _parts(status, "groups")
    peers = _parts(status, "peers")
    yield from _table(NODE, (), [([], status)])
    yield from _table(LOST, (), [([], status)], CounterMetricFamily)
    yield from _table(READINESS, ("check",), _readiness(status))
    announced = status.get("announced") or {}
    yield from _table(ANNOUNCED, (), [([], announced)] if announced else [])
    yield from _table(ANNOUNCED_BY, ("source",), _sources(announced))
    yield from _table(EVENT, ("source",), _events(announced))
    yield _states(groups)
    yield from _table(GROUP, ("group",), [([_text(group, "name")], group) for group in groups])
    yield from _table(MASTER, ("group", "master"), _masters(groups))
    yield _mismatches(status, groups)
    yield from _table(PEER, ("peer",), [([_text(peer, "node")], peer) for peer in peers])
    yield from _table(PATH, ("peer", "path"), _paths(peers))
    yield from _table(PATH_COUNTS, ("peer", "path"), _paths(peers), CounterMetricFamily)
    broker: list[Labelled] = [([], status["mqtt"])] if status.get("mqtt") else []
    yield from _table(BROKER, (), broker)
    yield from _table(BROKER_COUNTS, (), broker, CounterMetricFamily)
    yield from _table(CHECK, ("group", "check"), _inner(groups, "checks", "name"))
    yield from _table(ADDRESS, ("group", "address", "holder"), _inner(groups, "addresses", "address", "holder"))
    yield from _table(ADDRESS_GUEST, ("group", "address"), _inner(groups, "addresses", "address"))
    yield from _table(ENI, ("group", "eni", "holder"), _inner(groups, "enis", "eni", "holder"))
    yield from _table(PHASE, ("group", "phase"), _phases(groups))


def _table(
    rows: Sequence[Row],
    labels: Sequence[str],
    parts: Iterable[Labelled],
    kind: type[GaugeMetricFamily | CounterMetricFamily] = GaugeMetricFamily,
) -> Iterator[Metric]:
    parts = list(parts)
    for name, text, read in rows:
        family = kind(PREFIX + name, text, labels=labels)
        for values, part in parts:
            value = read(part)
            if value is not None:
                family.add_metric(values, value)
        yield family


def _states(groups: Iterable[Part]) -> GaugeMetricFamily:
    """One series for each state, of which one is 1: what a state timeline is drawn from."""
    family = GaugeMetricFamily(
        f"{PREFIX}group_state", "Whether the group is in this state on this node.", labels=("group", "state")
    )
    for group in groups:
        for state in State:
            family.add_metric([_text(group, "name"), state.value], float(group.get("state") == state.value))
    return family


def _mismatches(status: Part, groups: Iterable[Part]) -> GaugeMetricFamily:
    """Hold mastership against the cloud's word; no sample before it was given, 0 while a move is under way."""
    family = GaugeMetricFamily(
        f"{PREFIX}group_holder_mismatch",
        "Whether this node is master of what it does not hold, or holds what it is not master of.",
        labels=("group",),
    )
    if _read_age(status) is None:
        return family
    for group in groups:
        holders = [part.get("holder") for key in ("addresses", "enis") for part in _parts(group, key)]
        state, here = group.get("state"), [holder == status.get("node") for holder in holders]
        wrong = not all(here) if state == State.MASTER.value else any(here) and state not in MOVING
        family.add_metric([_text(group, "name")], float(wrong))
    return family


def _readiness(status: Part) -> Iterator[Labelled]:
    for name, ok in ((status.get("readiness") or {}).get("checks") or {}).items():
        yield [name], {"ok": ok}


def _sources(announced: Part) -> Iterator[Labelled]:
    for source, error in (announced.get("sources") or {}).items():
        yield [source], {"readable": not error}


def _events(announced: Part) -> Iterator[Labelled]:
    """Yield the next event of each source; they are in the order of their times."""
    seen = set()
    for event in _parts(announced, "events"):
        source, at_s = _text(event, "source"), _timestamp(event.get("at"))
        if source not in seen and at_s is not None:
            seen.add(source)
            yield [source], {"at_s": at_s}


def _masters(groups: Iterable[Part]) -> Iterator[Labelled]:
    for group in groups:
        if group.get("master"):
            yield [_text(group, "name"), _text(group, "master")], group


def _paths(peers: Iterable[Part]) -> Iterator[Labelled]:
    for peer in peers:
        for name, path in (peer.get("paths") or {}).items():
            yield [_text(peer, "node"), name], path


def _phases(groups: Iterable[Part]) -> Iterator[Labelled]:
    for group in groups:
        phases = (group.get("last_failover") or {}).get("phases_s") or {}
        for name, seconds in phases.items():
            yield [_text(group, "name"), name], {"seconds": seconds}


def _inner(groups: Iterable[Part], key: str, *labels: str) -> Iterator[Labelled]:
    for group in groups:
        for part in _parts(group, key):
            yield [_text(group, "name"), *(_text(part, label) for label in labels)], part


def _parts(part: Part, key: str) -> Sequence[Part]:
    return part.get(key) or ()


def _text(part: Part, key: str) -> str:
    value = part.get(key)
    return "" if value is None else str(value)
