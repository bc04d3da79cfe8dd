"""One move under way in the small universe: the plan's calls and the polling of their tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hafailover.cloud.outcome import TASK_FAILED, UNANSWERED, classify
from hafailover.cloud.plan import next_call
from hafailover.cloud.replies import parse_task
from hafailover.election import events as ev
from hafailover.election.values import MoveResult, Outcome, Refusal
from hafailover.emulator.values import NORMAL, ApiError, Fate, Handling

if TYPE_CHECKING:
    from hafailover.cloud.plan import Call, Strategy
    from hafailover.election.effects import Move
    from tests.simulation.world import World

POLL_MS = 200
CALL_TIMEOUT_MS = 3_000

# What can befall one write: the code that its caller sees, after how long, and whether the request has its effect.
FAULTS: dict[str, tuple[str, int, bool]] = {
    "throttle": ("RequestLimitExceeded", 0, False),
    "http-500": ("ServerNetworkError", 0, False),
    "http-500-after-effect": ("ServerNetworkError", 0, True),
    "reply-lost": ("ClientNetworkError", 0, True),
    "request-lost": ("ClientTimeout", CALL_TIMEOUT_MS, False),
    "timeout-after-effect": ("ClientTimeout", CALL_TIMEOUT_MS, True),
    "no-quota": ("LimitExceeded", 0, False),
    "no-permission": ("UnauthorizedOperation", 0, False),
}
TASK_FAILS = "task-fails"


class Mover:
    """Carries out one Move of one run of a daemon; where that run ends, nothing more is sent or told."""

    def __init__(self, world: World, name: str, move: Move) -> None:
        self.world, self.name, self.move = world, name, move
        self.holder = move.expected
        self.started = False
        self.run = world.hosts[name].run

    @property
    def alive(self) -> bool:
        """Whether the daemon that asked still runs."""
        host = self.world.hosts[self.name]
        return host.listening and host.run == self.run

    def begin(self) -> None:
        """Send the next call, or end where there is none."""
        call = self._next_call()
        if call is None:
            self._end(MoveResult(Outcome.APPLIED))
            return
        fault = self.world.api_faults.pop(0) if self.world.api_faults else ""
        self.world.at(self.world.now + self.world.api_ms, lambda: self._arrive(call, fault))

    def _next_call(self) -> Call | None:
        strategy = cast("Strategy", self.world.strategy)
        return next_call(self.move.resource, self.holder, self.move.target, strategy)

    def _arrive(self, call: Call, fault: str) -> None:
        if self.name in self.world.api_cuts:
            fault = "request-lost"
        code, wait_ms, effective = FAULTS.get(fault, ("", 0, True))
        handling = Handling(fate=Fate.FAIL) if fault == TASK_FAILS else NORMAL
        reply: dict[str, object] = {}
        if effective:
            try:
                reply = self.world.call(self.name, call.action, call.parameters(), handling)
            except ApiError as error:
                code = code or error.code
        else:
            self.world.refuse(self.name, call.action, code)
        if code:
            self.world.at(self.world.now + wait_ms, lambda: self._end(self._failed(code, call.action, wait_ms)))
        else:
            self._poll(str(reply["RequestId"]))

    def _failed(self, code: str, action: str, waited_ms: int) -> MoveResult:
        kind = classify(code, action)
        open_ms = self.world.timing.request_life_ms - waited_ms if code in UNANSWERED else 0
        return MoveResult(kind.outcome, code, kind.refusal, open_ms=open_ms, busy=kind.busy)

    def _poll(self, task: str) -> None:
        self.world.at(self.world.now + POLL_MS, lambda: self._ask(task))

    def _ask(self, task: str) -> None:
        if not self.alive:
            return
        if self.world.hosts[self.name].frozen:
            self._poll(task)
            return
        if self.name in self.world.api_cuts:
            self._end(MoveResult(Outcome.UNKNOWN, "ClientTimeout"))
            return
        status = parse_task(self.world.call(self.name, "DescribeVpcTaskResult", {"TaskId": task})).value
        if status == "RUNNING":
            self._poll(task)
        elif status == "FAILED":
            self._end(MoveResult(Outcome.REFUSED, TASK_FAILED, Refusal.CONFLICT))
        else:
            self._go_on()

    def _go_on(self) -> None:
        done = self._next_call()
        if done is not None:
            self.holder, self.started = done.holder_after, True
        self.begin()

    def _end(self, result: MoveResult) -> None:
        if self.started and result.outcome is not Outcome.APPLIED:
            result = MoveResult(result.outcome, result.code, result.refusal, half_done=True, holder=self.holder)
        finished = ev.MoveFinished(self.move.group, self.move.move_id, self.move.resource, result)
        self.world.give(self.name, finished, self.run)
