"""What the control socket may ask of the daemon, and how each request is answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from hafailover.control.protocol import refusal
from hafailover.daemon.handover import Handover
from hafailover.election.events import DrainAsked, FailoverAsked, PauseAsked, ResumeAsked
from hafailover.election.reasons import Reason
from hafailover.election.values import GroupName, NodeName, State
from hafailover.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hafailover.control.protocol import Request
    from hafailover.control.server import Tell
    from hafailover.election.effects import Answer
    from hafailover.election.events import Event
    from hafailover.observe.history import History

Json = dict[str, Any]

ANSWER_S = 5.0  # the core answers at once; longer means that the loop does not turn
NOT_SAVED = "not_saved"
LOOK_S = 0.02


class Outcome(Protocol):
    """What the performer knows: who waits for an answer of the core, and why the latest state is not on disk."""

    answers: dict[int, asyncio.Future[Answer]]
    unsaved: str


class Operator:
    """Answers requests: reads the status, or posts an event and waits for the core's word.

    `outcome` is where the performer leaves the core's answers, and whether the state is on disk. `overrule` is told
    that somebody has drained this node, or undrained it.
    """

    def __init__(
        self,
        post: Callable[[Event], None],
        outcome: Outcome,
        status: Callable[[], Json],
        history: History,
        reload: Callable[[], Awaitable[Json]],
        overrule: Callable[[bool], None] = lambda _drained: None,
    ) -> None:
        self._post = post
        self._outcome = outcome
        self._status = status
        self._history = history
        self._reload = reload
        self._overrule = overrule
        self._serial = 0

    async def handle(self, request: Request, tell: Tell) -> Mapping[str, Any]:
        """Answer one request, and tell the steps on the way. Raises ControlError where it cannot be carried out."""
        try:
            return await self._carry_out(request, tell)
        except RefusedError as error:
            return refusal(error.reason.label, self._explain(error.reason, request))

    async def _carry_out(self, request: Request, tell: Tell) -> Mapping[str, Any]:
        match request.command:
            case "status":
                return self._status()
            case "history":
                return self._past(request)
            case "failover":
                return await self._failover(request, tell)
            case "drain" | "undrain":
                return await self._drain_by_hand(drained=request.command == "drain")
            case "pause" | "resume":
                return await self._pause(request)
            case "reload":
                return await self._reload()
        raise AssertionError(request.command)  # the protocol knows no other

    def _past(self, request: Request) -> Json:
        records = list(self._history.records(request.group, request.limit))
        if not records and request.group is not None and not self._group(GroupName(request.group)):
            raise RefusedError(Reason.UNKNOWN_GROUP)  # what is no group any more may have a past
        return {"failovers": records}

    def _explain(self, reason: Reason, request: Request) -> str:
        """Say why not of what was asked for: the core knows the kind of refusal, the status the case."""
        status = self._status()
        if reason is Reason.UNKNOWN_GROUP:
            names = ", ".join(group["name"] for group in status["groups"])
            return f'there is no group "{request.group}"; groups: {names}'
        if reason is Reason.UNKNOWN_NODE:
            names = ", ".join([status["node"], *(peer["node"] for peer in status["peers"])])
            return f'there is no node "{request.to}"; nodes: {names}'
        nodes = self._group(GroupName(request.group or "")).get("nodes", ())
        why = {node["node"]: node["why"] for node in nodes}
        if reason is Reason.TARGET_NOT_READY and request.to in why:
            return f"{request.to} could not take over: {why[request.to]}"
        if reason is Reason.NO_CANDIDATE and why:
            return f"{reason.value}: " + "; ".join(f"{node}: {text}" for node, text in why.items())
        text: str = reason.value
        return text

    async def _ask(self, event: Callable[[int], Event]) -> Reason:
        """Put a question to the core. Raises RefusedError where it says no, ControlError where it says nothing."""
        self._serial += 1
        serial = self._serial  # others may ask while this one waits
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._outcome.answers[serial] = answer
        self._post(event(serial))
        try:
            async with asyncio.timeout(ANSWER_S):
                result = await answer
        except TimeoutError:
            raise ControlError(f"the daemon's core did not answer within {ANSWER_S:g} s") from None
        finally:
            self._outcome.answers.pop(serial, None)
        if not result.accepted:
            raise RefusedError(result.reason)
        return result.reason

    async def drain(self, *, drained: bool) -> None:
        """Have this node give everything up and stay out, or take part again. Raises ControlError."""
        await self._ask(lambda serial: DrainAsked(serial, drained))

    async def _drain_by_hand(self, *, drained: bool) -> Json:
        await self.drain(drained=drained)
        self._overrule(drained)
        if self._outcome.unsaved:
            return self._not_saved("this node is drained" if drained else "this node takes part again")
        return {"drained": drained, "groups": [_fate(group) for group in self._status()["groups"]]}

    def _not_saved(self, done: str) -> Json:
        """Acknowledge nothing that a restart would forget."""
        return refusal(NOT_SAVED, f"{done}, but a restart will forget it: not on disk ({self._outcome.unsaved})")

    async def _pause(self, request: Request) -> Json:
        group = None if request.group is None else GroupName(request.group)
        if request.command == "pause":
            await self._ask(lambda serial: PauseAsked(serial, group, request.for_ms))
        else:
            await self._ask(lambda serial: ResumeAsked(serial, group))
        if self._outcome.unsaved:
            return self._not_saved("paused" if request.command == "pause" else "resumed")
        keys = ("name", "paused", "pause_left_s", "paused_by")
        groups = [each for each in self._status()["groups"] if group in (None, each["name"])]
        return {"groups": [{key: each[key] for key in keys} for each in groups]}

    async def _failover(self, request: Request, tell: Tell) -> Json:
        group = GroupName(request.group or "")
        handover = Handover(self._status(), group, tell)
        target = None if request.to is None else NodeName(request.to)
        await self._ask(lambda serial: FailoverAsked(serial, group, target))
        if not request.wait:
            return {"reason": Reason.ACCEPTED.label, "master": None}
        return await self._await_handover(group, handover, request.timeout_ms / 1000)

    def _group(self, name: GroupName) -> Json:
        groups = self._status()["groups"]
        return next((group for group in groups if group["name"] == name), {})

    async def _await_handover(self, name: GroupName, handover: Handover, timeout_s: float) -> Json:
        """Wait until another node is master and the hand-over is over on this node too."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await asyncio.sleep(LOOK_S)
                    group = self._group(name)
                    if not group:
                        raise RefusedError(Reason.UNKNOWN_GROUP)  # a reload has removed it meanwhile
                    if handover.done(group):
                        return self._handed_over(name, group)
                    if group["why_label"] == Reason.HANDOVER_FAILED.label:
                        raise RefusedError(Reason.HANDOVER_FAILED)
        except TimeoutError:
            raise ControlError(f"no other node was master of {name} within {timeout_s:g} s") from None

    def _handed_over(self, name: GroupName, group: Json) -> Json:
        """Say who is master now; the phases are known where this node is the one that took over."""
        last = self._history.last(name) or {}
        phases = last["phases_s"] if last.get("term") == group["term"] else {}
        return {"group": name, "master": group["master"], "term": group["term"], "phases_s": phases}


def _fate(group: Json) -> Json:
    """Say what becomes of a group on this node now that it is drained, or is no longer."""
    successor, others = group["successor"], any(node["eligible"] for node in group["nodes"])
    match State(group["state"]):
        case State.RELEASING:
            fate = f"is handed over to {successor}" if successor else "goes quiet"
        case State.MASTER:
            fate = "is about to be handed over" if others else "stays here until another node could take over"
        case _:
            fate = f"is on {group['master']}" if group["master"] else "has no master"
    return {"name": group["name"], "state": group["state"], "successor": successor, "fate": fate}


class RefusedError(ControlError):
    """The core refused a request, with its reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)
