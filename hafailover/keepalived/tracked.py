"""Checks: what instances and sync groups track. PURE."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.config import duration
from hafailover.config.schema import MOST_CHECKS
from hafailover.keepalived import numbers, scripts
from hafailover.keepalived.draft import CheckDraft

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hafailover.keepalived.draft import GroupDraft, Value
    from hafailover.keepalived.facts import Unit, View
    from hafailover.keepalived.parser import Statement
    from hafailover.keepalived.remarks import Remarks

TRACKS = {
    "track_script": "vrrp_script",
    "track_process": "vrrp_track_process",
    "track_file": "track_file",
    "track_interface": "",
}
_LEAST_INTERVAL_MS, _MOST_INTERVAL_MS = 50, 3_600_000
_LEAST_TIMEOUT_MS, _MOST_TIMEOUT_MS = 10, 600_000
_MOST_ROW = 100
_MOST_WEIGHT = 253
_PROCESS_INTERVAL_MS = 500
_FILE_INTERVAL_MS = 500
_WEIGHT = {"vrrp_track_process": 1, "track_file": 1}  # what keepalived takes where nothing is said; else 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a track_... block; None: the definition of what is tracked says it."""

    name: str
    at: Statement
    weight: int | None
    reverse: bool | None


@dataclass(slots=True)
class Effect:
    """What a failure does, as keepalived means it."""

    weight: int
    reverse: bool

    def keys(self) -> dict[str, Value]:
        """Return the keys that mean the same here: a reversed check adds to where keepalived subtracts."""
        weight = -self.weight if self.reverse else self.weight
        found: dict[str, Value] = {"reverse": True} if self.reverse else {}
        return found | ({"weight": weight} if weight else {})


def add_checks(view: View, unit: Unit, group: GroupDraft, remarks: Remarks) -> None:
    """Make a check of each thing that the unit tracks, once."""
    done: set[tuple[str, str]] = set()
    for block in unit.blocks:
        for track in block.all(*TRACKS):
            for entry in _entries(track):
                if (track.keyword, entry.name) not in done:
                    done.add((track.keyword, entry.name))
                    _add(view, track.keyword, entry, group, remarks)
                else:
                    remarks.carried(entry.at, "with the check of that name")


def _entries(track: Statement) -> Iterator[Entry]:
    for line in track.inner:
        words = list(line.words)
        names, weight, reverse = [], None, None
        while words:
            word = words.pop(0)
            if word == "weight":
                weight = numbers.integer(line, words.pop(0) if words else "")
            elif word in ("reverse", "noreverse"):
                reverse = word == "reverse"
            else:
                names.append(word)
        yield from (Entry(name, line, weight, reverse) for name in names)


def _add(view: View, keyword: str, entry: Entry, group: GroupDraft, remarks: Remarks) -> None:
    kind = TRACKS[keyword]
    if not kind:
        _add_interface(entry, group, remarks)
        return
    definition = view.tracked.get((kind, entry.name))
    if definition is None:
        remarks.missing(entry.at, f'no {kind} is called "{entry.name}"; keepalived ignores the line too')
        return
    makers = {"vrrp_script": _script, "vrrp_track_process": _process, "track_file": _file}
    makers[kind](definition, entry, group, remarks)


def _effect(definition: Statement, entry: Entry, default: int, remarks: Remarks) -> Effect:
    weight, reverse = default, False
    for line in definition.all("weight"):
        weight, reverse = numbers.integer(line, line.value), "reverse" in line.words
        remarks.carried(line)
    return _limited(entry, weight if entry.weight is None else entry.weight, reverse, remarks)


def _limited(entry: Entry, weight: int, reverse: bool, remarks: Remarks) -> Effect:  # noqa: FBT001 - the word itself
    """Return the effect, within what a configuration allows."""
    if abs(weight) > _MOST_WEIGHT:
        remarks.changed(entry.at, f"the weight {weight} is cut to {_MOST_WEIGHT}")
        weight = max(-_MOST_WEIGHT, min(_MOST_WEIGHT, weight))
    return Effect(weight, reverse if entry.reverse is None else entry.reverse)


