"""Which node prefers which group: keepalived has a priority for each instance. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.keepalived import nodes

if TYPE_CHECKING:
    from hafailover.keepalived.draft import Draft, NodeDraft
    from hafailover.keepalived.facts import Unit, View
    from hafailover.keepalived.remarks import Remarks


def add_priorities(draft: Draft, views: list[View], remarks: Remarks) -> None:
    """Give each group the priorities that it has on a node, where they are not the node's."""
    for view, node in zip(views, draft.nodes, strict=False):  # of the nodes beyond there is no file
        _take(draft, views[0], view, node)
        for unit in view.units:
            _say(unit, view, node, remarks)
    for node in draft.nodes[len(views) :]:
        _guess(draft, views, node)


def _take(draft: Draft, first: View, view: View, node: NodeDraft) -> None:
    for unit, group in zip(first.units, draft.groups, strict=True):
        own = view.counterpart(unit)
        if own is not None and nodes.within(own.instances[0].priority) != node.priority:
            group.priorities[node.name] = nodes.within(own.instances[0].priority)


def _guess(draft: Draft, views: list[View], node: NodeDraft) -> None:
    """Guess again for a node of which no file is there: it may lead in one group and not in another."""
    known = draft.nodes[: len(views)]
    for unit, group in zip(views[0].units[1:], draft.groups[1:], strict=True):
        guess = nodes.guessed(unit.instances[0], [group.priority_of(each) for each in known])
        if guess != node.priority:
            group.priorities[node.name] = guess


def _say(unit: Unit, view: View, node: NodeDraft, remarks: Remarks) -> None:
    leader = unit.instances[0]
    for instance in unit.instances:
        if instance is view.instances[0]:
            continue  # it has given the node its own
        for line in instance.at.all("priority"):
            if instance.priority != leader.priority:
                how = f'a group has one priority on a node, here {leader.priority} (of "{leader.name}")'
                remarks.changed(line, how)
            elif nodes.within(leader.priority) != node.priority:
                remarks.carried(line, "priorities of its group")
            else:
                remarks.carried(line)
