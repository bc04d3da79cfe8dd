"""The language of the transcripts: one command a line, what happened because of it indented below.

A transcript answers an operator's question. Settings come first (`nodes`, `group`, `timing`, `cloud`), then events
and `run`; `mark` begins the measuring of outage, moves, writes and reads, and `expect` says what must be true.
Times are on the world's clock, in milliseconds since the transcript began.

    nodes a:100 b:90 w:witness               names and priorities; the first holds the address at the beginning
    group guards=vip preempt=5s              and: handover= hook= fence=on hold_down= demote= strategy= checks=no
                                             promote=on startup=
    timing interval=200ms dead=1s            and: grace= audit=
    cloud api=100ms task=500ms               what a request takes, and what the cloud takes to apply a write
    start [NODE..]  kill NODE  stop NODE  restart NODE       the daemon
    power off|on NODE  freeze NODE  thaw NODE  cripple NODE  the host; a crippled one cannot configure its network
    service up|down NODE                     the check notices CHECK_MS later
    cut|heal heartbeat|host|api A [B|->B]    heartbeats only, all between two hosts, or the way to the API
    next FAULT..                             what befalls the next writes (mover.FAULTS)
    console NODE|nobody|stranger             the address is moved by hand
    failover NODE [to NODE]  drain|undrain NODE              what the operator asks the daemon of NODE
    pause NODE [DURATION]  resume NODE  promote yes|no NODE  ... what the promote hook says
    run DURATION    status    mark
    expect outage|moves|writes|reads <=|== VALUE             since the mark; outage in terms like dead+api+20ms
    expect master|holder|guest NODE.. | nobody               who calls itself master, has it, carries it
    expect why NODE REASON                   the answer to "why is this node (not) master?"
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from hafailover.config import duration
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.status import status
from hafailover.election.values import (
    CheckState,
    GroupName,
    Handover,
    NodeName,
    Policy,
    Resource,
    ResourceKind,
    Timing,
)
from tests.simulation.world import STRANGER, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hafailover.election.effects import Effect
    from hafailover.election.status import NodeStatus
    from hafailover.emulator.values import Change

ADDRESS = "10.0.1.100"
GROUP = GroupName("vip")
CHECK = "web"
CHECK_MS = 1_000  # interval x fall, and interval x rise
FIRST_PASS_MS = 300  # after the start
INDENT = "    "
COMPARE: dict[str, Callable[[int, int], bool]] = {"<=": operator.le, "==": operator.eq, ">=": operator.ge}


def duration_ms(text: str) -> int:
    """Return the milliseconds of "200ms", "1.5s" or "2m"."""
    return duration.parse(text)


def transcribe(text: str) -> tuple[str, list[str]]:
    """Carry out a transcript; return it with the output of this run, and the expectations that were not met."""
    story, lines = Story(), []
    for line in text.splitlines():
        if line.startswith(INDENT):
            continue
        lines.append(line)
        if line and not line.startswith("#"):
            lines.extend(INDENT + said for said in story.obey(line))
    return "\n".join(lines) + "\n", story.unmet


class Story:
    """One world, and what is told of it."""

    def __init__(self) -> None:
        self.unmet: list[str] = []
        self._nodes: dict[str, int] = {}
        self._witnesses: frozenset[str] = frozenset()
        self._group: dict[str, str] = {}
        self._timing = {"interval": "200ms", "dead": "1s", "grace": "3s", "audit": "30s"}
        self._cloud = {"api": "100ms", "task": "500ms"}
        self._made: World | None = None
        self._said: list[str] = []
        self._mark = 0
        self._request = 0

    def obey(self, line: str) -> list[str]:
        """Carry out one command; return what there is to say of it."""
        verb, *words = line.split()
        self._said = []
        getattr(self, f"do_{verb}")(*words)
        return self._said

    @property
    def world(self) -> World:
        """The world, made by the first command that is not a setting."""
        if self._made is None:
            strategy = self._group.get("strategy", "migrate")
            api_ms, task_ms = duration_ms(self._cloud["api"]), duration_ms(self._cloud["task"])
            self._made = World(
                self._nodes,
                self._policy(),
                self._times(),
                api_ms=api_ms,
                task_ms=task_ms,
                hook_ms=duration_ms(self._group.get("hook", "200ms")),
                strategy=strategy,
                witnesses=self._witnesses,
            )
            self._made.log = self._tell
            self._made.on_refusal = lambda name, action, code: self._say(name, f"{action}: {code}")
            self._made.cloud.listeners.append(self._tell_change)
        return self._made

    def _policy(self) -> Policy:
        given = self._group
        guards = given.get("guards", "")
        return Policy(
            group=GROUP,
            resources=(Resource(ResourceKind.ADDRESS, ADDRESS),),
            preempt="preempt" in given,
            preempt_delay_ms=duration_ms(given.get("preempt", "0s")),
            handover=Handover(given.get("handover", "overlap")),
            demote_when_isolated="demote" in given,
            isolation_timeout_ms=duration_ms(given.get("demote", "30s")),
            hold_down_ms=duration_ms(given.get("hold_down", "30s")),
            startup_delay_ms=duration_ms(given.get("startup", "0s")),
            guards=tuple(guards.split(",")) if guards else (),
            fence="fence" in given,
            promote="promote" in given,
            checks=() if given.get("checks") == "no" else ((CHECK, 0),),
        )

    def _times(self) -> Timing:
        names = ("interval", "dead", "grace", "audit")
        return Timing(*(duration_ms(self._timing[name]) for name in names))

    # -- settings ------------------------------------------------------------------------------------------------

    def do_nodes(self, *nodes: str) -> None:
        given = dict(node.split(":") for node in nodes)
        self._witnesses = frozenset(name for name, role in given.items() if role == "witness")
        self._nodes = {name: 0 if role == "witness" else int(role) for name, role in given.items()}

    def do_group(self, *settings: str) -> None:
        self._group.update(_pairs(settings))

    def do_timing(self, *settings: str) -> None:
        self._timing.update(_pairs(settings))

    def do_cloud(self, *settings: str) -> None:
        self._cloud.update(_pairs(settings))

    # -- daemons and hosts ---------------------------------------------------------------------------------------

    def do_start(self, *names: str) -> None:
        for name in names or self.world.hosts:
            self.world.start(name)
            self._check_later(name, FIRST_PASS_MS)

    def do_kill(self, name: str) -> None:
        self.world.kill(name)

    def do_stop(self, name: str) -> None:
        self.world.give(name, ev.StopAsked(restarting=False))

    def do_restart(self, name: str) -> None:
        self.world.give(name, ev.StopAsked(restarting=True))

    def do_power(self, switch: str, name: str) -> None:
        self.world.power(name, on=switch == "on")
        self._check_later(name)

    def do_freeze(self, name: str) -> None:
        self.world.freeze(name, frozen=True)

    def do_thaw(self, name: str) -> None:
        self.world.freeze(name, frozen=False)

    def do_cripple(self, name: str) -> None:
        self.world.hosts[name].crippled = True

    def do_service(self, switch: str, name: str) -> None:
        self.world.hosts[name].service = switch == "up"
        self._check_later(name)

    def _check_later(self, name: str, after_ms: int = CHECK_MS) -> None:
        self.world.at(self.world.now + after_ms, lambda: self._check(name))

    def _check(self, name: str) -> None:
        state = CheckState.UP if self.world.hosts[name].service else CheckState.DOWN
        self.world.give(name, ev.CheckChanged(GROUP, CHECK, state))

    # -- network and cloud ---------------------------------------------------------------------------------------

    def do_cut(self, what: str, *ends: str) -> None:
        if what == "api":
            self.world.api_cuts.update(ends)
        else:
            (self.world.cuts if what == "heartbeat" else self.world.walls).update(_ways(ends))

    def do_heal(self, what: str, *ends: str) -> None:
        if what == "api":
            self.world.api_cuts.difference_update(ends)
        else:
            (self.world.cuts if what == "heartbeat" else self.world.walls).difference_update(_ways(ends))

    def do_next(self, *faults: str) -> None:
        self.world.api_faults.extend(faults)

    def do_console(self, target: str) -> None:
        known = {name: host.member.eni_id for name, host in self.world.hosts.items()}
        known["stranger"] = STRANGER.eni_id
        self.world.cloud.move(ADDRESS, known.get(target), self.world.now)

    # -- the operator --------------------------------------------------------------------------------------------

    def do_failover(self, name: str, *to: str) -> None:
        self._request += 1
        target = NodeName(to[1]) if to else None
        self.world.give(name, ev.FailoverAsked(self._request, GROUP, target))

    def do_drain(self, name: str) -> None:
        self._request += 1
        self.world.give(name, ev.DrainAsked(self._request, drained=True))

    def do_undrain(self, name: str) -> None:
        self._request += 1
        self.world.give(name, ev.DrainAsked(self._request, drained=False))

    def do_pause(self, name: str, *length: str) -> None:
        self._request += 1
        self.world.give(name, ev.PauseAsked(self._request, None, duration_ms(length[0]) if length else None))

    def do_promote(self, answer: str, name: str) -> None:
        self.world.hosts[name].promotes = answer == "yes"

    def do_resume(self, name: str) -> None:
        self._request += 1
        self.world.give(name, ev.ResumeAsked(self._request, None))

    # -- telling -------------------------------------------------------------------------------------------------

    def do_run(self, length: str) -> None:
        self.world.run_until(self.world.now + duration_ms(length))

    def do_mark(self) -> None:
        self._mark = self.world.now

    def do_status(self) -> None:
        for name, host in self.world.hosts.items():
            if host.node is None:
                self._said.append(f"{name:<6} no daemon" if host.powered else f"{name:<6} no power")
                continue
            group = status(host.node, self.world.now).groups[0]
            guest = " has the address on its guest" if host.guest else ""
            self._said.append(f"{name:<6} {group.state.value} ({group.why.label}), term {group.term}{guest}")

    def _say(self, who: str, what: str) -> None:
        self._said.append(f"{self.world.now:>7} ms  {who:<6} {what}")

    def _tell_change(self, change: Change) -> None:
        self._said.append(
            f"{change.at_ms:>7} ms  {'cloud':<6} {change.resource} is now on {self._node(change.after)}"
        )

    def _node(self, holder: str | None) -> str:
        if holder is None:
            return "nobody"
        enis = {host.member.eni_id: name for name, host in self.world.hosts.items()}
        return enis.get(holder, "a stranger")

    def _tell(self, name: str, effect: Effect) -> None:
        text = self._text(effect)
        if text:
            self._say(name, text)

    def _text(self, effect: Effect) -> str:  # noqa: C901, PLR0911 - one line per kind of effect
        match effect:
            case fx.RoleChanged():
                return f"{effect.old.value} -> {effect.new.value} ({effect.reason.label}), term {effect.term}"
            case fx.Move():
                return f"asks the cloud to move {effect.resource.id} from {self._node(effect.expected)} to itself"
            case fx.FailoverFinished():
                return _failover(effect)
            case fx.Refrained():
                return f"does not claim ({effect.reason.label})"
            case fx.Answer():
                return "answers: accepted" if effect.accepted else f"answers: refused ({effect.reason.label})"
            case fx.RunHook():
                return f"runs its {effect.hook} hook"
            case fx.Fence():
                return f"has {self._node(effect.holder)} powered off"
            case fx.StopAnswering():
                return f"takes {effect.resource.id} off its guest"
            case fx.Arm():
                return f"puts {effect.resource.id} on its guest"
            case fx.Leave():
                return "leaves"
            case _:
                return ""

    # -- expectations --------------------------------------------------------------------------------------------

    def do_expect(self, what: str, *words: str) -> None:
        if what in ("outage", "moves", "writes", "reads"):
            self._expect_number(what, *words)
        elif what == "why":
            self._judge(f"why {words[0]}", self._why(words[0]), words[1])
        else:
            wanted = () if words == ("nobody",) else words
            self._judge(what, " ".join(self._who(what)) or "nobody", " ".join(wanted) or "nobody")

    def _expect_number(self, what: str, sign: str, limit: str) -> None:
        world = self.world
        counts = {"outage": world.dark_ms, "moves": world.moves, "writes": world.writes, "reads": world.reads}
        found, allowed = counts[what](self._mark), sum(self._term(term) for term in limit.split("+"))
        unit = " ms" if what == "outage" else ""
        self._judge_text(f"{what} {found}{unit}", met=COMPARE[sign](found, allowed))

    def _term(self, term: str) -> int:
        named = {**self._timing, **self._cloud, "check": f"{CHECK_MS}ms"}
        if term in named:
            return duration_ms(named[term])
        return int(term) if term.isdigit() else duration_ms(term)

    def _who(self, what: str) -> Iterable[str]:
        hosts = self.world.hosts.items()
        if what == "holder":
            return () if self.world.owner(ADDRESS) == "nobody" else (self.world.owner(ADDRESS),)
        if what == "guest":
            return [name for name, host in hosts if ADDRESS in host.guest]
        return [name for name, host in hosts if host.node is not None and host.node.groups[GROUP].state.serves]

    def _why(self, name: str) -> str:
        node = self.world.hosts[name].node
        if node is None:
            return "no daemon"
        told: NodeStatus = status(node, self.world.now)
        return told.groups[0].why.label

    def _judge(self, what: str, found: str, wanted: str) -> None:
        self._judge_text(f"{what} {found}", met=found == wanted)

    def _judge_text(self, text: str, *, met: bool) -> None:
        self._said.append(f"true: {text}" if met else f"NOT TRUE: {text}")
        if not met:
            self.unmet.append(text)


def _pairs(settings: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (setting.partition("=") for setting in settings)}


def _ways(ends: tuple[str, ...]) -> set[tuple[str, str]]:
    """Return the directions of "A B" (both), or of "A ->B" (one)."""
    one, other = ends
    if other.startswith("->"):
        return {(one, other.removeprefix("->"))}
    return {(one, other), (other, one)}


def _failover(effect: fx.FailoverFinished) -> str:
    phases = ("detect", "guard", "guest", "cloud", "verify")
    spent = ", ".join(f"{phase} {getattr(effect, f'{phase}_ms')}" for phase in phases)
    return f"has taken over from {effect.source or 'nobody'} ({effect.reason.label}): {spent} ms"
