"""The cloud as the simulated daemons reach it: the emulator's model behind requests that are slow, or lost.

What befalls a request is drawn when it is sent, from weights that the faults of the moment set. A request that is
lost may still arrive later than its sender waits, within the life that its date gives it; an answer that is lost
says nothing of its effect.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from hafailover.cloud.mover import UNSUPPORTED
from hafailover.cloud.outcome import TASK_FAILED, classify
from hafailover.cloud.plan import Verb, next_call, sightings
from hafailover.cloud.replies import parse_enis, parse_task
from hafailover.election import events as ev
from hafailover.election.values import FenceResult, MoveResult, Outcome, Refusal, ResourceKind
from hafailover.emulator.values import NORMAL, ApiError, Fate, Handling
from tests.simulation.ground import STRANGER
from tests.simulation.refusals import Refusals

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from hafailover.cloud.plan import Call, Strategy
    from hafailover.cloud.replies import Eni
    from hafailover.election.effects import Fence, Move
    from hafailover.election.values import Sighting
    from hafailover.emulator.network import Network as NetworkOfCloud
    from tests.simulation.host import Host
    from tests.simulation.process import Process
    from tests.simulation.universe import Universe

CALL_TIMEOUT_MS = 3_000
LIFE_MS = 8_000  # after its sending a write is too old for the API (cloud.dating.life_s)
GRAIN_MS = 1_000  # cloud.dating.GRAIN_S
UNANSWERED = ("ClientTimeout", "ClientNetworkError")
MOVE_DEADLINE_MS = 30_000  # daemon.performer.MOVE_DEADLINE_S
FENCE_MS = 3_000  # what a hard stop takes
FIRST_POLL_MS, LAST_POLL_MS = 100, 1_000
SLOW_TASK_MS = 12_000  # the longest that the cloud takes here

# What can befall one write.
WRITE_FAULTS = (
    "throttle",
    "error-before",
    "error-after",
    "request-lost",
    "reply-lost",
    "late-effect",
    "task-fails",
    "task-slow",
)


class Sky:
    """The way to the API and its present condition."""

    def __init__(self, universe: Universe, rng: random.Random) -> None:
        self._universe = universe
        self._moving = [each.id for each in universe.options.resources if each.kind is ResourceKind.ENI]
        self.rng = rng
        self.outages: Counter[str] = Counter()  # nothing of this caller gets through
        self.write_faults: Counter[str] = Counter()  # kind: per cent of the writes
        self.read_failures = 0  # per cent
        self.stale_ms: dict[str, int] = {}  # by caller: how old an answer may be at most
        self.refusals = Refusals()
        self._enis: tuple[Eni, ...] = ()  # of the last reading
        self._seen: tuple[NetworkOfCloud | None, tuple[Sighting, ...]] = (None, ())
        self.fences_on_their_way = 0
        self.on_its_way: Counter[tuple[str, str]] = Counter()  # (caller, address): late requests that will arrive

    def latency_ms(self) -> int:
        """Return what one request takes now."""
        options = self._universe.options
        return max(2, round(options.api_ms * math.exp(self.rng.gauss(0, options.api_spread))))

    def draw_fault(self) -> str:
        """Return what befalls the next write, "" for nothing."""
        dice = self.rng.randrange(100)
        for kind in WRITE_FAULTS:
            dice -= self.write_faults[kind]
            if dice < 0:
                return kind
        return ""

    def request(
        self, name: str, action: str, params: Mapping[str, object], handling: Handling = NORMAL
    ) -> dict[str, object]:
        """Carry out one request at this instant. Raises ApiError."""
        self.refusals.admit(name, action, params)
        return self._universe.cloud.request(action, params, name, self._universe.now, handling)

    # -- reading -----------------------------------------------------------------------------------------------

    def read(self, process: Process) -> None:
        """Ask who holds what; the answer is posted to the process."""
        universe, asked_at, total_ms = self._universe, process.clock, self.latency_ms()
        universe.at(universe.now + total_ms // 2, self._read_arrives, process, asked_at, total_ms)

    def _read_arrives(self, process: Process, asked_at: int, total_ms: int) -> None:
        universe, name = self._universe, process.name
        if self.outages[name] or self.rng.randrange(100) < self.read_failures:
            quick = self.rng.random() < 0.5
            wait_ms = total_ms if quick else CALL_TIMEOUT_MS
            failed = ev.ReadFailed(asked_at, "ClientConnectError" if quick else "ClientTimeout")
            universe.at(universe.now + wait_ms, process.post, failed)
            return
        oldest_ms = self.stale_ms.get(name, 0)
        stale_ms = self.rng.randrange(oldest_ms + 1) if oldest_ms else 0
        seen = self._look(name, stale_ms)
        back_at = universe.now + total_ms - total_ms // 2
        universe.at(back_at, process.post, ev.HoldersRead(seen, asked_at))
        if process.keeper is not None:
            universe.at(back_at, process.when_running, partial(process.keeper.see, self._enis))

    def _look(self, name: str, stale_ms: int) -> tuple[Sighting, ...]:
        """Return what a caller sees; the same network is rendered and parsed once, for most answers are alike."""
        universe = self._universe
        universe.cloud.advance(universe.now)
        network = universe.cloud.network_at(universe.now - stale_ms)
        if self._seen[0] is not network:
            # The stranger's, because the daemons ask who has an address that is on no node's.
            ids = [*(host.member.eni_id for host in universe.hosts.values()), STRANGER.eni_id, *self._moving]
            params: dict[str, object] = {"NetworkInterfaceIds": ids, "Limit": 100}
            reply = self.request(name, "DescribeNetworkInterfaces", params, Handling(stale_ms=stale_ms))
            enis = parse_enis(reply)
            self._enis = tuple(each for each in enis if each.id != STRANGER.eni_id)
            self._seen = (network, sightings(universe.options.resources, enis))
        return self._seen[1]

    # -- powering off --------------------------------------------------------------------------------------------

    def fence(self, process: Process, fence: Fence) -> None:
        """Stop the instance behind an ENI and wait until the cloud says that it is off; the end is posted."""
        total_ms = self.latency_ms()
        self.fences_on_their_way += 1
        self._universe.at(self._universe.now + total_ms // 2, self._fence_arrives, process, fence, total_ms)

    def _fence_arrives(self, process: Process, fence: Fence, total_ms: int) -> None:
        universe = self._universe
        host = universe.by_holder.get(fence.holder)
        lost = bool(self.outages[process.name]) or self.draw_fault() in ("request-lost", "throttle", "error-before")
        if lost or host is None:
            failed = FenceResult(stopped=False, code="ClientTimeout" if lost else "InvalidInstanceId.NotFound")
            self._fenced(process, fence, failed, CALL_TIMEOUT_MS)
            return
        universe.at(universe.now + FENCE_MS, self._stop, process, fence, host, total_ms)

    def _stop(self, process: Process, fence: Fence, host: Host, back_ms: int) -> None:
        if host.powered:
            self._universe.fenced(host)
        self._fenced(process, fence, FenceResult(stopped=True), back_ms)

    def _fenced(self, process: Process, fence: Fence, result: FenceResult, wait_ms: int) -> None:
        self.fences_on_their_way -= 1
        ended = ev.FenceFinished(fence.group, fence.fence_id, result)
        self._universe.at(self._universe.now + wait_ms, process.when_running, partial(process.post, ended))


class Errand:
    """One Move of one process: the plan's calls, and the polling of their tasks."""

    def __init__(self, sky: Sky, process: Process, move: Move) -> None:
        self._sky, self._process, self._move = sky, process, move
        self._universe = process.universe
        self._holder = move.expected
        self._strategy = cast("Strategy", process.universe.options.strategy)
        self._key = (process.name, move.resource.id)
        self._half_done = False
        self._ended = False
        self._in_flight = False
        self._accepted_by_cloud = False
        self._sent_at = 0
        self._began = process.universe.now

    def begin(self) -> None:
        """Send the first call; whatever happens, the errand ends within its deadline."""
        self._universe.at(self._began + MOVE_DEADLINE_MS, self._process.when_running, self._cut_short)
        self._send()

    def _cut_short(self) -> None:
        open_ms = 0 if self._accepted_by_cloud else LIFE_MS + GRAIN_MS
        unknown = MoveResult(Outcome.UNKNOWN, "ClientTimeout", open_ms=open_ms)
        self._end(unknown if self._in_flight else MoveResult(Outcome.THROTTLED, "ClientBusy"))

    def _send(self) -> None:
        call = self._next_call()
        if call is None:
            self._end(MoveResult(Outcome.APPLIED))
            return
        self._in_flight, self._accepted_by_cloud = True, False
        sky, universe = self._sky, self._universe
        self._sent_at = universe.now
        total_ms, fault = sky.latency_ms(), sky.draw_fault()
        if fault:
            universe.counts[f"write:{fault}"] += 1
        if fault == "late-effect":
            universe.at(universe.now + CALL_TIMEOUT_MS, self._fail, call, "ClientTimeout")
            sky.on_its_way[self._key] += 1
            universe.at(universe.now + sky.rng.randrange(100, LIFE_MS), self._arrive_late, call)
            return
        universe.at(universe.now + total_ms // 2, self._arrive, call, fault, total_ms - total_ms // 2)

    def _next_call(self) -> Call | None:
        return next_call(self._move.resource, self._holder, self._move.target, self._strategy)

    def _arrive_late(self, call: Call) -> None:
        self._sky.on_its_way[self._key] -= 1
        try:
            self._sky.request(self._process.name, call.action, call.parameters())
        except ApiError:
            return

    def _arrive(self, call: Call, fault: str, back_ms: int) -> None:
        sky, universe = self._sky, self._universe
        if sky.outages[self._process.name] or fault == "request-lost":
            universe.at(universe.now + CALL_TIMEOUT_MS, self._fail, call, "ClientTimeout")
            return
        early = {"throttle": "RequestLimitExceeded", "error-before": "ServerNetworkError"}.get(fault)
        if early is not None:
            universe.at(universe.now + back_ms, self._fail, call, early)
            return
        try:
            reply = sky.request(self._process.name, call.action, call.parameters(), self._handling(fault))
        except ApiError as error:
            universe.at(universe.now + back_ms, self._fail, call, error.code)
            return
        late = {"error-after": ("ServerNetworkError", back_ms), "reply-lost": ("ClientTimeout", CALL_TIMEOUT_MS)}
        if fault in late:
            code, wait_ms = late[fault]
            universe.at(universe.now + wait_ms, self._fail, call, code)
        else:
            universe.at(universe.now + back_ms, self._accepted, str(reply["RequestId"]))

    def _handling(self, fault: str) -> Handling:
        if fault == "task-fails":
            return Handling(fate=Fate.FAIL)
        if fault == "task-slow":
            return Handling(task_ms=self._sky.rng.randrange(1_000, SLOW_TASK_MS))
        return NORMAL

    def _fail(self, call: Call, code: str) -> None:
        if self._has_no_migration(call, code):
            self._strategy, self._in_flight = "reassign", False
            self._send()
            return
        kind = classify(code, call.action)
        waited_ms = self._universe.now - self._sent_at
        open_ms = max(0, LIFE_MS + GRAIN_MS - waited_ms) if code in UNANSWERED else 0
        self._end(MoveResult(kind.outcome, code, kind.refusal, open_ms=open_ms, busy=kind.busy))

    def _has_no_migration(self, call: Call, code: str) -> bool:
        eni = self._move.resource.kind is ResourceKind.ENI
        return eni and call.verb is Verb.MIGRATE and code in UNSUPPORTED and not self._ended

    def _accepted(self, task: str) -> None:
        self._accepted_by_cloud = True
        self._process.when_running(lambda: self._poll_later(task, FIRST_POLL_MS))

    def _poll_later(self, task: str, delay_ms: int) -> None:
        universe = self._universe
        wait_ms = delay_ms + self._sky.latency_ms()
        universe.at(universe.now + wait_ms, self._process.when_running, lambda: self._ask(task, delay_ms))

    def _ask(self, task: str, delay_ms: int) -> None:
        if self._ended:
            return
        sky, name = self._sky, self._process.name
        status = "RUNNING"
        if not sky.outages[name]:
            status = parse_task(sky.request(name, "DescribeVpcTaskResult", {"TaskId": task})).value
        if status == "RUNNING":
            self._poll_later(task, min(delay_ms * 8 // 5, LAST_POLL_MS))
        elif status == "FAILED":
            self._end(MoveResult(Outcome.REFUSED, TASK_FAILED, Refusal.CONFLICT))
        else:
            self._go_on()

    def _go_on(self) -> None:
        call = self._next_call()
        assert call is not None
        self._holder, self._half_done, self._in_flight = call.holder_after, True, False
        self._send()

    def _end(self, result: MoveResult) -> None:
        if self._ended:
            return
        self._ended = True
        if self._half_done and result.outcome is not Outcome.APPLIED:
            result = replace(result, half_done=True, holder=self._holder)
        move = self._move
        self._process.post(ev.MoveFinished(move.group, move.move_id, move.resource, result))
        self._universe.errand_done(self._process, move.resource)
