"""The figures of many lives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.life import Outcome

HOUR_MS = 3_600_000


@dataclass
class Figures:
    """What has been seen so far."""

    seeds: int = 0
    simulated_ms: int = 0
    cpu_s: float = 0.0
    events: int = 0
    moves: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)
    dark: dict[str, list[int]] = field(default_factory=dict)
    double_ms: int = 0
    healed_ms: list[int] = field(default_factory=list)
    replays: int = 0
    replays_equal: int = 0

    def add(self, outcome: Outcome) -> None:
        """Take in one life."""
        self.seeds += 1
        self.simulated_ms += outcome.simulated_ms
        self.cpu_s += outcome.cpu_s
        self.events += outcome.events
        self.moves += outcome.moves
        self.counts.update(outcome.counts)
        self.double_ms = max(self.double_ms, outcome.double_ms)
        if outcome.broken is not None:
            self.broken.append((outcome.options.seed, outcome.broken.name))
        else:
            self.healed_ms.append(outcome.healed_in_ms)
        for length_ms, kind in outcome.dark:
            self.dark.setdefault(kind, []).append(length_ms)

    def told(self) -> str:
        """Return the figures as text."""
        hours = self.simulated_ms / HOUR_MS
        faults = {name.partition(":")[2]: count for name, count in self.counts.items() if name.startswith("fault:")}
        writes = {name.partition(":")[2]: count for name, count in self.counts.items() if name.startswith("write:")}
        pace = hours / self.cpu_s if self.cpu_s else 0
        lines = [
            f"seeds {self.seeds}, simulated hours {hours:.1f}, events {self.events}",
            f"CPU-seconds {self.cpu_s:.0f}: {pace:.2f} simulated hours per CPU-second",
            f"faults {sum(faults.values())}: " + _listed(faults),
            f"writes that met with something {sum(writes.values())}: " + _listed(writes),
            f"moves {self.moves}, violations {len(self.broken)} {self.broken[:20]}",
            f"replay identity {self.replays_equal}/{self.replays}",
            f"longest double answer {self.double_ms} ms, longest recovery {max(self.healed_ms, default=0)} ms",
            "client's outages in ms by the fault that struck last before (count, p50, p99, max):",
        ]
        for kind, lengths in sorted(self.dark.items()):
            lengths.sort()
            shown = (lengths[len(lengths) // 2], lengths[len(lengths) * 99 // 100], lengths[-1])
            lines.append(f"  {kind:<20} {len(lengths):>6} " + " ".join(f"{each:>8}" for each in shown))
        return "\n".join(lines)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