def _put(entry: Entry, group: GroupDraft, name: str, keys: dict[str, Value], remarks: Remarks) -> None:
    if len(group.checks) == MOST_CHECKS:
        remarks.missing(entry.at, f"a group has {MOST_CHECKS} checks at most")
        return
    check = CheckDraft(numbers.name(name, group.checks), keys, entry.at)
    group.checks[check.name] = check
    remarks.carried(entry.at, f'check "{check.name}" of group "{group.name}"')


def _add_interface(entry: Entry, group: GroupDraft, remarks: Remarks) -> None:
    keys: dict[str, Value] = {"type": "interface", "interface": entry.name, "rise": 1, "fall": 1}
    effect = _limited(entry, entry.weight or 0, bool(entry.reverse), remarks)
    _put(entry, group, f"interface-{entry.name}", keys | effect.keys(), remarks)


# -- vrrp_script -----------------------------------------------------------------------------------------------


def _script(definition: Statement, entry: Entry, group: GroupDraft, remarks: Remarks) -> None:
    lines = definition.all("script")
    if not lines or not lines[-1].value:
        remarks.missing(definition, "it has no script")
        return
    effect = _effect(definition, entry, 0, remarks)
    rhythm = _rhythm(definition, effect, remarks)
    words = lines[-1].words[1:]
    name = entry.name
    keys: dict[str, Value] = {"type": "script", "command": scripts.argv(words)}
    found = scripts.native(words)
    if found is None or found[0] in group.checks:
        remarks.carried(lines[-1])
    else:
        name, keys = found[0] or entry.name, found[1]
        remarks.changed(lines[-1], f"a check of type {keys['type']} finds out the same without a program")
    _put(entry, group, name, keys | rhythm | _merged(keys, effect), remarks)
    _say_rest(definition, remarks)


def _merged(keys: dict[str, Value], effect: Effect) -> dict[str, Value]:
    """Return the keys of the effect on a check that may itself be a reversed one."""
    made = effect.keys()
    if keys.get("reverse") and made.pop("reverse", False):
        made["reverse"] = False
    return made


def _rhythm(definition: Statement, effect: Effect, remarks: Remarks) -> dict[str, Value]:
    interval_ms = _time(definition, "interval", 1_000, (_LEAST_INTERVAL_MS, _MOST_INTERVAL_MS), remarks)
    longest_ms = min(interval_ms, _MOST_TIMEOUT_MS)
    timeout_ms = _time(definition, "timeout", longest_ms, (_LEAST_TIMEOUT_MS, longest_ms), remarks)
    rise, fall = (_row(definition, keyword, remarks) for keyword in ("rise", "fall"))
    if effect.reverse:
        rise, fall = fall, rise
    return {
        "interval": duration.render(interval_ms),
        "timeout": duration.render(timeout_ms),
        "rise": rise,
        "fall": fall,
    }


def _time(
    definition: Statement, keyword: str, default_ms: int, bounds_ms: tuple[int, int], remarks: Remarks
) -> int:
    given_ms = default_ms
    for line in definition.all(keyword):
        given_ms = numbers.milliseconds(line, line.value)
        kept_ms = max(bounds_ms[0], min(bounds_ms[1], given_ms))
        if kept_ms == given_ms:
            remarks.carried(line)
        else:
            why = " (the interval)" if keyword == "timeout" and kept_ms == bounds_ms[1] else ""
            remarks.changed(line, f"{duration.render(kept_ms)}{why} in place of {line.value} s")
    return max(bounds_ms[0], min(bounds_ms[1], given_ms))


def _row(definition: Statement, keyword: str, remarks: Remarks) -> int:
    number = 1
    for line in definition.all(keyword):
        given = numbers.integer(line, line.value)
        number = max(1, min(_MOST_ROW, given))
        if number == given:
            remarks.carried(line)
        else:
            remarks.changed(line, f"{number} in place of {given}")
    return number


def _say_rest(definition: Statement, remarks: Remarks) -> None:
    remarks.carried(definition)
    for line in definition.all("user"):
        remarks.changed(
            line,
            f"runs as the daemon's user and not as {line.value}: docs/systemd.md has what to do where that matters",
        )
    for line in definition.all("init_fail"):
        remarks.carried(line, "a node does not claim before its checks have passed")


