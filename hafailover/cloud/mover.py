"""Moves of resources from a holder to another: one or two writes each, sent once, and followed to their end.

Addresses are moved together: side by side, as far as the cloud lets them (`lanes`); releases from the same ENI, and
takes, by up to ten in one request. Each address has its own outcome.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from hafailover.cloud.lanes import Lanes
from hafailover.cloud.outcome import CLIENT_BUSY, CLIENT_TIMEOUT, classify
from hafailover.cloud.plan import MAX_BATCH, Call, Verb, is_ipv6, next_call, touched
from hafailover.election.values import MoveResult, Outcome, Resource, ResourceKind
from hafailover.errors import CloudError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from hafailover.cloud.plan import Strategy
    from hafailover.cloud.tasks import TaskWatch

    Send = Callable[[str, dict[str, object]], Awaitable[str]]

MUTEX = "UnsupportedOperation.MutexOperationTaskRunning"
UNSUPPORTED = ("UnsupportedOperation", "InvalidAction", "ActionOffline", "UnsupportedOperation.InvalidAction")
_MAX_CALLS = 3  # a release and a take, perhaps after a migration that there is not
_TOKEN_BITS = 128


@dataclass(slots=True)
class Flight:
    """A write, of one resource or several, from before it leaves."""

    sent: bool = False
    accepted: bool = False


@dataclass(slots=True)
class Progress:
    """How far a move has come: who holds the resource now, and whether a write has no proven end yet."""

    holder: str | None
    started: bool = False
    flight: Flight | None = None

    def tag(self, result: MoveResult) -> MoveResult:
        """Add to the end of a move what it left half done."""
        return replace(result, half_done=True, holder=self.holder) if self.started else result

    def cut_short(self, life_s: float) -> MoveResult:
        """Say how a move ended whose time was up, while a request that was sent may be accepted for `life_s`."""
        if self.flight is not None and self.flight.sent:
            open_ms = 0 if self.flight.accepted else round(1000 * life_s)
            return self.tag(MoveResult(Outcome.UNKNOWN, CLIENT_TIMEOUT, open_ms=open_ms))
        return self.tag(MoveResult(Outcome.THROTTLED, CLIENT_BUSY))


@dataclass(slots=True)
class _Batch:
    """A release or a take that others may join until it leaves."""

    flight: Flight
    resources: list[Resource]
    deadline_s: float = 0.0  # of the most patient
    sending: asyncio.Task[MoveResult] | None = field(default=None)


class Mover:
    """`send` makes one write and returns its RequestId, or raises CloudError; `life_s` is in `dating`."""

    def __init__(
        self, send: Send, watch: TaskWatch, *, strategy: Strategy, life_s: float, rng: random.Random
    ) -> None:
        self._send = send
        self._watch = watch
        self._strategy = strategy
        self._life_s = life_s
        self._rng = rng
        self._lanes = Lanes()
        self._joining: dict[tuple[Verb, bool, str, str], _Batch] = {}
        self._sending: set[asyncio.Task[MoveResult]] = set()

    async def close(self) -> None:
        """End the requests for several that nobody waits for any more."""
        for sending in tuple(self._sending):
            sending.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def move(self, resource: Resource, expected: str | None, target: str, *, deadline_s: float) -> MoveResult:
        """Move a resource from the holder just seen (None: nobody) to the target, within the deadline.

        Each write is sent once. Raises nothing but CancelledError: whatever the API or the network does is
        an outcome.
        """
        progress = Progress(expected)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._carry_out(resource, target, progress, deadline_s)
        except TimeoutError:
            return progress.cut_short(self._life_s)

    async def _carry_out(
        self, resource: Resource, target: str, progress: Progress, deadline_s: float
    ) -> MoveResult:
        strategy = self._strategy
        for _ in range(_MAX_CALLS):
            call = next_call(resource, progress.holder, target, strategy)
            if call is None:
                break
            result = await self._write(call, progress, deadline_s)
            progress.flight = None
            if _has_no_migration(call, result):
                strategy = "reassign"
                continue
            if result.outcome is not Outcome.APPLIED:
                return progress.tag(result)
            progress.holder, progress.started = call.holder_after, True
        return MoveResult(Outcome.APPLIED)

    async def _write(self, call: Call, progress: Progress, deadline_s: float) -> MoveResult:
        if call.verb is not Verb.MIGRATE and call.resources[0].kind is ResourceKind.ADDRESS:
            result = await self._join(call, progress, deadline_s)
            if result is not None:
                return result
            progress.flight = None

        async def fly() -> MoveResult:
            flight = progress.flight = Flight()
            return await self._fly(call, flight)

        return await self._in_turn(call, fly)

    async def _join(self, call: Call, progress: Progress, deadline_s: float) -> MoveResult | None:
        """Write together with others that ask for the same; None where a request for several was refused.

        Then nothing was done, and each is asked for by itself, for one of them may be in the way of all.
        """
        key = (call.verb, is_ipv6(call.resources[0]), call.source, call.target)
        batch = self._joining.get(key)
        if batch is None or len(batch.resources) == MAX_BATCH:
            batch = self._joining[key] = _Batch(Flight(), [])
            batch.sending = asyncio.ensure_future(self._in_turn(call, partial(self._leave, call, key, batch)))
            self._sending.add(batch.sending)
            batch.sending.add_done_callback(self._sending.discard)
            batch.sending.add_done_callback(lambda _: self._close(key, batch))
        batch.resources.extend(call.resources)
        batch.deadline_s = max(batch.deadline_s, deadline_s)
        assert batch.sending is not None  # noqa: S101 - set where the batch is made
        progress.flight = batch.flight
        try:
            result = await asyncio.shield(batch.sending)
        except asyncio.CancelledError:
            _withdraw(batch, call.resources[0])
            raise
        alone = len(batch.resources) == 1
        return result if alone or result.outcome is not Outcome.REFUSED else None

    async def _leave(self, call: Call, key: tuple[Verb, bool, str, str], batch: _Batch) -> MoveResult:
        """Send a batch for all that have joined by its turn, and let nobody join any more.

        Who waits for it bounds the wait for its turn: a batch that nobody waits for any more is cancelled.
        """
        self._close(key, batch)
        try:
            async with asyncio.timeout(batch.deadline_s):
                return await self._fly(replace(call, resources=tuple(batch.resources)), batch.flight)
        except TimeoutError:
            return Progress(call.source or None, flight=batch.flight).cut_short(self._life_s)

    def _close(self, key: tuple[Verb, bool, str, str], batch: _Batch) -> None:
        if self._joining.get(key) is batch:
            del self._joining[key]

    async def _in_turn(self, call: Call, fly: Callable[[], Awaitable[MoveResult]]) -> MoveResult:
        """Write when there is room, and again where that was turned away for another write of this daemon."""
        while True:
            async with self._lanes.turn(touched(call)) as turn:
                result = await fly()
                again = result.code == MUTEX and turn.crowded()
            if not again:
                return result

    async def _fly(self, call: Call, flight: Flight) -> MoveResult:
        flight.sent = True
        token = f"{self._rng.getrandbits(_TOKEN_BITS):032x}"
        try:
            task_id = await self._send(call.action, call.parameters(token))
        except CloudError as error:
            kind = classify(error.code, call.action)
            flight.sent = error.code != MUTEX  # then it has not left after all, should it have another turn
            open_ms = round(1000 * error.open_s)
            return MoveResult(kind.outcome, error.code, kind.refusal, open_ms=open_ms, busy=kind.busy)
        flight.accepted = True
        return await self._watch.end_of(call, task_id)


def _withdraw(batch: _Batch, resource: Resource) -> None:
    """Take a resource out of a batch that has not left yet: nobody waits for it any more."""
    if batch.flight.sent:
        return
    batch.resources.remove(resource)
    if not batch.resources and batch.sending is not None:
        batch.sending.cancel()


def _has_no_migration(call: Call, result: MoveResult) -> bool:
    """Return whether an ENI has to be detached and attached because it cannot be migrated here."""
    eni = call.resources[0].kind is ResourceKind.ENI
    return eni and call.verb is Verb.MIGRATE and result.outcome is Outcome.REFUSED and result.code in UNSUPPORTED
