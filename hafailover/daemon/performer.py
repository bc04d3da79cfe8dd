"""Carries out the core's effects: each is handed to the room that can do it, and its end comes back as an event.

Nothing here decides. What takes time runs as a task of its own; the two barriers are awaited by the runner.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from hafailover.daemon import clock, guards, historyfile, statefile, translate
from hafailover.daemon.arming import Arming
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import FenceResult, GuardVerdict, MoveResult, Outcome, Refusal, ResourceKind, State
from hafailover.errors import CloudError
from hafailover.guest.hooks import HookContext, HookQueue, as_keepalived

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine

    from hafailover.config.model import Config, Group
    from hafailover.daemon.parts import Parts
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.values import GroupName
    from hafailover.guest.hooks import HookResult

MOVE_DEADLINE_S = 30.0  # of one move with its task; the holder is read afterwards whatever it says
PERSIST_DEADLINE_S = 1.0  # a disk that hangs must not keep the heartbeats waiting
FENCE_DEADLINE_S = 60.0  # of one attempt to power an instance off
INSTANCE_UNKNOWN = "InstanceUnknown"  # the cloud has not said which instance the ENI belongs to
HELD_BY_STRANGER = "HeldByStranger"  # not sent: the ENI that has the address is no node's of this cluster
HOOK_DRAIN_S = 5.0
MAX_GONE = 100

log = structlog.get_logger()


class Performer:
    """The hands of one daemon. `post` queues an event, `spawn` starts a task that lives as long as the daemon."""

    def __init__(
        self,
        config: Config,
        parts: Parts,
        post: Callable[[Event], None],
        spawn: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        self._config = config
        self._parts = parts
        self._post = post
        self._spawn = spawn
        self._groups: dict[str, Group] = {group.name: group for group in config.groups}
        self._hooks = {name: HookQueue(self._reporter(name)) for name in self._groups}
        self._last_hooks: list[HookQueue] = []  # of groups that have gone, which are to come to their end
        self._roles: dict[str, fx.RoleChanged] = {}
        self._known = dict(self._groups)  # and those that have gone, which what was begun for them may need
        self._arming = Arming(parts, self._known, post, spawn)
        self.answers: dict[int, asyncio.Future[fx.Answer]] = {}
        self.unsaved = ""  # why the latest state is not on disk

    def configure(self, config: Config) -> None:
        """Take in another version of the file; a group that goes is there until the core has let go of it."""
        self._config = config
        for group in config.groups:
            self._groups[group.name] = self._known[group.name] = group
            if group.name not in self._hooks:
                self._hooks[group.name] = HookQueue(self._reporter(group.name))

    @property
    def laid(self) -> Collection[str]:
        """The groups whose routes and rules the guest has, as of now and later."""
        return self._arming.following.laid

    def perform(self, effect: Effect) -> Awaitable[None] | None:  # noqa: C901, PLR0912 - one case per kind of effect
        """Start an effect; a barrier returns what is to be awaited before the next one."""
        match effect:
            case fx.Persist():
                return self._persist(effect)
            case fx.StopAnswering():
                return self._arming.stop_answering(effect)
            case fx.SendAdverts():
                now_us = clock.now_us()
                for path in self._parts.paths:
                    path.send(effect.advert, now_us)
            case fx.Arm():
                self._arming.arm(effect)
            case fx.ProbeGuest():
                self._spawn(self._arming.probe(effect))
            case fx.ReadHolders():
                self._spawn(self._read())
            case fx.Move():
                self._spawn(self._move(effect))
            case fx.AskGuard():
                self._spawn(self._ask(effect))
            case fx.Fence():
                self._spawn(self._fence(effect))
            case fx.Answer():
                self._answer(effect)
            case fx.RoleChanged():
                self._tell(effect)
                self._hooks[effect.group].hold(self._arming.role_changed(effect))
            case _:
                self._tell(effect)
        return None

    async def close(self) -> None:
        """Let the hooks that run come to their end, within a bound."""
        queues = (*self._hooks.values(), *self._last_hooks)
        await asyncio.gather(*(queue.close(HOOK_DRAIN_S) for queue in queues))
        self._parts.disk.shutdown(wait=False)

    # -- barriers ----------------------------------------------------------------------------------------------

    async def _persist(self, effect: fx.Persist) -> None:
        """Put the memory on disk.

        A disk that is full or hangs is reported and does not hold up a claim: without the file a term may be
        counted twice after a crash, and the cloud's condition still keeps the moves apart; without the claim
        the service is down for certain.
        """
        folder, loop = self._config.state.directory, asyncio.get_running_loop()
        saving = loop.run_in_executor(self._parts.disk, statefile.save, folder, effect.memory)
        try:
            async with asyncio.timeout(PERSIST_DEADLINE_S):
                await asyncio.shield(saving)  # one that is not waited for any longer still ends before the next
        except (OSError, TimeoutError) as error:
            self.unsaved = str(error) or f"no answer within {PERSIST_DEADLINE_S} s"
            self._parts.metrics.state_not_saved()
            log.error("state_not_saved", directory=str(folder), error=self.unsaved)  # noqa: TRY400 - not a fault of the code
        else:
            self.unsaved = ""

    # -- tasks -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        asked_at = clock.now_ms()
        try:
            moving = [each for group in self._groups.values() for each in translate.resources(group)]
            seen = await self._parts.directory.read(self._parts.cloud, moving)
        except CloudError as error:
            log.warning("read_failed", code=error.code, detail=error.detail)
            self._post(ev.ReadFailed(asked_at, error.code))
        else:
            self._post(ev.HoldersRead(seen, asked_at))
            self._parts.eips.see(self._parts.directory.enis)
            await self._arming.prepare([each.id for each in moving if each.kind is ResourceKind.ENI])

    async def _move(self, effect: fx.Move) -> None:
        names = {"group": effect.group, "resource": effect.resource.id, "move": effect.move_id}
        log.info("move", **names, expected=effect.expected, target=effect.target)
        if self._parts.directory.is_stranger(effect.resource, effect.expected):
            # An address that is wrong in the file must not take another service's away.
            result = MoveResult(Outcome.REFUSED, HELD_BY_STRANGER, Refusal.CONFLICT)
        else:
            result = await self._parts.cloud.move(
                effect.resource, effect.expected, effect.target, deadline_s=MOVE_DEADLINE_S
            )
        log.info("move_ended", **names, outcome=result.outcome.value, code=result.code)
        self._post(ev.MoveFinished(effect.group, effect.move_id, effect.resource, result))

    async def _fence(self, effect: fx.Fence) -> None:
        instance = self._parts.directory.instance_behind(effect.resource, effect.holder)
        names = {"group": effect.group, "instance": instance or "", "holder": effect.holder}
        log.warning("fence", **names)
        if instance is None:
            result = FenceResult(stopped=False, code=INSTANCE_UNKNOWN)
        else:
            result = await self._parts.cloud.stop_instance(instance, deadline_s=FENCE_DEADLINE_S)
        level = log.warning if result.stopped else log.error
        level("fence_ended", **names, stopped=result.stopped, code=result.code)
        self._post(ev.FenceFinished(effect.group, effect.fence_id, result))

    async def _ask(self, effect: fx.AskGuard) -> None:
        group = self._groups.get(effect.group)
        if group is None:
            return  # it has gone, and nobody wants to know any more
        verdict, why = await self._verdict(effect.guard, group)
        if effect.group not in self._groups:
            return  # it has gone meanwhile, and its metrics with it
        self._parts.metrics.guard_verdict(effect.group, effect.guard, verdict.value)
        reasons = {"why": why} if why else {}
        log.info("guard", group=effect.group, guard=effect.guard, verdict=verdict.value, **reasons)
        self._post(ev.GuardAnswered(effect.group, effect.guard, effect.round_id, verdict))

    async def _verdict(self, guard: str, group: Group) -> tuple[GuardVerdict, str]:
        """Return what a guard says, and why where that is more than its name tells."""
        timeout_s = self._config.heartbeat.dead_interval_ms / 2000
        if guard == "vip" and group.vip_port is not None:
            return await guards.ask_vip(self._addresses_of(group), group.vip_port, timeout_s), ""
        if guard == "cloud":
            instance = self._parts.instance_of(group.name)
            return await guards.ask_cloud(self._parts.cloud, instance, timeout_s), ""
        if guard == "gateway":
            return await self._parts.gateway.verdict(timeout_s), ""
        if guard == "mqtt" and self._parts.mqtt is not None:
            finding = await self._parts.mqtt.find(self._parts.master_of(group.name), timeout_s)
            return finding.verdict, finding.value
        return GuardVerdict.UNKNOWN, ""

    def _addresses_of(self, group: Group) -> tuple[str, ...]:
        """Return the addresses on which a group's service answers: its own, and those of its ENIs."""
        of_enis = [address for eni in group.enis for address in self._parts.directory.addresses(eni)]
        return (*group.addresses, *of_enis)

    # -- telling -----------------------------------------------------------------------------------------------

    def _answer(self, effect: fx.Answer) -> None:
        waiting = self.answers.pop(effect.request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(effect)

    def _tell(self, effect: Effect) -> None:
        match effect:
            case fx.RoleChanged():
                self._roles[effect.group] = effect
                self._parts.metrics.role_changed(effect.group, effect.old, effect.new, effect.reason)
                if self._parts.announcer is not None:
                    self._parts.announcer.role(effect)
                if effect.old is State.CLAIMING and effect.new is not State.MASTER:
                    result = "lost" if effect.reason is Reason.CLAIM_LOST else "void"
                    self._parts.metrics.failover(effect.group, effect.reason, result, {})
                level = log.warning if State.FAULT in (effect.old, effect.new) else log.info
                level(
                    "role",
                    group=effect.group,
                    old=effect.old.value,
                    new=effect.new.value,
                    reason=effect.reason.label,
                    why=effect.reason.value,
                    term=effect.term,
                )
            case fx.Refrained():
                self._parts.metrics.refrained(effect.group, effect.reason)
                if self._parts.announcer is not None:
                    self._parts.announcer.refrained(effect)
                log.warning("no_claim", group=effect.group, reason=effect.reason.label, why=effect.reason.value)
            case fx.FailoverFinished() | fx.ClaimFailed() | fx.HandoverEnded():
                self._tell_failover(effect)
            case fx.RunHook():
                self._run_hook(effect)
            case fx.GroupDismissed():
                self._dismiss(effect)
            case _:
                pass  # Leave is the runner's

    def _tell_failover(self, effect: fx.FailoverFinished | fx.ClaimFailed | fx.HandoverEnded) -> None:
        record = self._parts.history.record(effect, clock.wall_ms())
        if self._parts.announcer is not None:
            self._parts.announcer.failover(record)
        if isinstance(effect, fx.FailoverFinished):
            self._parts.metrics.failover(effect.group, effect.reason, "done", record["phases_s"])
        level = log.info if record["result"] in ("done", "gave") else log.warning
        level("failover", **{key: value for key, value in record.items() if key != "at"})
        folder, records = self._config.state.directory, self._parts.history.records()
        saving = asyncio.get_running_loop().run_in_executor(self._parts.disk, historyfile.save, folder, records)
        saving.add_done_callback(_history_saved)

    def _run_hook(self, effect: fx.RunHook) -> None:
        group, role = self._groups[effect.group], self._roles.get(effect.group)
        argv = getattr(group.notify, effect.hook)
        ended = None if effect.run_id is None else partial(self._hook_ended, effect.group, effect.run_id)
        if role is None:
            return  # nothing has changed that a hook could be told of
        context = HookContext(
            group=effect.group,
            node=self._parts.me.name,
            state=role.new.value,
            old_state=role.old.value,
            reason=(effect.reason or role.reason).label,
            term=role.term,
            addresses=group.addresses,
            enis=group.enis,
        )
        priority = self._parts.priority_of(effect.group)
        generic = as_keepalived(group.notify.notify, effect.hook, effect.group, priority)
        queue, timeout_s = self._hooks[effect.group], group.notify.timeout_ms / 1000
        if generic:
            queue.submit(effect.hook, argv, context.environment(), timeout_s)
            queue.submit("notify", generic, context.environment(), timeout_s, ended)
        else:
            queue.submit(effect.hook, argv, context.environment(), timeout_s, ended)

    def _dismiss(self, effect: fx.GroupDismissed) -> None:
        """Put away what was a group's; its hooks that were begun come to their end."""
        name, stays = effect.group, [resource.id for resource in effect.stays]
        log.info("group_dismissed", group=name, state=effect.state.value, stays=stays)
        if any(group.name == name for group in self._config.groups):
            return  # a still later file, which the core does not know yet, names it again
        del self._groups[name]
        self._forget_old(name)
        self._roles.pop(name, None)
        self._last_hooks = [queue for queue in (*self._last_hooks, self._hooks.pop(name)) if not queue.idle]
        self._parts.metrics.forget(name)
        if self._parts.announcer is not None:
            self._parts.announcer.forget(name)

    def _forget_old(self, name: str) -> None:
        """Keep the tables of so many groups at most that have gone; this one is the latest."""
        self._known[name] = self._known.pop(name)
        gone = [each for each in self._known if each not in self._groups]
        for each in gone[:-MAX_GONE]:
            del self._known[each]
        self._arming.following.dismissed(name)

    def _hook_ended(self, group: GroupName, run_id: int, ok: bool) -> None:  # noqa: FBT001 - given by the hooks' queue
        self._post(ev.HookFinished(group, run_id, ok))

    def _reporter(self, group: str) -> Callable[[HookResult], None]:
        def report(result: HookResult) -> None:
            ending = "ok" if result.ok else ("timeout" if result.timed_out else "failed")
            if group in self._hooks:  # else its series are gone for good
                self._parts.metrics.hook_result(group, result.hook, ending, result.seconds)
            level = log.info if result.ok else log.error
            level(
                "hook",
                group=group,
                hook=result.hook,
                result=ending,
                exit_code=result.exit_code,
                seconds=round(result.seconds, 3),
                output=result.output,
                error=result.error,
            )

        return report


def _history_saved(saving: asyncio.Future[None]) -> None:
    if not saving.cancelled() and (error := saving.exception()) is not None:
        log.warning("history_not_saved", error=str(error))
