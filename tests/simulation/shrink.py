"""What is left of a failing life when everything is taken from it that does not matter for the failure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.life import live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.life import Outcome
    from tests.simulation.options import Options

MOST_LIVES = 24


def shrink(outcome: Outcome, most_lives: int = MOST_LIVES, live: Callable[[Options], Outcome] = live) -> Outcome:
    """Return a life as small as could be found that breaks the same invariant, by trying at most so many."""
    assert outcome.broken is not None
    name, best, lives = outcome.broken.name, outcome, 0
    progress = True
    while progress and lives < most_lives:
        progress = False
        for smaller in _smaller(best.options):
            lives += 1
            tried = live(smaller)
            if tried.broken is not None and tried.broken.name == name:
                best, progress = tried, True
                break
            if lives >= most_lives:
                break
    return best


def _smaller(options: Options) -> Iterator[Options]:
    """Yield the lives that lack one kind of fault, then those with less time for trouble, then simpler settings."""
    for wave in options.waves:
        yield replace(options, waves=tuple(each for each in options.waves if each is not wave))
    for share in (2, 4):
        yield replace(options, trouble_ms=options.trouble_ms * share // 5)
    if len(options.priorities) > 2:
        yield replace(options, priorities=options.priorities[:-1])
    plain: dict[str, object] = {"groups": 1, "addresses": min(1, options.addresses), "sixes": 0, "eips": 0}
    plain |= {
        "retimed": None,
        "disk_ms": 0,
        "guest_ms": 0,
        "demote": False,
        "preempt": False,
        "strategy": "migrate",
    }
    for name, value in plain.items():
        if getattr(options, name) != value:
            yield replace(options, **{name: value})  # type: ignore[arg-type]


def report(
    outcome: Outcome,
    most_lives: int = MOST_LIVES,
    live: Callable[[Options], Outcome] = live,
    module: str = "tests.simulation.run",
) -> str:
    """Return what to know of a failed life: seed, options, the last lines of its trace, how to live it again."""
    smallest = shrink(outcome, most_lives, live)
    lines = "\n    ".join(smallest.trace[-30:])
    return (
        f"seed {outcome.options.seed} breaks {outcome.broken}\n"
        f"options: {outcome.options.told()}\n"
        f"smallest: {smallest.options.told()}\n"
        f"  {smallest.broken}\n    {lines}\n"
        f"again: python -m {module} --start {outcome.options.seed} --seeds 1 --trace 200\n"
    )
