"""What must hold between the values of a file: each function looks at sections and notes what does not hold.

A value that was bad is None in its section; what depends on it is not judged.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from hafailover.config import duration, wording

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.config.findings import Findings
    from hafailover.config.section import Section

INTERVALS_TO_DEATH = 3
LEAST_QUORUM = 3  # nodes, of which more than half must not hear the old master: it and one other are never enough
MOST_WEIGHT = 768  # with priorities up to 255 the effective priority stays within 1023 (election.values)

# For each type of check: the keys that it needs, and those that it can take.
CHECK_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "http": (("url",), ("status",)),
    "tcp": (("address",), ()),
    "script": (("command",), ()),
    "process": ((), ("pidfile",)),
    "systemd": (("unit",), ()),
    "file": (("path",), ()),
    "interface": (("interface",), ()),
}
_OF_SOME_TYPE = tuple(key for needed, taken in CHECK_KEYS.values() for key in needed + taken)


def judge(root: Section, findings: Findings) -> None:
    """Note every relation that does not hold."""
    _cluster(root.one("cluster"), findings)
    _heartbeat(root.one("heartbeat"), findings)
    _nodes(root.many("nodes"), findings)
    for mqtt in root.many("mqtt"):
        _mqtt(mqtt, findings)
    _paths(root, findings)
    _once(_values(root.many("groups"), "name"), {}, findings)
    for group in root.many("groups"):
        _group(group, findings)
        _ranked(group, root.many("nodes"), findings)
        _followers(group, findings)
        _quorum(group, len(root.many("nodes")), findings)
        _mqtt_guard(root, group, findings)
    _moved_once(root, findings)


def _cluster(cluster: Section, findings: Findings) -> None:
    both = {"key_file", "key_files"}
    if both <= cluster.given:
        findings.add(cluster.at("key_files"), "given beside key_file; allowed: one of the two")
    elif not both & cluster.given:
        findings.add(cluster.at("key_file"), "missing; needed: an absolute path (or key_files, an array of them)")


def _heartbeat(heartbeat: Section, findings: Findings) -> None:
    interval_ms = heartbeat.get("interval")
    dead_ms = heartbeat.get("dead_interval")
    if interval_ms is not None:
        least_ms = INTERVALS_TO_DEATH * interval_ms
        _at_least(heartbeat, "dead_interval", least_ms, f"{INTERVALS_TO_DEATH} x interval", findings)
    if dead_ms is not None:
        _at_least(heartbeat, "restart_grace", dead_ms, "dead_interval", findings)


def paths(root: Section) -> tuple[str, ...]:
    """Return the heartbeat paths that the file means; those that were bad are left out."""
    heartbeat = root.one("heartbeat")
    if "paths" in heartbeat.given:
        return tuple(path for path in heartbeat.get("paths") or () if path is not None)
    return ("udp", "mqtt") if root.many("mqtt") else ("udp",)


def default_guards(root: Section, group: Section) -> tuple[str, ...]:
    """Return the guards of a group that names none."""
    vip = ("vip",) if "vip_port" in group.given else ()
    mqtt = ("mqtt",) if paths(root) == ("mqtt",) else ()
    return (*vip, *group.get("guards"), *mqtt)


def _mqtt(mqtt: Section, findings: Findings) -> None:
    """Note what of [mqtt] has no meaning without something else."""
    for key in sorted(mqtt.given & {"ca_file", "cert_file", "key_file"}):
        if mqtt.get("tls") is False:
            findings.add(mqtt.at(key), "means nothing with tls = false; allowed with tls = true")
    for key, needed in (("key_file", "cert_file"), ("password_file", "username")):
        if key in mqtt.given and needed not in mqtt.given:
            findings.add(mqtt.at(needed), f"missing; needed with {key}")


def _paths(root: Section, findings: Findings) -> None:
    if "mqtt" in paths(root) and not root.many("mqtt"):
        at = root.one("heartbeat").at("paths")
        findings.add(at, '"mqtt" without a broker; needed: a table [mqtt], or ["udp"]')


def _mqtt_guard(root: Section, group: Section, findings: Findings) -> None:
    """Note a group whose guard has nobody to ask, or that would take the loss of the broker for that of a peer."""
    guards = group.get("guards") or ()
    if "guards" not in group.given:
        return
    if "mqtt" not in guards and paths(root) == ("mqtt",):
        means = "with MQTT as the only heartbeat path, the loss of the broker looks like the loss of every peer"
        findings.add(group.at("guards"), f'without "mqtt"; {means}; needed: "mqtt" among them')
    elif "mqtt" in guards and not root.many("mqtt"):
        findings.add(group.at("guards"), '"mqtt" has no broker to ask; needed: a table [mqtt]')
    elif "mqtt" in guards and "mqtt" not in paths(root):
        needed = 'needed: "mqtt" among heartbeat.paths, since only its own heartbeats tell a node that it is seen'
        findings.add(group.at("guards"), f'"mqtt" has nothing to go by; {needed}')


def _at_least(section: Section, key: str, least_ms: int, of: str, findings: Findings) -> None:
    given_ms = section.get(key)
    if given_ms is not None and given_ms < least_ms:
        message = f"{_told(section, key)} is too short; allowed: at least {duration.render(least_ms)} ({of})"
        findings.add(section.at(key), message)


def _told(section: Section, key: str) -> str:
    """Return a duration as it was given, and say so where it was not."""
    text = duration.render(section.get(key))
    return text if key in section.given else f"{text} (the default)"


def _nodes(nodes: Iterable[Section], findings: Findings) -> None:
    nodes = tuple(nodes)
    for key in ("name", "address", "instance_id", "eni"):
        _once(_values(nodes, key), {}, findings)
    roles = {node.get("role") for node in nodes}
    if roles == {"witness"}:
        findings.add("node", 'every node is a witness; allowed: at least one node with role = "member"')
    versions = [(path, ip_address(value[0]).version) for path, value in _values(nodes, "address")]
    for path, version in versions:
        if version != versions[0][1]:
            findings.add(path, f"IPv{version} is not what the first node has; allowed: one for all nodes")


def _group(group: Section, findings: Findings) -> None:
    if group.get("addresses") == () and group.get("enis") == ():
        findings.add(group.at("addresses"), "nothing to move; needed: at least one address or ENI")
    if "vip" in (group.get("guards") or ()) and "vip_port" not in group.given:
        message = 'missing; needed: an integer from 1 to 65535, for the guard "vip" to connect to'
        findings.add(group.at("vip_port"), message)
    checks = group.many("checks")
    _once(_values(checks, "name"), {}, findings)
    for check in checks:
        _check(check, findings)
    _weights(group, checks, findings)


def _ranked(group: Section, nodes: Iterable[Section], findings: Findings) -> None:
    """Note priorities of whom may not serve."""
    members = [node.get("name") for node in nodes if node.get("role") != "witness"]
    if None in members:
        return
    for name, _ in group.get("priorities") or ():
        if name not in members:
            allowed = f"allowed: the members {', '.join(members)}"
            findings.add(group.at("priorities"), f"{wording.show(name)} is no member of this file; {allowed}")


def _followers(group: Section, findings: Findings) -> None:
    """Note routes and rules that have nothing to follow."""
    for key in ("routes", "rules"):
        if not group.values.get(key):
            continue
        if group.get("guest") == "none":
            findings.add(group.at(key), 'not set where the guest is left alone; allowed with guest = "netlink"')
        if group.get("addresses") == ():
            findings.add(group.at(key), "nothing that they could follow; needed: at least one address")


def _quorum(group: Section, nodes: int, findings: Findings) -> None:
    if "quorum" in (group.get("guards") or ()) and nodes < LEAST_QUORUM:
        count = "1 node" if nodes == 1 else f"{nodes} nodes"
        lost = f"with {count} there are never more than half that have lost the old master"
        needed = f'needed: at least {LEAST_QUORUM}; one with role = "witness" will do'
        findings.add(group.at("guards"), f'"quorum" can never allow a claim: {lost}; {needed}')


def _weights(group: Section, checks: Iterable[Section], findings: Findings) -> None:
    weights = [check.get("weight") or 0 for check in checks]
    for weight in (sum(each for each in weights if each > 0), sum(each for each in weights if each < 0)):
        if abs(weight) > MOST_WEIGHT:
            message = f"the weights add up to {weight}; allowed: from -{MOST_WEIGHT} to {MOST_WEIGHT}"
            findings.add(group.at("check"), message)


def _check(check: Section, findings: Findings) -> None:
    timeout_ms, interval_ms = check.get("timeout"), check.get("interval")
    if timeout_ms is not None and interval_ms is not None and timeout_ms > interval_ms:
        allowed = f"at most {duration.render(interval_ms)} (interval)"
        findings.add(check.at("timeout"), f"{_told(check, 'timeout')} is too long; allowed: {allowed}")
    type_ = check.get("type")
    if type_ is not None:
        _check_keys(check, type_, findings)


def _check_keys(check: Section, type_: str, findings: Findings) -> None:
    needed, taken = CHECK_KEYS[type_]
    for key in needed:
        if key not in check.given:
            kind = next(each.kind for each in check.table.keys if each.name == key)
            findings.add(check.at(key), f'missing; needed with type "{type_}": {kind.allowed}')
    for key in sorted(check.given & set(_OF_SOME_TYPE) - {*needed, *taken}):
        allowed = ", ".join(needed + taken)
        findings.add(check.at(key), f'means nothing to type "{type_}"; allowed with it: {allowed}')


def _values(sections: Iterable[Section], key: str) -> list[tuple[str, Any]]:
    """Return the paths and values of a key that is good in some of these sections."""
    return [(each.at(key), each.values[key]) for each in sections if key in each.values]


def _items(sections: Iterable[Section], key: str) -> list[tuple[str, object]]:
    """Return the paths and values of the good items of such an array."""
    arrays = _values(sections, key)
    items = [(f"{path}[{place}]", item) for path, array in arrays for place, item in enumerate(array, 1)]
    return [(path, item) for path, item in items if item is not None]


def _once(values: Iterable[tuple[str, object]], seen: dict[Any, str], findings: Findings) -> None:
    """Note each value that was seen before, in `values` or at the path that `seen` already has for it."""
    for path, value in values:
        if value in seen:
            shown = f"{value[0]} port {value[1]}" if isinstance(value, tuple) else wording.show(value)
            findings.add(path, f"{shown} is given at {seen[value]} too; allowed: each only once")
        else:
            seen[value] = path


def _moved_once(root: Section, findings: Findings) -> None:
    """Note what would move with two groups, and what a node needs for itself."""
    nodes, groups = root.many("nodes"), root.many("groups")
    hosts = {value[0]: path for path, value in _values(nodes, "address")}
    _once(_items(groups, "addresses"), hosts, findings)
    enis = {value: path for path, value in _values(nodes, "eni")}
    _once(_items(groups, "enis"), enis, findings)
    _followed_once(groups, findings)


def _followed_once(groups: Iterable[Section], findings: Findings) -> None:
    """Note routes of which the kernel has room for one, and rules that two groups would share."""
    seen: dict[Any, str] = {}
    for key in ("routes", "rules"):
        for path, item in _items(groups, key):
            place = getattr(item, "place", item)
            if place in seen:
                what = "its destination, table and metric are" if key == "routes" else "it is"
                findings.add(path, f"{what} given at {seen[place]} too; allowed: each only once")
            else:
                seen[place] = path
