"""What one node's keepalived.conf says, found again by name: instances, sync groups and what they track. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.keepalived import numbers

if TYPE_CHECKING:
    from hafailover.keepalived.parser import Parsed, Statement

DEFINITIONS = ("vrrp_script", "vrrp_track_process", "track_file", "vrrp_track_file")
DEFAULT_PRIORITY = 100
DEFAULT_ADVERT_MS = 1_000
DEFAULT_DOWN_ADVERTS = 3


@dataclass(slots=True)
class Instance:
    """A vrrp_instance."""

    name: str
    at: Statement
    router_id: int
    priority: int
    interface: str = ""
    source: str = ""
    peers: tuple[str, ...] = ()
    advert_ms: int = DEFAULT_ADVERT_MS
    down_adverts: int = DEFAULT_DOWN_ADVERTS


@dataclass(slots=True)
class Unit:
    """What becomes a group: a sync group with its instances, or an instance alone."""

    name: str
    instances: list[Instance]
    sync: Statement | None = None

    @property
    def at(self) -> Statement:
        """The statement that it is made from."""
        return self.sync or self.instances[0].at

    @property
    def blocks(self) -> list[Statement]:
        """All statements that it is made from, the sync group first."""
        own = [self.sync] if self.sync else []
        return own + [instance.at for instance in self.instances]

    @property
    def router_ids(self) -> frozenset[int]:
        """The ids by which the other node knows it."""
        return frozenset(instance.router_id for instance in self.instances)


@dataclass(slots=True)
class View:
    """A file as one node reads it; `config_id` is empty where the file does not depend on it."""

    file: str
    config_id: str
    statements: list[Statement]
    empty_includes: list[Statement]
    global_defs: list[Statement] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    tracked: dict[tuple[str, str], Statement] = field(default_factory=dict)

    @property
    def instances(self) -> list[Instance]:
        """All instances, in the order of the file."""
        order = {id(statement): number for number, statement in enumerate(self.statements)}
        found = [instance for unit in self.units for instance in unit.instances]
        return sorted(found, key=lambda each: order[id(each.at)])

    def counterpart(self, unit: Unit) -> Unit | None:
        """Return what this node calls another's unit: by the virtual_router_ids, or else by its name."""
        by_id = [each for each in self.units if each.router_ids & unit.router_ids]
        return next(iter(by_id or [each for each in self.units if each.name == unit.name]), None)

    def global_value(self, keyword: str) -> Statement | None:
        """Return the last statement of global_defs with this keyword."""
        return next((each for each in reversed(self.global_defs) if each.keyword == keyword), None)


def view(file: str, config_id: str, parsed: Parsed) -> View:
    """Return what a parsed file says. Raises KeepalivedError for a number that is none."""
    made = View(file, config_id, parsed.statements, parsed.empty_includes)
    for statement in parsed.statements:
        if statement.keyword == "global_defs":
            made.global_defs += statement.inner
        elif statement.keyword in DEFINITIONS:
            kind = "track_file" if statement.keyword.endswith("track_file") else statement.keyword
            made.tracked[kind, statement.value] = statement
    made.units = _units(made)
    return made


def _units(made: View) -> list[Unit]:
    alone = {each.value: _instance(each, made) for each in made.statements if each.keyword == "vrrp_instance"}
    units = []
    for statement in made.statements:
        if statement.keyword == "vrrp_sync_group":
            instances = [alone.pop(name) for name in dict.fromkeys(members(statement)) if name in alone]
            if instances:
                units.append(Unit(statement.value, instances, statement))
    return units + [Unit(name, [instance]) for name, instance in alone.items()]


def members(sync: Statement) -> list[str]:
    """Return what a sync group names: within `group`, or without, as a sample of keepalived's own has it."""
    bare = [line.keyword for line in sync.inner if len(line.words) == 1 and line.block is None]
    return [word for group in sync.all("group") for line in group.inner for word in line.words] + bare


def _instance(statement: Statement, made: View) -> Instance:
    default = made.global_value("vrrp_down_timer_adverts")
    instance = Instance(statement.value, statement, router_id=0, priority=DEFAULT_PRIORITY)
    if default is not None:
        instance.down_adverts = numbers.integer(default, default.value)
    for each in statement.inner:
        _take(instance, each)
    return instance


def _take(instance: Instance, statement: Statement) -> None:
    """Take in a line of a vrrp_instance; of several of a kind the last one counts."""
    match statement.keyword:
        case "virtual_router_id":
            instance.router_id = numbers.integer(statement, statement.value)
        case "priority":
            instance.priority = numbers.integer(statement, statement.value)
        case "interface":
            instance.interface = statement.value
        case "advert_int":
            instance.advert_ms = numbers.milliseconds(statement, statement.value)
        case "down_timer_adverts":
            instance.down_adverts = numbers.integer(statement, statement.value)
        case "unicast_src_ip":
            instance.source = numbers.address(statement.value) or ""
        case "unicast_peer":
            found = [numbers.address(word) for line in statement.inner for word in line.words]
            instance.peers = tuple(dict.fromkeys(each for each in found if each is not None))
        case _:
            pass
