"""The figures of many lives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.life import Bounded, Outcome

HOUR_MS = 3_600_000
EVENTS = tuple(kind.__name__ for kind in ev.Event.__args__)
POSSIBLE = len(State) * len(EVENTS)
MEASURED = ("double", "recovery", "unanswered", "vacant")
MEANING = {
    "double": "longest double answer",
    "recovery": "longest recovery after the last fault's end",
    "unanswered": "longest time without an answer after it",
    "vacant": "longest time without a holder after it",
}


@dataclass
class Figures:
    """What has been seen so far."""

    seeds: int = 0
    simulated_ms: int = 0
    cpu_s: float = 0.0
    events: int = 0
    moves: int = 0
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    hours_of: Counter[str] = field(default_factory=Counter)  # milliseconds by nodes and interval
    broken: list[tuple[int, str]] = field(default_factory=list)
    dark: dict[str, list[int]] = field(default_factory=dict)
    failovers: dict[str, list[int]] = field(default_factory=dict)
    longest: dict[str, Bounded] = field(default_factory=dict)
    tightest: dict[str, Bounded] = field(default_factory=dict)  # the nearest to its bound
    longest_vacant_ms: int = 0
    pairs: set[tuple[str, str]] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)
    replays: int = 0
    replays_equal: int = 0

    def add(self, outcome: Outcome) -> None:
        """Take in one life."""
        options = outcome.options
        self.seeds += 1
        self.simulated_ms += outcome.simulated_ms
        self.hours_of[f"{len(options.priorities)} x {options.timing.interval_ms} ms"] += outcome.simulated_ms
        self.cpu_s += outcome.cpu_s
        self.events += outcome.events
        self.moves += outcome.moves
        self.steps += outcome.steps
        self.counts.update(outcome.counts)
        self.pairs |= outcome.pairs
        self.reasons |= outcome.reasons
        self.longest_vacant_ms = max(self.longest_vacant_ms, outcome.longest_vacant_ms)
        if outcome.broken is not None:
            self.broken.append((options.seed, outcome.broken.name))
        for name in MEASURED:
            self._measure(name, getattr(outcome, name))
        for length_ms, kind in outcome.dark:
            self.dark.setdefault(kind, []).append(length_ms)
        for reason, length_ms in outcome.failovers:
            self.failovers.setdefault(reason, []).append(length_ms)

    def _measure(self, name: str, seen: Bounded) -> None:
        self.longest[name] = max(seen, self.longest.get(name, seen))
        nearest = self.tightest.get(name, seen)
        self.tightest[name] = max(seen, nearest, key=lambda each: each[0] / each[1])

    def told(self) -> str:
        """Return the figures as text."""
        hours = self.simulated_ms / HOUR_MS
        faults, writes = _of_kind(self.counts, "fault:"), _of_kind(self.counts, "write:")
        pace = hours / self.cpu_s if self.cpu_s else 0
        mix = {name: round(length / HOUR_MS, 1) for name, length in self.hours_of.items()}
        return "\n".join(
            [
                f"seeds {self.seeds}, simulated hours {hours:.1f}, events {self.events}",
                f"CPU-seconds {self.cpu_s:.0f}: {pace:.2f} simulated hours per CPU-second",
                "hours by nodes and heartbeat interval: " + _listed(mix),
                f"faults {sum(faults.values())}: " + _listed(faults),
                f"writes that met with something {sum(writes.values())}: " + _listed(writes),
                f"moves {self.moves}, violations {len(self.broken)} {self.broken[:20]}",
                f"replay identity {self.replays_equal}/{self.replays}",
                f"trace steps validated against the models {self.steps}",
                f"(state, event) pairs reached {len(self.pairs)} of {POSSIBLE}; not: {self._unreached()}",
                f"reasons reached {len(self.reasons)} of {len(Reason)}; not: {self._unknown_reasons()}",
                *(self._bounded(name) for name in MEASURED),
                f"longest time without a holder in the middle of faults {self.longest_vacant_ms} ms",
                *_table("client's outages by the fault that struck last before", self.dark),
                *_table("from the master's last sign of life to the cloud's word, by reason", self.failovers),
            ]
        )

    def _bounded(self, name: str) -> str:
        long_ms, its_ms = self.longest.get(name, (0, 1))
        tight_ms, bound_ms = self.tightest.get(name, (0, 1))
        nearest = f"nearest to its bound {tight_ms} of {bound_ms} ms"
        return f"{MEANING[name]} {long_ms} ms (bound {its_ms} ms); {nearest}"

    def _unreached(self) -> str:
        reached: dict[str, list[str]] = {}
        for state in State:
            missing = [event for event in EVENTS if (state.value, event) not in self.pairs]
            if missing:
                reached[state.value] = missing
        return "; ".join(f"{state}: {' '.join(events)}" for state, events in reached.items()) or "none"

    def _unknown_reasons(self) -> str:
        return " ".join(sorted(reason.name for reason in Reason if reason.name not in self.reasons)) or "none"


def _of_kind(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}


def _table(title: str, lengths_of: Mapping[str, list[int]]) -> list[str]:
    lines = [f"{title} (count; p50, p99, max in ms):"]
    for kind, seen in sorted(lengths_of.items()):
        lengths = sorted(seen)
        shown = (lengths[len(lengths) // 2], lengths[len(lengths) * 99 // 100], lengths[-1])
        lines.append(f"  {kind:<20} {len(lengths):>6} " + " ".join(f"{each:>8}" for each in shown))
    return lines


def _listed(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
