"""From what the files of one or several nodes say to one configuration for all of them. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.config import duration
from hafailover.config.schema import MOST_ADDRESSES, MOST_GROUPS
from hafailover.keepalived import followers, hooks, keywords, nodes, numbers, ranks, tracked
from hafailover.keepalived.draft import Draft, GroupDraft
from hafailover.keepalived.facts import DEFINITIONS
from hafailover.keepalived.remarks import Remarks, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hafailover.keepalived.facts import Instance, Unit, View
    from hafailover.keepalived.parser import Statement

_INTERVAL_MS = (10, 10_000)
_LONGEST_DEATH_MS = 300_000
_LONGEST_DELAY_MS = 3_600_000
_ADDRESSES = ("virtual_ipaddress", "virtual_ipaddress_excluded")
_CONTAINERS = ("vrrp_instance", "vrrp_sync_group", "global_defs", "authentication")
_LEAST_DEATHS = 3  # intervals until a peer may be taken for dead


def make(views: list[View], remarks: Remarks) -> Draft:
    """Return the configuration; the first view is what it is made from, the others are held against it."""
    first = views[0]
    for view in views:
        for include in view.empty_includes:
            remarks.missing(include, "there is no such file")
    draft = Draft(cluster=numbers.name(first.units[0].name))
    draft.nodes = nodes.make(views, remarks)
    _heartbeat(draft, views, remarks)
    draft.groups = _groups(first, remarks)
    ranks.add_priorities(draft, views, remarks)
    _startup(draft, first, remarks)
    _preempt(draft, views, remarks)
    _weights(draft, remarks)
    for view in views[1:]:
        _compare(draft, view, remarks)
    for view in views:
        _say_rest(view.statements, remarks)
    return draft


# -- heartbeats ------------------------------------------------------------------------------------------------


def _heartbeat(draft: Draft, views: list[View], remarks: Remarks) -> None:
    instances = [instance for view in views for instance in view.instances]
    fastest = min(instances, key=lambda each: each.advert_ms)
    draft.interval_ms = max(_INTERVAL_MS[0], min(_INTERVAL_MS[1], fastest.advert_ms))
    adverts = max(_LEAST_DEATHS, min(each.down_adverts for each in instances))
    draft.dead_interval_ms = min(_LONGEST_DEATH_MS, adverts * draft.interval_ms)
    said = f"interval {duration.render(draft.interval_ms)}, dead_interval {duration.render(draft.dead_interval_ms)}"
    for instance in instances:
        for line in instance.at.all("advert_int"):
            if instance.advert_ms == draft.interval_ms:
                remarks.carried(line, f"{said}; the defaults here are 200ms and 1s")
            else:
                remarks.changed(line, f"one for all groups: {said}")
        _say_adverts(instance, adverts, said, remarks)


def _say_adverts(instance: Instance, adverts: int, said: str, remarks: Remarks) -> None:
    for line in instance.at.all("down_timer_adverts"):
        if instance.down_adverts == adverts:
            remarks.carried(line, said)
        else:
            remarks.changed(line, f"one for all groups, and {_LEAST_DEATHS} at least: {said}")


# -- groups ----------------------------------------------------------------------------------------------------


def _groups(view: View, remarks: Remarks) -> list[GroupDraft]:
    groups: dict[str, GroupDraft] = {}
    if len(view.units) > MOST_GROUPS:
        raise view.units[MOST_GROUPS].at.place.error(f"there are more than {MOST_GROUPS} groups")
    for unit in view.units:
        name = numbers.name(unit.name, groups)
        groups[name] = _group(view, unit, GroupDraft(name), remarks)
    return list(groups.values())


def _group(view: View, unit: Unit, group: GroupDraft, remarks: Remarks) -> GroupDraft:
    for instance in unit.instances:
        remarks.carried(instance.at, f'group "{group.name}"')
        _addresses(instance, group, remarks)
        followers.add_followers(instance, view.instances[0].interface, group, remarks)
    if unit.sync is not None:
        remarks.carried(unit.sync, f'group "{group.name}": its addresses move together')
        _members(unit, unit.sync, remarks)
    if not group.addresses:
        remarks.fill(unit.at, f'the addresses that move with group "{group.name}"')
    tracked.add_checks(view, unit, group, remarks)
    hooks.add_hooks(unit, group, remarks)
    return group


def _members(unit: Unit, sync: Statement, remarks: Remarks) -> None:
    for line in sync.all(*(instance.name for instance in unit.instances)):
        remarks.carried(line)
    for block in sync.all("group"):
        remarks.carried(block)
        for line in block.inner:
            unknown = set(line.words) - {instance.name for instance in unit.instances}
            if unknown:
                remarks.missing(line, f"no vrrp_instance of its own: {', '.join(sorted(unknown))}")
            else:
                remarks.carried(line)


def _addresses(instance: Instance, group: GroupDraft, remarks: Remarks) -> None:
    for block in instance.at.all(*_ADDRESSES):
        remarks.carried(block)
        for line in block.inner:
            _address(line, instance, group, remarks)


def _address(line: Statement, instance: Instance, group: GroupDraft, remarks: Remarks) -> None:
    address = numbers.address(line.keyword)
    if address is None:
        raise line.place.error(f'"{line.keyword}" is not an IP address')
    if address in group.addresses:
        remarks.carried(line, "given twice")
    elif len(group.addresses) == MOST_ADDRESSES:
        remarks.missing(line, f"a group has {MOST_ADDRESSES} addresses at most; make another group")
    else:
        group.addresses.append(address)
        device = line.words[line.words.index("dev") + 1 :][:1] if "dev" in line.words else ()
        if device and device[0] != instance.interface:
            remarks.changed(line, f"goes to the interface of the node's ENI and not to {device[0]}")
        elif len(line.words) > 1 or "/" in line.keyword:
            remarks.carried(line, "set as a single address, without prefix, label and scope")
        else:
            remarks.carried(line)


def _startup(draft: Draft, view: View, remarks: Remarks) -> None:
    """Take the longer of the two delays: here both count from the daemon's start."""
    for line in view.global_defs:
        if line.keyword in ("vrrp_startup_delay", "vrrp_delay_after_boot"):
            given_ms = min(_LONGEST_DELAY_MS, numbers.milliseconds(line, line.value))
            for group in draft.groups:
                group.startup_delay_ms = max(group.startup_delay_ms, given_ms)
            remarks.carried(line, "startup_delay; a node that holds all already does not wait")


