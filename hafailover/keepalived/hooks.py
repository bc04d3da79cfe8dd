"""Hooks: what instances and sync groups are told by. PURE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hafailover.keepalived import scripts

if TYPE_CHECKING:
    from hafailover.keepalived.draft import GroupDraft
    from hafailover.keepalived.facts import Unit
    from hafailover.keepalived.parser import Statement
    from hafailover.keepalived.remarks import Remarks

KEYS = {
    "notify": "notify",
    "notify_master": "master",
    "notify_backup": "backup",
    "notify_fault": "fault",
    "notify_stop": "stop",
}
_MOVES = re.compile(r"vip\.py|notify_action|tccli|qcloud|aliyun|\baws\b|havip|migrate|\beni\b|eip", re.IGNORECASE)


def add_hooks(unit: Unit, group: GroupDraft, remarks: Remarks) -> None:
    """Take over one program for each change: that of the sync group, else that of the first instance."""
    taken: dict[str, tuple[str, ...]] = {}
    for block in unit.blocks:
        for line in block.all(*KEYS):
            _add(line, taken, remarks)
    group.notify.update(taken)


def _add(line: Statement, taken: dict[str, tuple[str, ...]], remarks: Remarks) -> None:
    key = KEYS[line.keyword]
    argv = scripts.argv(line.words[1:2])
    if not argv:
        remarks.missing(line, "it names no program")
    elif taken.setdefault(key, argv) != argv:
        remarks.missing(line, f"a group has one hook {key}: call this program from the one that was taken")
    else:
        _say(line, key, argv, remarks)


def _say(line: Statement, key: str, argv: tuple[str, ...], remarks: Remarks) -> None:
    if len(line.words) > 2:  # noqa: PLR2004 - the keyword and the program
        remarks.changed(
            line, f"runs as the daemon's user and not as {' '.join(line.words[2:])}: see docs/systemd.md"
        )
    elif _MOVES.search(" ".join(argv)):
        remarks.fill(line, f"hook {key}: the daemon itself moves the address; take out of the program what does")
    else:
        remarks.carried(line, f"hook {key}")
