"""A seed's life with whole daemons: as in tier 1, and then all are told to stop and must end by themselves."""

from __future__ import annotations

import gc
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

from hafailover.election import events as ev
from tests.simulation import faults as tier1_faults
from tests.simulation.daemons import faults, patches
from tests.simulation.daemons.loop import LoopError
from tests.simulation.daemons.town import STOP_MS, Town
from tests.simulation.invariants import ALL
from tests.simulation.invariants.persisted_first import PersistedFirst
from tests.simulation.life import Outcome, _account, _through
from tests.simulation.options import LATER_KINDS, expand
from tests.simulation.universe import Broken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.invariants.base import Invariant
    from tests.simulation.options import Options

PAIRS_OF_TEN = 7  # so many of ten lives have two nodes, however many their options name
# (interval, dead interval, restart grace): slower than tier 1's, since each heartbeat costs ten times as much
TIMINGS = ((2_000, 7_000, 12_000), (1_000, 3_000, 6_000), (500, 1_500, 3_000), (200, 1_000, 3_000))


def options_of(seed: int) -> Options:
    """Return tier 1's options of a seed, with every kind of fault of this tier too, and mostly of two nodes.

    Without fences, for this tier's cloud powers nobody off.
    """
    options = expand(seed, tuple(kind for kind in faults.ALL if kind not in LATER_KINDS))
    most = 2 if seed % 10 < PAIRS_OF_TEN else 3
    names = [name for name, _ in options.priorities[:most]]
    guards = tuple(guard for guard in options.guards if guard != "quorum" or most > 2)
    rng = random.Random(f"{seed}:timing")  # noqa: S311 - to be repeated, not secret
    interval_ms, dead_ms, grace_ms = rng.choices(TIMINGS, (8, 5, 2, 1))[0]
    timing = replace(options.timing, interval_ms=interval_ms, dead_interval_ms=dead_ms, restart_grace_ms=grace_ms)
    return replace(
        options,
        priorities=options.priorities[:most],
        timing=timing,
        guards=guards,
        witnesses=tuple(name for name in options.witnesses if name in names),
        fence=False,
        retimed=None,
        groups=1,
    )


def live(options: Options, *, noise: bool = True) -> Outcome:
    """Live one life; what breaks is in the outcome."""
    began = time.process_time()
    outcome = Outcome(options)
    gc.freeze()
    gc.disable()  # what is collected when must not depend on what else this process has done
    try:
        with patch.dict(tier1_faults.KINDS, faults.OWN):
            _live(options, outcome, noise=noise)
    finally:
        gc.enable()
        gc.unfreeze()
    outcome.cpu_s = time.process_time() - began
    return outcome


def _live(options: Options, outcome: Outcome, *, noise: bool) -> None:
    town = Town(options, noise=noise)
    with patches.in_place(town):
        invariants = list(of_interest(town))
        town.watch(invariants)
        try:
            _through(town, outcome)
            _look_back_at_calm(town)
            _stop_all(town)
            for each in invariants:
                each.at_end()
        except Broken as broken:
            outcome.broken = broken
        except LoopError as error:
            outcome.broken = Broken("loop", f"at {town.now} ms: {error}")
        finally:
            town.bury()
            if outcome.broken is None:
                gc.collect()  # a lost task must not hide its exception
        if outcome.broken is None:
            outcome.broken = _late_finds(town)
    town.trace.note(town.now, f"{town.loop.digest} {town.log.digest}")
    _account(town, outcome)


def of_interest(town: Town) -> Iterable[Invariant]:
    """Return tier 1's invariants, without those that a broken disk breaks by design."""
    kinds = {wave.kind for wave in town.options.waves}
    forgetful = bool(kinds & faults.FORGETFUL)
    for kind in ALL:
        if forgetful and kind is PersistedFirst:
            continue
        made = kind(town)
        if forgetful and hasattr(made, "_forgetful"):
            made._forgetful = True
        yield made


def _look_back_at_calm(town: Town) -> None:
    """See that no address moved more than once before there was any trouble."""
    early = [each for each in town.cloud.history if each.after is not None and each.at_ms < town.options.calm_ms]
    for address in town.holder:
        moves = [each.at_ms for each in early if each.resource == address]
        if len(moves) > 1:
            raise Broken("calm", f"{address} moved at {moves} and nothing had happened")


def _stop_all(town: Town) -> None:
    """Stop every daemon; each must be gone within its bound, with nothing left."""
    for name in town.hosts:
        town.process(name).post(ev.StopAsked(restarting=False))
    town.loop.run_until((town.now + STOP_MS + 2_000) * 1000, forever=False)
    left = [name for name, host in town.hosts.items() if host.process is not None]
    if left:
        raise Broken("stop-in-time", f"at {town.now} ms: {left} still run")


def _late_finds(town: Town) -> Broken | None:
    if isinstance(town.loop.failure, Broken):
        return town.loop.failure
    if town.loop.failure is not None:
        return Broken("loop", str(town.loop.failure))
    return Broken("sane-answers", town.log.bugs[0]) if town.log.bugs else None