# -- vrrp_track_process ----------------------------------------------------------------------------------------


def _process(definition: Statement, entry: Entry, group: GroupDraft, remarks: Remarks) -> None:
    lines = definition.all("process")
    if not lines or not lines[-1].value:
        remarks.missing(definition, "it has no process")
        return
    program = lines[-1].value.rpartition("/")[2]
    name = numbers.name(program)
    remarks.carried(definition)
    if name != program or name in group.checks:
        remarks.fill(lines[-1], f'a check called "{name}" looks for no process "{program}": give it a pidfile')
    elif len(lines[-1].words) > 2:  # noqa: PLR2004 - the keyword and the program
        remarks.changed(lines[-1], f'any process called "{program}" counts, whatever its arguments are')
    else:
        remarks.carried(lines[-1])
    keys: dict[str, Value] = {"type": "process"} | _patience(definition, remarks)
    effect = _effect(definition, entry, 1, remarks)
    _say_process(definition, remarks)
    _put(entry, group, name, keys | effect.keys(), remarks)


def _patience(definition: Statement, remarks: Remarks) -> dict[str, Value]:
    """Return how long the process may be away: keepalived's delay is an interval here, after which it falls."""
    interval_ms, fall = _PROCESS_INTERVAL_MS, 1
    for line in definition.all("delay", "terminate_delay"):
        given_ms = numbers.milliseconds(line, line.value)
        if given_ms:
            interval_ms, fall = max(_LEAST_INTERVAL_MS, min(_MOST_INTERVAL_MS, given_ms)), 2
        remarks.carried(line, "as the interval, with fall = 2" if given_ms else "")
    timeout_ms = min(interval_ms, 300)
    return {
        "interval": duration.render(interval_ms),
        "timeout": duration.render(timeout_ms),
        "rise": 1,
        "fall": fall,
    }


def _say_process(definition: Statement, remarks: Remarks) -> None:
    for line in definition.all("quorum"):
        if numbers.integer(line, line.value) == 1:
            remarks.carried(line)
        else:
            remarks.missing(line, "one process is enough here; count them in a check of type script")
    for line in definition.all("quorum_max", "param_match", "full_command"):
        remarks.missing(line, "a process is found by its name alone; look closer in a check of type script")
    for line in definition.all("fork_delay"):
        remarks.missing(line, "the process counts as soon as it is seen")


# -- track_file ------------------------------------------------------------------------------------------------


def _file(definition: Statement, entry: Entry, group: GroupDraft, remarks: Remarks) -> None:
    lines = definition.all("file")
    if not lines or not lines[-1].value:
        remarks.missing(definition, "it has no file")
        return
    path = shlex.quote(lines[-1].value)
    look = f'test ! -s {path} || test "$(head -c 20 {path})" -eq 0'
    keys: dict[str, Value] = {"type": "script", "command": ("/bin/sh", "-c", look)}
    keys |= {"interval": duration.render(_FILE_INTERVAL_MS), "timeout": "300ms", "rise": 1, "fall": 1}
    effect = _effect(definition, entry, 1, remarks)
    remarks.carried(definition)
    if effect.weight:
        remarks.changed(lines[-1], "any number in it but 0 counts as 1; it is read every 500ms")
    else:
        remarks.carried(lines[-1], "read every 500ms; to keep a node out, `hafailover drain` needs no file")
    for line in definition.all("init_file"):
        remarks.missing(line, "make the file at boot (tmpfiles.d); without it, it is as if it had a 0")
    _put(entry, group, entry.name, keys | _of_number(effect), remarks)


def _of_number(effect: Effect) -> dict[str, Value]:
    """Return the keys for a number, which keepalived multiplies the weight with: the check is up at 0.

    "reverse" turns the sign around, or with weight 0 makes 0 the fault.
    """
    if not effect.weight:
        return {"reverse": True} if effect.reverse else {}
    weight = -effect.weight if effect.reverse else effect.weight
    return {"weight": weight} if weight < 0 else {"reverse": True, "weight": weight}