# -- preemption ------------------------------------------------------------------------------------------------


def _preempt(draft: Draft, views: list[View], remarks: Remarks) -> None:
    """Take the setting of the node that would take over: nopreempt says nothing of the one that has it anyway."""
    for unit, group in zip(views[0].units, draft.groups, strict=True):
        best = max(zip(views, draft.nodes, strict=False), key=lambda each: group.priority_of(each[1]))[0]
        of_best = best.counterpart(unit) or unit
        group.preempt = not any(block.all("nopreempt") for block in of_best.blocks)
        delays = [line for block in of_best.blocks for line in block.all("preempt_delay")]
        given_ms = max((numbers.milliseconds(line, line.value) for line in delays), default=0)
        group.preempt_delay_ms = min(_LONGEST_DELAY_MS, given_ms)
    for view in views:
        _say_preempt(draft, view, remarks)


def _say_preempt(draft: Draft, view: View, remarks: Remarks) -> None:
    preempts = all(group.preempt for group in draft.groups)
    for instance in view.instances:
        states = instance.at.all("state")
        for line in states:
            remarks.carried(line, "the daemons find out who is master; the priority decides between equals")
        for line in instance.at.all("nopreempt"):
            if any(state.value.upper() == "MASTER" for state in states):
                remarks.changed(line, "keepalived ignores it with state MASTER; here it counts")
            else:
                remarks.carried(line, "preempt = false" if not preempts else "has no effect on this node")
        for line in instance.at.all("preempt", "preempt_delay"):
            remarks.carried(line)


def _weights(draft: Draft, remarks: Remarks) -> None:
    """Say which weights do nothing, as they did before: the question that keepalived's users ask most."""
    for group in draft.groups:
        for check in group.checks.values():
            if "weight" in check.keys and not group.preempt:
                how = "with nopreempt a weight moves nothing, here as in keepalived"
                remarks.fill(
                    check.at, f"{how}; without it, a failure of the check is a FAULT and the address moves"
                )


# -- the other nodes -------------------------------------------------------------------------------------------


def _compare(draft: Draft, view: View, remarks: Remarks) -> None:
    """Say where another node's file says something else: the configuration is one for all nodes."""
    others = Remarks()
    for other, unit in zip(_groups(view, others), view.units, strict=True):
        mine = next((each for each in draft.groups if set(each.addresses) & set(other.addresses)), None)
        mine = mine or next((each for each in draft.groups if each.name == other.name), None)
        if mine is None:
            remarks.missing(unit.at, "the first file has no such group")
        else:
            _hold_against(mine, other, unit, remarks)
    remarks.take(others)


def _hold_against(mine: GroupDraft, other: GroupDraft, unit: Unit, remarks: Remarks) -> None:
    if set(mine.addresses) != set(other.addresses):
        differing = ", ".join(sorted(set(mine.addresses) ^ set(other.addresses)))
        remarks.fill(unit.at, f'the nodes differ in the addresses of group "{mine.name}": {differing}')
    if (mine.routes, mine.rules) != (other.routes, other.rules):
        remarks.changed(
            unit.at, f'the nodes differ in what follows the addresses of group "{mine.name}"; the first file counts'
        )
    if mine.checks != other.checks:
        remarks.changed(
            unit.at, f'the nodes differ in what group "{mine.name}" tracks; that of the first file counts'
        )
    if mine.notify != other.notify:
        remarks.changed(
            unit.at, f'the nodes differ in the hooks of group "{mine.name}"; those of the first file count'
        )


# -- everything else -------------------------------------------------------------------------------------------


def _say_rest(statements: Iterable[Statement], remarks: Remarks) -> None:
    """Say something of each line of which nothing has been said."""
    for statement in statements:
        verdict, text = _said_of(statement)
        if statement.place not in remarks.places:
            remarks.add(statement, verdict, text)
        if statement.keyword in _CONTAINERS:
            _say_rest(statement.inner, remarks)


def _said_of(statement: Statement) -> tuple[Verdict, str]:
    if statement.keyword in DEFINITIONS and statement.value:
        return Verdict.MISSING, "no instance tracks it"
    return keywords.said_of(statement.keyword)
