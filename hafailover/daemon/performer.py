"""Carries out the core's effects: each is handed to the room that can do it, and its end comes back as an event.

Nothing here decides. What takes time runs as a task of its own; the two barriers are awaited by the runner.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import structlog

from hafailover.daemon import clock, guards, historyfile, statefile
from hafailover.election import effects as fx
from hafailover.election import events as ev
from hafailover.election.reasons import Reason
from hafailover.election.values import FenceResult, GuardVerdict, MoveResult, Outcome, Refusal, State
from hafailover.errors import CloudError, GuestError
from hafailover.guest.hooks import HookContext, HookQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from hafailover.config.model import Config, Group
    from hafailover.daemon.parts import Parts
    from hafailover.election.effects import Effect
    from hafailover.election.events import Event
    from hafailover.election.values import GroupName, Resource
    from hafailover.guest.hooks import HookResult
    from hafailover.guest.network import GuestNetwork, Link

MOVE_DEADLINE_S = 30.0  # of one move with its task; the holder is read afterwards whatever it says
PERSIST_DEADLINE_S = 1.0  # a disk that hangs must not keep the heartbeats waiting
FENCE_DEADLINE_S = 60.0  # of one attempt to power an instance off
INSTANCE_UNKNOWN = "InstanceUnknown"  # the cloud has not said which instance the ENI belongs to
HELD_BY_STRANGER = "HeldByStranger"  # not sent: the ENI that has the address is no node's of this cluster
DISARM_RETRY_S = 1.0
HOOK_DRAIN_S = 5.0

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
        self._roles: dict[str, fx.RoleChanged] = {}
        self._armed: set[Resource] = set()
        self._disk = ThreadPoolExecutor(1, "state")  # one save at a time: an older one must not end up on top
        self._link: Link | None = None
        self.answers: dict[int, asyncio.Future[fx.Answer]] = {}
        self.unsaved = ""  # why the latest state is not on disk

    def configure(self, config: Config) -> None:
        """Take in another version of the file, with the same groups."""
        self._config = config
        self._groups = {group.name: group for group in config.groups}

    def perform(self, effect: Effect) -> Awaitable[None] | None:  # noqa: C901 - one case per kind of effect
        """Start an effect; a barrier returns what is to be awaited before the next one."""
        match effect:
            case fx.Persist():
                return self._persist(effect)
            case fx.StopAnswering():
                return self._stop_answering(effect)
            case fx.SendAdverts():
                for path in self._parts.paths:
                    path.send(effect.advert)
            case fx.Arm():
                self._armed.add(effect.resource)
                self._spawn(self._arm(effect))
            case fx.ProbeGuest():
                self._spawn(self._probe(effect))
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
            case _:
                self._tell(effect)
        return None

    async def close(self) -> None:
        """Let the hooks that run come to their end, within a bound."""
        await asyncio.gather(*(queue.close(HOOK_DRAIN_S) for queue in self._hooks.values()))
        self._disk.shutdown(wait=False)

    # -- barriers ----------------------------------------------------------------------------------------------

    async def _persist(self, effect: fx.Persist) -> None:
        """Put the memory on disk.

        A disk that is full or hangs is reported and does not hold up a claim: without the file a term may be
        counted twice after a crash, and the cloud's condition still keeps the moves apart; without the claim
        the service is down for certain.
        """
        folder, loop = self._config.state.directory, asyncio.get_running_loop()
        saving = loop.run_in_executor(self._disk, statefile.save, folder, effect.memory)
        try:
            async with asyncio.timeout(PERSIST_DEADLINE_S):
                await asyncio.shield(saving)  # one that is not waited for any longer still ends before the next
        except (OSError, TimeoutError) as error:
            self.unsaved = str(error) or f"no answer within {PERSIST_DEADLINE_S} s"
            self._parts.metrics.state_not_saved()
            log.error("state_not_saved", directory=str(folder), error=self.unsaved)  # noqa: TRY400 - not a fault of the code
        else:
            self.unsaved = ""

    async def _stop_answering(self, effect: fx.StopAnswering) -> None:
        self._armed.discard(effect.resource)
        guest, address = self._guest(effect.group), effect.resource.id
        try:
            await guest.disarm(address)
        except GuestError as error:
            self._parts.metrics.guest_failed(effect.group, "disarm")
            log.error("disarm_failed", group=effect.group, address=address, error=str(error))  # noqa: TRY400 - as above
            self._spawn(self._disarm_later(guest, effect.resource))

    async def _disarm_later(self, guest: GuestNetwork, resource: Resource) -> None:
        """Go on trying until it works or the address is wanted again: two nodes must not carry it."""
        while True:
            await asyncio.sleep(DISARM_RETRY_S)
            if resource in self._armed:
                return
            try:
                await guest.disarm(resource.id)
            except GuestError:
                continue
            log.info("disarmed_late", address=resource.id)
            return

    # -- tasks -------------------------------------------------------------------------------------------------

    def _guest(self, group: GroupName) -> GuestNetwork:
        return self._parts.guest_of(self._groups[group])

    async def _arm(self, effect: fx.Arm) -> None:
        guest, error = self._guest(effect.group), ""
        try:
            link = await self._find_link(guest)
            if effect.resource not in self._armed:
                return  # let go meanwhile; had the guest been asked already, it would do one after the other
            await guest.arm(effect.resource.id, link)
        except GuestError as failure:
            error, self._link = str(failure), None
            self._parts.metrics.guest_failed(effect.group, "arm")
            log.error("arm_failed", group=effect.group, address=effect.resource.id, error=error)  # noqa: TRY400 - as above
        self._post(ev.GuestArmed(effect.group, effect.resource, error))

    async def _probe(self, effect: fx.ProbeGuest) -> None:
        self._link, error = None, ""  # what was found before the failure may be gone
        try:
            await self._find_link(self._guest(effect.group))
        except GuestError as failure:
            error = str(failure)
        self._post(ev.GuestProbed(effect.group, error))

    async def _find_link(self, guest: GuestNetwork) -> Link:
        if guest is not self._parts.guest:
            return await guest.find_link()  # of a group that leaves the guest alone: it says nothing of the others
        if self._link is None:
            name, mac = self._parts.me.interface, self._parts.directory.mac(self._parts.eni_id)
            self._link = await guest.find_link(mac=mac, name=name)
        return self._link

    async def _read(self) -> None:
        asked_at = clock.now_ms()
        try:
            seen = await self._parts.directory.read(self._parts.cloud, self._parts.resources)
        except CloudError as error:
            log.warning("read_failed", code=error.code, detail=error.detail)
            self._post(ev.ReadFailed(asked_at, error.code))
        else:
            self._post(ev.HoldersRead(seen, asked_at))
            if self._link is None:
                await self._prepare_link()

    async def _prepare_link(self) -> None:
        """Find the interface before it is needed, which saves a claim time and tells early if it is missing."""
        try:
            await self._find_link(self._parts.guest)
        except GuestError as error:
            log.warning("interface_unknown", error=str(error))

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
        verdict = await self._verdict(effect.guard, self._groups[effect.group])
        self._parts.metrics.guard_verdict(effect.group, effect.guard, verdict.value)
        log.info("guard", group=effect.group, guard=effect.guard, verdict=verdict.value)
        self._post(ev.GuardAnswered(effect.group, effect.guard, effect.round_id, verdict))

    async def _verdict(self, guard: str, group: Group) -> GuardVerdict:
        timeout_s = self._config.heartbeat.dead_interval_ms / 2000
        if guard == "vip" and group.vip_port is not None:
            return await guards.ask_vip(group.addresses, group.vip_port, timeout_s)
        if guard == "cloud":
            holder = self._parts.holder_of(group.name)
            return await guards.ask_cloud(self._parts.cloud, self._parts.directory.instance(holder), timeout_s)
        if guard == "gateway":
            return await self._parts.gateway.verdict(timeout_s)
        return GuardVerdict.UNKNOWN

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
                log.warning("no_claim", group=effect.group, reason=effect.reason.label, why=effect.reason.value)
            case fx.FailoverFinished() | fx.ClaimFailed() | fx.HandoverEnded():
                self._tell_failover(effect)
            case fx.RunHook():
                self._run_hook(effect)
            case _:
                pass  # Leave is the runner's

    def _tell_failover(self, effect: fx.FailoverFinished | fx.ClaimFailed | fx.HandoverEnded) -> None:
        record = self._parts.history.record(effect, clock.wall_ms())
        if isinstance(effect, fx.FailoverFinished):
            self._parts.metrics.failover(effect.group, effect.reason, "done", record["phases_s"])
        level = log.info if record["result"] in ("done", "gave") else log.warning
        level("failover", **{key: value for key, value in record.items() if key != "at"})
        folder, records = self._config.state.directory, self._parts.history.records()
        saving = asyncio.get_running_loop().run_in_executor(self._disk, historyfile.save, folder, records)
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
        )
        queue = self._hooks[effect.group]
        queue.submit(effect.hook, argv, context.environment(), group.notify.timeout_ms / 1000, ended)

    def _hook_ended(self, group: GroupName, run_id: int, ok: bool) -> None:  # noqa: FBT001 - given by the hooks' queue
        self._post(ev.HookFinished(group, run_id, ok))

    def _reporter(self, group: str) -> Callable[[HookResult], None]:
        def report(result: HookResult) -> None:
            ending = "ok" if result.ok else ("timeout" if result.timed_out else "failed")
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
